#include "cli/session.h"

#include <stdio.h>

#include "base/cpu_features.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cpu/backend_cpu.h"
#include "op/op_view.h"

enum { DEFAULT_CTX = 4096, LOGITS_BYTES = 64 << 20 };

void rf_session_close(rf_session *session) {
    rf_runner_destroy(session->runner);
    rf_tokens_deinit(&session->fed);
    rf_model_destroy(session->model);
    rf_tokenizer_destroy(session->tokenizer);
    rf_gguf_close(session->gguf);
    *session = (rf_session){0};
}

/* The trained context, before the model is bound; 0 when the file does not say. */
static uint32_t trained_ctx(const rf_gguf *gguf) {
    rf_str arch;
    rf_error ignored = {0};
    char key[160];
    uint32_t n = 0;
    if (rf_gguf_get_str(gguf, "general.architecture", &arch, &ignored) != RF_OK)
        return 0;
    (void)snprintf(key, sizeof key, "%.*s.context_length", RF_STR_ARG(rf_str_sub(arch, 0, 128)));
    return rf_gguf_get_u32(gguf, key, &n, &ignored) == RF_OK ? n : 0;
}

static uint32_t choose_ctx(const rf_cli *cli, const rf_session *session) {
    int64_t asked = rf_opt_int(&cli->options, RF_OPT_CTX_SIZE);
    if (asked > 0)
        return (uint32_t)asked;
    if (session->default_ctx > 0)
        return session->default_ctx;
    uint32_t trained = trained_ctx(session->gguf);
    return trained > 0 && trained < DEFAULT_CTX ? trained : DEFAULT_CTX;
}

static rf_status open_file(rf_cli *cli, rf_session *session, rf_error *err) {
    const char *path = rf_opt_text(&cli->options, RF_OPT_MODEL);
    const char *name = rf_command_get(cli->options.command)->name;
    if (!path) {
        rf_cli_hint(cli, "rocmforge %s -m model.gguf", name);
        return rf_fail(err, RF_ERR_USAGE, "%s: found no model, expected --model FILE", name);
    }
    return rf_gguf_open(path, NULL, &session->gguf, err);
}

rf_status rf_session_open(rf_cli *cli, rf_session *session, bool with_tokenizer, rf_error *err) {
    RF_TRY(open_file(cli, session, err));
    session->n_ctx = choose_ctx(cli, session);
    rf_model_options options = {.n_ctx = session->n_ctx,
                                .allow_slow_types =
                                    rf_opt_on(&cli->options, RF_OPT_ALLOW_SLOW_TYPES)};
    rf_status bound = rf_model_create(session->gguf, &options, &session->model, err);
    if (bound == RF_ERR_UNSUPPORTED && !options.allow_slow_types)
        rf_cli_hint(cli, "rocmforge inspect %s", rf_gguf_path(session->gguf));
    RF_TRY(bound);
    if (with_tokenizer)
        RF_TRY(rf_tokenizer_create(session->gguf, &session->tokenizer, err));
    uint32_t trained = rf_model_get_info(session->model)->n_ctx_train;
    if (trained > 0 && session->n_ctx > trained)
        rf_log(RF_LOG_WARN, "model", "context of %u tokens, but the model was trained for %u",
               session->n_ctx, trained);
    session->step_bytes = rf_program_step_bytes(rf_model_program(session->model));
    session->n_batch = (uint32_t)rf_opt_int(&cli->options, RF_OPT_BATCH_SIZE);
    if (session->n_batch > session->n_ctx)
        session->n_batch = session->n_ctx;
    session->n_outputs = 1;
    if (session->wants_all_rows) {
        uint64_t fit = (uint64_t)LOGITS_BYTES / (4 * (uint64_t)rf_session_n_vocab(session));
        session->n_outputs = fit < 1                  ? 1
                             : fit < session->n_batch ? (uint32_t)fit
                                                      : session->n_batch;
    }
    return RF_OK;
}

rf_runner_options rf_session_runner_options(const rf_cli *cli, const rf_session *session) {
    const rf_options *options = &cli->options;
    return (rf_runner_options){
        .n_ctx = session->n_ctx,
        .kv_tokens = (uint32_t)rf_opt_int(options, RF_OPT_KV_TOKENS),
        .batch_tokens = session->n_batch,
        .max_seqs = (uint32_t)rf_opt_int(options, RF_OPT_PARALLEL),
        .max_outputs = session->n_outputs,
        .type_k = (rf_kv_type)rf_opt_int(options, RF_OPT_CACHE_TYPE_K),
        .type_v = (rf_kv_type)rf_opt_int(options, RF_OPT_CACHE_TYPE_V),
    };
}

