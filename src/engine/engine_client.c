/* The client's side of the engine: requests become messages and spans, notices become events. */
#include <string.h>

#include "base/checked.h"
#include "base/clock.h"
#include "engine/engine_state.h"

/* ---- submit -------------------------------------------------------------------------------- */

/* The first row whose result is wanted, of those that are asked for rows. */
static uint32_t rows_from(const rf_request *request) {
    if (request->kind == RF_REQUEST_ROWS)
        return request->rows_from;
    return request->scores_from ? request->scores_from - 1 : 0;
}

/* What a generation asks for besides its prompt. */
static rf_status check_generation(const rf_engine *engine, const rf_request *request,
                                  rf_error *err) {
    uint32_t n_vocab = engine->core.program->n_vocab;
    if (request->n_new == 0)
        return rf_fail(err, RF_ERR_INVALID, "0 tokens to generate, expected at least 1");
    if (request->params)
        RF_TRY(rf_sample_params_validate(request->params, n_vocab, err));
    for (uint32_t i = 0; i < request->n_stop; i++)
        if (request->stop_tokens[i] < 0 || (uint32_t)request->stop_tokens[i] >= n_vocab)
            return rf_fail(err, RF_ERR_INVALID, "stop token %u is %d, expected an id from 0 to %u",
                           i, request->stop_tokens[i], n_vocab - 1);
    if ((unsigned)request->draft >= RF_DRAFT_COUNT ||
        (request->draft == RF_DRAFT_MODEL && !engine->core.options.draft.backend))
        return rf_fail(err, RF_ERR_INVALID, "drafts of kind %d from an engine %s draft model",
                       request->draft, engine->core.options.draft.backend ? "with a" : "without");
    if (request->constraint && !engine->core.trie)
        return rf_fail(err, RF_ERR_INVALID,
                       "a constraint for an engine that was made without its tokens' bytes");
    return request->constraint
               ? rf_automaton_check(request->constraint, request->constraint->n_bytes, err)
               : RF_OK;
}

static rf_status check(const rf_engine *engine, const rf_request *request, rf_error *err) {
    uint32_t n_vocab = engine->core.program->n_vocab;
    if ((unsigned)request->kind >= RF_REQUEST_COUNT || (unsigned)request->pooling >= RF_POOL_COUNT)
        return rf_fail(err, RF_ERR_INVALID, "request of kind %d with pooling %d", request->kind,
                       request->pooling);
    if (request->n_tokens == 0 || !request->tokens)
        return rf_fail(err, RF_ERR_INVALID, "a request needs at least one token");
    if (request->n_tokens > engine->core.limits.max_context)
        return rf_fail(err, RF_ERR_INVALID, "%u tokens do not fit into the context of %u",
                       request->n_tokens, engine->core.limits.max_context);
    for (uint32_t i = 0; i < request->n_tokens; i++)
        if (request->tokens[i] < 0 || (uint32_t)request->tokens[i] >= n_vocab)
            return rf_fail(err, RF_ERR_INVALID, "token %u is %d, expected an id from 0 to %u", i,
                           request->tokens[i], n_vocab - 1);
    if (request->kind == RF_REQUEST_GENERATE)
        RF_TRY(check_generation(engine, request, err));
    uint32_t from = rows_from(request);
    if (request->kind == RF_REQUEST_ROWS && from >= request->n_tokens)
        return rf_fail(err, RF_ERR_INVALID, "rows from token %u of %u, expected 0 to %u", from,
                       request->n_tokens, request->n_tokens - 1);
    if (request->kind == RF_REQUEST_SCORE &&
        (from + 1 >= request->n_tokens || request->n_top > RF_SAMPLE_MAX_PROBS))
        return rf_fail(err, RF_ERR_INVALID,
                       "scores from token %u of %u with %u alternatives; expected 1 to %u and at "
                       "most %d",
                       from + 1, request->n_tokens, request->n_top, request->n_tokens - 1,
                       RF_SAMPLE_MAX_PROBS);
    return RF_OK;
}

