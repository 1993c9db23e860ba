#include "server/server_state.h"

#include <stdio.h>
#include <time.h>

#include "base/alloc.h"
#include "base/log.h"
#include "base/map.h"
#include "base/rng.h"
#include "server/http_loop.h"
#include "server/pump.h"
#include "server/workers.h"

void rf_server_make_id(const char *prefix, char *out, size_t n) {
    static atomic_ullong n_made;
    uint32_t words[4];
    rf_philox4x32(rf_hash_random_seed(), UINT64_C(0x72657175657374), atomic_fetch_add(&n_made, 1),
                  words);
    (void)snprintf(out, n, "%s%08x%08x%08x", prefix, words[0], words[1], words[2]);
}

static rf_status open_listeners(struct rf_server *server, rf_error *err) {
    const rf_server_options *options = &server->options;
    bool remote = options->insecure || (options->keys && options->keys->n > 0);
    if (options->n_listen > RF_SERVER_MAX_LISTEN)
        return rf_fail(err, RF_ERR_USAGE, "%zu addresses to listen on, expected at most %d",
                       options->n_listen, RF_SERVER_MAX_LISTEN);
    for (size_t i = 0; i < options->n_listen; i++) {
        RF_TRY(rf_listener_open(options->listen[i], options->tls_key ? "https" : "http", remote,
                                &server->listeners[i], err));
        server->n_listeners++;
    }
    return RF_OK;
}

/* What makes answers alike: the model and its context. */
static void make_fingerprint(struct rf_server *server) {
    const char *name = server->options.model_name;
    uint64_t hash = rf_hash(name, strlen(name), server->options.n_ctx);
    (void)snprintf(server->fingerprint, sizeof server->fingerprint, "fp_%010llx",
                   (unsigned long long)(hash & UINT64_C(0xffffffffff)));
}

static uint32_t *shown_tokens(const rf_tokenizer *tokenizer, const rf_call_syntax *syntax,
                              const rf_reasoning_syntax *reasoning) {
    uint32_t n = rf_tokenizer_n_tokens(tokenizer);
    uint32_t *shown = rf_calloc((n + 31) / 32, sizeof *shown);
    for (uint32_t i = 0; shown && i < n; i++)
        if (rf_tokenizer_type(tokenizer, (int32_t)i) == RF_TOKEN_CONTROL &&
            rf_call_syntax_needs(syntax, reasoning, rf_tokenizer_text(tokenizer, (int32_t)i)))
            shown[i / 32] |= 1u << i % 32;
    return shown;
}

static rf_status learn_syntax(struct rf_server *server, rf_error *err) {
    const rf_server_options *options = &server->options;
    if (!options->chat_template)
        return RF_OK;
    rf_str source = rf_template_source(options->chat_template);
    server->syntax = rf_call_syntax_of(source);
    server->reasoning = rf_reasoning_syntax_of(source);
    server->template_has_tools = memmem(source.ptr, source.len, "tool", 4) != NULL;
    server->shown_calls = shown_tokens(options->tokenizer, server->syntax, server->reasoning);
    server->shown_reasoning = shown_tokens(options->tokenizer, NULL, server->reasoning);
    return server->shown_calls && server->shown_reasoning
               ? RF_OK
               : rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the server");
}

static rf_status start(struct rf_server *server, rf_error *err) {
    RF_TRY(learn_syntax(server, err));
    RF_TRY(open_listeners(server, err));
    RF_TRY(rf_workers_create(server->options.n_workers, &server->workers, err));
    RF_TRY(rf_pump_create(server, &server->pump, err));
    return rf_loop_create(server, &server->loop, err); /* the last: requests come from now on */
}

rf_status rf_server_create(const rf_server_options *options, rf_server **out, rf_error *err) {
    struct rf_server *server = rf_calloc(1, sizeof *server);
    if (!server)
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the server");
    if (pthread_mutex_init(&server->keys_lock, NULL) != 0) {
        rf_free(server);
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the server");
    }
    server->options = *options;
    server->keys = options->keys;
    server->started_s = (int64_t)time(NULL);
    make_fingerprint(server);
    rf_status status = start(server, err);
    if (status != RF_OK) {
        rf_server_destroy(server);
        return status;
    }
    *out = server;
    return RF_OK;
}

const char *rf_server_address(const rf_server *server, size_t i) {
    return i < server->n_listeners ? server->listeners[i].url : NULL;
}

void rf_server_set_keys(rf_server *server, const rf_api_keys *keys) {
    pthread_mutex_lock(&server->keys_lock);
    server->keys = keys;
    pthread_mutex_unlock(&server->keys_lock);
}

void rf_server_watch(struct rf_server *server, uint64_t now_ns) {
    uint64_t n_steps = rf_engine_get_counters(server->options.engine).sched.n_steps;
    bool was = atomic_load(&server->hung);
    if (n_steps != server->n_steps_seen || atomic_load(&server->n_in_engine) == 0) {
        server->n_steps_seen = n_steps;
        server->progress_ns = now_ns;
    }
    bool is = now_ns - server->progress_ns > (uint64_t)server->options.hang_s * 1000000000;
    atomic_store(&server->hung, is);
    if (is != was)
        rf_log(is ? RF_LOG_ERROR : RF_LOG_WARN, "server",
               is ? "the engine's step has taken longer than %u s" : "the engine goes on",
               server->options.hang_s);
}

bool rf_server_is_hung(const rf_server *server) { return atomic_load(&server->hung); }

void rf_server_drain(rf_server *server) {
    atomic_store(&server->draining, true);
    rf_loop_drain(server->loop);
}

uint32_t rf_server_n_open(const rf_server *server) { return atomic_load(&server->n_open); }

void rf_server_destroy(rf_server *server) {
    if (!server)
        return;
    /* Whoever writes answers ends before the loop that they are handed to. */
    rf_workers_destroy(server->workers);
    rf_pump_stop(server->pump);
    rf_loop_destroy(server->loop);
    rf_pump_destroy(server->pump);
    for (size_t i = 0; i < server->n_listeners; i++)
        rf_listener_close(&server->listeners[i]);
    rf_free(server->shown_calls);
    rf_free(server->shown_reasoning);
    (void)pthread_mutex_destroy(&server->keys_lock);
    rf_free(server);
}