uint32_t rf_session_features(const rf_cli *cli) {
    static const uint32_t levels[] = {UINT32_MAX, UINT32_MAX, RF_CPU_LEVEL_AVX2, 0};
    return levels[rf_opt_int(&cli->options, RF_OPT_ISA)];
}

rf_status rf_session_backend(const rf_cli *cli, uint32_t n_threads, rf_backend **out,
                             rf_error *err) {
    const rf_options *options = &cli->options;
    int64_t isa = rf_opt_int(options, RF_OPT_ISA);
    uint32_t need = isa == 1 ? RF_CPU_LEVEL_AVX512 : isa == 2 ? RF_CPU_LEVEL_AVX2 : 0;
    if ((rf_cpu_features() & need) != need)
        return rf_fail(err, RF_ERR_UNSUPPORTED,
                       "--isa %s: this processor does not have it; expected auto or less",
                       rf_opt_text(options, RF_OPT_ISA));
    rf_cpu_options cpu = {
        .n_threads = n_threads,
        .features = rf_session_features(cli),
        .reference = rf_opt_on(options, RF_OPT_REFERENCE),
        .allow_slow_types = rf_opt_on(options, RF_OPT_ALLOW_SLOW_TYPES),
        .release_mapping = true,
    };
    rf_interrupt_block(true);
    rf_status status = rf_cpu_backend_create(&cpu, out, err);
    rf_interrupt_block(false);
    return status;
}

rf_status rf_session_start(rf_cli *cli, rf_session *session, rf_error *err) {
    rf_backend *backend = NULL;
    uint32_t n_threads = (uint32_t)rf_opt_int(&cli->options, RF_OPT_THREADS);
    RF_TRY(rf_session_backend(cli, n_threads, &backend, err));
    rf_runner_options options = rf_session_runner_options(cli, session);
    if (!rf_opt_on(&cli->options, RF_OPT_QUIET))
        rf_progress_begin("loading");
    rf_status status = rf_runner_create(backend, rf_model_program(session->model), &options,
                                        rf_interrupt_progress, NULL, &session->runner, err);
    rf_progress_end();
    if (status != RF_OK) {
        backend->api->destroy(backend);
        return status;
    }
    return rf_runner_open(session->runner, &session->seq, err);
}

static rf_status check_room(const rf_session *session, size_t n, rf_error *err) {
    if (n <= session->n_ctx - session->fed.n)
        return RF_OK;
    return rf_fail(err, RF_ERR_LIMIT, "%zu tokens do not fit into the context of %u tokens",
                   session->fed.n + n, session->n_ctx);
}

static rf_status step(rf_session *session, const int32_t *tokens, size_t n, rf_want want,
                      const float **logits, rf_error *err) {
    rf_feed feed = {.seq = session->seq, .tokens = tokens, .n_tokens = (uint32_t)n, .want = want};
    RF_TRY(rf_interrupt_check(err));
    RF_TRY(rf_runner_step(session->runner, &feed, 1, logits, err));
    for (size_t i = 0; i < n; i++) {
        if (!rf_tokens_push(&session->fed, tokens[i]))
            return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the list of tokens");
    }
    return RF_OK;
}

rf_status rf_session_feed(rf_session *session, const int32_t *tokens, size_t n, rf_want want,
                          const float **logits, rf_error *err) {
    RF_TRY(check_room(session, n, err));
    for (size_t at = 0; at < n;) {
        size_t take = n - at < session->n_batch ? n - at : session->n_batch;
        bool last = at + take == n;
        RF_TRY(step(session, tokens + at, take, last ? want : RF_WANT_NONE, logits, err));
        at += take;
    }
    return RF_OK;
}

rf_status rf_session_feed_rows(rf_session *session, const int32_t *tokens, size_t n,
                               rf_rows_fn on_rows, void *user, rf_error *err) {
    RF_TRY(check_room(session, n, err));
    for (size_t at = 0; at < n;) {
        size_t take = n - at < session->n_outputs ? n - at : session->n_outputs;
        const float *logits = NULL;
        RF_TRY(step(session, tokens + at, take, RF_WANT_ALL, &logits, err));
        RF_TRY(on_rows(user, at, take, logits, err));
        at += take;
    }
    return RF_OK;
}

size_t rf_session_reuse(rf_session *session, const int32_t *tokens, size_t n) {
    size_t same = 0;
    while (same < session->fed.n && same + 1 < n && session->fed.ids[same] == tokens[same])
        same++;
    rf_runner_truncate(session->runner, session->seq, (uint32_t)same);
    session->fed.n = rf_runner_length(session->runner, session->seq);
    return session->fed.n;
}

void rf_session_forget(rf_session *session) {
    rf_runner_truncate(session->runner, session->seq, 0);
    session->fed.n = 0;
}
