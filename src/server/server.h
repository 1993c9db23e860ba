/*
 * The HTTP server: an engine's requests as OpenAI's API. One loop thread owns all connections, one
 * thread takes the engine's events, a few workers read bodies, render and tokenise. The functions
 * here belong to the thread that created the server.
 */
#ifndef RF_SERVER_SERVER_H
#define RF_SERVER_SERVER_H

#include "chat/template.h"
#include "engine/engine.h"
#include "server/api_keys.h"
#include "tokenizer/tokenizer.h"

typedef struct rf_server rf_server;

enum { RF_SERVER_MAX_LISTEN = 8 };

/* Everything is borrowed until rf_server_destroy; the server is the engine's only client. */
typedef struct rf_server_options {
    const char *const *listen; /* "127.0.0.1:8080", "[::1]:0", "unix:/run/x.sock" */
    size_t n_listen;
    const rf_api_keys *keys;        /* until others are set; none: every request is let in */
    bool insecure;                  /* other addresses than loopback need no key */
    const char *tls_key, *tls_cert; /* PEM; or both NULL: addresses speak plain HTTP */
    /* Pages from there may ask from a browser: "https://app.example.org", or "*" for all. */
    const char *const *origins;
    size_t n_origins;
    const char *model_name; /* what answers and /v1/models call the model */
    rf_engine *engine;
    const rf_tokenizer *tokenizer;
    const rf_template *chat_template; /* or NULL */
    rf_sample_params sampling;        /* defaults of requests */
    uint32_t n_embd, max_seqs;        /* of the model; sequences that run at once */
    rf_pooling pooling;               /* of embeddings */
    const char *build_info;           /* the program and its version */
    int64_t n_predict;                /* most new tokens where a request names none; -1: any */
    uint32_t n_ctx;
    uint32_t max_running; /* requests in work; more are answered 429 */
    size_t max_body_bytes, max_output_bytes;
    uint32_t max_connections;
    uint32_t n_workers;
    uint32_t ping_s, timeout_s;
    uint32_t hang_s; /* a step that takes longer counts as hung */
    /* A line of JSON for each request that has ended, on the loop's thread; or NULL. Never what was
     * asked or answered, nor a key. */
    void (*on_request)(void *user, const char *json);
    void *user;
} rf_server_options;

/* Binds the addresses and starts the threads. RF_ERR_USAGE for an address that is not to be
 * opened without keys. */
RF_NODISCARD rf_status rf_server_create(const rf_server_options *options, rf_server **out,
                                        rf_error *err);
/* "http://127.0.0.1:8080", with the port that the system chose for 0. Valid until destroy. */
const char *rf_server_address(const rf_server *server, size_t i);

/* From now on these are the keys; those before are not looked at any more. Borrowed until the next
 * call or destroy. */
void rf_server_set_keys(rf_server *server, const rf_api_keys *keys);

/* Requests are in the engine and no step has ended for longer than hang_s. Any thread. */
bool rf_server_is_hung(const rf_server *server);

/* Takes no more connections and requests; what is in work goes on. */
void rf_server_drain(rf_server *server);
uint32_t rf_server_n_open(const rf_server *server); /* requests that are in work or being sent */
/* Ends what is left and joins the threads. NULL is a no-op. */
void rf_server_destroy(rf_server *server);

#endif
