/* Ops that work row by row: EMBED, NORM, ROPE_STORE, and the angles that ROPE_STORE needs. */
#include <math.h>

#include "cpu/cpu_state.h"
#include "cpu/ref/ref.h"

void rf_cpu_run_embed(const rf_cpu_run *run, const rf_cpu_step *step) {
    const rf_op_embed *op = &step->op->u.embed;
    const rf_program *program = run->backend->program;
    rf_pool *pool = rf_cpu_run_pool(run);
    float *out = rf_cpu_value(run, op->out);
    uint32_t n = rf_cpu_rows(run, op->out), unit = rf_cpu_unit(pool, n), begin, end;
    while (rf_cpu_next(pool, n, unit, &begin, &end))
        for (uint32_t r = begin; r < end; r++)
            rf_embed_ref(&program->weights[op->table], (uint32_t)run->batch->tokens[r], op->scale,
                         out + (size_t)r * program->values[op->out].n_cols);
    rf_pool_barrier(pool);
}

/* Rows begin … end-1 of a NORM, and their activations where products come next. */
static void norm_rows(const rf_cpu_run *run, const rf_cpu_step *step, uint32_t begin,
                      uint32_t end) {
    const rf_op_norm *op = &step->op->u.norm;
    const rf_cpu_backend *b = run->backend;
    const rf_value *values = b->program->values;
    uint32_t n_cols = values[op->out].n_cols;
    bool gather = values[op->in].rows != values[op->out].rows;
    rf_norm_args args = {rf_cpu_vector(run, op->weight),
                         rf_cpu_vector(run, op->bias),
                         op->kind,
                         op->eps,
                         n_cols,
                         op->add};
    const float *in = rf_cpu_value(run, op->in);
    float *out = rf_cpu_value(run, op->out);
    for (uint32_t r = begin; r < end; r++) {
        uint32_t from = gather ? (uint32_t)run->batch->output_rows[r] : r;
        b->plan.kernels.norm(&args, in + (size_t)from * n_cols, out + (size_t)r * n_cols);
    }
    rf_cpu_fill_rows(run, b->plan.ws.acts, step->fill_after, rf_cpu_source_of(run, op->out), begin,
                     end);
}

void rf_cpu_run_norm(const rf_cpu_run *run, const rf_cpu_step *step) {
    rf_value_id out = step->op->u.norm.out;
    rf_pool *pool = rf_cpu_run_pool(run);
    uint32_t n = rf_cpu_rows(run, out), unit = rf_cpu_unit(pool, n), begin, end;
    if (rf_cpu_is_own(run, out)) {
        norm_rows(run, step, 0, n);
        return;
    }
    while (rf_cpu_next(pool, n, unit, &begin, &end))
        norm_rows(run, step, begin, end);
    rf_pool_barrier(pool);
}

static void row_angles(const rf_rope *rope, int32_t position, float *out) {
    uint32_t half = rope->n_dims / 2;
    for (uint32_t i = 0; i < half; i++) {
        double angle = (double)position * (double)rope->inv_freq[i];
        out[i] = (float)(cos(angle) * (double)rope->magnitude);
        out[half + i] = (float)(sin(angle) * (double)rope->magnitude);
    }
}

void rf_cpu_run_angles(const rf_cpu_run *run) {
    const rf_program *program = run->backend->program;
    rf_pool *pool = rf_cpu_run_pool(run);
    uint32_t n = (uint32_t)run->batch->n_tokens, unit = rf_cpu_unit(pool, n), begin, end;
    while (rf_cpu_next(pool, n, unit, &begin, &end)) {
        for (uint32_t i = 0; i < program->n_ropes; i++) {
            const rf_rope *rope = &program->ropes[i];
            float *table = rf_cpu_area(run, run->backend->plan.ws.ropes[i]);
            for (uint32_t r = begin; rope->kind != RF_ROPE_NONE && r < end; r++)
                row_angles(rope, run->batch->positions[r], table + (size_t)r * rope->n_dims);
        }
    }
    rf_pool_barrier(pool);
}

