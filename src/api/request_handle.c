#include "api/request_handle.h"

#include "api/sized_struct.h"
#include "base/alloc.h"
#include "base/clock.h"

/* ---- life ---------------------------------------------------------------------------------- */

static void destroy(rf_object *object) {
    rf_api_request *request = (rf_api_request *)object;
    while (request->first) {
        rf_api_note *next = request->first->next;
        rf_free(request->first);
        request->first = next;
    }
    for (uint32_t i = 0; request->choices && i < request->n_choices; i++)
        rf_answer_text_deinit(&request->choices[i].text);
    rf_free(request->choices);
    rf_free(request->todo);
    rf_free(request->note);
    rf_arena_deinit(&request->texts);
    rf_object_drop(&request->engine->object);
    rf_free(request);
}

rf_api_request *rf_api_request_new(rf_api_engine *engine) {
    rf_api_request *request = rf_calloc(1, sizeof *request);
    if (!request)
        return NULL;
    rf_object_init(&request->object, RF_HANDLE_REQUEST, destroy);
    rf_object_hold(&engine->object);
    request->engine = engine;
    return request;
}

rocmforge_status rf_api_request_take(const rocmforge_request *handle, rf_api_request **out) {
    rf_object *object;
    RF_API_TRY(rf_handle_take(handle, RF_HANDLE_REQUEST, &object));
    *out = (rf_api_request *)object;
    return ROCMFORGE_OK;
}

void rf_api_request_end(rf_api_request *request) {
    rf_api_engine *engine = request->engine;
    pthread_mutex_lock(&engine->lock);
    request->closed = true;
    rf_api_engine_forget(engine, request);
    pthread_mutex_unlock(&engine->lock);
    rf_object_drop(&request->object);
}

/* ---- events that wait ------------------------------------------------------------------------ */

void rf_api_request_ready(rf_api_request *request) {
    rf_api_engine *engine = request->engine;
    if (request->is_ready || !request->handle)
        return;
    request->is_ready = true;
    request->next_ready = NULL;
    if (engine->last_ready)
        engine->last_ready->next_ready = request;
    else
        engine->ready = request;
    engine->last_ready = request;
}

void rf_api_request_unready(rf_api_request *request) {
    rf_api_engine *engine = request->engine;
    if (!request->is_ready)
        return;
    rf_api_request *before = NULL;
    for (rf_api_request *at = engine->ready; at != request; at = at->next_ready)
        before = at;
    if (before)
        before->next_ready = request->next_ready;
    else
        engine->ready = request->next_ready;
    if (engine->last_ready == request)
        engine->last_ready = before;
    request->is_ready = false;
}

static size_t payload_bytes(const rf_api_request *request, const rf_event *event) {
    if (event->kind == RF_EVENT_TOKEN)
        return event->n_top * sizeof *event->top;
    if (event->scores)
        return (size_t)(request->n_prompt - request->scores_from) * (1 + (size_t)request->n_top) *
               sizeof *event->scores;
    if (event->kv_data)
        return event->kv_bytes;
    if (event->embedding)
        return rf_model_get_info(request->engine->bound)->n_embd * sizeof(float);
    return sizeof event->error;
}

bool rf_api_request_give(rf_api_request *request, const rf_event *event) {
    const void *payload = event->kind == RF_EVENT_TOKEN ? (const void *)event->top
                          : event->scores               ? (const void *)event->scores
                          : event->embedding            ? (const void *)event->embedding
                          : event->kv_data              ? event->kv_data
                                                        : (const void *)event->error;
    size_t n_bytes = payload_bytes(request, event);
    rf_api_note *note = rf_alloc(sizeof *note + n_bytes);
    if (!note)
        return false;
    *note = (rf_api_note){.kind = event->kind,
                          .choice = event->choice,
                          .n_top = event->n_top,
                          .n_generated = event->n_generated,
                          .n_cached = event->n_cached,
                          .token = event->token,
                          .logprob = event->logprob,
                          .finish = event->finish,
                          .status = event->status,
                          .last = event->last,
                          .n_drafted = event->n_drafted,
                          .n_accepted = event->n_accepted,
                          .kv = event->kv,
                          .kv_bytes = event->kv_bytes,
                          .has_scores = event->kind == RF_EVENT_FINISH && event->scores,
                          .has_embedding = event->kind == RF_EVENT_FINISH && event->embedding};
    memcpy(note->payload, payload, n_bytes);
    if (request->last)
        request->last->next = note;
    else
        request->first = note;
    request->last = note;
    rf_api_request_ready(request);
    return true;
}

/* ---- taking events --------------------------------------------------------------------------- */

