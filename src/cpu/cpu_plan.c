#include "cpu/cpu_plan.h"

#include "base/checked.h"
#include "cpu/plan_weights.h"
#include "op/op_view.h"

static size_t take(rf_cpu_workspace *ws, size_t bytes) {
    size_t at = ws->bytes;
    ws->bytes += rf_round_up(bytes, 64);
    return at;
}

static size_t at_least(size_t a, size_t b) { return a > b ? a : b; }

/* The value whose activations are prepared for an op's products, or RF_NONE. */
static rf_value_id op_input(const rf_program *program, const rf_op *op) {
    bool prepares =
        op->kind == RF_OP_MATMUL || op->kind == RF_OP_GATED_MATMUL ||
        op->kind == RF_OP_MOE_ROUTE; /* the grouped ops of experts have rows of theirs */
    return prepares ? rf_op_look(program, op).in : RF_NONE;
}

/* A value is every worker's own if nothing but norms writes it: they need no other worker's rows.
 */
static bool is_own(const rf_program *program, rf_value_id id) {
    if (id == program->hidden || id == program->logits ||
        program->values[id].rows != RF_ROWS_TOKENS ||
        program->values[id].n_cols > RF_CPU_OWN_FLOATS)
        return false;
    for (uint32_t i = 0; i < program->n_ops; i++) {
        const rf_op *op = &program->ops[i];
        if (rf_op_look(program, op).out == id && (op->kind != RF_OP_NORM || op->u.norm.add))
            return false;
    }
    return true;
}

static void plan_own(const rf_program *program, uint32_t n_workers, rf_cpu_plan *plan) {
    rf_cpu_workspace *ws = &plan->ws, own = {0};
    for (uint32_t i = 0; i < program->n_values; i++)
        ws->own_values[i] = is_own(program, (rf_value_id)i)
                                ? take(&own, RF_CPU_OWN_FLOATS * sizeof(float))
                                : RF_CPU_SHARED;
    for (int k = 0; k < RF_ACTS_KIND_COUNT; k++)
        ws->own_acts[k] = take(&own, rf_acts_bytes((rf_acts_kind)k, 1, RF_CPU_OWN_FLOATS));
    ws->own_bytes = own.bytes;
    ws->own = take(ws, own.bytes * n_workers);
}

/* What a part of a MATMUL reads. The products whose rounding shows most see their activations
 * twice: the one that makes logits, since nothing after it averages (and it runs for few rows), and
 * those that make q, k and v, since softmax and the cache carry it on (and they are the smallest
 * of a layer). */
static rf_acts_kind part_kind(const rf_program *program, const rf_cpu_plan *plan, const rf_op *op,
                              uint32_t part) {
    const rf_op_matmul *matmul = &op->u.matmul;
    rf_acts_kind kind = plan->weights[matmul->weight[part]].matrix.variant->acts;
    if (kind != RF_ACTS_Q8)
        return kind;
    if (program->values[matmul->out].rows == RF_ROWS_OUTPUT)
        return RF_ACTS_Q8_TWICE;
    for (const rf_op *next = op + 1; next < program->ops + program->n_ops; next++) {
        if (next->layer != op->layer)
            break;
        if (next->kind == RF_OP_ROPE_STORE && next->u.rope_store.qkv == matmul->out)
            return RF_ACTS_Q8_TWICE;
    }
    return RF_ACTS_Q8;
}

static void plan_reads(const rf_program *program, rf_cpu_plan *plan) {
    for (uint32_t i = 0; i < program->n_ops; i++) {
        const rf_op *op = &program->ops[i];
        rf_cpu_step *step = &plan->steps[i];
        step->op = op;
        if (op->kind != RF_OP_MATMUL)
            step->reads = op_input(program, op) == RF_NONE ? 0 : rf_cpu_acts_mask(plan, op);
        for (uint32_t p = 0; op->kind == RF_OP_MATMUL && p < op->u.matmul.n_parts; p++) {
            step->part_acts[p] = part_kind(program, plan, op, p);
            step->reads |= 1u << step->part_acts[p];
        }
        step->reads &= ~(1u << RF_ACTS_F32); /* floats need no preparation */
    }
}

/* Decides which step prepares activations: each kind's buffer holds one value at a time. */
static void plan_steps(const rf_program *program, rf_cpu_plan *plan) {
    rf_value_id holds[RF_ACTS_KIND_COUNT];
    for (int k = 0; k < RF_ACTS_KIND_COUNT; k++)
        holds[k] = RF_NONE;
    plan_reads(program, plan);
    for (uint32_t i = 0; i < program->n_ops; i++) {
        const rf_op *op = &program->ops[i], *after = op + 1;
        rf_cpu_step *step = &plan->steps[i];
        rf_value_id in = op_input(program, op), out = rf_op_look(program, op).out;
        for (int k = 0; k < RF_ACTS_KIND_COUNT; k++) {
            if ((step->reads >> k & 1) && holds[k] != in)
                step->fill |= 1u << k;
            if (step->reads >> k & 1)
                holds[k] = in;
            if (holds[k] == out)
                holds[k] = RF_NONE;
        }
        if (op->kind == RF_OP_NORM && i + 1 < program->n_ops && op_input(program, after) == out &&
            plan->ws.own_values[out] != RF_CPU_SHARED)
            step->fill_after = plan->steps[i + 1].reads;
        for (int k = 0; k < RF_ACTS_KIND_COUNT; k++)
            if (step->fill_after >> k & 1)
                holds[k] = out;
    }
}

