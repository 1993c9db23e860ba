/* MATMUL and GATED_MATMUL, and the splitting of products that the expert ops share. */
#include <math.h>

#include "base/checked.h"
#include "cpu/acts.h"
#include "cpu/cpu_state.h"

enum {
    ROW_STEP = 24,          /* row tasks are multiples: kernels take 4, 6 or 8 rows at a time */
    ACTS_BYTES = 256 * 1024 /* activations that a row task may hold in the L2 cache */
};

rf_cpu_source rf_cpu_source_of(const rf_cpu_run *run, rf_value_id id) {
    return (rf_cpu_source){rf_cpu_value(run, id), rf_cpu_rows(run, id),
                           run->backend->program->values[id].n_cols, rf_cpu_is_small(run, id)};
}

rf_acts rf_cpu_acts(const rf_cpu_run *run, const size_t areas[RF_ACTS_KIND_COUNT],
                    rf_acts_kind kind, rf_cpu_source source) {
    rf_acts acts = {.n_rows = source.n_rows, .n_cols = source.n_cols};
    const size_t *own = run->backend->plan.ws.own_acts;
    if (kind != RF_ACTS_F32)
        rf_acts_place(&acts, kind, source.n_rows, source.n_cols,
                      source.own ? rf_cpu_own(run) + own[kind] : rf_cpu_area(run, areas[kind]));
    acts.f32 = source.rows;
    acts.f32_stride = source.n_cols;
    return acts;
}

void rf_cpu_fill_rows(const rf_cpu_run *run, const size_t areas[RF_ACTS_KIND_COUNT], unsigned mask,
                      rf_cpu_source source, uint32_t begin, uint32_t end) {
    for (int kind = 0; kind < RF_ACTS_KIND_COUNT; kind++) {
        if (!(mask >> kind & 1))
            continue;
        rf_acts acts = rf_cpu_acts(run, areas, (rf_acts_kind)kind, source);
        rf_acts_fill(&acts, source.rows, source.n_cols, begin, end, run->backend->options.features);
    }
}

void rf_cpu_fill_acts(const rf_cpu_run *run, const size_t areas[RF_ACTS_KIND_COUNT], unsigned mask,
                      rf_cpu_source source) {
    rf_pool *pool = rf_cpu_run_pool(run);
    uint32_t unit = rf_cpu_unit(pool, source.n_rows), begin, end;
    if (mask == 0)
        return;
    if (source.own) {
        rf_cpu_fill_rows(run, areas, mask, source, 0, source.n_rows);
        return;
    }
    while (rf_cpu_next(pool, source.n_rows, unit, &begin, &end))
        rf_cpu_fill_rows(run, areas, mask, source, begin, end);
    rf_pool_barrier(pool);
}

/* Columns that are whole tiles of both matrices. */
static uint32_t column_step(const rf_matrix *a, const rf_matrix *b) {
    uint32_t x = a->variant->tile_rows, y = b ? b->variant->tile_rows : 1;
    return x % y == 0 ? x : y % x == 0 ? y : x * y;
}

rf_cpu_split rf_cpu_split_product(const rf_matrix *matrix, const rf_matrix *also, uint32_t n_rows,
                                  uint32_t n_workers) {
    uint32_t step = column_step(matrix, also), fits = RF_CPU_TASK_FLOATS / step;
    uint32_t most = ACTS_BYTES / (matrix->n_cols + 1);
    most = most < ROW_STEP ? ROW_STEP : most;
    uint32_t n_row_tasks = (uint32_t)rf_ceil_div(n_rows, most > fits ? fits : most);
    rf_cpu_split split = {.n_rows = n_rows, .n_cols = matrix->n_rows};
    split.rows = (uint32_t)rf_ceil_div(n_rows, n_row_tasks);
    if (n_row_tasks > 1)
        split.rows = (uint32_t)rf_round_up(split.rows, ROW_STEP);
    split.rows = split.rows > fits ? fits : split.rows;
    n_row_tasks = (uint32_t)rf_ceil_div(n_rows, split.rows);
    size_t share = rf_ceil_div((size_t)matrix->n_rows * n_row_tasks,
                               (size_t)n_workers * RF_CPU_TASKS_PER_WORKER);
    uint32_t cols = RF_CPU_TASK_FLOATS / split.rows;
    cols = cols > share ? (uint32_t)share : cols;
    split.cols = cols < step ? step : cols / step * step;
    split.n_col_tasks = (uint32_t)rf_ceil_div(matrix->n_rows, split.cols);
    split.n_tasks = n_row_tasks * split.n_col_tasks;
    return split;
}

