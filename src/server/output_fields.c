#include "server/output_fields.h"

#include "base/alloc.h"

enum { CHOICES_MAX = 4096 };

static bool take_regex(rf_str pattern, const rf_tokenizer *tokenizer, bool continues,
                       rf_automaton **out, rf_refusal *refusal) {
    rf_error err = {0};
    if (memchr(pattern.ptr, 0, pattern.len))
        return rf_refuse(refusal, RF_REFUSE_VALUE, "regex", "regex: found a NUL, expected none");
    return rf_answer_constraint_compile(pattern.ptr, NULL, 0, tokenizer, continues, out, &err) ==
               RF_OK ||
           rf_refuse_status(refusal, "regex", &err);
}

static bool take_choices(const json_t *list, const rf_tokenizer *tokenizer, bool continues,
                         rf_automaton **out, rf_refusal *refusal) {
    const char *texts[CHOICES_MAX];
    rf_error err = {0};
    size_t n = json_array_size(list);
    for (size_t i = 0; i < n; i++) {
        const json_t *text = json_array_get(list, i);
        texts[i] = json_string_value(text);
        if (!texts[i])
            return rf_refuse(refusal, RF_REFUSE_TYPE, "choice",
                             "choice[%zu]: found %s, expected a string", i,
                             rf_json_kind_name(text));
    }
    return rf_answer_constraint_compile(NULL, texts, n, tokenizer, continues, out, &err) == RF_OK ||
           rf_refuse_status(refusal, "choice", &err);
}

bool rf_output_fields_take(const rf_ask *ask, const rf_tokenizer *tokenizer, bool continues,
                           rf_automaton **out, rf_refusal *refusal) {
    json_t *choice = rf_ask_json(ask, RF_FIELD_CHOICE);
    *out = NULL;
    if (choice && rf_ask_given(ask, RF_FIELD_REGEX))
        return rf_refuse(refusal, RF_REFUSE_VALUE, "choice",
                         "choice: found beside regex, expected one of them");
    if (choice)
        return take_choices(choice, tokenizer, continues, out, refusal);
    if (rf_ask_given(ask, RF_FIELD_REGEX))
        return take_regex(rf_ask_text(ask, RF_FIELD_REGEX), tokenizer, continues, out, refusal);
    return true;
}
