#include "cli/draft_file.h"

#include "tokenizer/vocabulary_compare.h"

rf_draft_options rf_draft_engine_options(const rf_cli *cli, const rf_session *session) {
    rf_draft_options draft = {0};
    if (session->draft != RF_DRAFT_NONE)
        draft.n_max = (uint32_t)rf_opt_int(&cli->options, RF_OPT_DRAFT_MAX);
    if (session->draft_model)
        draft.program = rf_model_program(session->draft_model);
    return draft;
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
    return rf_vocabulary_compare(session->gguf, session->draft_gguf, err);
}
