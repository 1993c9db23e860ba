#include "cli/bench.h"
#include "op/op_view.h"

/* Positions 0 … p that a row at p sees. */
static uint64_t visible(uint32_t window, uint64_t p) {
    return window && p + 1 > window ? window : p + 1;
}

static rf_bench_work attention_work(const rf_program *program, const rf_op_attention *op,
                                    const rf_bench_setup *setup, const rf_bench_step *step) {
    const rf_kv_layer *layer = &program->kv_layers[op->kv_layer];
    uint64_t n_rows = step->n_rows / step->n_seqs, end = step->position + n_rows;
    uint64_t n_read = n_rows - 1 + visible(op->window, step->position), n_seen = 0;
    for (uint64_t p = step->position; p < end; p++)
        n_seen += visible(op->window, p);
    size_t token_bytes = (rf_kv_type_bytes(setup->type_k, layer->head_dim) +
                          rf_kv_type_bytes(setup->type_v, layer->head_dim_v)) *
                         layer->n_head_kv;
    double n_seqs = step->n_seqs;
    return (rf_bench_work){.read_bytes = n_seqs * (double)(n_read * token_bytes),
                           .other_ops = n_seqs * 2.0 * op->n_head *
                                        (double)(n_seen * (layer->head_dim + layer->head_dim_v))};
}

rf_bench_work rf_bench_op_work(const rf_program *program, const rf_op *op,
                               const rf_bench_setup *setup, const rf_bench_test *test) {
    rf_op_view view = rf_op_look(program, op);
    rf_bench_work sum = {0};
    double row_ops = (double)rf_op_product_ops(program, op);
    for (uint32_t i = 0; i < rf_bench_n_steps(test, setup->n_batch); i++) {
        rf_bench_step step = rf_bench_step_at(test, setup->n_batch, i);
        uint32_t n_rows = view.rows == RF_ROWS_OUTPUT ? step.n_outputs : step.n_rows;
        sum.read_bytes += (double)rf_op_read_bytes(program, &view, n_rows);
        sum.product_ops += row_ops * n_rows;
        if (op->kind != RF_OP_ATTENTION)
            continue;
        rf_bench_work more = attention_work(program, &op->u.attention, setup, &step);
        sum.read_bytes += more.read_bytes;
        sum.other_ops += more.other_ops;
    }
    return sum;
}

rf_bench_work rf_bench_test_work(const rf_program *program, const rf_bench_setup *setup,
                                 const rf_bench_test *test) {
    rf_bench_work sum = {0};
    for (uint32_t i = 0; i < program->n_ops; i++) {
        rf_bench_work work = rf_bench_op_work(program, &program->ops[i], setup, test);
        sum.read_bytes += work.read_bytes;
        sum.product_ops += work.product_ops;
        sum.other_ops += work.other_ops;
    }
    return sum;
}
