#include "tokenizer/vocabulary_compare.h"

/* Token by token, by the texts in the files: a tokenizer of its own the draft model does not need.
 */
rf_status rf_vocabulary_compare(const rf_gguf *model, const rf_gguf *draft, rf_error *err) {
    static const char key[] = "tokenizer.ggml.tokens";
    const char *model_path = rf_gguf_path(model), *draft_path = rf_gguf_path(draft);
    const rf_gguf_key *of_model, *of_draft;
    RF_TRY(rf_gguf_get_array(model, key, RF_GGUF_STRING, &of_model, err));
    if (rf_gguf_get_array(draft, key, RF_GGUF_STRING, &of_draft, err) != RF_OK)
        return rf_fail_prefix(err, "%s", draft_path);
    if (of_draft->n_items != of_model->n_items)
        return rf_fail(err, RF_ERR_INVALID,
                       "%s: a vocabulary of %llu tokens, expected the %llu of %s: a draft model "
                       "speaks the model's tokens",
                       draft_path, (unsigned long long)of_draft->n_items,
                       (unsigned long long)of_model->n_items, model_path);
    rf_gguf_strings walk = rf_gguf_strings_begin(of_model), other = rf_gguf_strings_begin(of_draft);
    rf_str a, b;
    for (uint64_t i = 0; rf_gguf_strings_next(&walk, &a) && rf_gguf_strings_next(&other, &b); i++)
        if (!rf_str_eq(a, b))
            return rf_fail(err, RF_ERR_INVALID,
                           "%s: token %llu is \"%.*s\", expected \"%.*s\" as in %s: a draft model "
                           "speaks the model's tokens",
                           draft_path, (unsigned long long)i, RF_STR_ARG(rf_str_sub(b, 0, 64)),
                           RF_STR_ARG(rf_str_sub(a, 0, 64)), model_path);
    return RF_OK;
}
