/* Events on their way from the engine to the requests of this process. */
#include <time.h>

#include "api/request_handle.h"
#include "base/alloc.h"
#include "base/clock.h"

enum { RETRY_NS = 1000000 }; /* for orders that found the engine's ring full */

/* ---- who sleeps ---------------------------------------------------------------------------- */

void rf_api_engine_wake(rf_api_engine *engine, const rf_api_request *request) {
    for (rf_api_waiter *waiter = engine->waiters; waiter; waiter = waiter->next)
        if (waiter->request == request || !waiter->request || !request)
            pthread_cond_signal(waiter->cond);
}

void rf_api_engine_hand_over(rf_api_engine *engine) {
    if (!engine->taking && engine->waiters)
        pthread_cond_signal(engine->waiters->cond);
}

static void sleep_until(rf_api_engine *engine, const rf_api_request *request,
                        uint64_t deadline_ns) {
    pthread_condattr_t attributes;
    pthread_cond_t cond;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&cond, &attributes);
    rf_api_waiter self = {.cond = &cond, .request = request, .next = engine->waiters};
    engine->waiters = &self;
    if (deadline_ns == UINT64_MAX) {
        (void)pthread_cond_wait(&cond, &engine->lock);
    } else {
        struct timespec at = {.tv_sec = (time_t)(deadline_ns / 1000000000),
                              .tv_nsec = (long)(deadline_ns % 1000000000)};
        (void)pthread_cond_timedwait(&cond, &engine->lock, &at);
    }
    rf_api_waiter **place = &engine->waiters;
    while (*place != &self)
        place = &(*place)->next;
    *place = self.next;
    (void)pthread_cond_destroy(&cond);
    (void)pthread_condattr_destroy(&attributes);
}

/* ---- orders -------------------------------------------------------------------------------- */

static rf_api_live *find(rf_api_engine *engine, uint64_t id) {
    for (size_t i = 0; i < engine->n_live; i++)
        if (engine->live[i].id == id)
            return &engine->live[i];
    return NULL;
}

/* False: some order to cancel could not be sent yet. */
static bool send_cancels(rf_api_engine *engine) {
    bool all = true;
    for (size_t i = 0; i < engine->n_live; i++) {
        rf_api_live *live = &engine->live[i];
        rf_error ignored;
        if (live->cancels && rf_engine_cancel(engine->engine, live->id, &ignored) == RF_OK)
            live->cancels = false;
        all = all && !live->cancels;
    }
    return all;
}

static bool make_room(rf_api_engine *engine) {
    if (engine->n_live < engine->cap_live)
        return true;
    size_t cap = engine->cap_live ? 2 * engine->cap_live : 32;
    rf_api_live *live = rf_realloc_array(engine->live, cap, sizeof *live);
    if (!live)
        return false;
    engine->live = live;
    engine->cap_live = cap;
    return true;
}

rf_status rf_api_engine_submit(rf_api_engine *engine, rf_api_request *request,
                               const rf_request *order, rf_error *err) {
    if (!make_room(engine))
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the request");
    rf_status status = rf_engine_submit(engine->engine, order, &request->id, err);
    /* What has ended and was never taken stands in the way. */
    while (status == RF_ERR_LIMIT && !engine->taking && !engine->closing && engine->n_live > 0) {
        size_t n_before = engine->n_live;
        rf_api_engine_turn(engine, NULL, 0);
        if (engine->closing || engine->n_live == n_before)
            break;
        status = rf_engine_submit(engine->engine, order, &request->id, err);
    }
    if (status != RF_OK)
        return status;
    engine->live[engine->n_live++] = (rf_api_live){.id = request->id, .request = request};
    request->in_engine = true;
    rf_api_engine_hand_over(engine);
    return RF_OK;
}

void rf_api_engine_cancel(rf_api_engine *engine, const rf_api_request *request) {
    rf_api_live *live = request->in_engine ? find(engine, request->id) : NULL;
    if (live && engine->engine && !engine->closing) {
        live->cancels = true;
        (void)send_cancels(engine);
    }
}

void rf_api_engine_forget(rf_api_engine *engine, rf_api_request *request) {
    rf_api_engine_cancel(engine, request);
    rf_api_live *live = request->in_engine ? find(engine, request->id) : NULL;
    if (live)
        live->request = NULL;
    rf_api_request_unready(request);
    rf_api_engine_wake(engine, request);
}

/* ---- events -------------------------------------------------------------------------------- */

static void dispatch(rf_api_engine *engine, const rf_event *event) {
    rf_api_live *live = find(engine, event->id);
    if (!live)
        return;
    rf_api_request *request = live->request;
    if (request && !rf_api_request_give(request, event)) {
        request->lost = true;
        live->cancels = true;
    }
    if (event->kind == RF_EVENT_FINISH && event->last) {
        *live = engine->live[--engine->n_live];
        if (request)
            request->in_engine = false;
    }
    if (request)
        rf_api_engine_wake(engine, request);
}

static void take_event(rf_api_engine *engine, uint64_t deadline_ns) {
    rf_event event;
    uint64_t now = rf_clock_ns(), timeout = UINT64_MAX;
    engine->taking = true;
    if (deadline_ns != UINT64_MAX)
        timeout = deadline_ns > now ? deadline_ns - now : 0;
    if (!send_cancels(engine) && timeout > RETRY_NS)
        timeout = RETRY_NS;
    rf_engine *inner = engine->engine;
    pthread_mutex_unlock(&engine->lock);
    bool got = rf_engine_next(inner, &event, timeout);
    pthread_mutex_lock(&engine->lock);
    if (got)
        dispatch(engine, &event);
    engine->taking = false;
    if (engine->closing)
        pthread_cond_signal(&engine->idle);
}

void rf_api_engine_turn(rf_api_engine *engine, const rf_api_request *request,
                        uint64_t deadline_ns) {
    if (!engine->taking && !engine->closing && engine->n_live > 0)
        take_event(engine, deadline_ns);
    else
        sleep_until(engine, request, deadline_ns);
}
