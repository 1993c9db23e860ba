/*
 * The compute ABI: what an architecture file emits and a backend runs. A program is a flat list of
 * ops over weights (tensors of the file) and values (activations, F32, one row a token). It is
 * immutable once built; the batch (op/batch.h) is the data that one run reads, so one program
 * serves every batch. Differences between architectures are fields here, never names.
 */
#ifndef RF_OP_PROGRAM_H
#define RF_OP_PROGRAM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/arena.h"
#include "quant/quant.h"

typedef int32_t rf_value_id;  /* index into rf_program.values, or RF_NONE */
typedef int32_t rf_weight_id; /* index into rf_program.weights, or RF_NONE */
enum { RF_NONE = -1 };

/* A matrix (or vector: n_rows 1; or stack of n_experts matrices) as the file stores it. Row r of
 * expert e starts at data + (e * expert_stride_rows + r) * row_bytes. */
typedef struct rf_weight {
    rf_str name; /* GGUF name, for messages; borrowed from the file */
    rf_qtype qtype;
    uint64_t n_cols;    /* ne[0]: what is summed over */
    uint64_t n_rows;    /* outputs */
    uint64_t n_experts; /* 1 for a plain matrix */
    uint64_t row_bytes;
    uint64_t expert_stride_rows; /* >= n_rows when this is a view of some rows of a fused tensor */
    const uint8_t *data;         /* borrowed: the mapping; may be unaligned */
} rf_weight;

typedef enum rf_row_kind {
    RF_ROWS_TOKENS, /* one row a token of the batch */
    RF_ROWS_OUTPUT  /* one row for each entry of batch.output_rows */
} rf_row_kind;

typedef struct rf_value {
    const char *name; /* "x", "h", "qkv" … */
    uint32_t n_cols;  /* floats in a row */
    rf_row_kind rows;
} rf_value;

typedef enum rf_norm_kind { RF_NORM_RMS, RF_NORM_LAYER } rf_norm_kind;
typedef enum rf_activation {
    RF_ACT_SILU,
    RF_ACT_GELU_TANH,
    RF_ACT_GELU_ERF,
    RF_ACT_RELU
} rf_activation;
typedef enum rf_rope_kind {
    RF_ROPE_NONE,
    RF_ROPE_NORM, /* pairs (2i, 2i+1) */
    RF_ROPE_NEOX  /* pairs (i, i + n_dims/2) */
} rf_rope_kind;

/* Every scaling (linear, YaRN, Llama 3, LongRoPE) is resolved into inv_freq and magnitude when the
 * program is built: angle of pair i at position p is p * inv_freq[i]; cos and sin are multiplied
 * by magnitude. */
typedef struct rf_rope {
    rf_rope_kind kind;
    uint32_t n_dims; /* rotated leading dimensions of a head, even, <= head_dim */
    float magnitude;
    const float *inv_freq; /* [n_dims / 2], owned by the program's arena */
} rf_rope;

typedef struct rf_op_embed {
    rf_value_id out;
    rf_weight_id table; /* [n_vocab][n_embd] */
    float scale;
} rf_op_embed;

typedef struct rf_op_norm {
    rf_value_id in, out; /* in TOKENS and out OUTPUT rows: gathers batch.output_rows */
    rf_weight_id weight; /* [n_cols], RF_NONE = 1 */
    rf_weight_id bias;   /* or RF_NONE */
    rf_norm_kind kind;
    float eps;
    bool add; /* out += instead of out = */
} rf_op_norm;

enum { RF_MATMUL_MAX_PARTS = 3 };

typedef struct rf_op_matmul {
    rf_value_id in, out;
    uint32_t n_parts; /* weights that share in, side by side in out */
    rf_weight_id weight[RF_MATMUL_MAX_PARTS];
    rf_weight_id bias[RF_MATMUL_MAX_PARTS]; /* [n_rows of the part], or RF_NONE */
    uint32_t out_col[RF_MATMUL_MAX_PARTS];  /* first column of the part in out */
    bool add;                               /* out += */
    rf_value_id
        row_gate;   /* [1 col] or RF_NONE: the result row is multiplied by sigmoid(row_gate) */
    float scale;    /* multiplies the result (after bias) */
    float soft_cap; /* 0 = none; else cap * tanh(result / cap) */
} rf_op_matmul;