/* A prefix's blocks, as they lie in it. */
static rf_status check_move(const rf_engine *engine, const rf_request *request, rf_error *err) {
    const rf_kv_shape *shape = &engine->core.kv_shape;
    const rf_kv_span *kv = &request->kv;
    uint32_t size = shape->block_tokens, begin = kv->from / size;
    if (kv->from % size != 0 || kv->from >= request->n_tokens || request->keeps_private)
        return rf_fail(err, RF_ERR_INVALID,
                       "contents from token %u of %u%s; expected a multiple of %u below them",
                       kv->from, request->n_tokens, request->keeps_private ? ", kept private" : "",
                       size);
    if (request->kind == RF_REQUEST_EXPORT)
        return RF_OK;
    uint32_t end = (uint32_t)rf_ceil_div(request->n_tokens, size);
    uint64_t bytes = 0;
    bool fits = kv->to == request->n_tokens;
    for (uint32_t g = 0; fits && g < shape->n_groups; g++) {
        uint32_t first = kv->first[g] > begin ? kv->first[g] : begin;
        fits = first == begin || (shape->windows[g] > 0 && first <= end);
        bytes += fits ? (end - first) * shape->block_bytes[g] : 0;
    }
    if (!fits || bytes != request->kv_bytes || !request->kv_data)
        return rf_fail(
            err, RF_ERR_INVALID,
            "%llu bytes for tokens %u to %u of %u; expected %llu for all the blocks that "
            "must be there",
            (unsigned long long)request->kv_bytes, kv->from, kv->to, request->n_tokens,
            (unsigned long long)bytes);
    return RF_OK;
}

static bool moves(const rf_request *request) {
    return request->kind == RF_REQUEST_EXPORT || request->kind == RF_REQUEST_IMPORT;
}

static uint64_t result_bytes(const rf_engine *engine, const rf_request *request) {
    if (moves(request))
        return request->kv_bytes + sizeof(rf_kv_result);
    if (request->kind == RF_REQUEST_SCORE)
        return (uint64_t)(request->n_tokens - 1 - rows_from(request)) * (1 + request->n_top) *
               sizeof(rf_token_logprob);
    return request->kind == RF_REQUEST_EMBED
               ? (uint64_t)engine->core.program->n_embd * sizeof(double)
               : 0;
}

/* Parts of a span, each aligned to 8 bytes. */
static uint64_t place(uint64_t *end, uint64_t bytes) {
    uint64_t at = *end;
    *end = at + (bytes + 7) / 8 * 8;
    return at;
}

static uint64_t breakers_bytes(const rf_sample_params *params) {
    uint64_t n = 0;
    for (uint32_t i = 0; i < params->n_dry_breakers; i++)
        n += 1 + params->dry_breakers[i].n_tokens;
    return n * sizeof(int32_t);
}

/* Where everything lies in a span that begins at 0; returns its bytes. */
static uint64_t lay_out(const rf_engine *engine, const rf_request *request, rf_order *order) {
    uint64_t end = 0;
    const rf_sample_params *params = &order->params;
    order->result_at = place(&end, result_bytes(engine, request));
    order->tokens_at = place(&end, request->n_tokens * sizeof(int32_t));
    order->stop_at = place(&end, request->n_stop * sizeof(int32_t));
    order->biases_at = place(&end, params->n_logit_bias * sizeof(rf_logit_bias));
    order->breakers_at = place(&end, breakers_bytes(params));
    order->constraint_at = place(&end, order->n_constraint_bytes);
    return end;
}

static void write_span(unsigned char *base, const rf_request *request, const rf_order *order) {
    const rf_sample_params *params = &order->params;
    if (request->kind == RF_REQUEST_IMPORT)
        memcpy(base + order->result_at, request->kv_data, request->kv_bytes);
    memcpy(base + order->tokens_at, request->tokens, request->n_tokens * sizeof(int32_t));
    if (request->n_stop > 0)
        memcpy(base + order->stop_at, request->stop_tokens, request->n_stop * sizeof(int32_t));
    if (params->n_logit_bias > 0)
        memcpy(base + order->biases_at, params->logit_bias,
               params->n_logit_bias * sizeof(rf_logit_bias));
    if (order->n_constraint_bytes > 0)
        memcpy(base + order->constraint_at, request->constraint, order->n_constraint_bytes);
    int32_t *at = (int32_t *)(void *)(base + order->breakers_at);
    for (uint32_t i = 0; i < params->n_dry_breakers; i++) {
        const rf_token_span *breaker = &params->dry_breakers[i];
        *at++ = (int32_t)breaker->n_tokens;
        memcpy(at, breaker->tokens, breaker->n_tokens * sizeof(int32_t));
        at += breaker->n_tokens;
    }
}

