/*
 * Ops of experts. Rows are gathered in the order of the experts that they chose, so that each
 * expert's weights are read once a batch; results go back to the row's own place and are summed
 * there in the order of its route. A row's sums know nothing of the rows beside it.
 */
#include <string.h>

#include "cpu/cpu_state.h"
#include "cpu/ref/ref.h"

void rf_cpu_run_moe_route(const rf_cpu_run *run, const rf_cpu_step *step) {
    const rf_op_moe_route *op = &step->op->u.moe_route;
    const rf_cpu_backend *b = run->backend;
    const rf_matrix *matrix = &b->plan.weights[op->weight].matrix;
    uint32_t n_rows = rf_cpu_rows(run, op->out), n_expert = matrix->n_rows, begin, end;
    rf_cpu_source source = rf_cpu_source_of(run, op->in);
    float *logits = rf_cpu_area(run, b->plan.ws.moe_logits), *route = rf_cpu_value(run, op->out);
    uint32_t unit = rf_cpu_unit(b->pool, n_rows), n_out = b->program->values[op->out].n_cols;
    if (n_rows == 0)
        return;
    rf_cpu_fill_acts(run, b->plan.ws.acts, step->fill, source);
    rf_acts acts = rf_cpu_acts(run, b->plan.ws.acts, matrix->variant->acts, source);
    rf_cpu_split split = rf_cpu_split_product(matrix, NULL, n_rows, rf_pool_size(b->pool));
    for (uint32_t i; (i = rf_pool_next(b->pool)) < split.n_tasks;) {
        rf_cpu_task task = rf_cpu_split_task(&split, matrix, i);
        rf_cpu_product(&task, &acts, logits + (size_t)task.row_begin * n_expert + task.col,
                       n_expert);
    }
    rf_pool_barrier(b->pool);
    while (rf_cpu_next(b->pool, n_rows, unit, &begin, &end))
        for (uint32_t r = begin; r < end; r++)
            rf_moe_select_ref(op, rf_cpu_vector(run, op->bias), n_expert,
                              logits + (size_t)r * n_expert, route + (size_t)r * n_out);
    rf_pool_barrier(b->pool);
}

/* Rows in the order of experts. Slot r * n_used + j is row r's j-th choice. */
typedef struct grouping {
    const rf_cpu_run *run;
    const float *route; /* [n_rows][route_cols] */
    uint32_t n_rows, route_cols, n_used, n_slots, n_expert;
    uint32_t *order; /* [n_slots]: the slot at each place */
    uint32_t *start; /* [n_expert + 1]: first place of each expert */
} grouping;

static grouping grouping_of(const rf_cpu_run *run, rf_value_id route, uint32_t n_used,
                            rf_weight_id weight) {
    const rf_cpu_backend *b = run->backend;
    uint32_t n_rows = rf_cpu_rows(run, route);
    return (grouping){.run = run,
                      .route = rf_cpu_value(run, route),
                      .n_rows = n_rows,
                      .route_cols = b->program->values[route].n_cols,
                      .n_used = n_used,
                      .n_slots = n_rows * n_used,
                      .n_expert = (uint32_t)b->program->weights[weight].n_experts,
                      .order = rf_cpu_area(run, b->plan.ws.moe_order),
                      .start = rf_cpu_area(run, b->plan.ws.moe_start)};
}

static uint32_t expert_of(const grouping *g, uint32_t slot) {
    const float *route = g->route + (size_t)(slot / g->n_used) * g->route_cols;
    return (uint32_t)route[2 * (slot % g->n_used)];
}

/* Counting sort, by worker 0 while the others wait. */
static void group_rows(const grouping *g) {
    if (g->run->worker == 0) {
        memset(g->start, 0, (g->n_expert + 1) * sizeof *g->start);
        for (uint32_t s = 0; s < g->n_slots; s++)
            g->start[expert_of(g, s) + 1]++;
        for (uint32_t e = 0; e < g->n_expert; e++)
            g->start[e + 1] += g->start[e];
        for (uint32_t s = 0; s < g->n_slots; s++)
            g->order[g->start[expert_of(g, s)]++] = s;
        for (uint32_t e = g->n_expert; e > 0; e--) /* filling moved each start to its end */
            g->start[e] = g->start[e - 1];
        g->start[0] = 0;
    }
    rf_pool_barrier(rf_cpu_run_pool(g->run));
}

/* Copies rows of `from` to their places; slots_per_row: how many slots share one row of `from`. */
static rf_cpu_source gather_rows(const grouping *g, const float *from, uint32_t n_cols,
                                 uint32_t slots_per_row, unsigned mask) {
    const rf_cpu_backend *b = g->run->backend;
    float *rows = rf_cpu_area(g->run, b->plan.ws.moe_in);
    rf_cpu_source source = {rows, g->n_slots, n_cols, false};
    uint32_t unit = rf_cpu_unit(b->pool, g->n_slots), begin, end;
    while (rf_cpu_next(b->pool, g->n_slots, unit, &begin, &end)) {
        for (uint32_t i = begin; i < end; i++)
            memcpy(rows + (size_t)i * n_cols, from + (size_t)(g->order[i] / slots_per_row) * n_cols,
                   n_cols * sizeof *rows);
        rf_cpu_fill_rows(g->run, b->plan.ws.moe_acts, mask, source, begin, end);
    }
    rf_pool_barrier(b->pool);
    return source;
}

/* Walks the tasks of all experts in one numbering. */
typedef struct expert_walk {
    const grouping *g;
    const rf_cpu_weight *weight, *also;
    uint32_t expert, first_task; /* where the walk stands */
    rf_cpu_split split;          /* of that expert */
} expert_walk;

