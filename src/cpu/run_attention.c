/*
 * ATTENTION: queries in tiles (rows of one sequence by the heads that share a head of k and v).
 * Kernels sum positions in absolute spans and add those up in rising order, so a row's result
 * depends on nothing but its own sequence. When there are fewer tiles than workers could use, spans
 * run side by side and meet in memory; otherwise one worker walks all spans of its tile.
 */
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "cpu/cpu_state.h"

static const float LOG2_E = 1.44269504f;

/* Softmax state of a tile's queries: max, sum, [padded] acc of each. */
typedef struct state {
    float *max, *sum, *acc;
} state;

typedef struct attention_job {
    const rf_cpu_run *run;
    const rf_op_attention *op;
    const rf_kv_layout *layout;
    const rf_cpu_tile *tiles;
    uint32_t group, n_chunks; /* heads that share k and v; chunks of them in a tile */
    uint32_t n_tasks;         /* tiles * n_head_kv * n_chunks */
    uint32_t kv_group, padded;
    float *scratch, *q; /* this worker's: the kernel's, [RF_ATTENTION_QUERIES][head_dim] */
    state whole;        /* this worker's */
} attention_job;

/* One tile with one head of k and v: query i is row i / n_heads, head head_begin + i % n_heads. */
typedef struct task {
    rf_cpu_tile tile;
    uint32_t head_kv, head_begin, n_heads, n_queries;
    uint32_t begin, end; /* positions that any query sees */
    uint32_t first[RF_ATTENTION_QUERIES], last[RF_ATTENTION_QUERIES];
} task;

uint32_t rf_cpu_make_tiles(const rf_cpu_backend *backend, const rf_batch *batch) {
    rf_cpu_tile *tiles = (void *)(backend->workspace + backend->plan.ws.tiles);
    int32_t rows = (int32_t)backend->plan.tile_rows;
    uint32_t n = 0;
    for (int32_t s = 0; s < batch->n_seqs; s++) {
        int32_t end = batch->seq_start[s + 1];
        for (int32_t r = batch->seq_start[s]; r < end; r += rows)
            tiles[n++] = (rf_cpu_tile){s, r, end - r < rows ? end : r + rows};
    }
    return n;
}

static state state_at(float *memory, uint32_t n_queries) {
    return (state){memory, memory + n_queries, memory + (size_t)2 * n_queries};
}

static task task_at(const attention_job *job, uint32_t i) {
    const rf_op_attention *op = job->op;
    uint32_t n_head_kv = job->layout->n_head_kv;
    task t = {.tile = job->tiles[i / (n_head_kv * job->n_chunks)],
              .head_kv = i / job->n_chunks % n_head_kv};
    uint32_t from = i % job->n_chunks * RF_ATTENTION_QUERIES, left = job->group - from;
    t.head_begin = t.head_kv * job->group + from;
    t.n_heads = left < RF_ATTENTION_QUERIES ? left : RF_ATTENTION_QUERIES;
    t.n_queries = (uint32_t)(t.tile.last - t.tile.first) * t.n_heads;
    for (uint32_t q = 0; q < t.n_queries; q++) {
        uint32_t p = (uint32_t)job->run->batch->positions[t.tile.first + (int32_t)(q / t.n_heads)];
        t.first[q] = op->window != 0 && p + 1 > op->window ? p + 1 - op->window : 0;
        t.last[q] = p + 1;
    }
    t.begin = t.first[0];
    t.end = t.last[t.n_queries - 1];
    return t;
}

/* Scales a task's queries into this worker's memory. */
static void load_queries(const attention_job *job, const task *t) {
    const float *qkv = rf_cpu_value(job->run, job->op->qkv);
    uint32_t dims = job->layout->head_dim;
    uint32_t n_cols = job->run->backend->program->values[job->op->qkv].n_cols;
    float scale = job->op->scale * LOG2_E;
    for (uint32_t i = 0; i < t->n_queries; i++) {
        const float *from = qkv + ((size_t)t->tile.first + i / t->n_heads) * n_cols +
                            (size_t)(t->head_begin + i % t->n_heads) * dims;
        for (uint32_t d = 0; d < dims; d++)
            job->q[(size_t)i * dims + d] = from[d] * scale;
    }
}

