/*
 * A small random program that uses every op: two layers, the second with a window, a cap, sinks
 * and experts. For tests of backends and checks. One thread; valid until tiny_program_close.
 */
#ifndef RF_TESTS_TINY_PROGRAM_H
#define RF_TESTS_TINY_PROGRAM_H

#include "op/backend.h"

enum {
    TINY_EMBD = 64,
    TINY_VOCAB = 50,
    TINY_HEADS = 4,
    TINY_HEADS_KV = 2,
    TINY_DIM = 32,
    TINY_FF = 96,
    TINY_EXPERTS = 6,
    TINY_USED = 2,
    TINY_WINDOW = 20,
    TINY_BLOCK = 16,
    TINY_CONTEXT = 1200,
    TINY_BLOCKS = TINY_CONTEXT / TINY_BLOCK
};

typedef struct tiny_program {
    rf_arena arena;
    rf_program program;
    /* the arrays behind program, for tests that spoil one thing */
    rf_op *ops;
    rf_value *values;
    rf_weight *weights;
    rf_rope *ropes;
    rf_kv_layer *kv_layers;
} tiny_program;

/* Weights of seed; matrices have type qtype (F32, or Q8_0 of random blocks). False: no memory. */
bool tiny_program_open(tiny_program *tiny, uint64_t seed, rf_qtype qtype);
void tiny_program_close(tiny_program *tiny);
/* Index of the first op of a kind. */
uint32_t tiny_program_op(const tiny_program *tiny, rf_op_kind kind);

/* Limits for max_seqs <= 8 sequences of TINY_CONTEXT tokens. */
rf_limits tiny_limits(uint32_t max_seqs, rf_kv_type type);

/* One step: n_seqs sequences, sequence ids[s] gets counts[s] tokens from position starts[s] on;
 * token t of sequence i is tiny_token(i, t). Every row is an output row. Sequence i owns the
 * blocks i, i + 8, i + 16 … of each group. */
int32_t tiny_token(int32_t seq, int32_t position);
RF_NODISCARD rf_status tiny_step(rf_backend *backend, int32_t n_seqs, const int32_t *ids,
                                 const int32_t *starts, const int32_t *counts, float *logits,
                                 rf_error *err);

#endif