static void walk_open(expert_walk *w) {
    uint32_t n_rows = w->g->start[w->expert + 1] - w->g->start[w->expert];
    w->split = (rf_cpu_split){0};
    if (n_rows != 0)
        w->split = rf_cpu_split_product(&w->weight->matrix, w->also ? &w->also->matrix : NULL,
                                        n_rows, rf_pool_size(rf_cpu_run_pool(w->g->run)));
}

/* Moves to the expert of the worker's next task; false when there is none. *i becomes the task's
 * number within the expert. */
static bool walk_next(expert_walk *w, uint32_t *i) {
    uint32_t n = rf_pool_next(rf_cpu_run_pool(w->g->run));
    while (n - w->first_task >= w->split.n_tasks) {
        w->first_task += w->split.n_tasks;
        if (++w->expert >= w->g->n_expert)
            return false;
        walk_open(w);
    }
    *i = n - w->first_task;
    return true;
}

static rf_cpu_task walk_task(const expert_walk *w, const rf_cpu_weight *weight, uint32_t i) {
    rf_matrix matrix = weight->matrix;
    matrix.data += w->expert * weight->expert_bytes;
    rf_cpu_task task = rf_cpu_split_task(&w->split, &matrix, i);
    task.row_begin += w->g->start[w->expert];
    task.row_end += w->g->start[w->expert];
    return task;
}

void rf_cpu_run_moe_gated_matmul(const rf_cpu_run *run, const rf_cpu_step *step) {
    const rf_op_moe_gated_matmul *op = &step->op->u.moe_gated_matmul;
    const rf_cpu_backend *b = run->backend;
    const rf_cpu_weight *gate = &b->plan.weights[op->gate], *up = &b->plan.weights[op->up];
    grouping g = grouping_of(run, op->route, op->n_used, op->gate);
    if (g.n_rows == 0)
        return;
    group_rows(&g);
    rf_cpu_source source =
        gather_rows(&g, rf_cpu_value(run, op->in), b->program->values[op->in].n_cols, op->n_used,
                    rf_cpu_acts_mask(&b->plan, step->op));
    rf_acts gate_acts = rf_cpu_acts(run, b->plan.ws.moe_acts, gate->matrix.variant->acts, source);
    rf_acts up_acts = rf_cpu_acts(run, b->plan.ws.moe_acts, up->matrix.variant->acts, source);
    float *out = rf_cpu_value(run, op->out), *gate_rows = rf_cpu_scratch(run);
    float *up_rows = gate_rows + RF_CPU_TASK_FLOATS;
    expert_walk walk = {.g = &g, .weight = gate, .also = up};
    walk_open(&walk);
    for (uint32_t i; walk_next(&walk, &i);) {
        rf_cpu_task gate_task = walk_task(&walk, gate, i), up_task = walk_task(&walk, up, i);
        size_t n = gate_task.matrix.n_rows;
        rf_cpu_product(&gate_task, &gate_acts, gate_rows, n);
        rf_cpu_product(&up_task, &up_acts, up_rows, n);
        for (uint32_t r = gate_task.row_begin; r < gate_task.row_end; r++) {
            size_t from = (r - gate_task.row_begin) * n;
            b->plan.kernels.act(op->act, gate_rows + from, up_rows + from, (uint32_t)n,
                                out + (size_t)g.order[r] * gate->matrix.n_rows + gate_task.col);
        }
    }
    rf_pool_barrier(b->pool);
}

void rf_cpu_run_moe_matmul(const rf_cpu_run *run, const rf_cpu_step *step) {
    const rf_op_moe_matmul *op = &step->op->u.moe_matmul;
    const rf_cpu_backend *b = run->backend;
    const rf_cpu_weight *down = &b->plan.weights[op->down];
    grouping g = grouping_of(run, op->route, op->n_used, op->down);
    uint32_t n_out = down->matrix.n_rows, begin, end;
    if (g.n_rows == 0)
        return;
    group_rows(&g);
    rf_cpu_source source = gather_rows(&g, rf_cpu_value(run, op->in), down->matrix.n_cols, 1,
                                       rf_cpu_acts_mask(&b->plan, step->op));
    rf_acts acts = rf_cpu_acts(run, b->plan.ws.moe_acts, down->matrix.variant->acts, source);
    /* [n_slots][n_out] in the order of slots */
    float *results = rf_cpu_area(run, b->plan.ws.moe_out), *rows = rf_cpu_scratch(run);
    expert_walk walk = {.g = &g, .weight = down};
    walk_open(&walk);
    for (uint32_t i; walk_next(&walk, &i);) {
        rf_cpu_task task = walk_task(&walk, down, i);
        size_t n = task.matrix.n_rows;
        rf_cpu_product(&task, &acts, rows, n);
        for (uint32_t r = task.row_begin; r < task.row_end; r++)
            memcpy(results + (size_t)g.order[r] * n_out + task.col, rows + (r - task.row_begin) * n,
                   n * sizeof *rows);
    }
    rf_pool_barrier(b->pool);
    float *out = rf_cpu_value(run, op->out);
    uint32_t unit = rf_cpu_unit(b->pool, g.n_rows);
    while (rf_cpu_next(b->pool, g.n_rows, unit, &begin, &end))
        for (uint32_t r = begin; r < end; r++)
            rf_moe_combine_ref(g.route + (size_t)r * g.route_cols,
                               results + (size_t)r * op->n_used * n_out, op->n_used, n_out, op->add,
                               out + (size_t)r * n_out);
    rf_pool_barrier(b->pool);
}
