/*
 * Everything about a program on this backend that is known before memory is taken: the kernel of
 * each weight, where each thing lies, how large the whole is. rf_backend_api.plan and bind make
 * the same plan. Arrays live in the arena given to rf_cpu_plan_make. One thread.
 */
#ifndef RF_CPU_CPU_PLAN_H
#define RF_CPU_CPU_PLAN_H

#include "cpu/backend_cpu.h"
#include "cpu/kernels.h"
#include "cpu/matmul.h"

enum {
    /* Results of one matmul task before its epilogue: two such areas a worker. */
    RF_CPU_TASK_FLOATS = 16384,
    /* Batches of up to so many queries (rows times heads) may spread a tile's spans. */
    RF_CPU_SPLIT_QUERIES = 128,
    RF_CPU_MAX_BLOCK_TOKENS = RF_ATTENTION_SPAN,
    RF_CPU_TASKS_PER_WORKER = 8,
    /* Rows of so many floats in all are normed and quantised by every worker for itself: that is
     * cheaper than waiting for each other. */
    RF_CPU_OWN_FLOATS = 8192
};

typedef struct rf_cpu_weight {
    bool is_matrix, is_vector, is_table;
    rf_matrix matrix;     /* of expert 0; data is set at bind */
    size_t expert_bytes;  /* from one expert's tiles to the next one's */
    size_t packed_offset; /* in the weights' memory: tiles, if the variant packs */
    size_t vector_offset; /* in the weights' memory: floats, if is_vector */
    const float *vector;  /* set at bind */
} rf_cpu_weight;

typedef struct rf_cpu_step {
    const rf_op *op;
    unsigned reads;      /* bit a kind: activations of `in` that the products read */
    unsigned fill;       /* those of them to prepare before the products */
    unsigned fill_after; /* bit a kind: rows to prepare as soon as a norm has written them */
    rf_acts_kind part_acts[RF_MATMUL_MAX_PARTS]; /* what each part of a MATMUL reads */
} rf_cpu_step;

/* Offsets in the workspace, each a multiple of 64. */
typedef struct rf_cpu_workspace {
    size_t *values;                  /* [n_values]; the logits have none: they are the caller's */
    size_t *ropes;                   /* [n_ropes]: cos and sin of [max_tokens][n_dims] */
    size_t acts[RF_ACTS_KIND_COUNT]; /* shared by all matmuls, in turn */
    size_t tiles;                    /* rf_cpu_tile [max_tokens] */
    size_t partials;                 /* attention over spans, see run_attention.c */
    uint32_t partial_queries;        /* that they have room for */
    size_t moe_order, moe_start;     /* uint32_t [rows * n_used], [n_expert + 1] */
    size_t moe_logits;               /* [max_tokens][n_expert] */
    size_t moe_in, moe_out;          /* rows in the order of experts */
    size_t moe_acts[RF_ACTS_KIND_COUNT];
    size_t worker, worker_bytes; /* scratch of worker 0, bytes of each */
    /* Copies that each worker has of small rows, see RF_CPU_OWN_FLOATS */
    size_t own, own_bytes; /* of worker 0, bytes of each */
    size_t *own_values;    /* [n_values]: within own, or RF_CPU_SHARED */
    size_t own_acts[RF_ACTS_KIND_COUNT];
    size_t bytes;
} rf_cpu_workspace;

#define RF_CPU_SHARED SIZE_MAX

typedef struct rf_cpu_plan {
    rf_cpu_weight *weights;   /* [n_weights] */
    rf_cpu_step *steps;       /* [n_ops] */
    rf_kv_layout *kv_layouts; /* [n_kv_layers] */
    size_t *kv_offsets;       /* [n_kv_layers]: block 0 */
    rf_kernels kernels;
    uint32_t tile_rows; /* rows of an attention tile */
    uint32_t max_spans; /* of the longest sequence */
    rf_cpu_workspace ws;
    rf_memory_plan memory;
} rf_cpu_plan;

/* features: bits that kernels may use. */
RF_NODISCARD rf_status rf_cpu_plan_make(const rf_cpu_options *options, uint32_t n_workers,
                                        const rf_program *program, const rf_limits *limits,
                                        rf_arena *arena, rf_cpu_plan *out, rf_error *err);

/* Kinds of activations, one bit each, that the products of an op read. */
unsigned rf_cpu_acts_mask(const rf_cpu_plan *plan, const rf_op *op);
/* The weights of an op's matrix products: fills ids, returns how many (at most 3). */
uint32_t rf_cpu_op_matrices(const rf_op *op, rf_weight_id ids[RF_MATMUL_MAX_PARTS]);

#endif
