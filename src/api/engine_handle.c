#include "api/engine_handle.h"

#include <signal.h>

#include "api/request_handle.h"
#include "api/sized_struct.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "base/cpu_features.h"
#include "cpu/backend_cpu.h"
#include "text/vocab_bytes.h"
#include "tokenizer/vocabulary_compare.h"

enum { RETRY_NS = 1000000, DEFAULT_DRAFTS = 8 };

/* ---- opening --------------------------------------------------------------------------------- */

static void destroy(rf_object *object) {
    rf_api_engine *engine = (rf_api_engine *)object;
    if (engine->has_lock) {
        pthread_cond_destroy(&engine->idle);
        pthread_mutex_destroy(&engine->lock);
    }
    rf_model_destroy(engine->bound);
    rf_model_destroy(engine->bound_draft);
    if (engine->draft)
        rf_object_drop(&engine->draft->object);
    rf_free(engine->live);
    rf_object_drop(&engine->model->object);
    rf_free(engine);
}

typedef struct progress {
    rocmforge_progress_fn callback;
    void *user;
} progress;

static bool on_progress(void *user, uint64_t done, uint64_t total) {
    const progress *p = user;
    rf_api_callback before = rf_api_callback_begin(RF_API_BARE_CALLBACK);
    bool goes_on = p->callback(p->user, done, total) == 0;
    rf_api_callback_end(before);
    return goes_on;
}

static rocmforge_status check(const rocmforge_engine_options *options) {
    const int32_t types[] = {options->cache_type_k, options->cache_type_v};
    for (int i = 0; i < 2; i++)
        if (types[i] < ROCMFORGE_CACHE_DEFAULT || types[i] > ROCMFORGE_CACHE_Q8_0)
            return rf_api_misuse(ROCMFORGE_RULE_VALUE, "cache type %d, expected %d to %d", types[i],
                                 ROCMFORGE_CACHE_DEFAULT, ROCMFORGE_CACHE_Q8_0);
    return ROCMFORGE_OK;
}

static rf_kv_type cache_type(int32_t type) {
    static const rf_kv_type types[] = {RF_KV_F16, RF_KV_F32, RF_KV_F16, RF_KV_Q8_0};
    return types[type];
}

static rf_status make_locks(rf_api_engine *engine, rf_error *err) {
    if (pthread_mutex_init(&engine->lock, NULL) != 0)
        return rf_fail(err, RF_ERR_NO_MEMORY, "cannot make the engine's lock");
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&engine->idle, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    engine->has_lock = true;
    return RF_OK;
}

static rf_status start(rf_api_engine *engine, const rocmforge_engine_options *options,
                       rf_backend *backend, rf_backend *draft, rf_error *err) {
    rf_engine_options inner = {.n_ctx = engine->n_ctx,
                               .kv_tokens = options->kv_tokens,
                               .batch_tokens = options->batch_tokens,
                               .max_seqs = options->max_requests,
                               .max_waiting = options->max_waiting,
                               .type_k = cache_type(options->cache_type_k),
                               .type_v = cache_type(options->cache_type_v)};
    inner.draft = (rf_draft_options){.n_max = options->n_draft_max, .backend = draft};
    if (draft && options->n_draft_max == 0)
        inner.draft.n_max = DEFAULT_DRAFTS;
    if (draft)
        inner.draft.program = rf_model_program(engine->bound_draft);
    progress p = {options->progress, options->progress_user};
    const rf_program *program = rf_model_program(engine->bound);
    rf_vocab_bytes vocab;
    RF_TRY(rf_vocab_bytes_init(&vocab, engine->model->tokenizer, program->n_vocab, err));
    inner.vocab = &vocab.view;
    rf_status status = rf_engine_create(
        backend, program, &inner, options->progress ? on_progress : NULL, &p, &engine->engine, err);
    rf_vocab_bytes_deinit(&vocab);
    return status;
}

/* Each backend is destroyed here if it has no engine in the end. */
static rf_status create(rf_api_engine *engine, const rocmforge_engine_options *options,
                        const rf_cpu_options *cpu, rf_error *err) {
    rf_backend *backend = NULL, *draft = NULL;
    RF_TRY(rf_cpu_backend_create(cpu, &backend, err));
    rf_status status = engine->draft ? rf_cpu_backend_create(cpu, &draft, err) : RF_OK;
    if (status == RF_OK)
        status = start(engine, options, backend, draft, err);
    if (status != RF_OK) {
        backend->api->destroy(backend);
        if (draft)
            draft->api->destroy(draft);
    }
    return status;
}

static rf_status bind_draft(rf_api_engine *engine, rf_error *err) {
    rf_model_options bind = {.n_ctx = engine->n_ctx,
                             .allow_slow_types = engine->draft->allow_slow_types};
    RF_TRY(rf_vocabulary_compare(engine->model->gguf, engine->draft->gguf, err));
    return rf_model_create(engine->draft->gguf, &bind, &engine->bound_draft, err);
}

