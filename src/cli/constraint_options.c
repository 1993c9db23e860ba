#include "cli/constraint_options.h"

#include "base/alloc.h"
#include "grammar/choices.h"
#include "grammar/regex.h"

static rf_status compile_choices(const rf_option_value *given, bool leads_space, rf_automaton **out,
                                 rf_error *err) {
    rf_str *texts = rf_calloc(given->n_list, sizeof *texts);
    if (!texts)
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for %zu choices", given->n_list);
    for (size_t i = 0; i < given->n_list; i++)
        texts[i] = rf_str_of(given->list[i]);
    rf_status status = rf_choices_compile(texts, given->n_list, leads_space, out, err);
    rf_free(texts);
    return status;
}

rf_status rf_constraint_of_options(const rf_options *options, const rf_tokenizer *tokenizer,
                                   bool raw, rf_automaton **out, rf_error *err) {
    const char *pattern = rf_opt_text(options, RF_OPT_REGEX);
    const rf_option_value *choices = &options->values[RF_OPT_CHOICE];
    bool leads_space = rf_tokenizer_drops_space(tokenizer) && !raw;
    *out = NULL;
    if (pattern && choices->n_list > 0)
        return rf_fail(err, RF_ERR_USAGE, "found --regex and --choice, expected one of them");
    rf_status status = RF_OK;
    if (pattern)
        status = rf_regex_compile(rf_str_of(pattern), leads_space, out, err);
    else if (choices->n_list > 0)
        status = compile_choices(choices, leads_space, out, err);
    if (status != RF_OK && status != RF_ERR_NO_MEMORY) {
        rf_error why = *err;
        return rf_fail(err, RF_ERR_USAGE, "%s: %s", pattern ? "--regex" : "--choice", why.text);
    }
    return status;
}
