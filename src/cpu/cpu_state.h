/*
 * The CPU backend from the inside: its memory, and what one run reads. Owned by
 * cpu/backend_cpu.c; the files that run ops borrow it. The engine's thread calls the backend;
 * functions that take a run work on every thread of the pool at once and meet at its barriers.
 */
#ifndef RF_CPU_CPU_STATE_H
#define RF_CPU_CPU_STATE_H

#include "cpu/cpu_plan.h"
#include "cpu/pool.h"

typedef struct rf_cpu_backend {
    rf_backend base; /* first */
    rf_cpu_options options;
    rf_pool *pool;    /* owned */
    rf_arena arena;   /* owned: arrays of the plan */
    rf_cpu_plan plan; /* valid once bound */
    const rf_program *program;
    rf_limits limits;
    uint8_t *weights, *kv, *workspace; /* owned, 64-byte aligned */
} rf_cpu_backend;

/* Rows first … last-1 of one sequence, whose attention is computed together. */
typedef struct rf_cpu_tile {
    int32_t seq, first, last;
} rf_cpu_tile;

typedef struct rf_cpu_run {
    rf_cpu_backend *backend;
    const rf_batch *batch;
    const rf_outputs *outputs;
    uint32_t n_tiles;
    uint32_t worker; /* whose copy this is: 0 … n-1 */
} rf_cpu_run;

static inline rf_pool *rf_cpu_run_pool(const rf_cpu_run *run) { return run->backend->pool; }

static inline uint32_t rf_cpu_rows(const rf_cpu_run *run, rf_value_id id) {
    bool outputs = run->backend->program->values[id].rows == RF_ROWS_OUTPUT;
    return (uint32_t)(outputs ? run->batch->n_outputs : run->batch->n_tokens);
}

/* So few floats that every worker prepares them for itself, see RF_CPU_OWN_FLOATS. */
static inline bool rf_cpu_is_small(const rf_cpu_run *run, rf_value_id id) {
    uint64_t n_cols = run->backend->program->values[id].n_cols;
    return rf_cpu_rows(run, id) * n_cols <= RF_CPU_OWN_FLOATS;
}

/* A value that this run keeps as one copy a worker. */
static inline bool rf_cpu_is_own(const rf_cpu_run *run, rf_value_id id) {
    return run->backend->plan.ws.own_values[id] != RF_CPU_SHARED && rf_cpu_is_small(run, id);
}

static inline uint8_t *rf_cpu_own(const rf_cpu_run *run) {
    const rf_cpu_workspace *ws = &run->backend->plan.ws;
    return run->backend->workspace + ws->own + run->worker * ws->own_bytes;
}

static inline float *rf_cpu_value(const rf_cpu_run *run, rf_value_id id) {
    const rf_cpu_backend *b = run->backend;
    if (id == b->program->logits)
        return run->outputs->logits;
    if (rf_cpu_is_own(run, id))
        return (float *)(void *)(rf_cpu_own(run) + b->plan.ws.own_values[id]);
    return (float *)(void *)(b->workspace + b->plan.ws.values[id]);
}

static inline const float *rf_cpu_vector(const rf_cpu_run *run, rf_weight_id id) {
    return id == RF_NONE ? NULL : run->backend->plan.weights[id].vector;
}

static inline float *rf_cpu_scratch(const rf_cpu_run *run) {
    const rf_cpu_workspace *ws = &run->backend->plan.ws;
    return (float *)(void *)(run->backend->workspace + ws->worker + run->worker * ws->worker_bytes);
}

static inline void *rf_cpu_area(const rf_cpu_run *run, size_t offset) {
    return run->backend->workspace + offset;
}

/* Takes the next range of `unit` items out of n; false when none is left in this phase. */
static inline bool rf_cpu_next(rf_pool *pool, uint32_t n, uint32_t unit, uint32_t *begin,
                               uint32_t *end) {
    uint64_t at = (uint64_t)rf_pool_next(pool) * unit;
    if (at >= n)
        return false;
    *begin = (uint32_t)at;
    *end = n - *begin < unit ? n : *begin + unit;
    return true;
}

/* Items a task so that every worker gets a few. */
static inline uint32_t rf_cpu_unit(const rf_pool *pool, uint32_t n) {
    uint32_t n_tasks = rf_pool_size(pool) * 4;
    return n <= n_tasks ? 1 : (n + n_tasks - 1) / n_tasks;
}

/* Packs and checks all weights, in parallel. */
RF_NODISCARD rf_status rf_cpu_pack(rf_cpu_backend *backend, rf_progress_fn progress, void *user,
                                   rf_error *err);

/* Runs one op: rf_cpu_run_embed … Every worker calls it; it ends with a barrier unless all that it
 * wrote is the worker's own. */
#define X(id, name, what) void rf_cpu_run_##name(const rf_cpu_run *run, const rf_cpu_step *step);
#include "op/ops.def"
#undef X

/* Before the ops: cos and sin of every row (all workers; ends with a barrier). */
void rf_cpu_run_angles(const rf_cpu_run *run);
/* Splits the batch into tiles of attention (one thread); returns how many. */
uint32_t rf_cpu_make_tiles(const rf_cpu_backend *backend, const rf_batch *batch);

/* Rows of floats that products read. */
typedef struct rf_cpu_source {
    const float *rows;
    uint32_t n_rows, n_cols;
    bool own; /* its activations are the worker's own */
} rf_cpu_source;
rf_cpu_source rf_cpu_source_of(const rf_cpu_run *run, rf_value_id id);
/* A source as products of one kind read it; areas: where each kind's buffer lies. */
rf_acts rf_cpu_acts(const rf_cpu_run *run, const size_t areas[RF_ACTS_KIND_COUNT],
                    rf_acts_kind kind, rf_cpu_source source);
/* Prepares rows begin … end-1 for the kinds in mask. */
void rf_cpu_fill_rows(const rf_cpu_run *run, const size_t areas[RF_ACTS_KIND_COUNT], unsigned mask,
                      rf_cpu_source source, uint32_t begin, uint32_t end);
/* Prepares all rows; every worker calls it. Ends with a barrier if others share in it. */
void rf_cpu_fill_acts(const rf_cpu_run *run, const size_t areas[RF_ACTS_KIND_COUNT], unsigned mask,
                      rf_cpu_source source);

/* How a matrix product is cut into tasks: columns of the result (rows of the weight, whole tiles)
 * by rows of activations. */
typedef struct rf_cpu_split {
    uint32_t n_rows, n_cols; /* of the whole result */
    uint32_t rows, cols;     /* of a task */
    uint32_t n_col_tasks, n_tasks;
} rf_cpu_split;
/* also: a second matrix of the same shape that shares the tasks, or NULL. */
rf_cpu_split rf_cpu_split_product(const rf_matrix *matrix, const rf_matrix *also, uint32_t n_rows,
                                  uint32_t n_workers);
/* A task's part of a product: its tiles as a matrix, columns col … of the result. */
typedef struct rf_cpu_task {
    rf_matrix matrix;
    uint32_t row_begin, row_end, col;
} rf_cpu_task;
rf_cpu_task rf_cpu_split_task(const rf_cpu_split *split, const rf_matrix *matrix, uint32_t i);
/* Runs a task into out, whose row 0 is the task's first row. */
void rf_cpu_product(const rf_cpu_task *task, const rf_acts *acts, float *out, size_t out_stride);

#endif