/* Attention of a task over positions begin … end-1. */
static rf_attention_tile task_tile(const attention_job *job, const task *t, state out) {
    const rf_cpu_backend *b = job->run->backend;
    const rf_batch *batch = job->run->batch;
    const rf_kv_layout *layout = job->layout;
    size_t table = (size_t)job->kv_group * (size_t)batch->n_seqs + (size_t)t->tile.seq;
    return (rf_attention_tile){
        .layout = layout,
        .slab = b->kv + b->plan.kv_offsets[job->op->kv_layer] + t->head_kv * layout->head_bytes,
        .table = batch->block_tables + table * (size_t)batch->table_stride,
        .begin = t->begin,
        .end = t->end,
        .ahead = t->end,
        .n_queries = t->n_queries,
        .q = job->q,
        .first = t->first,
        .last = t->last,
        .soft_cap = job->op->soft_cap * LOG2_E,
        .scratch = job->scratch,
        .max = out.max,
        .sum = out.sum,
        .acc = out.acc,
    };
}

/* Divides by the sums, the sinks included, and writes the rows of out. */
static void write_task(const attention_job *job, const task *t, state s) {
    uint32_t dims = job->layout->head_dim_v;
    uint32_t n_cols = job->run->backend->program->values[job->op->out].n_cols;
    const float *sinks = rf_cpu_vector(job->run, job->op->sinks);
    float *out = rf_cpu_value(job->run, job->op->out);
    for (uint32_t i = 0; i < t->n_queries; i++) {
        uint32_t head = t->head_begin + i % t->n_heads;
        float max = s.max[i], sum = s.sum[i], keep = 1.0f;
        if (sinks) {
            float sink = sinks[head] * LOG2_E;
            max = sink > max ? sink : max;
            keep = exp2f(s.max[i] - max);
            sum = sum * keep + exp2f(sink - max);
        }
        float factor = keep / sum;
        float *to = out + ((size_t)t->tile.first + i / t->n_heads) * n_cols + (size_t)head * dims;
        for (uint32_t d = 0; d < dims; d++)
            to[d] = s.acc[(size_t)i * job->padded + d] * factor;
    }
}

static void run_whole_tasks(const attention_job *job) {
    for (uint32_t i; (i = rf_pool_next(rf_cpu_run_pool(job->run))) < job->n_tasks;) {
        /* the last tiles see most positions: they come first, so that the end is even */
        task t = task_at(job, job->n_tasks - 1 - i);
        load_queries(job, &t);
        rf_attention_tile tile = task_tile(job, &t, job->whole);
        job->run->backend->plan.kernels.attention(&tile);
        write_task(job, &t, job->whole);
    }
}

/* Where span i of a task leaves its state: queries lie in the order of rows, then heads, and all
 * spans of a task together. */
static state partial_at(const attention_job *job, const task *t, uint32_t i) {
    const rf_cpu_plan *plan = &job->run->backend->plan;
    size_t rows = (size_t)(t->tile.last - t->tile.first);
    size_t query = (size_t)t->tile.first * job->op->n_head + rows * t->head_begin;
    size_t at = query * plan->max_spans + (size_t)i * t->n_queries;
    float *memory = rf_cpu_area(job->run, plan->ws.partials);
    return state_at(memory + at * (job->padded + 2), t->n_queries);
}

/* Spans first … last-1 of a task, each on its own. */
static void run_spans(const attention_job *job, const task *t, uint32_t first, uint32_t last) {
    load_queries(job, t);
    for (uint32_t i = first; i < last; i++) {
        uint32_t begin = i * RF_ATTENTION_SPAN, end = begin + RF_ATTENTION_SPAN;
        rf_attention_tile tile = task_tile(job, t, partial_at(job, t, i));
        tile.begin = begin > t->begin ? begin : t->begin;
        tile.ahead = last * RF_ATTENTION_SPAN < t->end ? last * RF_ATTENTION_SPAN : t->end;
        tile.end = end < t->end ? end : t->end;
        job->run->backend->plan.kernels.attention(&tile);
    }
}

