#include "op/op_view.h"

#include <math.h>

static void use(rf_op_view *view, rf_weight_id weight) {
    if (weight != RF_NONE && view->n_weights < RF_OP_MAX_WEIGHTS)
        view->weights[view->n_weights++] = weight;
}

static void look_embed(const rf_program *program, const rf_op_embed *op, rf_op_view *view) {
    view->out = op->out;
    use(view, op->table);
    view->n_of = program->weights[op->table].n_rows;
}

static void look_norm(const rf_program *program, const rf_op_norm *op, rf_op_view *view) {
    (void)program;
    view->in = op->in;
    view->out = op->out;
    use(view, op->weight);
    use(view, op->bias);
}

static void look_matmul(const rf_program *program, const rf_op_matmul *op, rf_op_view *view) {
    (void)program;
    view->in = op->in;
    view->out = op->out;
    for (uint32_t i = 0; i < op->n_parts && i < RF_MATMUL_MAX_PARTS; i++) {
        use(view, op->weight[i]);
        use(view, op->bias[i]);
    }
}

static void look_rope_store(const rf_program *program, const rf_op_rope_store *op,
                            rf_op_view *view) {
    (void)program;
    view->in = view->out = op->qkv;
    use(view, op->q_norm);
    use(view, op->k_norm);
}

static void look_attention(const rf_program *program, const rf_op_attention *op, rf_op_view *view) {
    (void)program;
    view->in = op->qkv;
    view->out = op->out;
    use(view, op->sinks);
}

static void look_gated_matmul(const rf_program *program, const rf_op_gated_matmul *op,
                              rf_op_view *view) {
    (void)program;
    view->in = op->in;
    view->out = op->out;
    use(view, op->gate);
    use(view, op->gate_bias);
    use(view, op->up);
    use(view, op->up_bias);
}

static void look_moe_route(const rf_program *program, const rf_op_moe_route *op, rf_op_view *view) {
    (void)program;
    view->in = op->in;
    view->out = op->out;
    use(view, op->weight);
    use(view, op->bias);
}

/* A row reads n_used of the experts that weight holds. */
static void use_experts(const rf_program *program, rf_op_view *view, rf_weight_id weight,
                        uint32_t n_used) {
    use(view, weight);
    view->n_read = n_used;
    view->n_of = program->weights[weight].n_experts;
}

static void look_moe_gated_matmul(const rf_program *program, const rf_op_moe_gated_matmul *op,
                                  rf_op_view *view) {
    view->in = op->in;
    view->out = op->out;
    use_experts(program, view, op->gate, op->n_used);
    use_experts(program, view, op->up, op->n_used);
}

static void look_moe_matmul(const rf_program *program, const rf_op_moe_matmul *op,
                            rf_op_view *view) {
    view->in = op->in;
    view->out = op->out;
    use_experts(program, view, op->down, op->n_used);
}

rf_op_view rf_op_look(const rf_program *program, const rf_op *op) {
    rf_op_view view = {.in = RF_NONE, .out = RF_NONE, .n_read = 1, .n_of = 1};
    switch (op->kind) {
#define X(id, name, what)                         \
    case RF_OP_##id:                              \
        look_##name(program, &op->u.name, &view); \
        break;
#include "op/ops.def"
#undef X
    case RF_OP_COUNT: break;
    }
    view.rows = view.out == RF_NONE ? RF_ROWS_TOKENS : program->values[view.out].rows;
    return view;
}

uint64_t rf_weight_bytes(const rf_weight *weight) {
    return weight->row_bytes * weight->n_rows * weight->n_experts;
}

uint64_t rf_op_bytes(const rf_program *program, const rf_op_view *view) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < view->n_weights; i++)
        bytes += rf_weight_bytes(&program->weights[view->weights[i]]);
    return bytes;
}

uint64_t rf_op_read_bytes(const rf_program *program, const rf_op_view *view, uint64_t n_rows) {
    uint64_t bytes = rf_op_bytes(program, view);
    if (n_rows == 0 || view->n_of == 0)
        return 0;
    if (n_rows == 1 || view->n_read == view->n_of)
        return bytes / view->n_of * view->n_read;
    double missed = 1 - (double)view->n_read / (double)view->n_of;
    return (uint64_t)((double)bytes * (1 - pow(missed, (double)n_rows)));
}

uint64_t rf_op_product_ops(const rf_program *program, const rf_op *op) {
    bool products = op->kind == RF_OP_MATMUL || op->kind == RF_OP_GATED_MATMUL ||
                    op->kind == RF_OP_MOE_ROUTE || op->kind == RF_OP_MOE_GATED_MATMUL ||
                    op->kind == RF_OP_MOE_MATMUL;
    rf_op_view view = rf_op_look(program, op);
    uint64_t n = 0;
    for (uint32_t i = 0; products && i < view.n_weights; i++) {
        const rf_weight *weight = &program->weights[view.weights[i]];
        if (weight->n_rows > 1) /* a vector is a bias */
            n += 2 * weight->n_cols * weight->n_rows * view.n_read;
    }
    return n;
}

uint64_t rf_program_step_bytes(const rf_program *program) {
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < program->n_ops; i++) {
        rf_op_view view = rf_op_look(program, &program->ops[i]);
        bytes += rf_op_read_bytes(program, &view, 1);
    }
    return bytes;
}