static void move_by(rf_order *order, uint64_t offset) {
    order->result_at += offset;
    order->tokens_at += offset;
    order->stop_at += offset;
    order->biases_at += offset;
    order->breakers_at += offset;
    order->constraint_at += offset;
}

static struct client_request *find(engine_client *client, uint64_t id) {
    for (uint32_t i = 0; i < client->max_requests; i++)
        if (client->requests[i].id == id)
            return &client->requests[i];
    return NULL;
}

static rf_status send(rf_engine *engine, const rf_request *request, rf_order *order,
                      rf_error *err) {
    engine_client *client = &engine->client;
    uint64_t bytes = lay_out(engine, request, order), offset;
    struct client_request *slot = find(client, 0);
    if (!slot || rf_ring_n_free(engine->orders) == 0)
        return rf_fail(err, RF_ERR_LIMIT, "%u requests are there already", client->max_requests);
    if (!rf_span_arena_take(&client->spans, bytes, &offset))
        return rf_fail(err, RF_ERR_LIMIT,
                       "no room for a request of %llu bytes beside those that are there",
                       (unsigned long long)bytes);
    write_span(engine->region + offset, request, order);
    move_by(order, offset);
    order->params.logit_bias = NULL;
    order->params.dry_breakers = NULL;
    order->id = ++client->n_submitted;
    *slot = (struct client_request){order->id, offset, request->kind, order->result_at};
    (void)rf_ring_push(engine->orders, order);
    return RF_OK;
}

rf_status rf_engine_submit(rf_engine *engine, const rf_request *request, uint64_t *out_id,
                           rf_error *err) {
    RF_TRY(check(engine, request, err));
    if (moves(request))
        RF_TRY(check_move(engine, request, err));
    rf_order order = {.kind = RF_ORDER_SUBMIT,
                      .request = request->kind,
                      .n_tokens = request->n_tokens,
                      .n_new = request->n_new,
                      .n_choices = request->n_choices ? request->n_choices : 1,
                      .n_stop = request->n_stop,
                      .rows_from = rows_from(request),
                      .n_top = request->n_top,
                      .priority = request->priority,
                      .salt = request->salt,
                      .keeps_private = request->keeps_private,
                      .pooling = request->pooling,
                      .normalise = request->normalise,
                      .draft = request->draft,
                      .n_draft_max = request->n_draft_max,
                      .kv = request->kv,
                      .kv_bytes = request->kv_bytes,
                      .params = request->params ? *request->params : rf_sample_params_default()};
    if (order.params.seed < 0) /* one for all choices, which differ by their streams */
        order.params.seed = rf_sample_draw_seed();
    order.n_biases = order.params.n_logit_bias;
    order.n_breakers = order.params.n_dry_breakers;
    bool constrained = request->kind == RF_REQUEST_GENERATE && request->constraint;
    order.n_constraint_bytes = constrained ? request->constraint->n_bytes : 0;
    pthread_mutex_lock(&engine->client.lock);
    rf_status status = send(engine, request, &order, err);
    pthread_mutex_unlock(&engine->client.lock);
    if (status == RF_OK) {
        *out_id = order.id;
        if (!request->more_follow)
            rf_bell_ring(&engine->core_bell);
    }
    return status;
}

rf_status rf_engine_cancel(rf_engine *engine, uint64_t id, rf_error *err) {
    rf_order order = {.kind = RF_ORDER_CANCEL, .id = id};
    pthread_mutex_lock(&engine->client.lock);
    bool sent = rf_ring_push(engine->orders, &order);
    pthread_mutex_unlock(&engine->client.lock);
    rf_bell_ring(&engine->core_bell);
    return sent ? RF_OK : rf_fail(err, RF_ERR_LIMIT, "the engine has not read its orders yet");
}

