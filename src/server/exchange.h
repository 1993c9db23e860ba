/*
 * One request and its answer. Created by the loop, which alone touches the connection; a worker or
 * the pump writes the answer; whoever holds a reference may read what the request was. The answer
 * is one whole body, or a stream of events whose buffer is bounded: a reader that is too slow
 * loses its request, never the server's memory.
 */
#ifndef RF_SERVER_EXCHANGE_H
#define RF_SERVER_EXCHANGE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "server/api_keys.h"
#include "server/refusal.h"

enum { RF_REQUEST_ID_BYTES = 72, RF_TAIL_BYTES = 200 };

typedef enum rf_exchange_phase {
    RF_EXCHANGE_WORKING, /* nothing to send yet */
    RF_EXCHANGE_WHOLE,   /* out is the whole body */
    RF_EXCHANGE_STREAM   /* out is what was not sent yet */
} rf_exchange_phase;

/* What the engine did for a request, for its line in the log. */
typedef struct rf_account {
    uint64_t n_prompt, n_cached, n_generated; /* tokens */
    uint64_t queue_ns, ttft_ns;
    const char *finish; /* of the first choice; NULL: the engine had no part in it */
} rf_account;

enum { RF_TRACE_BYTES = 56, RF_CLIENT_BYTES = 64 };

typedef struct rf_exchange {
    atomic_uint refs;
    struct rf_server *server;
    /* The request: the loop's until it is handed on, then read alone. */
    const struct rf_route *route; /* NULL: refused before one was found */
    char id[RF_REQUEST_ID_BYTES], tail[RF_TAIL_BYTES];
    rf_buf body;
    char key_name[RF_API_KEY_NAME_BYTES]; /* of the key that it showed, or "" */
    uint64_t begun_ns;                    /* its head was there */
    char traceparent[RF_TRACE_BYTES];     /* W3C's, valid, or "" */
    char client[RF_CLIENT_BYTES];         /* address and port */
    rf_refusal refusal;                   /* why its head or body is refused */
    /* The loop's. */
    struct rf_connection *connection; /* NULL: gone */
    bool handed_on, suspended;
    bool crosses;                /* a page of another site asks */
    bool is_preflight;           /* its browser asks whether it may */
    uint64_t n_received, n_sent; /* bytes of bodies */
    const char *allow;           /* of 405 */
    /* Behind lock. */
    pthread_mutex_t lock;
    rf_exchange_phase phase;
    int status;
    const char *content_type; /* static; NULL: there is no body */
    uint32_t retry_after_s;
    bool closes, ended, broken; /* broken: nobody reads the answer any more */
    bool streams;               /* the answer is to be one, if it is no error */
    bool counted;               /* in server->n_running */
    rf_account account;
    rf_buf out;
    size_t out_at; /* what was sent of out */
    uint64_t wrote_ns, deadline_ns;
    struct rf_answer *answer; /* in the engine; NULL when not, or no more */
    /* Behind the loop's lock. */
    bool is_dirty;
    struct rf_exchange *next_dirty;
    struct rf_exchange *next_news; /* the loop's */
    struct rf_exchange *next_work; /* the workers' */
} rf_exchange;

rf_exchange *rf_exchange_create(struct rf_server *server); /* NULL: out of memory */
rf_exchange *rf_exchange_ref(rf_exchange *exchange);
void rf_exchange_unref(rf_exchange *exchange);

/* The whole answer. body is taken over, and empty afterwards. */
void rf_exchange_reply(rf_exchange *exchange, const char *content_type, rf_buf *body);
/* An error: as the whole answer, or as the last event of a stream that has begun. */
void rf_exchange_refuse(rf_exchange *exchange, const rf_refusal *refusal);
/* Sends more of a stream; begins it. False: nobody takes it any more. wakes: the loop hears of it
 * at once, else with rf_loop_wake. */
bool rf_exchange_stream(rf_exchange *exchange, rf_str bytes, bool wakes);
void rf_exchange_end(rf_exchange *exchange); /* of a stream */

/* The engine works for it from now on. False: nobody waits for it any more. */
bool rf_exchange_attach(rf_exchange *exchange, struct rf_answer *answer, bool streams,
                        uint64_t deadline_ns);
void rf_exchange_detach(rf_exchange *exchange);
/* The client has left, or time is up: the engine's work ends. */
void rf_exchange_abandon(rf_exchange *exchange);
void rf_exchange_time_out(rf_exchange *exchange, uint64_t now_ns);
/* A stream that was silent for so long gets a comment, so that nobody in between cuts it off. */
void rf_exchange_ping(rf_exchange *exchange, uint64_t now_ns, uint64_t silent_ns);
/* It counts as running until its answer has ended, or the client has left. */
void rf_exchange_count(rf_exchange *exchange);
void rf_exchange_uncount(rf_exchange *exchange);

#endif