static rf_status load(rf_api_engine *engine, const rocmforge_engine_options *options,
                      rf_error *err) {
    rf_cpu_options cpu = {.n_threads = options->n_threads,
                          .allow_slow_types = engine->model->allow_slow_types,
                          .release_mapping = true};
    const char *isa = options->isa ? options->isa : "auto";
    RF_TRY(make_locks(engine, err));
    RF_TRY(rf_cpu_features_named(isa, &cpu.features, err));
    engine->n_ctx = options->n_ctx > 0 ? options->n_ctx : rf_model_default_ctx(engine->model->gguf);
    rf_model_options bind = {.n_ctx = engine->n_ctx,
                             .allow_slow_types = engine->model->allow_slow_types};
    RF_TRY(rf_model_create(engine->model->gguf, &bind, &engine->bound, err));
    if (engine->draft)
        RF_TRY(bind_draft(engine, err));
    return create(engine, options, &cpu, err);
}

/* Signals that are sent to the process go to the caller's threads, never to the engine's. */
static void block_signals(sigset_t *before) {
    sigset_t all;
    (void)sigfillset(&all);
    (void)sigdelset(&all, SIGBUS);
    (void)sigdelset(&all, SIGFPE);
    (void)sigdelset(&all, SIGILL);
    (void)sigdelset(&all, SIGSEGV);
    (void)pthread_sigmask(SIG_BLOCK, &all, before);
}

static rocmforge_status open_engine(rf_api_model *model, rf_api_model *draft,
                                    const rocmforge_engine_options *options, void **out) {
    sigset_t before;
    rf_error err = {0};
    rf_api_engine *engine = rf_calloc(1, sizeof *engine);
    if (!engine)
        return rf_api_fail(ROCMFORGE_NO_MEMORY, "out of memory for the engine");
    rf_object_init(&engine->object, RF_HANDLE_ENGINE, destroy);
    rf_object_hold(&model->object);
    engine->model = model;
    if (draft)
        rf_object_hold(&draft->object);
    engine->draft = draft;
    block_signals(&before);
    rocmforge_status status = rf_api_result(load(engine, options, &err), &err);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (status == ROCMFORGE_OK)
        status = rf_handle_make(&engine->object, out);
    if (status != ROCMFORGE_OK)
        rf_engine_destroy(engine->engine);
    rf_object_drop(&engine->object);
    return status;
}

static rocmforge_status adopt_both(rf_api_model *model, rf_api_model *draft) {
    RF_API_TRY(rf_object_adopt(&model->object));
    rocmforge_status status = draft ? rf_object_adopt(&draft->object) : ROCMFORGE_OK;
    if (status != ROCMFORGE_OK)
        rf_object_disown(&model->object);
    return status;
}

static void disown_both(rf_api_model *model, rf_api_model *draft) {
    rf_object_disown(&model->object);
    if (draft)
        rf_object_disown(&draft->object);
}

rocmforge_status rocmforge_engine_open(rocmforge_model *handle,
                                       const rocmforge_engine_options *options,
                                       rocmforge_engine **out) {
    rf_api_model *model, *draft = NULL;
    rocmforge_engine_options known;
    void *made = NULL;
    RF_API_TRY(rf_api_enter(__func__, false));
    RF_API_NOT_NULL(out);
    *out = NULL;
    RF_API_TRY(rf_api_struct_read(RF_API_STRUCT_engine_options, options, &known));
    RF_API_TRY(check(&known));
    RF_API_TRY(rf_api_model_take(handle, &model));
    rocmforge_status status =
        known.draft_model ? rf_api_model_take(known.draft_model, &draft) : ROCMFORGE_OK;
    if (status == ROCMFORGE_OK)
        status = adopt_both(model, draft);
    if (status == ROCMFORGE_OK) {
        status = open_engine(model, draft, &known, &made);
        if (status != ROCMFORGE_OK)
            disown_both(model, draft);
    }
    *out = made;
    rf_object_drop(draft ? &draft->object : NULL);
    rf_object_drop(&model->object);
    return status;
}

/* ---- closing --------------------------------------------------------------------------------- */

/* Whoever takes events stops as soon as the end of some request comes. With the lock. */
static void stop_taking(rf_api_engine *engine) {
    engine->closing = true;
    for (size_t i = 0; engine->taking && i < engine->n_live; i++)
        engine->live[i].cancels = true;
    rf_api_engine_wake(engine, NULL);
    while (engine->taking || engine->n_files > 0) {
        uint64_t until = rf_clock_ns() + RETRY_NS;
        struct timespec at = {.tv_sec = (time_t)(until / 1000000000),
                              .tv_nsec = (long)(until % 1000000000)};
        for (size_t i = 0; i < engine->n_live; i++) {
            rf_api_live *live = &engine->live[i];
            rf_error ignored;
            if (live->cancels)
                live->cancels = rf_engine_cancel(engine->engine, live->id, &ignored) != RF_OK;
        }
        (void)pthread_cond_timedwait(&engine->idle, &engine->lock, &at);
    }
}