rf_cpu_task rf_cpu_split_task(const rf_cpu_split *split, const rf_matrix *matrix, uint32_t i) {
    uint32_t tile_rows = matrix->variant->tile_rows;
    rf_cpu_task task = {*matrix, i / split->n_col_tasks * split->rows, split->n_rows,
                        i % split->n_col_tasks * split->cols};
    if (split->n_rows - task.row_begin > split->rows)
        task.row_end = task.row_begin + split->rows;
    task.matrix.data += task.col / tile_rows * matrix->tile_bytes;
    task.matrix.n_rows =
        split->n_cols - task.col < split->cols ? split->n_cols - task.col : split->cols;
    task.matrix.n_tiles = (uint32_t)rf_ceil_div(task.matrix.n_rows, tile_rows);
    return task;
}

void rf_cpu_product(const rf_cpu_task *task, const rf_acts *acts, float *out, size_t out_stride) {
    const rf_matrix *matrix = &task->matrix;
    /* Kernels write activation row r at r * out_stride: an address is found where row 0 would be,
     * which need not be inside out. */
    uintptr_t row0 = (uintptr_t)out - task->row_begin * out_stride * sizeof *out;
    matrix->variant->run(matrix, 0, matrix->n_tiles, acts, task->row_begin, task->row_end,
                         (float *)row0, out_stride);
}

/* What all tasks of a MATMUL share. */
typedef struct matmul_job {
    const rf_cpu_run *run;
    const rf_op_matmul *op;
    const rf_acts_kind *part_acts;
    rf_cpu_source source;
    float *out;
    size_t out_stride;
    float *scratch;
} matmul_job;

static float gate_of(const matmul_job *job, uint32_t row) {
    if (job->op->row_gate == RF_NONE)
        return 1.0f;
    double x = (double)rf_cpu_value(job->run, job->op->row_gate)[row];
    return (float)(1.0 / (1.0 + exp(-x)));
}

static void matmul_task(const matmul_job *job, uint32_t part, const rf_cpu_task *task) {
    const rf_op_matmul *op = job->op;
    rf_acts_kind kind = job->part_acts[part];
    const rf_acts acts = rf_cpu_acts(job->run, job->run->backend->plan.ws.acts, kind, job->source);
    const float *bias = rf_cpu_vector(job->run, op->bias[part]);
    size_t col = op->out_col[part] + task->col;
    bool plain = !bias && op->scale == 1.0f && op->soft_cap == 0.0f && op->row_gate == RF_NONE;
    if (plain && !op->add && kind != RF_ACTS_Q8_TWICE) {
        float *out = job->out + task->row_begin * job->out_stride + col;
        rf_cpu_product(task, &acts, out, job->out_stride);
        return;
    }
    bool twice = kind == RF_ACTS_Q8_TWICE, gated = op->row_gate != RF_NONE;
    uint32_t n = task->matrix.n_rows, begin = task->row_begin, end = task->row_end;
    begin /= twice ? 2 : 1;
    end /= twice ? 2 : 1;
    rf_finish_args args = {.bias = bias ? bias + task->col : NULL,
                           .scale = op->scale,
                           .soft_cap = op->soft_cap,
                           .gate = 1.0f,
                           .add = op->add,
                           .twice = twice,
                           .n_rows = gated ? 1 : end - begin,
                           .n_cols = n,
                           .out_stride = job->out_stride};
    rf_cpu_product(task, &acts, job->scratch, n);
    for (uint32_t r = begin; r < end; r += args.n_rows) {
        args.gate = gate_of(job, r);
        job->run->backend->plan.kernels.finish(
            &args, job->scratch + (size_t)(r - begin) * n * (twice ? 2 : 1),
            job->out + r * job->out_stride + col);
    }
}