/* What ROPE_STORE keeps ready for its rows. */
typedef struct rope_job {
    const rf_cpu_run *run;
    const rf_op_rope_store *op;
    const rf_kv_layout *layout;
    rf_rope_args args; /* without norm and angles */
    const float *angles;
    uint8_t *blocks; /* of the layer */
    uint32_t group;  /* of block tables */
} rope_job;

static uint8_t *block_of(const rope_job *job, uint32_t seq, int32_t position) {
    const rf_batch *batch = job->run->batch;
    size_t row = (size_t)job->group * (size_t)batch->n_seqs + seq;
    int32_t block = batch->block_tables[row * (size_t)batch->table_stride +
                                        (size_t)position / job->layout->block_tokens];
    return job->blocks + (size_t)block * job->layout->block_bytes;
}

/* One head of k and v of row r, and the heads of q that belong to it. */
static void rope_head(const rope_job *job, uint32_t seq, uint32_t r, uint32_t i_head) {
    const rf_kv_layout *layout = job->layout;
    const rf_kernels *kernels = &job->run->backend->plan.kernels;
    const rf_op_rope_store *op = job->op;
    uint32_t dims = layout->head_dim, n_group = op->n_head / layout->n_head_kv;
    size_t n_cols = job->run->backend->program->values[op->qkv].n_cols;
    float *row = rf_cpu_value(job->run, op->qkv) + r * n_cols;
    float *k = row + ((size_t)op->n_head + i_head) * dims;
    const float *v =
        row + ((size_t)op->n_head + layout->n_head_kv) * dims + (size_t)i_head * layout->head_dim_v;
    int32_t position = job->run->batch->positions[r];
    rf_rope_args args = job->args;
    args.cos = job->angles + (size_t)r * args.n_dims;
    args.sin = args.cos + args.n_dims / 2;
    args.norm = rf_cpu_vector(job->run, op->q_norm);
    for (uint32_t j = 0; j < n_group; j++) {
        float *q = row + ((size_t)i_head * n_group + j) * dims;
        kernels->rope(&args, q, q);
    }
    args.norm = rf_cpu_vector(job->run, op->k_norm);
    kernels->rope(&args, k, k);
    kernels->kv_store(layout, k, v, (uint32_t)position % layout->block_tokens,
                      block_of(job, seq, position) + i_head * layout->head_bytes);
}

void rf_cpu_run_rope_store(const rf_cpu_run *run, const rf_cpu_step *step) {
    const rf_op_rope_store *op = &step->op->u.rope_store;
    const rf_cpu_backend *b = run->backend;
    const rf_rope *rope = &b->program->ropes[op->rope];
    rope_job job = {.run = run,
                    .op = op,
                    .layout = &b->plan.kv_layouts[op->kv_layer],
                    .angles = rf_cpu_area(run, b->plan.ws.ropes[op->rope]),
                    .blocks = b->kv + b->plan.kv_offsets[op->kv_layer],
                    .group = b->program->kv_layers[op->kv_layer].group};
    uint32_t n_heads = job.layout->n_head_kv;
    job.args = (rf_rope_args){.eps = op->norm_eps,
                              .kind = rope->kind,
                              .head_dim = job.layout->head_dim,
                              .n_dims = rope->n_dims};
    uint32_t n = (uint32_t)run->batch->n_tokens * n_heads, begin, end, seq = 0;
    uint32_t unit = rf_cpu_unit(b->pool, n);
    while (rf_cpu_next(b->pool, n, unit, &begin, &end)) {
        for (uint32_t i = begin; i < end; i++) {
            uint32_t r = i / n_heads; /* rises within a worker */
            while ((int32_t)r >= run->batch->seq_start[seq + 1])
                seq++;
            rope_head(&job, seq, r, i % n_heads);
        }
    }
    rf_pool_barrier(b->pool);
}
