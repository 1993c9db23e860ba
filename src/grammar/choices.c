#include "grammar/choices.h"

#include "base/alloc.h"
#include "base/utf8.h"
#include "grammar/rules.h"

static rf_status add_all(rf_rules *rules, const rf_str *texts, size_t n, rf_expr *ways,
                         rf_error *err) {
    for (size_t i = 0; i < n; i++) {
        if (texts[i].len == 0 || rf_utf8_valid_prefix(texts[i].ptr, texts[i].len) < texts[i].len)
            return rf_fail(err, RF_ERR_INVALID,
                           "choice %zu: found %s, expected at least one character of UTF-8 text",
                           i + 1, texts[i].len ? "bytes that are no UTF-8" : "an empty text");
        ways[i] = rf_rules_text(rules, texts[i]);
    }
    return RF_OK;
}

rf_status rf_choices_compile(const rf_str *texts, size_t n, bool leads_space, rf_automaton **out,
                             rf_error *err) {
    rf_rules *rules;
    *out = NULL;
    if (n == 0)
        return rf_fail(err, RF_ERR_INVALID, "found no choices, expected at least one");
    RF_TRY(rf_rules_create(&rules, err));
    rf_expr *ways = rf_calloc(n, sizeof *ways);
    rf_status status = ways ? add_all(rules, texts, n, ways, err)
                            : rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for %zu choices", n);
    if (status == RF_OK)
        status = rf_rules_compile(rules, rf_rules_any(rules, ways, n), leads_space, out, err);
    rf_free(ways);
    rf_rules_destroy(rules);
    return status;
}
