#include "server/exchange.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "server/http_loop.h"
#include "server/pump.h"
#include "server/routes.h"
#include "server/server_state.h"

rf_exchange *rf_exchange_create(struct rf_server *server) {
    rf_exchange *exchange = rf_calloc(1, sizeof *exchange);
    if (!exchange)
        return NULL;
    if (pthread_mutex_init(&exchange->lock, NULL) != 0) {
        rf_free(exchange);
        return NULL;
    }
    atomic_init(&exchange->refs, 1);
    exchange->server = server;
    exchange->begun_ns = exchange->wrote_ns = rf_clock_ns();
    rf_buf_init(&exchange->body, server->options.max_body_bytes);
    rf_buf_init(&exchange->out, server->options.max_output_bytes);
    return exchange;
}

rf_exchange *rf_exchange_ref(rf_exchange *exchange) {
    (void)atomic_fetch_add_explicit(&exchange->refs, 1, memory_order_relaxed);
    return exchange;
}

void rf_exchange_unref(rf_exchange *exchange) {
    if (!exchange || atomic_fetch_sub_explicit(&exchange->refs, 1, memory_order_acq_rel) != 1)
        return;
    rf_buf_deinit(&exchange->body);
    rf_buf_deinit(&exchange->out);
    (void)pthread_mutex_destroy(&exchange->lock);
    rf_free(exchange);
}

static void tell(rf_exchange *exchange, bool wakes) {
    rf_loop_mark(exchange->server->loop, exchange);
    if (wakes)
        rf_loop_wake(exchange->server->loop);
}

/* The rest is sending. Behind the lock. */
static void finish(rf_exchange *exchange) {
    exchange->ended = true;
    if (exchange->counted)
        (void)atomic_fetch_sub(&exchange->server->n_running, 1);
    exchange->counted = false;
}

static void set_whole(rf_exchange *exchange, int status, const char *content_type, rf_buf *body) {
    rf_buf_deinit(&exchange->out);
    exchange->out = *body;
    rf_buf_init(body, body->max_bytes);
    exchange->phase = RF_EXCHANGE_WHOLE;
    exchange->status = status;
    exchange->content_type = content_type;
    finish(exchange);
}

void rf_exchange_reply(rf_exchange *exchange, const char *content_type, rf_buf *body) {
    if (body->failed) {
        rf_refusal refusal = {0};
        (void)rf_refuse(&refusal, RF_REFUSE_FAILED, NULL, "out of memory for the answer");
        rf_exchange_refuse(exchange, &refusal);
        return;
    }
    pthread_mutex_lock(&exchange->lock);
    if (!exchange->ended)
        set_whole(exchange, 200, content_type, body);
    pthread_mutex_unlock(&exchange->lock);
    tell(exchange, true);
}

static void write_refusal(const rf_exchange *exchange, const rf_refusal *refusal, rf_buf *out) {
    if (rf_route_is_anthropic(exchange->route))
        rf_refusal_write_anthropic(refusal, exchange->id, out);
    else
        rf_refusal_write(refusal, out);
}

void rf_exchange_refuse(rf_exchange *exchange, const rf_refusal *refusal) {
    rf_buf body;
    bool anthropic = rf_route_is_anthropic(exchange->route);
    rf_buf_init(&body, 64 << 10);
    pthread_mutex_lock(&exchange->lock);
    if (exchange->phase == RF_EXCHANGE_STREAM && !exchange->ended) {
        rf_buf_text(&body, anthropic ? "event: error\ndata: " : "data: ");
        write_refusal(exchange, refusal, &body);
        rf_buf_text(&body, "\n\n");
        rf_buf_str(&exchange->out, rf_buf_view(&body));
        finish(exchange);
    } else if (!exchange->ended) {
        write_refusal(exchange, refusal, &body);
        set_whole(exchange, rf_refusal_http_status(refusal->kind), "application/json", &body);
        exchange->retry_after_s = refusal->retry_after_s;
        exchange->closes = refusal->closes;
    }
    pthread_mutex_unlock(&exchange->lock);
    rf_buf_deinit(&body);
    tell(exchange, true);
}

