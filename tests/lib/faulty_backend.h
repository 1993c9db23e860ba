/*
 * A backend that passes everything on to another one, but fails its n-th call or spoils a row of
 * logits. Test code; the engine's thread.
 */
#ifndef RF_TESTS_FAULTY_BACKEND_H
#define RF_TESTS_FAULTY_BACKEND_H

#include "op/backend.h"

typedef struct faulty_backend {
    rf_backend base;
    rf_backend *inner; /* owned */
    uint32_t n_vocab;
    uint64_t n_calls;     /* of run, kv_copy, kv_read and kv_write */
    uint64_t fail_at;     /* call that fails, from 1; 0: none */
    int32_t spoils_token; /* rows that feed this token get NaN logits; -1: none */
} faulty_backend;

/* *faulty is the caller's memory and must outlive the backend; destroy destroys inner alone. */
void faulty_backend_init(faulty_backend *faulty, rf_backend *inner, uint32_t n_vocab);

#endif
