/*
 * What kernels are given: one struct each, passed by value, the same for the host's C and the
 * device's C++. Addresses are the device's. Rows are rows of the batch; strides count elements.
 */
#ifndef RF_GPU_KERNELS_ARGS_H
#define RF_GPU_KERNELS_ARGS_H

#ifdef __cplusplus
#include "gpu/kernels/compat.cuh"
#define RF_AT(type) type *
#else
#include <stdint.h>
#define RF_AT(type) uint64_t
#endif

enum {
    RF_GPU_THREADS = 256,       /* of a block */
    RF_GPU_NORM_THREADS = 1024, /* but in those that work on whole rows */
    RF_GPU_PAIR = 2,            /* rows of a weight that a wave of k_matvec takes */
    RF_GPU_MATVEC_ROWS = 8,     /* most rows of activations that it takes */
    RF_GPU_SUBGROUP = 16,       /* weights of one scale at least */
    RF_GPU_GROUP = 32,          /* activations of one scale */
    RF_GPU_PARTS = 3,           /* weights that share an input */
    RF_GPU_TILE_ROWS = 128,     /* k_matmul: rows of a weight */
    RF_GPU_TILE_SUM = 64,       /* and columns that a block holds at a time */
    RF_GPU_MAX_EXPERTS = 1024,
    RF_GPU_ROW_PAD = 256 /* columns of a row of halves are padded to a multiple of this */
};

/* Fields of blocks, each in a plane of its own (gpu_types.def): q, high bits, scales, d. Floats
 * have q alone. Block b of row r of expert e is (e * n_rows + r) * (n_cols / weights) + b. */
typedef struct rf_gpu_matrix {
    RF_AT(const void) q;
    RF_AT(const void) high;
    RF_AT(const void) scales;
    RF_AT(const void) d;
    uint32_t n_cols, n_rows;
    uint32_t qtype; /* rf_qtype */
} rf_gpu_matrix;

/* Rows of activations as 16-bit integers in two bytes, q = 256 high + low, with a scale for 32 and
 * the sum of scale * q for 16; made of floats by k_quantise or the norm. */
typedef struct rf_gpu_acts {
    RF_AT(int8_t) high;  /* [n_rows][n_cols] */
    RF_AT(int8_t) low;   /* [n_rows][n_cols] */
    RF_AT(float) scales; /* [n_rows][n_cols / 32] */
    RF_AT(float) sums;   /* [n_rows][n_cols / 16] */
} rf_gpu_acts;

/* What becomes of a product: y = (sum + bias) * scale, soft cap, * sigmoid(gate); out = or += y. */
typedef struct rf_gpu_finish {
    RF_AT(float) out;
    RF_AT(const float) gate; /* [rows], or 0 */
    uint32_t out_stride;
    uint32_t add;
    float scale, soft_cap;
} rf_gpu_finish;

typedef struct rf_gpu_matvec_args {
    rf_gpu_matrix matrix[RF_GPU_PARTS];
    RF_AT(const float) bias[RF_GPU_PARTS];
    uint32_t out_col[RF_GPU_PARTS];
    uint32_t first_block[RF_GPU_PARTS + 1]; /* of the grid, for each part */
    uint32_t n_parts, n_rows;
    uint32_t ways;         /* waves of a block that share a row: a power of two */
    RF_AT(const float) in; /* for weights of floats */
    uint32_t in_stride;
    uint32_t n_used;          /* experts of a row; 0: plain. Block y is then row * n_used + slot */
    uint32_t in_per_slot;     /* the input has a row for each slot */
    RF_AT(const float) route; /* [rows][2 n_used] */
    rf_gpu_acts acts;
    rf_gpu_finish finish;
    uint32_t activation; /* rf_activation: parts 0 and 1 are gate and up; else none */
    uint32_t gated;
} rf_gpu_matvec_args;

/* Products of many rows by matrix instructions. */
typedef struct rf_gpu_matmul_args {
    rf_gpu_matrix matrix;
    RF_AT(const float) bias;
    RF_AT(const void) in;         /* halves, [rows][in_stride], zeros behind n_cols */
    RF_AT(const float) in_scales; /* [rows]: what they are to be multiplied with */
    uint32_t in_stride, n_rows, out_col;
    rf_gpu_finish finish;
    /* Experts: rows of one are order[start[e]] … ; 0: plain */
    RF_AT(const uint32_t) order;
    RF_AT(const uint32_t) start;
    uint32_t in_divide; /* the input's row is order / this */
} rf_gpu_matmul_args;

