#include "cli/constraint_options.h"

#include "text/answer_constraint.h"

rf_status rf_constraint_of_options(const rf_options *options, const rf_tokenizer *tokenizer,
                                   bool raw, rf_automaton **out, rf_error *err) {
    const char *pattern = rf_opt_text(options, RF_OPT_REGEX);
    const rf_option_value *choices = &options->values[RF_OPT_CHOICE];
    *out = NULL;
    if (pattern && choices->n_list > 0)
        return rf_fail(err, RF_ERR_USAGE, "found --regex and --choice, expected one of them");
    rf_answer_spec spec = {
        .pattern = pattern, .choices = choices->list, .n_choices = choices->n_list};
    rf_status status = rf_answer_constraint_compile(&spec, tokenizer, raw, out, err);
    if (status != RF_OK && status != RF_ERR_NO_MEMORY) {
        rf_error why = *err;
        return rf_fail(err, RF_ERR_USAGE, "%s: %s", pattern ? "--regex" : "--choice", why.text);
    }
    return status;
}
