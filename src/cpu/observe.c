#include "cpu/observe.h"

#include "op/op_view.h"

/* Rows of experts one by one: row r's j-th choice reads row r of in, or its own part of it. */
static void observe_experts(const rf_cpu_run *run, rf_weight_id weight, rf_value_id in,
                            rf_value_id route, uint32_t n_used) {
    const rf_observer *observer = run->outputs->observer;
    const rf_program *program = run->backend->program;
    uint32_t n_rows = rf_cpu_rows(run, route), n_route = program->values[route].n_cols;
    uint32_t n_in = program->values[in].n_cols;
    size_t n_cols = (size_t)program->weights[weight].n_cols;
    const float *rows = rf_cpu_value(run, in), *chosen = rf_cpu_value(run, route);
    for (uint32_t r = 0; r < n_rows; r++)
        for (uint32_t j = 0; j < n_used; j++) {
            uint32_t expert = (uint32_t)chosen[(size_t)r * n_route + 2 * j];
            size_t part = n_in == n_cols ? 0 : j * n_cols;
            observer->see(observer->user, weight, expert, rows + (size_t)r * n_in + part, 1);
        }
}

void rf_cpu_observe(const rf_cpu_run *run, const rf_op *op) {
    const rf_observer *observer = run->outputs->observer;
    rf_value_id in = rf_op_look(run->backend->program, op).in;
    rf_weight_id ids[RF_MATMUL_MAX_PARTS];
    uint32_t n = rf_cpu_op_matrices(op, ids);
    if (n == 0)
        return;
    rf_pool_barrier(rf_cpu_run_pool(run));
    for (uint32_t i = 0; run->worker == 0 && i < n; i++) {
        if (op->kind == RF_OP_MOE_GATED_MATMUL)
            observe_experts(run, ids[i], in, op->u.moe_gated_matmul.route,
                            op->u.moe_gated_matmul.n_used);
        else if (op->kind == RF_OP_MOE_MATMUL)
            observe_experts(run, ids[i], in, op->u.moe_matmul.route, op->u.moe_matmul.n_used);
        else
            observer->see(observer->user, ids[i], 0, rf_cpu_value(run, in), rf_cpu_rows(run, in));
    }
    rf_pool_barrier(rf_cpu_run_pool(run));
}
