/* Endpoints that tell how the server is. */
#include "chat/messages.h"
#include "server/routes.h"
#include "server/server_state.h"

static void reply_text(rf_exchange *exchange, const char *content_type, const char *text) {
    rf_buf body;
    rf_buf_init(&body, 4096);
    rf_buf_text(&body, text);
    rf_exchange_reply(exchange, content_type, &body);
    rf_buf_deinit(&body);
}

/* The process answers, and its engine does not hang: else whoever watches it starts another. */
void rf_ep_livez(rf_exchange *exchange) {
    const struct rf_server *server = exchange->server;
    rf_refusal refusal = {0};
    if (!rf_server_is_hung(server)) {
        reply_text(exchange, "text/plain", "ok\n");
        return;
    }
    (void)rf_refuse(&refusal, RF_REFUSE_HUNG, NULL, "the engine's step has taken longer than %u s",
                    server->options.hang_s);
    rf_exchange_refuse(exchange, &refusal);
}

/* False: the server takes no more requests, and the exchange was told. */
static bool check_ready(rf_exchange *exchange) {
    rf_refusal refusal = {.retry_after_s = 5};
    if (!atomic_load(&exchange->server->draining))
        return true;
    (void)rf_refuse(&refusal, RF_REFUSE_DRAINING, NULL, "the server is shutting down");
    rf_exchange_refuse(exchange, &refusal);
    return false;
}

/* It takes requests: the model was loaded before it listened. */
void rf_ep_readyz(rf_exchange *exchange) {
    if (check_ready(exchange))
        reply_text(exchange, "text/plain", "ok\n");
}

/* As llama-server has it. */
void rf_ep_health(rf_exchange *exchange) {
    if (check_ready(exchange))
        reply_text(exchange, "application/json", "{\"status\":\"ok\"}");
}

void rf_ep_metrics(rf_exchange *exchange) {
    rf_buf body;
    rf_buf_init(&body, 1 << 20);
    rf_metrics_write(exchange->server, &body);
    rf_exchange_reply(exchange, "text/plain; version=0.0.4", &body);
    rf_buf_deinit(&body);
}

static void write_model(const struct rf_server *server, rf_buf *out) {
    rf_buf_text(out, "{\"id\":");
    rf_json_append_string(out, rf_str_of(server->options.model_name));
    rf_buf_printf(out,
                  ",\"object\":\"model\",\"created\":%lld,\"owned_by\":\"rocmforge\","
                  "\"max_model_len\":%u}",
                  (long long)server->started_s, server->options.n_ctx);
}

void rf_ep_models(rf_exchange *exchange) {
    rf_buf body;
    rf_buf_init(&body, 1 << 16);
    rf_buf_text(&body, "{\"object\":\"list\",\"data\":[");
    write_model(exchange->server, &body);
    rf_buf_text(&body, "]}");
    rf_exchange_reply(exchange, "application/json", &body);
    rf_buf_deinit(&body);
}

void rf_ep_model(rf_exchange *exchange) {
    rf_refusal refusal = {0};
    if (strcmp(exchange->tail, exchange->server->options.model_name) != 0) {
        (void)rf_refuse(&refusal, RF_REFUSE_MODEL, "model", "the model %s does not exist",
                        exchange->tail);
        rf_exchange_refuse(exchange, &refusal);
        return;
    }
    rf_buf body;
    rf_buf_init(&body, 1 << 16);
    write_model(exchange->server, &body);
    rf_exchange_reply(exchange, "application/json", &body);
    rf_buf_deinit(&body);
}
