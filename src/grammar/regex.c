#include "grammar/regex.h"

#include "grammar/rules.h"

rf_status rf_regex_compile(rf_str pattern, bool leads_space, rf_automaton **out, rf_error *err) {
    rf_rules *rules;
    rf_expr whole;
    *out = NULL;
    RF_TRY(rf_rules_create(&rules, err));
    rf_status status = rf_rules_regex(rules, pattern, false, &whole, err);
    if (status == RF_OK)
        status = rf_rules_compile(rules, whole, leads_space, out, err);
    rf_rules_destroy(rules);
    return status;
}
