#include "text/answer_constraint.h"

#include "base/alloc.h"
#include "grammar/choices.h"
#include "grammar/regex.h"

static rf_status compile_choices(const char *const *choices, size_t n, bool leads_space,
                                 rf_automaton **out, rf_error *err) {
    rf_str *texts = rf_calloc(n, sizeof *texts);
    if (!texts)
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for %zu choices", n);
    for (size_t i = 0; i < n; i++)
        texts[i] = rf_str_of(choices[i]);
    rf_status status = rf_choices_compile(texts, n, leads_space, out, err);
    rf_free(texts);
    return status;
}

rf_status rf_answer_constraint_compile(const char *pattern, const char *const *choices,
                                       size_t n_choices, const rf_tokenizer *tokenizer,
                                       bool continues, rf_automaton **out, rf_error *err) {
    bool leads_space = rf_tokenizer_drops_space(tokenizer) && !continues;
    *out = NULL;
    if (pattern)
        return rf_regex_compile(rf_str_of(pattern), leads_space, out, err);
    return n_choices > 0 ? compile_choices(choices, n_choices, leads_space, out, err) : RF_OK;
}
