/*
 * A golden model with the logits that an independent implementation expects of it, and engines for
 * it on any backend. Test code: failures are messages on standard error and false. One thread.
 */
#ifndef RF_TESTS_GOLDEN_MODEL_H
#define RF_TESTS_GOLDEN_MODEL_H

#include "base/rng.h"
#include "model/model.h"
#include "tests/lib/row_engine.h"

enum { GOLDEN_CTX = 64 };

typedef struct golden_model {
    rf_gguf *gguf, *expected; /* owned */
    rf_model *model;          /* owned */
    int32_t *tokens;          /* owned */
    float *logits;            /* [n_tokens][n_vocab], owned */
    uint32_t n_tokens, n_vocab;
} golden_model;

/* tests/golden/FOLDER/NAME.gguf and NAME.expected.gguf. */
bool golden_model_open(golden_model *golden, const char *folder, const char *name);
/* The same of a file that is open (owned from now on, on failure too) for sequences of n_ctx. */
bool golden_model_bind(golden_model *golden, rf_gguf *gguf, uint32_t n_ctx, const char *expected);
void golden_model_close(golden_model *golden);

/* An engine with room for n_ctx tokens in each of n_seqs sequences; steps of batch_tokens, 0: of
 * everything. */
bool golden_engine_open(row_engine *engine, const golden_model *golden, const rf_cpu_options *cpu,
                        rf_kv_type kv_type, uint32_t n_seqs, uint32_t batch_tokens);
/* Logits of every row (caller frees), the tokens fed in pieces of at most `largest`, their sizes
 * drawn from rng when there is one; a salt of its own each time. NULL: a step failed. */
float *golden_run(const golden_model *golden, row_engine *engine, uint32_t largest, rf_rng *rng);

/* sqrt(mean((got - want)^2) / var(want)) over n numbers; infinite when got holds NaN. */
double golden_rel(const float *got, const float *want, size_t n);
/* Index of the largest number, the lowest of equals. */
uint32_t golden_best(const float *row, uint32_t n);
/* Rows of n_vocab whose best token differs. */
uint32_t golden_n_best_differ(const float *got, const float *want, uint32_t n_rows,
                              uint32_t n_vocab);

#endif