rocmforge_status rocmforge_engine_close(rocmforge_engine *handle) {
    rf_object *object;
    RF_API_TRY(rf_api_enter(__func__, false));
    RF_API_TRY(rf_handle_close(handle, RF_HANDLE_ENGINE, &object));
    rf_api_engine *engine = (rf_api_engine *)object;
    pthread_mutex_lock(&engine->lock);
    stop_taking(engine);
    rf_engine *inner = engine->engine;
    engine->engine = NULL;
    for (size_t i = 0; i < engine->n_live; i++)
        if (engine->live[i].request)
            engine->live[i].request->in_engine = false;
    engine->n_live = 0;
    rf_api_engine_wake(engine, NULL);
    pthread_mutex_unlock(&engine->lock);
    rf_engine_destroy(inner);
    disown_both(engine->model, engine->draft);
    rf_object_drop(object);
    return ROCMFORGE_OK;
}

/* ---- questions ------------------------------------------------------------------------------- */

rocmforge_status rf_api_engine_take(const rocmforge_engine *handle, rf_api_engine **out) {
    rf_object *object;
    RF_API_TRY(rf_handle_take(handle, RF_HANDLE_ENGINE, &object));
    *out = (rf_api_engine *)object;
    return ROCMFORGE_OK;
}

uint32_t rocmforge_engine_n_ctx(const rocmforge_engine *handle) {
    rf_api_engine *engine;
    if (rf_api_enter(__func__, true) != ROCMFORGE_OK ||
        rf_api_engine_take(handle, &engine) != ROCMFORGE_OK)
        return 0;
    uint32_t n_ctx = engine->n_ctx;
    rf_object_drop(&engine->object);
    return n_ctx;
}

static void fill(const rf_engine_counters *from, rocmforge_counters *out) {
    *out = (rocmforge_counters){.n_requests = from->n_requests,
                                .n_finished = from->n_finished,
                                .n_failed = from->n_failed,
                                .n_cancelled = from->n_cancelled,
                                .n_steps = from->sched.n_steps,
                                .step_ns = from->step_ns,
                                .last_step_ns = from->last_step_ns,
                                .n_prefill_tokens = from->sched.n_prefill_rows,
                                .n_decode_tokens = from->sched.n_decode_rows,
                                .n_generated_tokens = from->n_generated,
                                .n_cached_tokens = from->sched.n_cached_tokens,
                                .n_preempted = from->sched.n_preempted,
                                .n_running = from->sched.n_running,
                                .n_paused = from->sched.n_paused,
                                .n_waiting = from->sched.n_waiting};
}

rocmforge_status rocmforge_engine_get_counters(const rocmforge_engine *handle,
                                               rocmforge_counters *out) {
    rf_api_engine *engine;
    rf_engine_counters counters = {0};
    RF_API_TRY(rf_api_enter(__func__, true));
    RF_API_TRY(rf_api_struct_check(RF_API_STRUCT_counters, out));
    RF_API_TRY(rf_api_engine_take(handle, &engine));
    pthread_mutex_lock(&engine->lock);
    if (engine->engine)
        counters = rf_engine_get_counters(engine->engine);
    pthread_mutex_unlock(&engine->lock);
    rocmforge_counters filled;
    fill(&counters, &filled);
    rf_api_struct_write(RF_API_STRUCT_counters, &filled, out);
    rf_object_drop(&engine->object);
    return ROCMFORGE_OK;
}

/* With the lock: waits until some request is ready, and gives it its turn. */
static rocmforge_status await_ready(rf_api_engine *engine, uint64_t deadline_ns,
                                    rocmforge_request **out) {
    for (bool looked = false;; looked = true) {
        rf_api_request *request = engine->ready;
        if (request) {
            *out = request->handle;
            rf_api_request_unready(request);
            rf_api_request_ready(request); /* at the end */
            return ROCMFORGE_OK;
        }
        if (!engine->engine || engine->closing)
            return rf_api_fail(ROCMFORGE_CANCELLED, "the engine was closed meanwhile");
        if (looked && rf_clock_ns() >= deadline_ns)
            return rf_api_fail(ROCMFORGE_TIMEOUT, "no event within the time given");
        rf_api_engine_turn(engine, NULL, deadline_ns);
    }
}

rocmforge_status rocmforge_engine_wait(rocmforge_engine *handle, rocmforge_request **out,
                                       int64_t timeout_ms) {
    rf_api_engine *engine;
    rocmforge_status status;
    RF_API_TRY(rf_api_enter(__func__, false));
    RF_API_NOT_NULL(out);
    *out = NULL;
    RF_API_TRY(rf_api_engine_take(handle, &engine));
    uint64_t deadline_ns = rf_api_deadline(timeout_ms);
    pthread_mutex_lock(&engine->lock);
    if (engine->waiting) {
        status = rf_api_misuse(ROCMFORGE_RULE_ONE_THREAD, "another thread waits for this engine");
    } else {
        engine->waiting = true;
        status = await_ready(engine, deadline_ns, out);
        engine->waiting = false;
        rf_api_engine_hand_over(engine);
    }
    pthread_mutex_unlock(&engine->lock);
    rf_object_drop(&engine->object);
    return status;
}
