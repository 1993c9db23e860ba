/* What a server is made of. Only the server's own files include it. */
#ifndef RF_SERVER_SERVER_STATE_H
#define RF_SERVER_SERVER_STATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "chat/call_syntax.h"
#include "server/listen_address.h"
#include "server/metrics.h"
#include "server/server.h"

struct rf_server {
    rf_server_options options;
    rf_listener listeners[RF_SERVER_MAX_LISTEN];
    size_t n_listeners;
    struct rf_loop *loop;
    struct rf_pump *pump;
    struct rf_workers *workers;
    rf_metrics metrics;
    atomic_uint n_running;   /* exchanges that a worker or the engine has */
    atomic_uint n_open;      /* exchanges from their head to their last byte */
    atomic_uint n_in_engine; /* prompts */
    atomic_uint n_connections;
    atomic_bool draining, hung;
    uint64_t n_steps_seen, progress_ns; /* the loop's: when the engine's steps were counted last */
    /* How the model writes calls and reasoning, by its chat template; control tokens that this
     * needs, as bits: for both, for reasoning alone (owned). */
    const rf_call_syntax *syntax;
    const rf_reasoning_syntax *reasoning;
    bool template_has_tools; /* it writes tools and calls itself */
    uint32_t *shown_calls, *shown_reasoning;
    pthread_mutex_t keys_lock;
    const rf_api_keys *keys; /* behind it */
    int64_t started_s;       /* since 1970 */
    char fingerprint[32];
};

/* Looks whether the engine goes on; now and then, on the loop's thread. */
void rf_server_watch(struct rf_server *server, uint64_t now_ns);

/* A name of its own for a request, a call or an answer: prefix and 24 hexadecimal digits. */
void rf_server_make_id(const char *prefix, char *out, size_t n);

#endif
