#include "base/checked.h"
#include "gpu/gpu_state.h"
#include "op/op_view.h"

enum { ALIGN = 256, FLOAT = 4, MAX_HEAD = 256, MAX_GRID = 65535 };

static uint64_t take(uint64_t *total, uint64_t bytes) {
    uint64_t at = *total;
    *total += (bytes + ALIGN - 1) / ALIGN * ALIGN;
    return at;
}

static uint64_t most(uint64_t a, uint64_t b) { return a > b ? a : b; }

static uint64_t rows_of(const rf_program *program, const rf_limits *limits, rf_value_id id) {
    return program->values[id].rows == RF_ROWS_OUTPUT ? limits->max_outputs : limits->max_tokens;
}

bool rf_gpu_type_fields(rf_qtype qtype, uint32_t at[4], uint32_t bytes[4]) {
    static const struct {
        uint32_t at[4], bytes[4];
    } rows[RF_QTYPE_COUNT] = {
#define X(TYPE, type, weights, q, qn, h, hn, s, sn, d, dn) \
    [RF_QTYPE_##TYPE] = {{q, h, s, d}, {qn, hn, sn, dn}},
#include "gpu/gpu_types.def"
#undef X
    };
    for (int p = 0; p < 4; p++) {
        at[p] = rows[qtype].at[p];
        bytes[p] = rows[qtype].bytes[p];
    }
    return bytes[0] != 0;
}

/* The weights that an op multiplies with or looks rows up in. */
static void mark_matrices(const rf_op *op, bool *is_vector) {
    switch (op->kind) {
    case RF_OP_EMBED: is_vector[op->u.embed.table] = false; break;
    case RF_OP_MATMUL:
        for (uint32_t p = 0; p < op->u.matmul.n_parts; p++)
            is_vector[op->u.matmul.weight[p]] = false;
        break;
    case RF_OP_GATED_MATMUL:
        is_vector[op->u.gated_matmul.gate] = is_vector[op->u.gated_matmul.up] = false;
        break;
    case RF_OP_MOE_ROUTE: is_vector[op->u.moe_route.weight] = false; break;
    case RF_OP_MOE_GATED_MATMUL:
        is_vector[op->u.moe_gated_matmul.gate] = is_vector[op->u.moe_gated_matmul.up] = false;
        break;
    case RF_OP_MOE_MATMUL: is_vector[op->u.moe_matmul.down] = false; break;
    default: break;
    }
}

static rf_status check_weight(const rf_weight *weight, rf_error *err) {
    uint32_t at[4], bytes[4];
    const rf_qtype_info *type = rf_qtype_get(weight->qtype);
    if (type->block_weights > 1 && !rf_gpu_type_fields(weight->qtype, at, bytes))
        return rf_fail(err, RF_ERR_UNSUPPORTED, "%.*s: no kernels for type %s on GPUs",
                       (int)weight->name.len, weight->name.ptr, type->name);
    return RF_OK;
}

/* Two names for the same matrix (tied embeddings) lie there once. */
static bool same(const rf_weight *a, const rf_weight *b) {
    return a->data == b->data && a->qtype == b->qtype && a->n_cols == b->n_cols &&
           a->n_rows == b->n_rows && a->n_experts == b->n_experts;
}

static rf_status plan_weights(const rf_program *program, rf_gpu_plan *plan, rf_error *err) {
    for (uint32_t i = 0; i < program->n_weights; i++)
        plan->is_vector[i] = true;
    for (uint32_t i = 0; i < program->n_ops; i++)
        mark_matrices(&program->ops[i], plan->is_vector);
    for (uint32_t i = 0; i < program->n_weights; i++) {
        const rf_weight *weight = &program->weights[i];
        uint64_t n = weight->n_rows * weight->n_experts;
        uint32_t twin = 0;
        while (twin < i && (plan->is_vector[twin] != plan->is_vector[i] ||
                            !same(&program->weights[twin], weight)))
            twin++;
        if (twin < i) {
            plan->weights[i] = plan->weights[twin];
            continue;
        }
        if (!plan->is_vector[i])
            RF_TRY(check_weight(weight, err));
        /* room behind each plane, so that all of them are aligned */
        uint64_t bytes = plan->is_vector[i] ? n * weight->n_cols * FLOAT : n * weight->row_bytes;
        plan->weights[i] = take(&plan->memory.weights_bytes, bytes + 4 * ALIGN);
    }
    return RF_OK;
}

static rf_status plan_kv(const rf_program *program, const rf_limits *limits, rf_gpu_plan *plan,
                         rf_error *err) {
    for (uint32_t i = 0; i < program->n_kv_layers; i++) {
        const rf_kv_layer *layer = &program->kv_layers[i];
        uint64_t k = (uint64_t)layer->head_dim * limits->block_tokens;
        uint64_t v = (uint64_t)layer->head_dim_v * limits->block_tokens;
        uint32_t step = limits->type_k == RF_KV_Q8_0 || limits->type_v == RF_KV_Q8_0 ? 32 : 8;
        if (layer->head_dim > MAX_HEAD || layer->head_dim_v > MAX_HEAD || layer->head_dim % step ||
            layer->head_dim_v % step)
            return rf_fail(err, RF_ERR_UNSUPPORTED,
                           "heads of %u and %u dimensions with a %s and %s cache: GPUs take "
                           "multiples of %u up to %d",
                           layer->head_dim, layer->head_dim_v, rf_kv_type_name(limits->type_k),
                           rf_kv_type_name(limits->type_v), step, MAX_HEAD);
        uint64_t k_bytes = (rf_kv_type_bytes(limits->type_k, k) + 15) / 16 * 16;
        uint64_t v_bytes = (rf_kv_type_bytes(limits->type_v, v) + 15) / 16 * 16;
        uint64_t all = (k_bytes + v_bytes) * layer->n_head_kv * limits->n_blocks[layer->group];
        plan->kv[i] = (rf_gpu_kv){.at = take(&plan->memory.kv_bytes, all),
                                  .head_bytes = k_bytes + v_bytes,
                                  .v_offset = (uint32_t)k_bytes,
                                  .n_head_kv = layer->n_head_kv,
                                  .head_dim = layer->head_dim,
                                  .head_dim_v = layer->head_dim_v,
                                  .block_tokens = limits->block_tokens,
                                  .type_k = limits->type_k,
                                  .type_v = limits->type_v};
    }
    return RF_OK;
}

static void plan_batch(const rf_program *program, const rf_limits *limits, rf_gpu_plan *plan) {
    rf_gpu_batch_at *at = &plan->batch_at;
    size_t n = limits->max_tokens;
    at->stride = rf_gpu_ceil(limits->max_context, limits->block_tokens) + 1;
    *at = (rf_gpu_batch_at){.stride = at->stride, .positions = n, .seqs = 2 * n, .rows = 3 * n};
    at->n = 3 * n + limits->max_outputs;
    for (uint32_t g = 0; g < program->n_kv_groups; g++) {
        at->tables[g] = at->n;
        at->n += (size_t)limits->max_seqs * at->stride;
    }
    plan->areas.batch = take(&plan->areas.bytes, at->n * sizeof(int32_t));
}

/* What ops need beside values: the widest of each. */
typedef struct widths {
    uint64_t in;      /* floats of prepared activations */
    uint64_t in_cols; /* of one row of them */
    uint64_t in_rows;
    uint64_t gated, slots, logits, n_slots, n_expert, partial;
} widths;

static void widen(const rf_program *program, const rf_limits *limits, const rf_op *op, widths *w) {
    rf_op_view view = rf_op_look(program, op);
    uint64_t rows = view.in == RF_NONE ? 0 : rows_of(program, limits, view.in), cols = 0;
    switch (op->kind) {
    case RF_OP_GATED_MATMUL:
        w->gated = most(w->gated, rows * program->weights[op->u.gated_matmul.gate].n_rows);
        break;
    case RF_OP_MOE_ROUTE:
        w->n_expert = most(w->n_expert, program->weights[op->u.moe_route.weight].n_rows);
        w->logits = most(w->logits, rows * program->weights[op->u.moe_route.weight].n_rows);
        break;
    case RF_OP_MOE_GATED_MATMUL:
        w->n_slots = most(w->n_slots, rows * op->u.moe_gated_matmul.n_used);
        w->gated = most(w->gated, rows * op->u.moe_gated_matmul.n_used *
                                      program->weights[op->u.moe_gated_matmul.gate].n_rows);
        break;
    case RF_OP_MOE_MATMUL:
        rows *= op->u.moe_matmul.n_used;
        cols = program->weights[op->u.moe_matmul.down].n_cols;
        w->slots = most(w->slots, rows * program->weights[op->u.moe_matmul.down].n_rows);
        break;
    default: break;
    }
    if (view.in == RF_NONE)
        return;
    cols = cols ? cols : program->values[view.in].n_cols;
    cols = (cols + RF_GPU_ROW_PAD - 1) / RF_GPU_ROW_PAD * RF_GPU_ROW_PAD;
    w->in = most(w->in, rows * cols);
    w->in_rows = most(w->in_rows, rows);
    if (op->kind == RF_OP_ATTENTION) {
        const rf_kv_layer *layer = &program->kv_layers[op->u.attention.kv_layer];
        uint64_t heads = op->u.attention.n_head, wide = layer->head_dim_v + 2;
        w->partial = most(w->partial, rows * heads * wide);
    }
}

/* Rows, and slots of experts, are a dimension of grids. */
static rf_status check_grid(const rf_limits *limits, const widths *w, rf_error *err) {
    if (w->n_expert > RF_GPU_MAX_EXPERTS)
        return rf_fail(err, RF_ERR_UNSUPPORTED, "%llu experts: GPUs take at most %d",
                       (unsigned long long)w->n_expert, RF_GPU_MAX_EXPERTS);
    if (limits->max_tokens <= MAX_GRID && w->n_slots <= MAX_GRID)
        return RF_OK;
    return rf_fail(err, RF_ERR_UNSUPPORTED,
                   "a batch of %u tokens (%llu with the experts of each): GPUs take at most %d; a "
                   "smaller --batch-size helps",
                   limits->max_tokens, (unsigned long long)w->n_slots, MAX_GRID);
}

static rf_status plan_areas(const rf_gpu_backend *b, const rf_program *program,
                            const rf_limits *limits, rf_gpu_plan *plan, rf_error *err) {
    widths w = {0};
    rf_gpu_areas *a = &plan->areas;
    uint64_t units = b->gpu->info[b->device].n_units ? b->gpu->info[b->device].n_units : 1;
    plan->target_waves = units * 16;
    for (uint32_t i = 0; i < program->n_ops; i++)
        widen(program, limits, &program->ops[i], &w);
    RF_TRY(check_grid(limits, &w, err));
    a->acts_high = take(&a->bytes, w.in);
    a->acts_low = take(&a->bytes, w.in);
    a->acts_scales = take(&a->bytes, w.in / RF_GPU_GROUP * FLOAT);
    a->acts_sums = take(&a->bytes, w.in / RF_GPU_SUBGROUP * FLOAT);
    a->halves = take(&a->bytes, w.in * 2);
    a->half_scales = take(&a->bytes, w.in_rows * FLOAT);
    a->partial = take(&a->bytes, (w.partial + 2 * plan->target_waves * (MAX_HEAD + 2)) * FLOAT);
    a->gate = take(&a->bytes, w.gated * FLOAT);
    a->up = take(&a->bytes, w.gated * FLOAT);
    a->slots = take(&a->bytes, w.slots * FLOAT);
    a->logits = take(&a->bytes, w.logits * FLOAT);
    a->order = take(&a->bytes, w.n_slots * FLOAT);
    a->start = take(&a->bytes, (RF_GPU_MAX_EXPERTS + 1) * FLOAT);
    for (uint32_t i = 0; i < program->n_values; i++)
        plan->values[i] = take(&a->bytes, rows_of(program, limits, (rf_value_id)i) *
                                              program->values[i].n_cols * FLOAT);
    for (uint32_t i = 0; i < program->n_ropes; i++) {
        plan->inv_freqs[i] = take(&a->bytes, program->ropes[i].n_dims / 2 * FLOAT);
        plan->angles[i] =
            take(&a->bytes, (uint64_t)limits->max_tokens * program->ropes[i].n_dims * FLOAT);
    }
    return RF_OK;
}

rf_status rf_gpu_plan_make(const rf_gpu_backend *backend, const rf_program *program,
                           const rf_limits *limits, rf_arena *arena, rf_gpu_plan *out,
                           rf_error *err) {
    *out = (rf_gpu_plan){0};
    out->values = RF_ARENA_ARRAY(arena, uint64_t, program->n_values);
    out->angles = RF_ARENA_ARRAY(arena, uint64_t, program->n_ropes);
    out->inv_freqs = RF_ARENA_ARRAY(arena, uint64_t, program->n_ropes);
    out->kv = RF_ARENA_ARRAY(arena, rf_gpu_kv, program->n_kv_layers);
    out->weights = RF_ARENA_ARRAY(arena, uint64_t, program->n_weights);
    out->is_vector = RF_ARENA_ARRAY(arena, bool, program->n_weights);
    if (!out->values || !out->angles || !out->inv_freqs || !out->kv || !out->weights ||
        !out->is_vector)
        return rf_fail(err, RF_ERR_NO_MEMORY, "no memory for the plan of %u ops", program->n_ops);
    RF_TRY(plan_weights(program, out, err));
    RF_TRY(plan_kv(program, limits, out, err));
    plan_batch(program, limits, out);
    RF_TRY(plan_areas(backend, program, limits, out, err));
    out->memory.workspace_bytes = out->areas.bytes;
    return RF_OK;
}