bool rf_exchange_stream(rf_exchange *exchange, rf_str bytes, bool wakes) {
    pthread_mutex_lock(&exchange->lock);
    if (exchange->phase == RF_EXCHANGE_WORKING) {
        exchange->phase = RF_EXCHANGE_STREAM;
        exchange->status = 200;
        exchange->content_type = "text/event-stream";
    }
    if (!exchange->ended && !exchange->broken) {
        if (exchange->out_at == exchange->out.len) {
            rf_buf_clear(&exchange->out);
            exchange->out_at = 0;
        }
        rf_buf_str(&exchange->out, bytes);
        exchange->broken = exchange->out.failed;
        exchange->wrote_ns = rf_clock_ns();
    }
    bool taken = !exchange->broken && !exchange->ended;
    pthread_mutex_unlock(&exchange->lock);
    tell(exchange, wakes);
    return taken;
}

void rf_exchange_end(rf_exchange *exchange) {
    pthread_mutex_lock(&exchange->lock);
    finish(exchange);
    pthread_mutex_unlock(&exchange->lock);
    tell(exchange, false);
}

bool rf_exchange_attach(rf_exchange *exchange, struct rf_answer *answer, bool streams,
                        uint64_t deadline_ns) {
    pthread_mutex_lock(&exchange->lock);
    bool waited_for = !exchange->broken;
    exchange->answer = waited_for ? answer : NULL;
    exchange->streams = streams;
    exchange->deadline_ns = deadline_ns;
    pthread_mutex_unlock(&exchange->lock);
    return waited_for;
}

void rf_exchange_detach(rf_exchange *exchange) {
    pthread_mutex_lock(&exchange->lock);
    exchange->answer = NULL;
    pthread_mutex_unlock(&exchange->lock);
}

void rf_exchange_abandon(rf_exchange *exchange) {
    pthread_mutex_lock(&exchange->lock);
    exchange->broken = true;
    if (exchange->answer)
        rf_pump_cancel(exchange->server->pump, exchange->answer, false);
    pthread_mutex_unlock(&exchange->lock);
}

void rf_exchange_time_out(rf_exchange *exchange, uint64_t now_ns) {
    pthread_mutex_lock(&exchange->lock);
    if (exchange->answer && exchange->deadline_ns > 0 && now_ns >= exchange->deadline_ns) {
        rf_pump_cancel(exchange->server->pump, exchange->answer, true);
        exchange->deadline_ns = 0;
    }
    pthread_mutex_unlock(&exchange->lock);
}

void rf_exchange_ping(rf_exchange *exchange, uint64_t now_ns, uint64_t silent_ns) {
    pthread_mutex_lock(&exchange->lock);
    bool silent = exchange->answer && exchange->streams && !exchange->ended && silent_ns > 0 &&
                  now_ns - exchange->wrote_ns >= silent_ns;
    pthread_mutex_unlock(&exchange->lock);
    if (silent)
        (void)rf_exchange_stream(exchange,
                                 rf_route_is_anthropic(exchange->route)
                                     ? RF_STR("event: ping\ndata: {\"type\":\"ping\"}\n\n")
                                     : RF_STR(": ping\n\n"),
                                 true);
}

void rf_exchange_count(rf_exchange *exchange) {
    pthread_mutex_lock(&exchange->lock);
    exchange->counted = true;
    (void)atomic_fetch_add(&exchange->server->n_running, 1);
    pthread_mutex_unlock(&exchange->lock);
}

void rf_exchange_uncount(rf_exchange *exchange) {
    pthread_mutex_lock(&exchange->lock);
    if (exchange->counted)
        (void)atomic_fetch_sub(&exchange->server->n_running, 1);
    exchange->counted = false;
    pthread_mutex_unlock(&exchange->lock);
}
