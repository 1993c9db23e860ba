/*
 * What goes through the engine's two rings: fixed layouts, no pointers. Offsets are into the region
 * that both sides see; a request's span stays the engine's until its last notice.
 */
#ifndef RF_ENGINE_RING_MESSAGES_H
#define RF_ENGINE_RING_MESSAGES_H

#include <stdint.h>

#include "engine/request.h"

typedef enum rf_order_kind { RF_ORDER_SUBMIT, RF_ORDER_CANCEL, RF_ORDER_SHUTDOWN } rf_order_kind;

/* To the engine. All but kind and id belong to SUBMIT; SHUTDOWN has neither. */
typedef struct rf_order {
    rf_order_kind kind;
    uint64_t id;
    rf_request_kind request;
    uint32_t n_tokens, n_new, n_choices, n_stop, rows_from, n_top;
    int32_t priority;
    uint64_t salt;
    uint32_t keeps_private, pooling, normalise;
    uint32_t draft, n_draft_max;
    /* In the region: the prompt, tokens that end a choice, biases, breakers ({n, tokens…} each),
     * the constraint's automaton, and room for results. */
    uint64_t tokens_at, stop_at, biases_at, breakers_at, constraint_at, result_at;
    uint32_t n_biases, n_breakers, n_constraint_bytes;
    /* EXPORT: room behind an rf_kv_result at result_at; IMPORT: the contents lie at result_at. */
    rf_kv_span kv;
    uint64_t kv_bytes;
    rf_sample_params params; /* its lists are NULL: they lie in the region */
} rf_order;

/* What EXPORT writes, the contents right behind it. */
typedef struct rf_kv_result {
    rf_kv_span kv;
    uint64_t n_bytes;
} rf_kv_result;

typedef enum rf_notice_kind {
    RF_NOTICE_TOKEN,
    RF_NOTICE_MORE,  /* further alternatives to the token before */
    RF_NOTICE_FINISH /* a choice, or the whole request, has ended */
} rf_notice_kind;

enum { RF_NOTICE_TOPS = 26, RF_NOTICE_TEXT_BYTES = RF_NOTICE_TOPS * 8 };

/* From the engine: 256 bytes. */
typedef struct rf_notice {
    uint64_t id;
    uint16_t kind, finish, status;
    uint16_t last; /* of the request: its span goes back to the client */
    uint32_t choice;
    int32_t token;
    float logprob;
    uint32_t n_top; /* TOKEN: in all; MORE: in this one */
    uint32_t n_cached, n_generated, n_drafted, n_accepted;
    union {
        rf_token_logprob top[RF_NOTICE_TOPS];
        char text[RF_NOTICE_TEXT_BYTES]; /* of an error, NUL-terminated */
        uint64_t began_ns;               /* FINISH with RF_OK: see rf_event */
    } u;
} rf_notice;

_Static_assert(sizeof(rf_notice) <= 256, "a notice is four cache lines");

#endif