uint64_t rf_api_deadline(int64_t timeout_ms) {
    uint64_t now = rf_clock_ns();
    if (timeout_ms < 0 || (uint64_t)timeout_ms > (UINT64_MAX - now) / 1000000)
        return UINT64_MAX;
    return now + (uint64_t)timeout_ms * 1000000;
}

/* With the lock: the next note, or NULL with the status that ends the wait; ROCMFORGE_OK: the
 * engine is gone. */
static rf_api_note *await_note(rf_api_request *request, uint64_t deadline_ns,
                               rocmforge_status *status) {
    rf_api_engine *engine = request->engine;
    for (bool looked = false;; looked = true) {
        rf_api_note *note = request->first;
        *status = ROCMFORGE_OK;
        if (request->closed) {
            *status = rf_api_fail(ROCMFORGE_CANCELLED, "the request was closed meanwhile");
            return NULL;
        }
        if (note) {
            request->first = note->next;
            if (!note->next)
                request->last = NULL;
            return note;
        }
        if (!request->in_engine || !engine->engine)
            return NULL;
        if (looked && rf_clock_ns() >= deadline_ns) {
            *status = rf_api_fail(ROCMFORGE_TIMEOUT, "no event within the time given");
            return NULL;
        }
        rf_api_engine_turn(engine, request, deadline_ns);
    }
}

static void keep_ready(rf_api_request *request) {
    bool has_more = request->first || request->at_todo < request->n_todo ||
                    (!request->ended && !request->in_engine);
    if (!has_more || request->closed)
        return;
    rf_api_request_ready(request);
    if (request->handle)
        rf_api_engine_wake(request->engine, request); /* whoever waits for any */
}

static rocmforge_status fill_todo(rf_api_request *request, uint64_t deadline_ns) {
    while (request->at_todo == request->n_todo) {
        if (request->ended)
            return rf_api_fail(ROCMFORGE_END, "the request has given all its events");
        rocmforge_status status;
        rf_api_note *note = await_note(request, deadline_ns, &status);
        if (status != ROCMFORGE_OK)
            return status;
        if (!note)
            rf_api_answer_closed(request);
        else if (rf_api_answer_note(request, note))
            rf_api_engine_cancel(request->engine, request);
    }
    return ROCMFORGE_OK;
}

rocmforge_status rf_api_request_await(rf_api_request *request, rocmforge_event *out,
                                      int64_t timeout_ms) {
    rf_api_engine *engine = request->engine;
    uint64_t deadline_ns = rf_api_deadline(timeout_ms);
    pthread_mutex_lock(&engine->lock);
    if (request->reads) {
        pthread_mutex_unlock(&engine->lock);
        return rf_api_misuse(ROCMFORGE_RULE_ONE_THREAD,
                             "another thread waits for this request's events");
    }
    request->reads = true;
    rf_api_request_unready(request);
    rocmforge_status status = fill_todo(request, deadline_ns);
    if (status == ROCMFORGE_OK)
        *out = request->todo[request->at_todo++];
    request->reads = false;
    keep_ready(request);
    rf_api_engine_hand_over(engine);
    pthread_mutex_unlock(&engine->lock);
    return status;
}

/* ---- public ---------------------------------------------------------------------------------- */

rocmforge_status rocmforge_request_next(rocmforge_request *handle, rocmforge_event *out,
                                        int64_t timeout_ms) {
    rf_api_request *request;
    rocmforge_event event;
    RF_API_TRY(rf_api_enter(__func__, false));
    RF_API_TRY(rf_api_struct_check(RF_API_STRUCT_event, out));
    RF_API_TRY(rf_api_request_take(handle, &request));
    rocmforge_status status = rf_api_request_await(request, &event, timeout_ms);
    if (status == ROCMFORGE_OK)
        rf_api_struct_write(RF_API_STRUCT_event, &event, out);
    rf_object_drop(&request->object);
    return status;
}

rocmforge_status rocmforge_request_cancel(rocmforge_request *handle) {
    rf_api_request *request;
    RF_API_TRY(rf_api_enter(__func__, true));
    RF_API_TRY(rf_api_request_take(handle, &request));
    pthread_mutex_lock(&request->engine->lock);
    rf_api_engine_cancel(request->engine, request);
    pthread_mutex_unlock(&request->engine->lock);
    rf_object_drop(&request->object);
    return ROCMFORGE_OK;
}

rocmforge_status rocmforge_request_close(rocmforge_request *handle) {
    rf_object *object;
    RF_API_TRY(rf_api_enter(__func__, false));
    RF_API_TRY(rf_handle_close(handle, RF_HANDLE_REQUEST, &object));
    rf_api_request_end((rf_api_request *)object);
    return ROCMFORGE_OK;
}
