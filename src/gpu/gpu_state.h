/*
 * The GPU backend from the inside. The engine's thread alone is here. Addresses are the device's;
 * everything is queued on one stream, so that order needs no events.
 */
#ifndef RF_GPU_GPU_STATE_H
#define RF_GPU_GPU_STATE_H

#include "base/arena.h"
#include "gpu/api.h"
#include "gpu/backend_gpu.h"
#include "gpu/code.h"
#include "gpu/kernels/args.h"

typedef enum rf_gpu_kernel {
#define X(id, file, name) RF_GPU_K_##id,
#define Y(id, file, prefix, suffix, floats, f32)
#include "gpu/kernel_list.def"
#undef X
#undef Y
    RF_GPU_K_COUNT
} rf_gpu_kernel;

typedef enum rf_gpu_typed { /* a kernel for each type */
#define X(id, file, name)
#define Y(id, file, prefix, suffix, floats, f32) RF_GPU_T_##id,
#include "gpu/kernel_list.def"
#undef X
#undef Y
                            RF_GPU_T_COUNT
} rf_gpu_typed;

enum {
    RF_GPU_FORM_BYTES = 1,  /* rf_gpu_acts */
    RF_GPU_FORM_HALVES = 2, /* rows of halves */
    RF_GPU_MAX_SPLITS = 64,
    RF_GPU_GRAPHS = 64 /* kept at once */
};

typedef struct rf_gpu_kept_graph {
    uint32_t n_rows, n_splits; /* what it is for; 0 rows: none */
    rf_gpu_graph graph;
} rf_gpu_kept_graph;

/* The areas of the workspace, as offsets while planning and as addresses once bound. */
typedef struct rf_gpu_areas {
    uint64_t acts_high, acts_low, acts_scales, acts_sums, halves, half_scales;
    uint64_t partial, gate, up, slots, logits, order, start; /* of attention and experts */
    uint64_t batch;                                          /* int32: rf_gpu_batch_at */
    uint64_t bytes;
} rf_gpu_areas;

/* Where the parts of a batch lie in its area, in int32. */
typedef struct rf_gpu_batch_at {
    size_t tokens, positions, seqs, rows, tables[RF_KV_MAX_GROUPS], n;
    uint32_t stride; /* of a table */
} rf_gpu_batch_at;

typedef struct rf_gpu_plan {
    rf_memory_plan memory;
    rf_gpu_areas areas;
    rf_gpu_batch_at batch_at;
    uint64_t *values;    /* [n_values] */
    uint64_t *angles;    /* [n_ropes] */
    uint64_t *inv_freqs; /* [n_ropes] */
    rf_gpu_kv *kv;       /* [n_kv_layers] */
    uint64_t *weights;   /* [n_weights]: offset of each; of equal ones the first's */
    bool *is_vector;     /* [n_weights]: kept as F32 */
    uint64_t target_waves;
} rf_gpu_plan;

typedef struct rf_gpu_backend {
    rf_backend base; /* first */
    rf_gpu *gpu;
    int device;
    rf_gpu_options options;
    rf_gpu_stream stream;
    const rf_gpu_code *codes[RF_GPU_MODULES]; /* what the modules were made of */
    rf_gpu_module modules[RF_GPU_MODULES];
    rf_gpu_function kernels[RF_GPU_K_COUNT];
    rf_gpu_function typed[RF_GPU_T_COUNT][RF_QTYPE_COUNT]; /* NULL: no such kernel */
    bool has_matrix;
    rf_arena arena;
    rf_gpu_plan plan;
    rf_gpu_matrix *matrices; /* [n_weights], in the arena */
    const rf_program *program;
    rf_limits limits;
    rf_gpu_address weights, kv, workspace;
    int32_t *batch_host; /* pinned, as the batch's area */
    float *out_host;     /* pinned: [max_outputs][n_vocab + n_embd] */
    rf_gpu_kept_graph graphs[RF_GPU_GRAPHS];
    uint32_t next_graph;
    /* while a step is being queued */
    rf_value_id prepared; /* whose forms lie in the areas, or RF_NONE */
    unsigned forms;
    uint32_t n_rows, n_outputs, n_splits;
} rf_gpu_backend;

/* ---- plan and weights ---- */

RF_NODISCARD rf_status rf_gpu_plan_make(const rf_gpu_backend *backend, const rf_program *program,
                                        const rf_limits *limits, rf_arena *arena, rf_gpu_plan *out,
                                        rf_error *err);
/* Fields of a type's blocks; false of floats. at and bytes: q, high, scales, d. */
bool rf_gpu_type_fields(rf_qtype qtype, uint32_t at[4], uint32_t bytes[4]);
/* Copies all weights up, repacked. */
RF_NODISCARD rf_status rf_gpu_upload(rf_gpu_backend *backend, rf_progress_fn progress, void *user,
                                     rf_error *err);

/* Loads the modules for the device and finds every kernel in them. */
RF_NODISCARD rf_status rf_gpu_load_kernels(rf_gpu_backend *backend, rf_error *err);

/* ---- launches ---- */

static inline uint32_t rf_gpu_rows(const rf_gpu_backend *b, rf_value_id id) {
    return b->program->values[id].rows == RF_ROWS_OUTPUT ? b->n_outputs : b->n_rows;
}
static inline uint64_t rf_gpu_value(const rf_gpu_backend *b, rf_value_id id) {
    return id == RF_NONE ? 0 : b->workspace + b->plan.values[id];
}
static inline uint64_t rf_gpu_area(const rf_gpu_backend *b, uint64_t offset) {
    return b->workspace + offset;
}
static inline uint64_t rf_gpu_vector(const rf_gpu_backend *b, rf_weight_id id) {
    return id == RF_NONE ? 0 : b->weights + b->plan.weights[id];
}
static inline uint32_t rf_gpu_ceil(uint64_t a, uint32_t b) { return (uint32_t)((a + b - 1) / b); }
static inline uint32_t rf_gpu_waves(const rf_gpu_backend *b) { /* of a block */
    return RF_GPU_THREADS / b->gpu->info[b->device].wave;
}

RF_NODISCARD rf_status rf_gpu_launch_on(rf_gpu_backend *backend, rf_gpu_function function,
                                        uint32_t x, uint32_t y, uint32_t z, const void *args,
                                        rf_error *err);
RF_NODISCARD rf_status rf_gpu_launch_kernel(rf_gpu_backend *backend, rf_gpu_kernel kernel,
                                            uint32_t x, uint32_t y, uint32_t z, const void *args,
                                            rf_error *err);
/* The forms in which an op's products read their input, for that many rows. */
unsigned rf_gpu_forms_of(const rf_gpu_backend *backend, const rf_op *op);
/* Arguments that turn rows of n_cols floats into the forms, in the areas for activations. */
rf_gpu_quantise_args rf_gpu_quantise_to(const rf_gpu_backend *backend, unsigned forms, uint64_t in,
                                        uint32_t n_cols);

#define X(id, name, what)                                                                \
    RF_NODISCARD rf_status rf_gpu_queue_##name(rf_gpu_backend *backend, const rf_op *op, \
                                               rf_error *err);
#include "op/ops.def"
#undef X

#endif