static rf_status plan_kv(const rf_program *program, const rf_limits *limits, rf_cpu_plan *plan,
                         rf_error *err) {
    uint32_t tokens = limits->block_tokens;
    if (tokens < 16 || tokens > RF_CPU_MAX_BLOCK_TOKENS || (tokens & (tokens - 1)) != 0)
        return rf_fail(err, RF_ERR_INVALID,
                       "blocks of %u tokens: the CPU takes powers of two from 16 to %d", tokens,
                       RF_CPU_MAX_BLOCK_TOKENS);
    for (uint32_t i = 0; i < program->n_kv_layers; i++) {
        const rf_kv_layer *layer = &program->kv_layers[i];
        RF_TRY(rf_kv_layout_init(&plan->kv_layouts[i], layer, limits, err));
        plan->kv_offsets[i] = (size_t)plan->memory.kv_bytes;
        uint64_t bytes;
        if (!rf_mul_u64(plan->kv_layouts[i].block_bytes, limits->n_blocks[layer->group], &bytes) ||
            !rf_add_u64(plan->memory.kv_bytes, bytes, &plan->memory.kv_bytes))
            return rf_fail(err, RF_ERR_NO_MEMORY, "a cache of %u blocks of %u tokens is too large",
                           limits->n_blocks[layer->group], tokens);
    }
    return RF_OK;
}

static size_t rows_of(const rf_program *program, const rf_limits *limits, rf_value_id id) {
    return program->values[id].rows == RF_ROWS_OUTPUT ? limits->max_outputs : limits->max_tokens;
}

static void plan_values(const rf_program *program, const rf_limits *limits, rf_cpu_plan *plan) {
    rf_cpu_workspace *ws = &plan->ws;
    for (uint32_t i = 0; i < program->n_values; i++) {
        size_t floats = rows_of(program, limits, (rf_value_id)i) * program->values[i].n_cols;
        ws->values[i] = take(ws, (rf_value_id)i == program->logits ? 0 : floats * 4);
    }
    for (uint32_t i = 0; i < program->n_ropes; i++)
        ws->ropes[i] = take(ws, (size_t)limits->max_tokens * program->ropes[i].n_dims * 4);
    size_t acts[RF_ACTS_KIND_COUNT] = {0};
    for (uint32_t i = 0; i < program->n_ops; i++) {
        rf_value_id in = op_input(program, &program->ops[i]);
        for (int k = 0; k < RF_ACTS_KIND_COUNT; k++)
            if (plan->steps[i].reads >> k & 1)
                acts[k] = at_least(acts[k], rf_acts_bytes((rf_acts_kind)k,
                                                          (uint32_t)rows_of(program, limits, in),
                                                          program->values[in].n_cols));
    }
    for (int k = 0; k < RF_ACTS_KIND_COUNT; k++)
        ws->acts[k] = take(ws, acts[k]);
}

/* Floats of a worker's scratch for attention: the kernel's, queries and their state. */
static size_t attention_floats(const rf_kv_layout *layout) {
    size_t state = rf_kv_padded(layout->head_dim_v) + 2;
    return rf_attention_scratch(layout) + RF_ATTENTION_QUERIES * (layout->head_dim + state);
}

static void plan_attention(const rf_program *program, const rf_limits *limits, rf_cpu_plan *plan,
                           size_t *worker_floats) {
    uint32_t widest = 1, most_heads = 1;
    size_t state = 0;
    for (uint32_t i = 0; i < program->n_ops; i++) {
        const rf_op *op = &program->ops[i];
        if (op->kind != RF_OP_ATTENTION)
            continue;
        const rf_kv_layout *layout = &plan->kv_layouts[op->u.attention.kv_layer];
        uint32_t group = op->u.attention.n_head / layout->n_head_kv;
        widest = group > widest ? group : widest;
        most_heads = op->u.attention.n_head > most_heads ? op->u.attention.n_head : most_heads;
        state = at_least(state, rf_kv_padded(layout->head_dim_v) + 2);
        *worker_floats = at_least(*worker_floats, attention_floats(layout));
    }
    plan->tile_rows = widest < RF_ATTENTION_QUERIES ? RF_ATTENTION_QUERIES / widest : 1;
    plan->max_spans = (uint32_t)rf_ceil_div(limits->max_context, RF_ATTENTION_SPAN);
    plan->ws.tiles = take(&plan->ws, limits->max_tokens * 3 * sizeof(int32_t));
    plan->ws.partial_queries = (uint32_t)at_least(2 * (size_t)most_heads, RF_CPU_SPLIT_QUERIES);
    plan->ws.partials =
        take(&plan->ws, (size_t)plan->ws.partial_queries * plan->max_spans * state * 4);
}

