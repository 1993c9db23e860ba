/* The part of the plan that concerns weights: who uses them how, which kernel, where packed. */
#include "cpu/plan_weights.h"

#include "base/checked.h"
#include "base/log.h"

uint32_t rf_cpu_op_matrices(const rf_op *op, rf_weight_id ids[RF_MATMUL_MAX_PARTS]) {
    switch (op->kind) {
    case RF_OP_MATMUL:
        for (uint32_t i = 0; i < op->u.matmul.n_parts; i++)
            ids[i] = op->u.matmul.weight[i];
        return op->u.matmul.n_parts;
    case RF_OP_GATED_MATMUL:
        ids[0] = op->u.gated_matmul.gate;
        ids[1] = op->u.gated_matmul.up;
        return 2;
    case RF_OP_MOE_ROUTE: ids[0] = op->u.moe_route.weight; return 1;
    case RF_OP_MOE_GATED_MATMUL:
        ids[0] = op->u.moe_gated_matmul.gate;
        ids[1] = op->u.moe_gated_matmul.up;
        return 2;
    case RF_OP_MOE_MATMUL: ids[0] = op->u.moe_matmul.down; return 1;
    default: return 0;
    }
}

/* Weights that an op reads as vectors of floats. */
static uint32_t op_vectors(const rf_op *op, rf_weight_id ids[RF_MATMUL_MAX_PARTS]) {
    switch (op->kind) {
    case RF_OP_NORM:
        ids[0] = op->u.norm.weight;
        ids[1] = op->u.norm.bias;
        return 2;
    case RF_OP_MATMUL:
        for (uint32_t i = 0; i < op->u.matmul.n_parts; i++)
            ids[i] = op->u.matmul.bias[i];
        return op->u.matmul.n_parts;
    case RF_OP_ROPE_STORE:
        ids[0] = op->u.rope_store.q_norm;
        ids[1] = op->u.rope_store.k_norm;
        return 2;
    case RF_OP_ATTENTION: ids[0] = op->u.attention.sinks; return 1;
    case RF_OP_GATED_MATMUL:
        ids[0] = op->u.gated_matmul.gate_bias;
        ids[1] = op->u.gated_matmul.up_bias;
        return 2;
    case RF_OP_MOE_ROUTE: ids[0] = op->u.moe_route.bias; return 1;
    default: return 0;
    }
}

static void mark_uses(const rf_program *program, rf_cpu_weight *weights) {
    for (uint32_t i = 0; i < program->n_ops; i++) {
        const rf_op *op = &program->ops[i];
        rf_weight_id ids[RF_MATMUL_MAX_PARTS];
        for (uint32_t n = rf_cpu_op_matrices(op, ids); n-- > 0;)
            weights[ids[n]].is_matrix = true;
        for (uint32_t n = op_vectors(op, ids); n-- > 0;)
            if (ids[n] != RF_NONE)
                weights[ids[n]].is_vector = true;
        if (op->kind == RF_OP_EMBED)
            weights[op->u.embed.table].is_table = true;
    }
}

static rf_status choose(const rf_cpu_options *options, const rf_weight *weight, rf_cpu_weight *out,
                        rf_error *err) {
    const rf_qtype_info *type = rf_qtype_get(weight->qtype);
    uint32_t features = options->reference ? 0 : options->features, n = (uint32_t)weight->n_cols;
    if (!type->native && !options->allow_slow_types && !options->reference)
        return rf_fail(err, RF_ERR_UNSUPPORTED,
                       "tensor '%.*s' has type %s, which has no fast kernel; "
                       "--allow-slow-types runs it on the reference",
                       RF_STR_ARG(weight->name), type->name);
    const rf_matmul_variant *variant =
        rf_matmul_choose(weight->qtype, n, features, options->reference);
    if (!variant)
        return rf_fail(err, RF_ERR_UNSUPPORTED,
                       "tensor '%.*s': no kernel for type %s with rows of %u",
                       RF_STR_ARG(weight->name), type->name, n);
    uint32_t n_tiles = (uint32_t)rf_ceil_div((size_t)weight->n_rows, variant->tile_rows);
    out->matrix = (rf_matrix){.variant = variant,
                              .n_rows = (uint32_t)weight->n_rows,
                              .n_cols = n,
                              .n_tiles = n_tiles,
                              .tile_bytes = variant->tile_bytes(n)};
    out->expert_bytes = variant->packs ? n_tiles * out->matrix.tile_bytes
                                       : (size_t)(weight->expert_stride_rows * weight->row_bytes);
    return RF_OK;
}

/* One line a type that runs on the reference although a fast kernel could have been hoped for. */
static void warn_slow(const rf_cpu_options *options, const rf_weight *weight,
                      const rf_cpu_weight *w, uint64_t *warned) {
    uint64_t bit = (uint64_t)1 << weight->qtype;
    if (options->reference || w->matrix.variant->packs || (*warned & bit))
        return;
    *warned |= bit;
    rf_log(RF_LOG_WARN, "cpu", "tensor '%.*s' (%s, rows of %u) runs on the slow reference kernel",
           RF_STR_ARG(weight->name), rf_qtype_get(weight->qtype)->name, w->matrix.n_cols);
}

static uint64_t data_bytes(const rf_weight *weight) {
    return weight->n_experts * weight->n_rows * weight->row_bytes;
}

static uint64_t take(rf_memory_plan *memory, uint64_t bytes) {
    uint64_t at = memory->weights_bytes;
    memory->weights_bytes += (bytes + 63) / 64 * 64;
    return at;
}

rf_status rf_cpu_plan_weights(const rf_cpu_options *options, const rf_program *program,
                              rf_cpu_plan *plan, rf_error *err) {
    uint64_t warned = 0;
    mark_uses(program, plan->weights);
    for (uint32_t i = 0; i < program->n_weights; i++) {
        const rf_weight *weight = &program->weights[i];
        rf_cpu_weight *w = &plan->weights[i];
        if (w->is_vector)
            w->vector_offset = take(&plan->memory, weight->n_rows * weight->n_cols * 4);
        if (w->is_matrix)
            RF_TRY(choose(options, weight, w, err));
        if (w->is_matrix && w->matrix.variant->packs)
            w->packed_offset = take(&plan->memory, w->expert_bytes * weight->n_experts);
        if (w->is_table || (w->is_matrix && !w->matrix.variant->packs))
            plan->memory.mapped_bytes += data_bytes(weight);
        if (w->is_matrix)
            warn_slow(options, weight, w, &warned);
    }
    return RF_OK;
}

unsigned rf_cpu_acts_mask(const rf_cpu_plan *plan, const rf_op *op) {
    rf_weight_id ids[RF_MATMUL_MAX_PARTS];
    unsigned mask = 0;
    for (uint32_t n = rf_cpu_op_matrices(op, ids); n-- > 0;)
        mask |= 1u << plan->weights[ids[n]].matrix.variant->acts;
    return mask & ~(1u << RF_ACTS_F32); /* floats need no preparation */
}
