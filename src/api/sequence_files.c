/* What the cache holds of a prompt goes to a file and comes back. */
#include "engine/sequence_file.h"

#include "api/request_handle.h"
#include "base/alloc.h"
#include "gguf/gguf_hash.h"

/* One step of the way: an order to the engine like any other, whose only event the callee gets. */
static rf_status run(void *user, const rf_request *order, rf_sequence_take_fn take, void *take_user,
                     rf_error *err) {
    rf_api_engine *engine = user;
    rf_api_request *request = rf_api_request_new(engine);
    if (!request)
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the request");
    rf_api_note *note = NULL;
    pthread_mutex_lock(&engine->lock);
    rf_status status = engine->engine && !engine->closing
                           ? rf_api_engine_submit(engine, request, order, err)
                           : rf_fail(err, RF_ERR_INTERRUPTED, "the engine was closed meanwhile");
    while (status == RF_OK && !(note = request->first) && request->in_engine && !engine->closing)
        rf_api_engine_turn(engine, request, UINT64_MAX);
    if (status == RF_OK && !note)
        status = request->lost
                     ? rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for what the cache holds")
                     : rf_fail(err, RF_ERR_INTERRUPTED, "the engine was closed meanwhile");
    rf_api_engine_hand_over(engine);
    pthread_mutex_unlock(&engine->lock);
    if (status == RF_OK && note->status != RF_OK)
        status = rf_fail(err, note->status, "%s", (const char *)note->payload);
    if (status == RF_OK) {
        rf_event event = {.kind = note->kind,
                          .finish = note->finish,
                          .last = true,
                          .n_cached = note->n_cached,
                          .kv = note->kv,
                          .kv_data = note->payload,
                          .kv_bytes = note->kv_bytes};
        status = take(take_user, &event, err);
    }
    rf_api_request_end(request);
    return status;
}

static rf_sequence_port port_of(rf_api_engine *engine, uint64_t salt) {
    return (rf_sequence_port){.engine = engine->engine,
                              .model_hash = rf_gguf_hash(engine->model->gguf),
                              .salt = salt,
                              .run = run,
                              .user = engine};
}

/* The engine stays open as long as a file is written or read. */
static rocmforge_status begin(const rocmforge_engine *handle, rf_api_engine **out) {
    RF_API_TRY(rf_api_engine_take(handle, out));
    rf_api_engine *engine = *out;
    pthread_mutex_lock(&engine->lock);
    bool closed = !engine->engine || engine->closing;
    engine->n_files += !closed;
    pthread_mutex_unlock(&engine->lock);
    if (!closed)
        return ROCMFORGE_OK;
    rf_object_drop(&engine->object);
    return rf_api_misuse(ROCMFORGE_RULE_HANDLE_CLOSED, "the engine was closed meanwhile");
}

static void end(rf_api_engine *engine) {
    pthread_mutex_lock(&engine->lock);
    engine->n_files--;
    if (engine->closing)
        pthread_cond_signal(&engine->idle);
    pthread_mutex_unlock(&engine->lock);
    rf_object_drop(&engine->object);
}

rocmforge_status rocmforge_save(rocmforge_engine *handle, const rocmforge_prompt *prompt,
                                uint64_t cache_salt, const char *path, size_t *n_tokens) {
    rf_api_engine *engine;
    rf_tokens tokens = {0};
    rf_sequence_size size = {0};
    rf_error err = {0};
    RF_API_TRY(rf_api_enter(__func__, false));
    RF_API_NOT_NULL(path);
    RF_API_TRY(begin(handle, &engine));
    rocmforge_status status = rf_api_prompt_tokens(engine->model, prompt, &tokens);
    if (status == ROCMFORGE_OK) {
        rf_sequence_port port = port_of(engine, cache_salt);
        status = rf_api_result(
            rf_sequence_save(&port, path, tokens.ids, (uint32_t)tokens.n, &size, &err), &err);
    }
    if (n_tokens)
        *n_tokens = size.n_tokens;
    rf_tokens_deinit(&tokens);
    end(engine);
    return status;
}

rocmforge_status rocmforge_load(rocmforge_engine *handle, uint64_t cache_salt, const char *path,
                                int32_t *tokens, size_t max_tokens, size_t *n_tokens) {
    rf_api_engine *engine;
    int32_t *loaded = NULL;
    rf_sequence_size size = {0};
    rf_error err = {0};
    RF_API_TRY(rf_api_enter(__func__, false));
    RF_API_NOT_NULL(path);
    if (max_tokens > 0)
        RF_API_NOT_NULL(tokens);
    RF_API_TRY(begin(handle, &engine));
    rf_sequence_port port = port_of(engine, cache_salt);
    rocmforge_status status =
        rf_api_result(rf_sequence_load(&port, path, &loaded, &size, &err), &err);
    end(engine);
    if (n_tokens)
        *n_tokens = size.n_tokens;
    if (status == ROCMFORGE_OK && size.n_tokens > max_tokens && max_tokens > 0)
        status = rf_api_fail(ROCMFORGE_LIMIT, "%u tokens, there is room for %zu", size.n_tokens,
                             max_tokens);
    else if (status == ROCMFORGE_OK && max_tokens > 0)
        memcpy(tokens, loaded, size.n_tokens * sizeof *tokens);
    rf_free(loaded);
    return status;
}