/* Widths of one program's expert ops, the largest of each. */
typedef struct moe_sizes {
    size_t n_expert, n_slots; /* experts; rows times n_used */
    size_t in_cols, out_cols; /* of gathered and of result rows */
    size_t acts[RF_ACTS_KIND_COUNT];
} moe_sizes;

static void moe_widen(const rf_program *program, const rf_limits *limits, const rf_cpu_plan *plan,
                      const rf_op *op, moe_sizes *sizes) {
    rf_weight_id ids[RF_MATMUL_MAX_PARTS];
    if (op->kind != RF_OP_MOE_ROUTE && op->kind != RF_OP_MOE_GATED_MATMUL &&
        op->kind != RF_OP_MOE_MATMUL)
        return;
    rf_cpu_op_matrices(op, ids);
    const rf_weight *weight = &program->weights[ids[0]];
    if (op->kind == RF_OP_MOE_ROUTE) {
        sizes->n_expert = at_least(sizes->n_expert, (size_t)weight->n_rows);
        return;
    }
    uint32_t n_used =
        op->kind == RF_OP_MOE_MATMUL ? op->u.moe_matmul.n_used : op->u.moe_gated_matmul.n_used;
    size_t slots = (size_t)limits->max_tokens * n_used;
    sizes->n_slots = at_least(sizes->n_slots, slots);
    sizes->n_expert = at_least(sizes->n_expert, (size_t)weight->n_experts);
    sizes->in_cols = at_least(sizes->in_cols, (size_t)weight->n_cols);
    if (op->kind == RF_OP_MOE_MATMUL)
        sizes->out_cols = at_least(sizes->out_cols, (size_t)weight->n_rows);
    unsigned mask = rf_cpu_acts_mask(plan, op);
    for (int k = 0; k < RF_ACTS_KIND_COUNT; k++)
        if (mask >> k & 1)
            sizes->acts[k] =
                at_least(sizes->acts[k],
                         rf_acts_bytes((rf_acts_kind)k, (uint32_t)slots, (uint32_t)weight->n_cols));
}

static void plan_moe(const rf_program *program, const rf_limits *limits, rf_cpu_plan *plan) {
    moe_sizes sizes = {0};
    rf_cpu_workspace *ws = &plan->ws;
    for (uint32_t i = 0; i < program->n_ops; i++)
        moe_widen(program, limits, plan, &program->ops[i], &sizes);
    ws->moe_order = take(ws, sizes.n_slots * sizeof(uint32_t));
    ws->moe_start = take(ws, (sizes.n_expert + 1) * sizeof(uint32_t));
    ws->moe_logits = take(ws, limits->max_tokens * sizes.n_expert * 4);
    ws->moe_in = take(ws, sizes.n_slots * sizes.in_cols * 4);
    ws->moe_out = take(ws, sizes.n_slots * sizes.out_cols * 4);
    for (int k = 0; k < RF_ACTS_KIND_COUNT; k++)
        ws->moe_acts[k] = take(ws, sizes.acts[k]);
}

rf_status rf_cpu_plan_make(const rf_cpu_options *options, uint32_t n_workers,
                           const rf_program *program, const rf_limits *limits, rf_arena *arena,
                           rf_cpu_plan *out, rf_error *err) {
    *out = (rf_cpu_plan){0};
    out->weights = RF_ARENA_ARRAY(arena, rf_cpu_weight, program->n_weights);
    out->steps = RF_ARENA_ARRAY(arena, rf_cpu_step, program->n_ops);
    out->kv_layouts = RF_ARENA_ARRAY(arena, rf_kv_layout, program->n_kv_layers);
    out->kv_offsets = RF_ARENA_ARRAY(arena, size_t, program->n_kv_layers);
    out->ws.values = RF_ARENA_ARRAY(arena, size_t, program->n_values);
    out->ws.ropes = RF_ARENA_ARRAY(arena, size_t, program->n_ropes);
    out->ws.own_values = RF_ARENA_ARRAY(arena, size_t, program->n_values);
    if (!out->weights || !out->steps || !out->kv_layouts || !out->kv_offsets || !out->ws.values ||
        !out->ws.ropes || !out->ws.own_values)
        return rf_fail(err, RF_ERR_NO_MEMORY, "no memory for the plan of %u ops", program->n_ops);
    rf_kernels_choose(options->reference ? 0 : options->features, &out->kernels);
    RF_TRY(rf_cpu_plan_weights(options, program, out, err));
    RF_TRY(plan_kv(program, limits, out, err));
    plan_own(program, n_workers, out);
    plan_steps(program, out);
    plan_values(program, limits, out);
    size_t worker_floats = 2 * RF_CPU_TASK_FLOATS;
    plan_attention(program, limits, out, &worker_floats);
    plan_moe(program, limits, out);
    out->ws.worker_bytes = rf_round_up(worker_floats * 4, 64);
    out->ws.worker = take(&out->ws, out->ws.worker_bytes * n_workers);
    out->memory.workspace_bytes = out->ws.bytes;
    return RF_OK;
}
