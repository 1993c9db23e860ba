/*
 * The inner functions of all ops but matrix products, one slot each, and the variants that fill
 * the slots: plain C in cpu/ref, AVX2 and AVX-512 beside it. They are chosen once, at bind, from
 * cpu/kernels.def. Pure functions of their arguments; any thread. Rows never influence each other.
 */
#ifndef RF_CPU_KERNELS_H
#define RF_CPU_KERNELS_H

#include <math.h>
#include <stddef.h>

#include "cpu/kv_layout.h"

/* out[n_cols] = or += norm(in) * weight + bias. in may equal out when add is false. */
typedef struct rf_norm_args {
    const float *weight; /* [n_cols] or NULL */
    const float *bias;   /* [n_cols] or NULL */
    rf_norm_kind kind;
    float eps;
    uint32_t n_cols;
    bool add;
} rf_norm_args;
typedef void (*rf_norm_fn)(const rf_norm_args *args, const float *in, float *out);

/* out[i] = act(gate[i]) * up[i]. out may equal gate or up. */
typedef void (*rf_act_fn)(rf_activation act, const float *gate, const float *up, uint32_t n,
                          float *out);

/* The end of a matrix product, n_rows rows of n_cols: out = or += cap((in + bias) * scale) * gate.
 * twice: in has two rows for each of out, which are added first. */
typedef struct rf_finish_args {
    const float *bias; /* [n_cols] or NULL */
    float scale;
    float soft_cap; /* 0 = none */
    float gate;     /* 1 = none */
    bool add, twice;
    uint32_t n_rows, n_cols;
    size_t out_stride; /* floats; rows of in follow each other */
} rf_finish_args;
typedef void (*rf_finish_fn)(const rf_finish_args *args, const float *in, float *out);

/* One head: RMS norm (if norm is set), then rotation of its first n_dims. out may equal in. */
typedef struct rf_rope_args {
    const float *norm; /* [head_dim] or NULL */
    float eps;
    rf_rope_kind kind;
    uint32_t head_dim, n_dims;
    const float *cos, *sin; /* [n_dims / 2] at the row's position, magnitude included */
} rf_rope_args;
typedef void (*rf_rope_fn)(const rf_rope_args *args, const float *in, float *out);

/* Writes k [head_dim] and v [head_dim_v] of one position into slot of a block; head: the block's
 * bytes of this head. */
typedef void (*rf_kv_store_fn)(const rf_kv_layout *layout, const float *k, const float *v,
                               uint32_t slot, uint8_t *head);

/* Columns of a row of acc: vectors are whole, what is beyond head_dim_v is 0. */
static inline uint32_t rf_kv_padded(uint32_t head_dim_v) { return (head_dim_v + 15) / 16 * 16; }
/*
 * Flash attention (Dao, "FlashAttention-2", 2023): queries of one head of k and v against positions
 * begin … end-1. Query i sees positions p with first[i] <= p < last[i], both rising with i. Written
 * for each query: the largest logit (-infinity if it sees none), the sum of 2^(logit - max), and
 * the values weighted by 2^(logit - max). Logits are in units of ln 2: scales and caps bring a
 * factor of log2 e.
 *
 * Positions are summed in spans of RF_ATTENTION_SPAN absolute positions, each relative to its own
 * largest logit, and added up in rising order by rf_attention_add: whoever runs single spans
 * and adds them up himself gets the same bits.
 */
enum {
    RF_ATTENTION_QUERIES = 64,
    RF_ATTENTION_SPAN = 256,  /* a multiple of every block */
    RF_ATTENTION_ROWS = 12,   /* most queries of one product */
    RF_ATTENTION_STRIDE = 272 /* floats between their logits: rows start in different cache sets */
};
typedef struct rf_attention_tile {
    const rf_kv_layout *layout;
    const uint8_t *slab;  /* this head of block 0 */
    const int32_t *table; /* blocks of the sequence */
    uint32_t begin, end;
    uint32_t ahead;               /* positions end … ahead-1 come next: worth fetching */
    uint32_t n_queries;           /* <= RF_ATTENTION_QUERIES */
    const float *q;               /* [n_queries][head_dim], scaled */
    const uint32_t *first, *last; /* [n_queries] */
    float soft_cap;               /* 0 = none */
    float *scratch;               /* rf_attention_scratch floats */
    float *max, *sum;             /* [n_queries] */
    float *acc;                   /* [n_queries][rf_kv_padded(head_dim_v)] */
} rf_attention_tile;
typedef void (*rf_attention_fn)(const rf_attention_tile *tile);
/* Queries, the logits of some of them against a span, the span's decoded k and v. */
size_t rf_attention_scratch(const rf_kv_layout *layout);
/* Adds a span to a query's state: acc = acc * keep + span's acc * take. */
typedef struct rf_attention_factors {
    float keep, take;
} rf_attention_factors;
static inline rf_attention_factors rf_attention_add(float *max, float *sum, float span_max,
                                                    float span_sum) {
    rf_attention_factors f = {1.0f, 0.0f}; /* the query sees nothing of the span */
    if (span_max == -INFINITY)
        return f;
    f.take = 1.0f;
    if (span_max > *max) {
        f.keep = exp2f(*max - span_max);
        *max = span_max;
    } else {
        f.take = exp2f(span_max - *max);
    }
    *sum = *sum * f.keep + span_sum * f.take;
    return f;
}

#define RF_KERNEL_SLOTS(X) X(norm) X(act) X(finish) X(rope) X(kv_store) X(attention)

typedef struct rf_kernels {
#define X(slot) rf_##slot##_fn slot;
    RF_KERNEL_SLOTS(X)
#undef X
} rf_kernels;

/* The best kernel of each slot whose needs are in features. */
void rf_kernels_choose(uint32_t features, rf_kernels *out);

typedef struct rf_kernel_row {
    const char *name; /* norm_avx512 … */
    size_t slot;      /* offset in rf_kernels */
    uint32_t needs;
    float tolerance;
    void (*fn)(void);
} rf_kernel_row;

/* All rows, for kcheck. */
size_t rf_kernels_count(void);
const rf_kernel_row *rf_kernels_at(size_t i);

#endif