/* ---- events -------------------------------------------------------------------------------- */

/* What the last event pointed at is no longer needed. */
static void give_back(engine_client *client) {
    if (client->given_back == 0)
        return;
    pthread_mutex_lock(&client->lock);
    struct client_request *request = find(client, client->given_back);
    if (request) {
        rf_span_arena_give(&client->spans, request->span);
        request->id = 0;
    }
    pthread_mutex_unlock(&client->lock);
    client->given_back = 0;
}

/* The alternatives that did not fit into the first notice follow it at once. */
static void take_tops(rf_engine *engine, const rf_notice *first, rf_event *out) {
    rf_notice notice = *first;
    out->n_top = first->n_top;
    for (uint32_t n = 0; n < out->n_top;) {
        uint32_t here = out->n_top - n < RF_NOTICE_TOPS ? out->n_top - n : RF_NOTICE_TOPS;
        memcpy(out->top + n, notice.u.top, here * sizeof *out->top);
        n += here;
        while (n < out->n_top && !rf_ring_pop(engine->notices, &notice)) {
        }
    }
}

static void take_finish(rf_engine *engine, const rf_notice *notice, rf_event *out) {
    engine_client *client = &engine->client;
    out->finish = (rf_finish)notice->finish;
    out->status = (rf_status)notice->status;
    out->last = notice->last != 0;
    out->n_generated = notice->n_generated;
    out->n_cached = notice->n_cached;
    out->n_drafted = notice->n_drafted;
    out->n_accepted = notice->n_accepted;
    if (out->status == RF_OK)
        out->began_ns = notice->u.began_ns;
    else
        memcpy(out->error, notice->u.text, RF_NOTICE_TEXT_BYTES);
    if (!out->last)
        return;
    client->given_back = notice->id;
    pthread_mutex_lock(&client->lock);
    const struct client_request *request = find(client, notice->id);
    const void *result = request ? engine->region + request->result_at : NULL;
    bool whole = request && out->finish == RF_FINISH_ROWS;
    out->scores = whole && request->kind == RF_REQUEST_SCORE ? result : NULL;
    out->embedding = whole && request->kind == RF_REQUEST_EMBED ? result : NULL;
    if (whole && request->kind == RF_REQUEST_EXPORT) {
        const rf_kv_result *moved = result;
        out->kv = moved->kv;
        out->kv_bytes = moved->n_bytes;
        out->kv_data = moved + 1;
    }
    pthread_mutex_unlock(&client->lock);
}

static bool pop(rf_engine *engine, rf_notice *notice, uint64_t timeout_ns) {
    uint64_t start = rf_clock_ns();
    for (;;) {
        uint32_t heard = rf_bell_heard(&engine->client_bell);
        if (rf_ring_pop(engine->notices, notice))
            return true;
        uint64_t passed = rf_clock_ns() - start;
        if (timeout_ns != UINT64_MAX && passed >= timeout_ns)
            return false;
        rf_bell_wait(&engine->client_bell, heard,
                     timeout_ns == UINT64_MAX ? UINT64_MAX : timeout_ns - passed);
    }
}

bool rf_engine_next(rf_engine *engine, rf_event *out, uint64_t timeout_ns) {
    rf_notice notice;
    give_back(&engine->client);
    if (!pop(engine, &notice, timeout_ns))
        return false;
    out->kind = notice.kind == RF_NOTICE_TOKEN ? RF_EVENT_TOKEN : RF_EVENT_FINISH;
    out->id = notice.id;
    out->choice = notice.choice;
    out->token = notice.token;
    out->logprob = notice.logprob;
    out->n_top = 0;
    out->finish = RF_FINISH_NONE;
    out->last = false;
    out->status = RF_OK;
    out->error[0] = 0;
    out->scores = NULL;
    out->embedding = NULL;
    out->kv_data = NULL;
    out->kv_bytes = 0;
    if (out->kind == RF_EVENT_TOKEN)
        take_tops(engine, &notice, out);
    else
        take_finish(engine, &notice, out);
    rf_bell_ring(&engine->core_bell); /* there is room again */
    return true;
}
