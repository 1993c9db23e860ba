/*
 * Where keys and values of one attention layer lie. A block of the pool holds block_tokens
 * positions: for each head of k and v, first its keys, dimension by dimension ([head_dim] runs of
 * block_tokens, so that a kernel reads several positions at once), then its values, position by
 * position ([block_tokens] runs of head_dim_v). Q8_0 stores bytes in that order and after them one
 * half-precision scale for each 32 dimensions of a position: k [head_dim / 32][block_tokens],
 * v [block_tokens][head_dim_v / 32].
 */
#ifndef RF_CPU_KV_LAYOUT_H
#define RF_CPU_KV_LAYOUT_H

#include "op/backend.h"

enum { RF_KV_Q8_GROUP = 32 };

typedef struct rf_kv_layout {
    rf_kv_type type_k, type_v;
    uint32_t n_head_kv, head_dim, head_dim_v, block_tokens;
    size_t v_offset;    /* of the values within a head */
    size_t head_bytes;  /* multiple of 64 */
    size_t block_bytes; /* n_head_kv * head_bytes */
} rf_kv_layout;

/* Fails when a type cannot hold heads of that size. */
RF_NODISCARD rf_status rf_kv_layout_init(rf_kv_layout *layout, const rf_kv_layer *layer,
                                         const rf_limits *limits, rf_error *err);

/* Zeros in a block's positions from n_tokens on. */
void rf_kv_layout_clear(const rf_kv_layout *layout, uint8_t *block, uint32_t n_tokens);

#endif
