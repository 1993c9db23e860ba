/* Endpoints that describe the server: its API, its defaults, what it works on. */
#include "chat/messages.h"
#include "server/form_native.h"
#include "server/openapi.h"
#include "server/pump.h"
#include "server/routes.h"
#include "server/server_state.h"

enum { BODY_BYTES = 16 << 20, TASKS_MAX = 4096 };

static void reply(rf_exchange *exchange, rf_buf *body) {
    rf_exchange_reply(exchange, "application/json", body);
    rf_buf_deinit(body);
}

void rf_ep_openapi(rf_exchange *exchange) {
    rf_buf body;
    rf_buf_init(&body, BODY_BYTES);
    rf_openapi_write(&body);
    reply(exchange, &body);
}

void rf_ep_props(rf_exchange *exchange) {
    const rf_server_options *options = &exchange->server->options;
    rf_buf body;
    rf_buf_init(&body, BODY_BYTES);
    rf_buf_printf(&body, "{\"default_generation_settings\":{\"id\":0,\"n_ctx\":%u,\"params\":{",
                  options->n_ctx);
    rf_native_samplers_write(&options->sampling, &body);
    rf_buf_printf(&body,
                  ",\"n_predict\":%lld}},\"total_slots\":%u,\"n_ctx\":%u,\"n_embd\":%u,"
                  "\"model_alias\":",
                  (long long)options->n_predict, options->max_seqs, options->n_ctx,
                  options->n_embd);
    rf_json_append_string(&body, rf_str_of(options->model_name));
    rf_buf_text(&body, ",\"model_path\":"); /* paths of the machine are nobody's business */
    rf_json_append_string(&body, rf_str_of(options->model_name));
    rf_buf_text(&body, ",\"chat_template\":");
    rf_json_append_string(&body, options->chat_template ? rf_template_source(options->chat_template)
                                                        : (rf_str){"", 0});
    rf_buf_text(&body, ",\"modalities\":{\"vision\":false,\"audio\":false},\"build_info\":");
    rf_json_append_string(&body, rf_str_of(options->build_info));
    rf_buf_put(&body, '}');
    reply(exchange, &body);
}

/* As many places as sequences run at once; requests beyond them wait. */
void rf_ep_slots(rf_exchange *exchange) {
    const rf_server_options *options = &exchange->server->options;
    static _Thread_local rf_pump_task tasks[TASKS_MAX];
    size_t n_tasks = rf_pump_list(exchange->server->pump, tasks, TASKS_MAX);
    rf_buf body;
    rf_buf_init(&body, BODY_BYTES);
    rf_buf_put(&body, '[');
    for (size_t i = 0; i < options->max_seqs || i < n_tasks; i++) {
        bool busy = i < n_tasks;
        rf_buf_printf(&body,
                      "%s{\"id\":%zu,\"id_task\":%lld,\"n_ctx\":%u,\"speculative\":false,"
                      "\"is_processing\":%s",
                      i > 0 ? "," : "", i, busy ? (long long)tasks[i].id : -1LL, options->n_ctx,
                      busy ? "true" : "false");
        if (busy)
            rf_buf_printf(&body, ",\"request_id\":\"%s\",\"n_prompt_tokens\":%zu",
                          tasks[i].request_id, tasks[i].n_tokens);
        rf_buf_put(&body, '}');
    }
    rf_buf_put(&body, ']');
    reply(exchange, &body);
}