typedef struct rf_gpu_quantise_args {
    RF_AT(const float) in;
    uint32_t n_cols, in_stride;
    rf_gpu_acts acts;   /* high 0: none */
    RF_AT(void) halves; /* or 0 */
    RF_AT(float) half_scales;
    uint32_t half_stride; /* n_cols rounded up to RF_GPU_ROW_PAD */
} rf_gpu_quantise_args;

typedef struct rf_gpu_norm_args {
    rf_gpu_quantise_args to; /* its in: the norm's output, written if not 0 */
    RF_AT(const float) in;
    RF_AT(const int32_t) rows; /* gathered rows, or 0 */
    RF_AT(const float) weight;
    RF_AT(const float) bias;
    uint32_t in_stride, layer_norm, add;
    float eps;
} rf_gpu_norm_args;

typedef struct rf_gpu_gated_args {
    RF_AT(const float) gate;
    RF_AT(const float) up;
    RF_AT(float) out;
    uint64_t n;
    uint32_t activation;
} rf_gpu_gated_args;

typedef struct rf_gpu_embed_args {
    rf_gpu_matrix table;
    RF_AT(const int32_t) tokens;
    RF_AT(float) out;
    uint32_t out_stride;
    float scale;
} rf_gpu_embed_args;

typedef struct rf_gpu_angles_args {
    RF_AT(const float) inv_freq;
    RF_AT(const int32_t) positions;
    RF_AT(float) out; /* [rows][2][n_half]: cosines, then sines, times magnitude */
    uint32_t n_half;
    float magnitude;
} rf_gpu_angles_args;

/* Where a layer's cache lies: block b, head h: at + (b * n_head_kv + h) * head_bytes: the keys of
 * block_tokens positions, then from v_offset their values; of Q8_0 and FP8 first the bytes of all
 * positions, then (Q8_0) a half for each 32 dimensions of each. */
typedef struct rf_gpu_kv {
    RF_AT(uint8_t) at;
    uint64_t head_bytes;
    uint32_t v_offset, n_head_kv, head_dim, head_dim_v;
    uint32_t block_tokens, type_k, type_v; /* rf_kv_type */
} rf_gpu_kv;

/* The batch on the device. */
typedef struct rf_gpu_batch {
    RF_AT(const int32_t) positions; /* [rows] */
    RF_AT(const int32_t) seqs;      /* [rows] */
    RF_AT(const int32_t) tables;    /* of one group: [n_seqs][table_stride] */
    uint32_t table_stride;
} rf_gpu_batch;

typedef struct rf_gpu_rope_args {
    RF_AT(float) qkv;
    uint32_t qkv_stride, n_head;
    RF_AT(const float) q_norm;
    RF_AT(const float) k_norm;
    float eps;
    uint32_t kind, n_dims; /* rf_rope_kind */
    RF_AT(const float) angles;
    rf_gpu_kv kv;
    rf_gpu_batch batch;
} rf_gpu_rope_args;

typedef struct rf_gpu_attention_args {
    RF_AT(const float) qkv;
    RF_AT(float) out;
    RF_AT(const float) sinks;
    RF_AT(float) partial; /* [rows][n_head][n_splits][head_dim_v + 2] */
    uint32_t qkv_stride, out_stride, n_head;
    uint32_t window, n_splits;
    float scale, soft_cap;
    rf_gpu_kv kv;
    rf_gpu_batch batch;
} rf_gpu_attention_args;

typedef struct rf_gpu_moe_args {
    RF_AT(const float) logits; /* [rows][n_expert] */
    RF_AT(const float) bias;
    RF_AT(float) route;       /* [rows][2 n_used] */
    RF_AT(uint32_t) order;    /* [rows * n_used], by expert */
    RF_AT(uint32_t) start;    /* [n_expert + 1] */
    RF_AT(const float) slots; /* [rows * n_used][n_cols] */
    RF_AT(float) out;
    uint32_t n_rows, n_expert, n_used, sigmoid, normalise, n_cols, add;
    float scale;
} rf_gpu_moe_args;

typedef struct rf_gpu_repack_args {
    RF_AT(const uint8_t) from; /* blocks as the file has them */
    RF_AT(uint8_t) plane[4];
    uint64_t first_block, n_blocks;
    uint32_t block_bytes, grain; /* bytes that move together */
    uint32_t at[4], bytes[4];    /* of each plane's field in a block */
} rf_gpu_repack_args;

#endif