/* Adds up the spans of a task in rising order, as a kernel does that runs all of them. */
static void add_spans(const attention_job *job, const task *t) {
    state into = job->whole;
    for (uint32_t q = 0; q < t->n_queries; q++) {
        into.max[q] = -INFINITY;
        into.sum[q] = 0.0f;
    }
    memset(into.acc, 0, (size_t)t->n_queries * job->padded * sizeof *into.acc);
    for (uint32_t i = t->begin / RF_ATTENTION_SPAN; i * RF_ATTENTION_SPAN < t->end; i++) {
        state part = partial_at(job, t, i);
        for (uint32_t q = 0; q < t->n_queries; q++) {
            rf_attention_factors f =
                rf_attention_add(&into.max[q], &into.sum[q], part.max[q], part.sum[q]);
            float *restrict a = into.acc + (size_t)q * job->padded;
            const float *restrict b = part.acc + (size_t)q * job->padded;
            for (uint32_t d = 0; d < job->padded; d++)
                a[d] = a[d] * f.keep + b[d] * f.take;
        }
    }
}

static void run_split_tasks(const attention_job *job, uint32_t n_spans) {
    rf_pool *pool = rf_cpu_run_pool(job->run);
    /* a few spans in a row, so that the next one can be fetched early */
    uint32_t unit = rf_cpu_unit(pool, job->n_tasks * n_spans);
    uint32_t n_units = (n_spans + unit - 1) / unit;
    for (uint32_t i; (i = rf_pool_next(pool)) < job->n_tasks * n_units;) {
        task t = task_at(job, i / n_units);
        uint32_t first = i % n_units * unit, last = first + unit;
        uint32_t begin = t.begin / RF_ATTENTION_SPAN;
        uint32_t end = (uint32_t)rf_ceil_div(t.end, RF_ATTENTION_SPAN);
        run_spans(job, &t, first > begin ? first : begin, last < end ? last : end);
    }
    rf_pool_barrier(pool);
    for (uint32_t i; (i = rf_pool_next(pool)) < job->n_tasks;) {
        task t = task_at(job, i);
        add_spans(job, &t);
        write_task(job, &t, job->whole);
    }
}

/* Spans of the longest sequence in the batch. */
static uint32_t batch_spans(const rf_batch *batch) {
    int32_t longest = 0;
    for (int32_t s = 0; s < batch->n_seqs; s++) {
        int32_t last = batch->seq_start[s + 1] - 1;
        if (last >= batch->seq_start[s] && batch->positions[last] > longest)
            longest = batch->positions[last];
    }
    return (uint32_t)longest / RF_ATTENTION_SPAN + 1;
}

void rf_cpu_run_attention(const rf_cpu_run *run, const rf_cpu_step *step) {
    const rf_op_attention *op = &step->op->u.attention;
    const rf_cpu_backend *b = run->backend;
    attention_job job = {.run = run,
                         .op = op,
                         .layout = &b->plan.kv_layouts[op->kv_layer],
                         .tiles = rf_cpu_area(run, b->plan.ws.tiles),
                         .kv_group = b->program->kv_layers[op->kv_layer].group,
                         .scratch = rf_cpu_scratch(run)};
    job.group = op->n_head / job.layout->n_head_kv;
    job.n_chunks = (uint32_t)rf_ceil_div(job.group, RF_ATTENTION_QUERIES);
    job.n_tasks = run->n_tiles * job.layout->n_head_kv * job.n_chunks;
    job.padded = rf_kv_padded(job.layout->head_dim_v);
    job.q = job.scratch + rf_attention_scratch(job.layout);
    job.whole =
        state_at(job.q + (size_t)RF_ATTENTION_QUERIES * job.layout->head_dim, RF_ATTENTION_QUERIES);
    uint32_t n_workers = rf_pool_size(b->pool), n_spans = batch_spans(run->batch);
    uint64_t n_queries = (uint64_t)run->batch->n_tokens * op->n_head;
    if (n_workers > 1 && n_spans > 1 && job.n_tasks < 4 * n_workers &&
        n_queries <= b->plan.ws.partial_queries)
        run_split_tasks(&job, n_spans);
    else
        run_whole_tasks(&job);
    rf_pool_barrier(b->pool);
}