void rf_cpu_run_matmul(const rf_cpu_run *run, const rf_cpu_step *step) {
    const rf_op_matmul *op = &step->op->u.matmul;
    const rf_cpu_backend *b = run->backend;
    matmul_job job = {.run = run,
                      .op = op,
                      .part_acts = step->part_acts,
                      .source = rf_cpu_source_of(run, op->in),
                      .out = rf_cpu_value(run, op->out),
                      .out_stride = b->program->values[op->out].n_cols,
                      .scratch = rf_cpu_scratch(run)};
    if (job.source.n_rows == 0 || !job.out)
        return; /* no row wants results, or nobody wants logits */
    rf_cpu_fill_acts(run, b->plan.ws.acts, step->fill, job.source);
    rf_cpu_split splits[RF_MATMUL_MAX_PARTS];
    uint32_t n_tasks = 0;
    for (uint32_t p = 0; p < op->n_parts; p++) {
        uint32_t n_rows = job.source.n_rows * (step->part_acts[p] == RF_ACTS_Q8_TWICE ? 2 : 1);
        splits[p] = rf_cpu_split_product(&b->plan.weights[op->weight[p]].matrix, NULL, n_rows,
                                         rf_pool_size(b->pool));
        n_tasks += splits[p].n_tasks;
    }
    for (uint32_t i; (i = rf_pool_next(b->pool)) < n_tasks;) {
        uint32_t p = 0; /* the parts' tasks follow each other in one numbering */
        while (i >= splits[p].n_tasks)
            i -= splits[p++].n_tasks;
        rf_cpu_task task = rf_cpu_split_task(&splits[p], &b->plan.weights[op->weight[p]].matrix, i);
        matmul_task(&job, p, &task);
    }
    rf_pool_barrier(b->pool);
}

/* Adds a bias to rows of a task's scratch. */
static void add_bias(const float *bias, float *rows, uint32_t n_rows, uint32_t n_cols) {
    for (uint32_t r = 0; bias && r < n_rows; r++)
        for (uint32_t i = 0; i < n_cols; i++)
            rows[(size_t)r * n_cols + i] += bias[i];
}

void rf_cpu_run_gated_matmul(const rf_cpu_run *run, const rf_cpu_step *step) {
    const rf_op_gated_matmul *op = &step->op->u.gated_matmul;
    const rf_cpu_backend *b = run->backend;
    const rf_matrix *gate = &b->plan.weights[op->gate].matrix;
    const rf_matrix *up = &b->plan.weights[op->up].matrix;
    const float *gate_bias = rf_cpu_vector(run, op->gate_bias);
    const float *up_bias = rf_cpu_vector(run, op->up_bias);
    const rf_value *values = b->program->values;
    uint32_t n_rows = rf_cpu_rows(run, op->out), n_out = values[op->out].n_cols;
    if (n_rows == 0)
        return;
    rf_cpu_source source = rf_cpu_source_of(run, op->in);
    rf_cpu_fill_acts(run, b->plan.ws.acts, step->fill, source);
    rf_acts gate_acts = rf_cpu_acts(run, b->plan.ws.acts, gate->variant->acts, source);
    rf_acts up_acts = rf_cpu_acts(run, b->plan.ws.acts, up->variant->acts, source);
    float *out = rf_cpu_value(run, op->out), *g = rf_cpu_scratch(run);
    float *u = g + RF_CPU_TASK_FLOATS;
    rf_cpu_split split = rf_cpu_split_product(gate, up, n_rows, rf_pool_size(b->pool));
    for (uint32_t i; (i = rf_pool_next(b->pool)) < split.n_tasks;) {
        rf_cpu_task gate_task = rf_cpu_split_task(&split, gate, i);
        rf_cpu_task up_task = rf_cpu_split_task(&split, up, i);
        uint32_t n = gate_task.matrix.n_rows, col = gate_task.col;
        uint32_t rows = gate_task.row_end - gate_task.row_begin;
        rf_cpu_product(&gate_task, &gate_acts, g, n);
        rf_cpu_product(&up_task, &up_acts, u, n);
        add_bias(gate_bias ? gate_bias + col : NULL, g, rows, n);
        add_bias(up_bias ? up_bias + col : NULL, u, rows, n);
        for (uint32_t r = 0; r < rows; r++)
            b->plan.kernels.act(op->act, g + (size_t)r * n, u + (size_t)r * n, n,
                                out + (size_t)(gate_task.row_begin + r) * n_out + col);
    }
    rf_pool_barrier(b->pool);
}