/* qkv row: n_head * head_dim of q, then n_head_kv * head_dim of k, then n_head_kv * head_dim_v of
 * v. Rotates q in place; normalises and rotates k; stores k and v of every row into kv_layer. */
typedef struct rf_op_rope_store {
    rf_value_id qkv;
    uint32_t kv_layer; /* index into rf_program.kv_layers */
    uint32_t n_head;
    rf_weight_id q_norm, k_norm; /* [head_dim] RMS norm of each head before RoPE, or RF_NONE */
    float norm_eps;
    uint32_t rope; /* index into rf_program.ropes */
} rf_op_rope_store;

typedef struct rf_op_attention {
    rf_value_id qkv, out; /* out row: n_head * head_dim_v */
    uint32_t kv_layer;
    uint32_t n_head;
    float scale;        /* multiplies q . k */
    float soft_cap;     /* 0 = none; cap * tanh(score / cap) */
    uint32_t window;    /* 0 = all; else a row at position p sees positions > p - window */
    rf_weight_id sinks; /* [n_head]: a further logit in each head's softmax, or RF_NONE */
} rf_op_attention;

typedef struct rf_op_gated_matmul {
    rf_value_id in, out;
    rf_weight_id gate, up;
    rf_weight_id gate_bias, up_bias; /* [n_ff], or RF_NONE */
    rf_activation act;
} rf_op_gated_matmul;

typedef enum rf_moe_gating { RF_MOE_SOFTMAX, RF_MOE_SIGMOID } rf_moe_gating;

/* route row: n_used pairs; column 2j holds the expert's index as a float, 2j+1 its weight. Ties go
 * to the lowest expert. */
typedef struct rf_op_moe_route {
    rf_value_id in, out;
    rf_weight_id weight; /* [n_expert][n_embd] */
    rf_weight_id bias;   /* [n_expert]: added for the choice alone, or RF_NONE */
    uint32_t n_used;
    rf_moe_gating gating;
    bool normalise; /* the chosen weights are divided by their sum */
    float scale;    /* multiplies the weights */
} rf_op_moe_route;

typedef struct rf_op_moe_gated_matmul {
    rf_value_id in, route, out; /* out row: n_used * n_ff, in the order of route */
    rf_weight_id gate, up;      /* [n_expert] of [n_ff][n_embd] */
    uint32_t n_used;
    rf_activation act;
} rf_op_moe_gated_matmul;

typedef struct rf_op_moe_matmul {
    rf_value_id in, route, out; /* out += (TOKENS rows, n_embd) */
    rf_weight_id down;          /* [n_expert] of [n_embd][n_ff] */
    uint32_t n_used;
    bool add;
} rf_op_moe_matmul;

typedef enum rf_op_kind {
#define X(id, name, what) RF_OP_##id,
#include "op/ops.def"
#undef X
    RF_OP_COUNT
} rf_op_kind;

typedef struct rf_op {
    rf_op_kind kind;
    int32_t layer; /* -1 before and after the layers; for messages and traces */
    union {
#define X(id, name, what) rf_op_##name name;
#include "op/ops.def"
#undef X
    } u;
} rf_op;

/* What one attention layer keeps for each token. */
typedef struct rf_kv_layer {
    uint32_t n_head_kv;
    uint32_t head_dim;   /* of k (and q) */
    uint32_t head_dim_v; /* of v */
    uint32_t group;      /* index into rf_program.kv_groups */
} rf_kv_layer;

/* Layers that share block tables: one group for full attention, one for each window size. */
typedef struct rf_kv_group {
    uint32_t window; /* 0 = every position is kept */
} rf_kv_group;

enum { RF_KV_MAX_GROUPS = 4 };

typedef struct rf_program {
    rf_arena *arena; /* borrowed: owns every array below */
    uint32_t n_ops, n_values, n_weights, n_ropes, n_kv_layers, n_kv_groups;
    const rf_op *ops;
    const rf_value *values;
    const rf_weight *weights;
    const rf_rope *ropes;
    const rf_kv_layer *kv_layers;
    rf_kv_group kv_groups[RF_KV_MAX_GROUPS];
    uint32_t n_vocab, n_embd, n_ctx_train;
    rf_value_id hidden; /* OUTPUT rows, n_embd: after the last norm */
    rf_value_id logits; /* OUTPUT rows, n_vocab */
} rf_program;

const char *rf_op_name(rf_op_kind kind);

#endif
