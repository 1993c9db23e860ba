/* Orders become jobs and samplers; between steps, so that these may take memory. */
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "engine/engine_state.h"

void rf_core_notify(rf_engine *engine, const rf_notice *notice) {
    if (engine->core.in_step && notice->kind == RF_NOTICE_FINISH) {
        engine->core.ends[engine->core.n_ends++] = *notice;
        return;
    }
    (void)rf_ring_push(engine->notices, notice); /* there is room: see take_orders and step */
    if (!engine->core.in_step)                   /* else once for all of a step's tokens */
        rf_bell_ring(&engine->client_bell);
}

void rf_core_free_request(core_request *request) {
    for (uint32_t i = 0; request->samplers && i < request->order.n_choices; i++)
        rf_sampler_destroy(request->samplers[i]);
    rf_free((void *)request->samplers);
    rf_free(request->n_generated);
    rf_free(request->drafts);
    rf_core_unconstrain(request);
    request->samplers = NULL;
    request->n_generated = NULL;
    request->drafts = NULL;
    request->used = false;
}

void rf_core_tell_end(const engine_core *core, uint64_t id, rf_finish finish) {
    if (core->options.on_end)
        core->options.on_end(core->options.user, id, finish);
}

void rf_core_end(rf_engine *engine, core_request *request, rf_finish finish, rf_status status,
                 const char *text) {
    rf_notice notice = {.id = request->order.id,
                        .kind = RF_NOTICE_FINISH,
                        .finish = (uint16_t)finish,
                        .status = (uint16_t)status,
                        .n_cached = request->n_cached,
                        .last = 1};
    if (status != RF_OK)
        (void)snprintf(notice.u.text, sizeof notice.u.text, "%.*s", RF_NOTICE_TEXT_BYTES - 1, text);
    rf_core_tell_end(&engine->core, request->order.id, finish);
    rf_core_free_request(request);
    engine->core.counters.n_failed += finish == RF_FINISH_FAILED;
    engine->core.counters.n_cancelled += finish == RF_FINISH_CANCELLED;
    engine->core.counters.n_finished++;
    rf_core_notify(engine, &notice);
}

/* ---- samplers ------------------------------------------------------------------------------ */

static rf_status make_samplers(rf_engine *engine, core_request *request,
                               const rf_sample_params *params, rf_error *err) {
    const rf_order *order = &request->order;
    request->samplers = rf_calloc(order->n_choices, sizeof *request->samplers);
    request->n_generated = rf_calloc(order->n_choices, sizeof *request->n_generated);
    if (!request->samplers || !request->n_generated)
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for %u choices", order->n_choices);
    for (uint32_t i = 0; i < order->n_choices; i++) {
        RF_TRY(rf_sampler_create(params, engine->core.program->n_vocab,
                                 engine->core.limits.max_context, i, &request->samplers[i], err));
        rf_sampler_prompt(request->samplers[i],
                          (const int32_t *)(void *)(engine->region + order->tokens_at),
                          order->n_tokens);
    }
    return RF_OK;
}

static rf_status take_samplers(rf_engine *engine, core_request *request, rf_error *err) {
    const rf_order *order = &request->order;
    rf_sample_params params = order->params;
    rf_token_span *spans = rf_calloc(order->n_breakers, sizeof *spans);
    if (!spans)
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for %u breakers", order->n_breakers);
    const int32_t *at = (const int32_t *)(void *)(engine->region + order->breakers_at);
    for (uint32_t i = 0; i < order->n_breakers; i++) {
        spans[i] = (rf_token_span){at + 1, (uint32_t)at[0]};
        at += 1 + at[0];
    }
    params.dry_breakers = spans;
    params.n_dry_breakers = order->n_breakers;
    params.logit_bias = (const rf_logit_bias *)(void *)(engine->region + order->biases_at);
    params.n_logit_bias = order->n_biases;
    rf_status status = make_samplers(engine, request, &params, err);
    rf_free(spans);
    return status;
}

/* ---- jobs ---------------------------------------------------------------------------------- */

static rf_job job_of(rf_engine *engine, const core_request *request) {
    const rf_order *order = &request->order;
    rf_job job = {.id = order->id,
                  .tag = (uint32_t)(request - engine->core.requests),
                  .tokens = (const int32_t *)(void *)(engine->region + order->tokens_at),
                  .n_tokens = order->n_tokens,
                  .n_choices = order->n_choices,
                  .priority = order->priority,
                  .rows_from = order->n_tokens - 1,
                  .rows_to = order->n_tokens,
                  .salt = order->salt,
                  .keeps_private = order->keeps_private != 0};
    if (order->request == RF_REQUEST_GENERATE) {
        job.n_new = order->n_new;
    } else if (order->request == RF_REQUEST_SCORE) {
        job.rows_from = order->rows_from;
        job.rows_to = order->n_tokens - 1;
    } else if (order->request == RF_REQUEST_ROWS) {
        job.rows_from = order->rows_from;
    } else if (order->pooling != RF_POOL_LAST) {
        job.rows_from = 0;
        job.rows_to = order->pooling == RF_POOL_CLS ? 1 : order->n_tokens;
    }
    return job;
}

static rf_status take_request(rf_engine *engine, core_request *request, rf_error *err) {
    const rf_order *order = &request->order;
    if (order->request == RF_REQUEST_GENERATE)
        RF_TRY(take_samplers(engine, request, err));
    RF_TRY(rf_core_drafts_begin(&engine->core, request, err));
    RF_TRY(rf_core_constrain(engine, request, err));
    if (order->request == RF_REQUEST_EMBED)
        memset(engine->region + order->result_at, 0, engine->core.program->n_embd * sizeof(double));
    rf_job job = job_of(engine, request);
    return rf_scheduler_submit(engine->core.sched, &job, rf_clock_ns(), err);
}

static core_request *find(engine_core *core, bool used, uint64_t id) {
    for (uint32_t i = 0; i < core->n_requests_max; i++)
        if (core->requests[i].used == used && (!used || core->requests[i].order.id == id))
            return &core->requests[i];
    return NULL;
}

static bool moves(const rf_order *order) {
    return order->kind == RF_ORDER_SUBMIT &&
           (order->request == RF_REQUEST_EXPORT || order->request == RF_REQUEST_IMPORT);
}

static void take(rf_engine *engine, const rf_order *order) {
    engine_core *core = &engine->core;
    if (moves(order)) {
        rf_core_move(engine, order);
        return;
    }
    if (order->kind == RF_ORDER_CANCEL) {
        core_request *request = find(core, true, order->id);
        if (request && rf_scheduler_cancel(core->sched, order->id))
            rf_core_end(engine, request, RF_FINISH_CANCELLED, RF_OK, "");
        return;
    }
    core_request *request = find(core, false, 0);
    rf_error err = {0};
    if (!request)
        return; /* the client counts too: it never sends so many */
    *request = (core_request){.used = true, .order = *order, .n_left = order->n_choices};
    core->counters.n_requests++;
    rf_status status = take_request(engine, request, &err);
    if (status != RF_OK)
        rf_core_end(engine, request, RF_FINISH_FAILED, status, err.text);
}

bool rf_core_take_orders(rf_engine *engine) {
    rf_order order;
    while (rf_ring_n_free(engine->notices) > 0 && rf_ring_pop(engine->orders, &order)) {
        if (order.kind == RF_ORDER_SHUTDOWN)
            return false;
        take(engine, &order);
        if (moves(&order) && rf_scheduler_n_jobs(engine->core.sched) > 0)
            break; /* one between two steps: others are waiting for theirs */
    }
    return true;
}
