#include "cli/draft_file.h"

rf_draft_options rf_draft_engine_options(const rf_cli *cli, const rf_session *session) {
    rf_draft_options draft = {0};
    if (session->draft != RF_DRAFT_NONE)
        draft.n_max = (uint32_t)rf_opt_int(&cli->options, RF_OPT_DRAFT_MAX);
    if (session->draft_model)
        draft.program = rf_model_program(session->draft_model);
    return draft;
}

/* Token by token, by the texts in the files: a tokenizer of its own the draft model does not need.
 */
static rf_status compare_tokens(const rf_session *session, rf_error *err) {
    static const char key[] = "tokenizer.ggml.tokens";
    const char *model = rf_gguf_path(session->gguf), *draft = rf_gguf_path(session->draft_gguf);
    const rf_gguf_key *of_model, *of_draft;
    RF_TRY(rf_gguf_get_array(session->gguf, key, RF_GGUF_STRING, &of_model, err));
    if (rf_gguf_get_array(session->draft_gguf, key, RF_GGUF_STRING, &of_draft, err) != RF_OK)
        return rf_fail_prefix(err, "%s", draft);
    if (of_draft->n_items != of_model->n_items)
        return rf_fail(err, RF_ERR_INVALID,
                       "%s: a vocabulary of %llu tokens, expected the %llu of %s: a draft model "
                       "speaks the model's tokens",
                       draft, (unsigned long long)of_draft->n_items,
                       (unsigned long long)of_model->n_items, model);
    rf_gguf_strings walk = rf_gguf_strings_begin(of_model), other = rf_gguf_strings_begin(of_draft);
    rf_str a, b;
    for (uint64_t i = 0; rf_gguf_strings_next(&walk, &a) && rf_gguf_strings_next(&other, &b); i++)
        if (!rf_str_eq(a, b))
            return rf_fail(err, RF_ERR_INVALID,
                           "%s: token %llu is \"%.*s\", expected \"%.*s\" as in %s: a draft model "
                           "speaks the model's tokens",
                           draft, (unsigned long long)i, RF_STR_ARG(rf_str_sub(b, 0, 64)),
                           RF_STR_ARG(rf_str_sub(a, 0, 64)), model);
    return RF_OK;
}

rf_status rf_draft_open(rf_cli *cli, rf_session *session, rf_error *err) {
    const char *path = rf_opt_text(&cli->options, RF_OPT_DRAFT);
    bool lookup = rf_opt_on(&cli->options, RF_OPT_LOOKUP);
    if (path && lookup)
        return rf_fail(err, RF_ERR_USAGE, "--draft and --lookup: found both, expected one of them");
    session->draft = path ? RF_DRAFT_MODEL : lookup ? RF_DRAFT_LOOKUP : RF_DRAFT_NONE;
    if (!path)
        return RF_OK;
    RF_TRY(rf_gguf_open(path, NULL, &session->draft_gguf, err));
    rf_model_options options = {.n_ctx = session->n_ctx,
                                .allow_slow_types =
                                    rf_opt_on(&cli->options, RF_OPT_ALLOW_SLOW_TYPES)};
    RF_TRY(rf_model_create(session->draft_gguf, &options, &session->draft_model, err));
    return compare_tokens(session, err);
}
