#include "cli/session.h"

#include "base/alloc.h"
#include "base/cpu_features.h"
#include "cli/constraint_options.h"
#include "cli/draft_file.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cpu/backend_cpu.h"
#include "gpu/backend_gpu.h"
#include "null/backend_null.h"
#include "op/op_view.h"

enum { LOGITS_BYTES = 64 << 20, POLL_NS = 50000000 };

void rf_session_close(rf_session *session) {
    rf_error err = {0};
    rf_engine_destroy(session->engine);
    if (rf_step_recorder_close(session->recorder, &err) != RF_OK)
        rf_log(RF_LOG_ERROR, "steps", "%s", err.text);
    rf_free(session->constraint);
    rf_model_destroy(session->draft_model);
    rf_gguf_close(session->draft_gguf);
    rf_model_destroy(session->model);
    rf_tokenizer_destroy(session->tokenizer);
    rf_gguf_close(session->gguf);
    *session = (rf_session){0};
}

static uint32_t choose_ctx(const rf_cli *cli, const rf_session *session) {
    int64_t asked = rf_opt_int(&cli->options, RF_OPT_CTX_SIZE);
    if (asked > 0)
        return (uint32_t)asked;
    if (session->default_ctx > 0)
        return session->default_ctx;
    return rf_model_default_ctx(session->gguf);
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

enum { DEVICE_CPU, DEVICE_NULL, DEVICE_GPU }; /* as --device lists them */

static bool is_null(const rf_cli *cli) {
    return rf_opt_int(&cli->options, RF_OPT_DEVICE) == DEVICE_NULL;
}

/* A vocabulary is a model for the null backend. */
static rf_status open_null(rf_session *session, rf_error *err) {
    RF_TRY(rf_tokenizer_create(session->gguf, &session->tokenizer, err));
    session->null_program =
        rf_null_program(rf_tokenizer_n_tokens(session->tokenizer), session->n_ctx);
    session->program = &session->null_program;
    return RF_OK;
}

static rf_status open_model(rf_cli *cli, rf_session *session, bool with_tokenizer, rf_error *err) {
    rf_model_options options = {.n_ctx = session->n_ctx,
                                .allow_slow_types =
                                    rf_opt_on(&cli->options, RF_OPT_ALLOW_SLOW_TYPES)};
    rf_status bound = rf_model_create(session->gguf, &options, &session->model, err);
    if (bound == RF_ERR_UNSUPPORTED && !options.allow_slow_types)
        rf_cli_hint(cli, "rocmforge inspect %s", rf_gguf_path(session->gguf));
    RF_TRY(bound);
    if (with_tokenizer)
        RF_TRY(rf_tokenizer_create(session->gguf, &session->tokenizer, err));
    session->program = rf_model_program(session->model);
    session->step_bytes = rf_program_step_bytes(session->program);
    return RF_OK;
}

rf_status rf_session_open(rf_cli *cli, rf_session *session, bool with_tokenizer, rf_error *err) {
    RF_TRY(open_file(cli, session, err));
    session->n_ctx = choose_ctx(cli, session);
    RF_TRY(is_null(cli) ? open_null(session, err) : open_model(cli, session, with_tokenizer, err));
    if (session->may_constrain)
        RF_TRY(rf_constraint_of_options(&cli->options, session->tokenizer,
                                        rf_opt_on(&cli->options, RF_OPT_RAW), &session->constraint,
                                        err));
    session->n_batch = (uint32_t)rf_opt_int(&cli->options, RF_OPT_BATCH_SIZE);
    if (session->n_batch > session->n_ctx)
        session->n_batch = session->n_ctx;
    if (session->max_seqs == 0)
        session->max_seqs = (uint32_t)rf_opt_int(&cli->options, RF_OPT_PARALLEL);
    session->n_outputs = 1;
    if (session->wants_all_rows) {
        uint64_t fit = (uint64_t)LOGITS_BYTES / (4 * (uint64_t)rf_session_n_vocab(session));
        session->n_outputs = fit < 1                  ? 1
                             : fit < session->n_batch ? (uint32_t)fit
                                                      : session->n_batch;
    }
    return session->may_draft ? rf_draft_open(cli, session, err) : RF_OK;
}

rf_engine_options rf_session_engine_options(const rf_cli *cli, const rf_session *session) {
    const rf_options *options = &cli->options;
    int64_t kv_tokens = rf_opt_int(options, RF_OPT_KV_TOKENS);
    return (rf_engine_options){
        .n_ctx = session->n_ctx,
        .kv_tokens = kv_tokens > 0 ? (uint32_t)kv_tokens : session->pool_contexts * session->n_ctx,
        .batch_tokens = session->n_batch,
        .max_seqs = session->max_seqs,
        .max_outputs = session->n_outputs,
        .max_waiting = session->max_waiting,
        .type_k = (rf_kv_type)rf_opt_int(options, RF_OPT_CACHE_TYPE_K),
        .type_v = (rf_kv_type)rf_opt_int(options, RF_OPT_CACHE_TYPE_V),
        .draft = rf_draft_engine_options(cli, session),
        .on_row = session->on_row,
        .user = session->user,
        .observer = session->observer,
    };
}

rf_status rf_session_fit_pool(const rf_cli *cli, const rf_session *session,
                              const rf_backend *backend, rf_engine_options *engine, rf_error *err) {
    uint64_t bytes = (uint64_t)rf_opt_int(&cli->options, RF_OPT_KV_BYTES);
    if (bytes == 0)
        return RF_OK;
    if (rf_opt_int(&cli->options, RF_OPT_KV_TOKENS) > 0)
        return rf_fail(err, RF_ERR_USAGE, "found --kv-tokens and --kv-bytes, expected one of them");
    rf_status status =
        rf_engine_fit_pool(backend, rf_model_program(session->model), engine, bytes, err);
    return status == RF_OK ? RF_OK : rf_fail_prefix(err, "--kv-bytes");
}

/* What requests may be, and share. */
static void note_pool(const rf_session *session, const rf_backend *backend) {
    const rf_limits *limits = rf_engine_get_limits(session->engine);
    const rf_program *program = rf_model_program(session->model);
    rf_memory_plan plan;
    rf_error ignored = {0};
    char size[RF_SIZE_TEXT_BYTES];
    uint32_t most = 0;
    for (uint32_t g = 0; g < program->n_kv_groups; g++)
        most = limits->n_blocks[g] > most ? limits->n_blocks[g] : most;
    if (backend->api->plan(backend, program, limits, &plan, &ignored) == RF_OK)
        rf_note("%slongest request %u tokens; cache of %u tokens, %s, for %u at once%s",
                rf_note_style(RF_STYLE_DIM), limits->max_context, most * limits->block_tokens,
                rf_size_text(plan.kv_bytes, size), limits->max_seqs, rf_note_style(RF_STYLE_NONE));
}

rf_status rf_session_features(const rf_cli *cli, uint32_t *out, rf_error *err) {
    return rf_cpu_features_named(rf_opt_text(&cli->options, RF_OPT_ISA), out, err);
}

bool rf_session_on_gpu(const rf_cli *cli) {
    return rf_opt_int(&cli->options, RF_OPT_DEVICE) == DEVICE_GPU;
}

rf_status rf_session_backend(const rf_cli *cli, uint32_t n_threads, rf_backend **out,
                             rf_error *err) {
    const rf_options *options = &cli->options;
    const rf_gpu_options gpu = {0};
    uint32_t features;
    if (is_null(cli)) {
        rf_null_options null = {
            .step_ns = (uint64_t)rf_opt_int(options, RF_OPT_NULL_STEP_US) * 1000,
            .row_ns = (uint64_t)rf_opt_int(options, RF_OPT_NULL_ROW_US) * 1000,
            .fail_every = (uint64_t)rf_opt_int(options, RF_OPT_NULL_FAIL_EVERY)};
        return rf_null_backend_create(&null, out, err);
    }
    if (rf_session_on_gpu(cli))
        return rf_gpu_backend_open(&gpu, out, err);
    RF_TRY(rf_session_features(cli, &features, err));
    rf_cpu_options cpu = {
        .n_threads = n_threads,
        .features = features,
        .reference = rf_opt_on(options, RF_OPT_REFERENCE),
        .allow_slow_types = rf_opt_on(options, RF_OPT_ALLOW_SLOW_TYPES),
        .release_mapping = true,
    };
    rf_interrupt_block(true);
    rf_status status = rf_cpu_backend_create(&cpu, out, err);
    rf_interrupt_block(false);
    return status;
}

/* Without rows that somebody else wants: the engine has one user. */
static rf_status start_recorder(rf_cli *cli, rf_session *session, rf_engine_options *options,
                                rf_error *err) {
    rf_step_recorder_options files = {
        .log_path = rf_opt_text(&cli->options, RF_OPT_STEP_LOG),
        .trace_path = rf_opt_text(&cli->options, RF_OPT_STEP_TRACE),
    };
    if (options->on_row || (!files.log_path && !files.trace_path))
        return RF_OK;
    rf_interrupt_block(true);
    rf_status status = rf_step_recorder_create(&files, &session->recorder, err);
    rf_interrupt_block(false);
    options->on_step = rf_step_recorder_on_step;
    options->on_end = rf_step_recorder_on_end;
    options->user = session->recorder;
    return status;
}

rf_status rf_session_start(rf_cli *cli, rf_session *session, rf_error *err) {
    rf_backend *backend = NULL;
    uint32_t n_threads = (uint32_t)rf_opt_int(&cli->options, RF_OPT_THREADS);
    rf_engine_options options = rf_session_engine_options(cli, session);
    RF_TRY(start_recorder(cli, session, &options, err));
    RF_TRY(rf_session_backend(cli, n_threads, &backend, err));
    if (session->draft_model) {
        rf_status drafts = rf_session_backend(cli, n_threads, &options.draft.backend, err);
        if (drafts != RF_OK) {
            backend->api->destroy(backend);
            return drafts;
        }
    }
    bool quiet = rf_opt_on(&cli->options, RF_OPT_QUIET);
    if (!quiet)
        rf_progress_begin("loading");
    rf_interrupt_block(true);
    rf_vocab_bytes vocab = {0};
    rf_status status = rf_session_fit_pool(cli, session, backend, &options, err);
    if (status == RF_OK && (session->constraint || session->takes_constraints)) {
        status = rf_vocab_bytes_init(&vocab, session->tokenizer, rf_session_n_vocab(session), err);
        options.vocab = &vocab.view;
    }
    if (status == RF_OK)
        status = rf_engine_create(backend, session->program, &options, rf_interrupt_progress, NULL,
                                  &session->engine, err);
    rf_vocab_bytes_deinit(&vocab);
    rf_interrupt_block(false);
    rf_progress_end();
    if (status == RF_OK && session->may_constrain && !quiet)
        note_pool(session, backend);
    if (status != RF_OK) {
        backend->api->destroy(backend);
        if (options.draft.backend)
            options.draft.backend->api->destroy(options.draft.backend);
    }
    return status;
}

/* Consecutive requests of the session's only client. */
typedef struct running {
    rf_session *session;
    uint64_t first_id, n_left;
    bool cancelled;
} running;

static rf_status submit(running *r, const rf_request *requests, size_t n, rf_error *err) {
    for (size_t i = 0; i < n; i++) {
        uint64_t id;
        rf_request request = requests[i];
        request.more_follow = i + 1 < n;
        RF_TRY(rf_engine_submit(r->session->engine, &request, &id, err));
        r->first_id = i == 0 ? id : r->first_id;
        r->n_left++;
    }
    return RF_OK;
}

static void cancel(running *r, size_t n) {
    rf_error ignored = {0};
    r->cancelled = true;
    for (size_t i = 0; i < n; i++)
        r->cancelled &= rf_engine_cancel(r->session->engine, r->first_id + i, &ignored) == RF_OK;
}

static rf_status take(const rf_event *event, rf_event_fn on_event, void *user, bool *enough,
                      rf_error *err) {
    if (event->status != RF_OK)
        return rf_fail(err, event->status, "%s", event->error);
    RF_TRY(rf_interrupt_check(err));
    return on_event ? on_event(user, event, enough, err) : RF_OK;
}

rf_status rf_session_run(rf_session *session, const rf_request *requests, size_t n,
                         rf_event_fn on_event, void *user, rf_error *err) {
    running r = {.session = session};
    rf_status status = submit(&r, requests, n, err);
    size_t n_sent = (size_t)r.n_left;
    bool enough = false;
    while (r.n_left > 0) {
        rf_event event = {0};
        if ((status != RF_OK || enough) && !r.cancelled)
            cancel(&r, n_sent);
        bool arrived = rf_engine_next(session->engine, &event, POLL_NS);
        event.id -= r.first_id;
        r.n_left -= event.last;
        if (status == RF_OK && !enough)
            status = arrived ? take(&event, on_event, user, &enough, err) : rf_interrupt_check(err);
    }
    return status;
}
