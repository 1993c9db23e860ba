/*
 * A backend without a model: logits are a hash of the sequence's tokens, so that answers are the
 * same whatever shares the batch. The cache holds one running hash a position, in the blocks that
 * the engine names: a wrong block table shows as a wrong answer. Engine and server are tested and
 * timed on it. See op/backend.h for life cycle and threads.
 */
#ifndef RF_NULL_BACKEND_NULL_H
#define RF_NULL_BACKEND_NULL_H

#include "op/backend.h"

typedef struct rf_null_options {
    uint64_t step_ns;    /* how long a step lasts, */
    uint64_t row_ns;     /* and each of its rows more */
    uint64_t fail_every; /* so many steps one fails; 0: none does */
} rf_null_options;

/* *out is owned by the caller; out->api->destroy frees it. */
RF_NODISCARD rf_status rf_null_backend_create(const rf_null_options *options, rf_backend **out,
                                              rf_error *err);

/* The program of no ops that goes with it; it borrows nothing. */
rf_program rf_null_program(uint32_t n_vocab, uint32_t n_ctx);

#endif
