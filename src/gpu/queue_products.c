/* Products on the device: which kernel for how many rows, and what its input must be. */
#include "gpu/gpu_state.h"

static rf_qtype type_of(const rf_gpu_backend *b, rf_weight_id id) {
    return b->program->weights[id].qtype;
}

static bool is_float(rf_qtype type) {
    return type == RF_QTYPE_F32 || type == RF_QTYPE_F16 || type == RF_QTYPE_BF16;
}

/* Halves lose digits of F32, and rows of floats must be aligned. */
static bool on_matrix_units(const rf_gpu_backend *b, const rf_weight *w, uint32_t n_rows) {
    return b->has_matrix && n_rows > RF_GPU_MATVEC_ROWS && w->qtype != RF_QTYPE_F32 &&
           w->n_cols % 8 == 0;
}

static unsigned form_of(const rf_gpu_backend *b, rf_weight_id id, uint32_t n_rows) {
    const rf_weight *w = &b->program->weights[id];
    return on_matrix_units(b, w, n_rows) ? RF_GPU_FORM_HALVES
           : is_float(w->qtype)          ? 0
                                         : RF_GPU_FORM_BYTES;
}

unsigned rf_gpu_forms_of(const rf_gpu_backend *b, const rf_op *op) {
    unsigned forms = 0;
    switch (op->kind) {
    case RF_OP_MATMUL:
        for (uint32_t p = 0; p < op->u.matmul.n_parts; p++)
            forms |= form_of(b, op->u.matmul.weight[p], rf_gpu_rows(b, op->u.matmul.in));
        return forms;
    case RF_OP_GATED_MATMUL: {
        const rf_op_gated_matmul *g = &op->u.gated_matmul;
        uint32_t n = rf_gpu_rows(b, g->in);
        return form_of(b, g->gate, n) | form_of(b, g->up, n);
    }
    case RF_OP_MOE_ROUTE:
        return form_of(b, op->u.moe_route.weight, rf_gpu_rows(b, op->u.moe_route.in));
    case RF_OP_MOE_GATED_MATMUL: {
        const rf_op_moe_gated_matmul *g = &op->u.moe_gated_matmul;
        uint32_t n = rf_gpu_rows(b, g->in);
        return form_of(b, g->gate, n) | form_of(b, g->up, n);
    }
    default: return 0;
    }
}

rf_gpu_quantise_args rf_gpu_quantise_to(const rf_gpu_backend *b, unsigned forms, uint64_t in,
                                        uint32_t n_cols) {
    const rf_gpu_areas *a = &b->plan.areas;
    rf_gpu_quantise_args to = {.in = in, .n_cols = n_cols, .in_stride = n_cols};
    if (forms & RF_GPU_FORM_BYTES)
        to.acts = (rf_gpu_acts){rf_gpu_area(b, a->acts_high), rf_gpu_area(b, a->acts_low),
                                rf_gpu_area(b, a->acts_scales), rf_gpu_area(b, a->acts_sums)};
    if (forms & RF_GPU_FORM_HALVES) {
        to.halves = rf_gpu_area(b, a->halves);
        to.half_scales = rf_gpu_area(b, a->half_scales);
        to.half_stride = (n_cols + RF_GPU_ROW_PAD - 1) / RF_GPU_ROW_PAD * RF_GPU_ROW_PAD;
    }
    return to;
}

static rf_status quantise(rf_gpu_backend *b, unsigned forms, uint64_t in, uint32_t n_rows,
                          uint32_t n_cols, rf_error *err) {
    rf_gpu_quantise_args args = rf_gpu_quantise_to(b, forms, in, n_cols);
    return forms == 0 ? RF_OK
                      : rf_gpu_launch_kernel(b, RF_GPU_K_QUANTISE, n_rows, 1, 1, &args, err);
}

/* A value in the forms that an op reads. */
static rf_status prepare(rf_gpu_backend *b, const rf_op *op, rf_value_id in, rf_error *err) {
    unsigned forms = rf_gpu_forms_of(b, op);
    unsigned have = b->prepared == in ? b->forms : 0;
    if ((forms & ~have) == 0)
        return RF_OK;
    b->prepared = in;
    b->forms = forms | have;
    return quantise(b, forms & ~have, rf_gpu_value(b, in), rf_gpu_rows(b, in),
                    b->program->values[in].n_cols, err);
}

/* The rows of activations that a product reads. */
typedef struct source {
    uint64_t floats;
    uint32_t n_rows, n_cols;
} source;

static source source_of(const rf_gpu_backend *b, rf_value_id in) {
    return (source){rf_gpu_value(b, in), rf_gpu_rows(b, in), b->program->values[in].n_cols};
}

static rf_gpu_matvec_args matvec_args(const rf_gpu_backend *b, source from, rf_gpu_finish finish) {
    rf_gpu_quantise_args acts = rf_gpu_quantise_to(b, RF_GPU_FORM_BYTES, from.floats, from.n_cols);
    return (rf_gpu_matvec_args){.n_rows = from.n_rows,
                                .in = from.floats,
                                .in_stride = from.n_cols,
                                .acts = acts.acts,
                                .finish = finish};
}

static void add_part(const rf_gpu_backend *b, rf_gpu_matvec_args *args, rf_weight_id weight,
                     rf_weight_id bias, uint32_t out_col) {
    uint32_t p = args->n_parts++;
    args->matrix[p] = b->matrices[weight];
    args->bias[p] = rf_gpu_vector(b, bias);
    args->out_col[p] = out_col;
}

/* Cuts the parts into blocks: as many waves share a row as fill the device. gated: one grid for two
 * parts. Returns the blocks. */
static uint32_t cut(const rf_gpu_backend *b, rf_gpu_matvec_args *args, bool gated,
                    uint32_t n_slots) {
    uint32_t waves = rf_gpu_waves(b), n_parts = gated ? 1 : args->n_parts, n_rows = 0;
    for (uint32_t p = 0; p < n_parts; p++)
        n_rows += args->matrix[p].n_rows;
    for (args->ways = 1; args->ways < waves; args->ways *= 2)
        if ((uint64_t)n_rows * n_slots * args->ways / RF_GPU_PAIR >= b->plan.target_waves)
            break;
    for (uint32_t p = 0; p < n_parts; p++)
        args->first_block[p + 1] =
            args->first_block[p] +
            rf_gpu_ceil(args->matrix[p].n_rows, RF_GPU_PAIR * waves / args->ways);
    return args->first_block[n_parts];
}

/* Rows of activations, RF_GPU_MATVEC_ROWS at a time. */
static rf_status run_matvec(rf_gpu_backend *b, rf_gpu_matvec_args args, rf_error *err) {
    uint32_t all = args.n_rows, n_cols = args.in_stride, grid = cut(b, &args, false, 1);
    rf_qtype type = (rf_qtype)args.matrix[0].qtype;
    for (uint32_t r = 0; r < all; r += RF_GPU_MATVEC_ROWS) {
        uint32_t n = all - r < RF_GPU_MATVEC_ROWS ? all - r : RF_GPU_MATVEC_ROWS;
        rf_gpu_matvec_args part = args;
        part.n_rows = n;
        part.in += (uint64_t)r * n_cols * sizeof(float);
        part.acts.high += (uint64_t)r * n_cols;
        part.acts.low += (uint64_t)r * n_cols;
        part.acts.scales += (uint64_t)r * n_cols / RF_GPU_GROUP * sizeof(float);
        part.acts.sums += (uint64_t)r * n_cols / RF_GPU_SUBGROUP * sizeof(float);
        part.finish.out += (uint64_t)r * args.finish.out_stride * sizeof(float);
        part.finish.gate += args.finish.gate ? r * sizeof(float) : 0;
        rf_gpu_typed kernel = n == 1   ? RF_GPU_T_MATVEC_1
                              : n <= 4 ? RF_GPU_T_MATVEC_4
                                       : RF_GPU_T_MATVEC_8;
        RF_TRY(rf_gpu_launch_on(b, b->typed[kernel][type], grid, 1, 1, &part, err));
    }
    return RF_OK;
}

/* The grid's second dimension: rows and slots of experts, or 1. */
static rf_status run_matvec_experts(rf_gpu_backend *b, rf_gpu_typed kernel,
                                    rf_gpu_matvec_args *args, uint32_t n_slots, rf_error *err) {
    rf_qtype type = (rf_qtype)args->matrix[0].qtype;
    uint32_t grid = cut(b, args, kernel == RF_GPU_T_GATED_1, n_slots);
    return rf_gpu_launch_on(b, b->typed[kernel][type], grid, n_slots, 1, args, err);
}

static rf_status run_matmul(rf_gpu_backend *b, const rf_gpu_matmul_args *args, uint32_t n_experts,
                            rf_error *err) {
    bool few = args->n_rows <= 64;
    rf_gpu_function function =
        b->typed[few ? RF_GPU_T_MATMUL_32 : RF_GPU_T_MATMUL_128][args->matrix.qtype];
    return rf_gpu_launch_on(b, function, rf_gpu_ceil(args->matrix.n_rows, RF_GPU_TILE_ROWS),
                            rf_gpu_ceil(args->n_rows, few ? 32 : 128), n_experts, args, err);
}

static rf_gpu_matmul_args matmul_args(const rf_gpu_backend *b, source from, rf_weight_id weight,
                                      rf_weight_id bias, rf_gpu_finish finish) {
    rf_gpu_quantise_args acts = rf_gpu_quantise_to(b, RF_GPU_FORM_HALVES, from.floats, from.n_cols);
    return (rf_gpu_matmul_args){.matrix = b->matrices[weight],
                                .bias = rf_gpu_vector(b, bias),
                                .in = acts.halves,
                                .in_scales = acts.half_scales,
                                .in_stride = acts.half_stride,
                                .n_rows = from.n_rows,
                                .in_divide = 1,
                                .finish = finish};
}

/* One weight of rows that lie prepared. */
static rf_status run_one(rf_gpu_backend *b, source from, rf_weight_id weight, rf_weight_id bias,
                         uint32_t out_col, rf_gpu_finish finish, rf_error *err) {
    if (on_matrix_units(b, &b->program->weights[weight], from.n_rows)) {
        rf_gpu_matmul_args args = matmul_args(b, from, weight, bias, finish);
        args.out_col = out_col;
        return run_matmul(b, &args, 1, err);
    }
    rf_gpu_matvec_args args = matvec_args(b, from, finish);
    add_part(b, &args, weight, bias, out_col);
    return run_matvec(b, args, err);
}

rf_status rf_gpu_queue_matmul(rf_gpu_backend *b, const rf_op *op, rf_error *err) {
    const rf_op_matmul *m = &op->u.matmul;
    source from = source_of(b, m->in);
    rf_gpu_finish finish = {.out = rf_gpu_value(b, m->out),
                            .gate = rf_gpu_value(b, m->row_gate),
                            .out_stride = b->program->values[m->out].n_cols,
                            .add = m->add,
                            .scale = m->scale,
                            .soft_cap = m->soft_cap};
    if (from.n_rows == 0)
        return RF_OK;
    RF_TRY(prepare(b, op, m->in, err));
    for (uint32_t p = 0; p < m->n_parts;) {
        rf_qtype type = type_of(b, m->weight[p]);
        if (on_matrix_units(b, &b->program->weights[m->weight[p]], from.n_rows)) {
            RF_TRY(run_one(b, from, m->weight[p], m->bias[p], m->out_col[p], finish, err));
            p++;
            continue;
        }
        rf_gpu_matvec_args args = matvec_args(b, from, finish);
        for (; p < m->n_parts && type_of(b, m->weight[p]) == type; p++)
            add_part(b, &args, m->weight[p], m->bias[p], m->out_col[p]);
        RF_TRY(run_matvec(b, args, err));
    }
    return RF_OK;
}

static rf_status gate(rf_gpu_backend *b, rf_activation act, uint64_t out, uint64_t n,
                      rf_error *err) {
    rf_gpu_gated_args args = {rf_gpu_area(b, b->plan.areas.gate), rf_gpu_area(b, b->plan.areas.up),
                              out, n, act};
    return rf_gpu_launch_kernel(b, RF_GPU_K_GATED, rf_gpu_ceil(n, RF_GPU_THREADS), 1, 1, &args,
                                err);
}

rf_status rf_gpu_queue_gated_matmul(rf_gpu_backend *b, const rf_op *op, rf_error *err) {
    const rf_op_gated_matmul *g = &op->u.gated_matmul;
    source from = source_of(b, g->in);
    uint32_t n_ff = (uint32_t)b->program->weights[g->gate].n_rows;
    rf_gpu_finish finish = {.out = rf_gpu_value(b, g->out), .out_stride = n_ff, .scale = 1.0f};
    if (from.n_rows == 0)
        return RF_OK;
    RF_TRY(prepare(b, op, g->in, err));
    if (from.n_rows == 1 && type_of(b, g->gate) == type_of(b, g->up)) {
        rf_gpu_matvec_args args = matvec_args(b, from, finish);
        add_part(b, &args, g->gate, g->gate_bias, 0);
        add_part(b, &args, g->up, g->up_bias, 0);
        args.activation = g->act;
        return run_matvec_experts(b, RF_GPU_T_GATED_1, &args, 1, err);
    }
    finish.out = rf_gpu_area(b, b->plan.areas.gate);
    RF_TRY(run_one(b, from, g->gate, g->gate_bias, 0, finish, err));
    finish.out = rf_gpu_area(b, b->plan.areas.up);
    RF_TRY(run_one(b, from, g->up, g->up_bias, 0, finish, err));
    return gate(b, g->act, rf_gpu_value(b, g->out), (uint64_t)from.n_rows * n_ff, err);
}

/* ---- experts ----------------------------------------------------------------------------------
 */

static rf_gpu_moe_args moe_args(const rf_gpu_backend *b, rf_value_id route, uint32_t n_rows,
                                uint32_t n_used, uint64_t n_expert) {
    const rf_gpu_areas *a = &b->plan.areas;
    return (rf_gpu_moe_args){.logits = rf_gpu_area(b, a->logits),
                             .route = rf_gpu_value(b, route),
                             .order = rf_gpu_area(b, a->order),
                             .start = rf_gpu_area(b, a->start),
                             .slots = rf_gpu_area(b, a->slots),
                             .n_rows = n_rows,
                             .n_expert = (uint32_t)n_expert,
                             .n_used = n_used,
                             .scale = 1.0f};
}

rf_status rf_gpu_queue_moe_route(rf_gpu_backend *b, const rf_op *op, rf_error *err) {
    const rf_op_moe_route *m = &op->u.moe_route;
    source from = source_of(b, m->in);
    uint64_t n_expert = b->program->weights[m->weight].n_rows;
    rf_gpu_moe_args args = moe_args(b, m->out, from.n_rows, m->n_used, n_expert);
    rf_gpu_finish finish = {.out = args.logits, .out_stride = args.n_expert, .scale = 1.0f};
    if (from.n_rows == 0)
        return RF_OK;
    RF_TRY(prepare(b, op, m->in, err));
    RF_TRY(run_one(b, from, m->weight, RF_NONE, 0, finish, err));
    args.bias = rf_gpu_vector(b, m->bias);
    args.sigmoid = m->gating == RF_MOE_SIGMOID;
    args.normalise = m->normalise;
    args.scale = m->scale;
    return rf_gpu_launch_kernel(b, RF_GPU_K_MOE_SELECT, rf_gpu_ceil(from.n_rows, rf_gpu_waves(b)),
                                1, 1, &args, err);
}

/* The products of one expert weight with rows in the order that their route left. */
static rf_status run_grouped(rf_gpu_backend *b, source from, rf_weight_id weight,
                             const rf_gpu_moe_args *moe, uint32_t in_divide, uint64_t out,
                             rf_error *err) {
    uint32_t n = (uint32_t)b->program->weights[weight].n_rows;
    rf_gpu_finish finish = {.out = out, .out_stride = n, .scale = 1.0f};
    rf_gpu_matmul_args args = matmul_args(b, from, weight, RF_NONE, finish);
    args.n_rows = moe->n_rows * moe->n_used; /* of one expert at most */
    args.order = moe->order;
    args.start = moe->start;
    args.in_divide = in_divide;
    return run_matmul(b, &args, moe->n_expert, err);
}

rf_status rf_gpu_queue_moe_gated_matmul(rf_gpu_backend *b, const rf_op *op, rf_error *err) {
    const rf_op_moe_gated_matmul *g = &op->u.moe_gated_matmul;
    source from = source_of(b, g->in);
    const rf_weight *w = &b->program->weights[g->gate];
    uint32_t n_slots = from.n_rows * g->n_used, n_ff = (uint32_t)w->n_rows;
    rf_gpu_moe_args moe = moe_args(b, g->route, from.n_rows, g->n_used, w->n_experts);
    if (from.n_rows == 0)
        return RF_OK;
    RF_TRY(prepare(b, op, g->in, err));
    if (on_matrix_units(b, w, from.n_rows) &&
        on_matrix_units(b, &b->program->weights[g->up], from.n_rows)) {
        uint64_t gates = rf_gpu_area(b, b->plan.areas.gate), ups = rf_gpu_area(b, b->plan.areas.up);
        RF_TRY(run_grouped(b, from, g->gate, &moe, g->n_used, gates, err));
        RF_TRY(run_grouped(b, from, g->up, &moe, g->n_used, ups, err));
        return gate(b, g->act, rf_gpu_value(b, g->out), (uint64_t)n_slots * n_ff, err);
    }
    rf_gpu_finish finish = {.out = rf_gpu_value(b, g->out), .out_stride = n_ff, .scale = 1.0f};
    rf_gpu_matvec_args args = matvec_args(b, from, finish);
    args.n_used = g->n_used;
    args.route = moe.route;
    if (type_of(b, g->gate) == type_of(b, g->up)) {
        add_part(b, &args, g->gate, RF_NONE, 0);
        add_part(b, &args, g->up, RF_NONE, 0);
        args.activation = g->act;
        return run_matvec_experts(b, RF_GPU_T_GATED_1, &args, n_slots, err);
    }
    rf_gpu_matvec_args second = args;
    args.finish.out = rf_gpu_area(b, b->plan.areas.gate);
    second.finish.out = rf_gpu_area(b, b->plan.areas.up);
    add_part(b, &args, g->gate, RF_NONE, 0);
    add_part(b, &second, g->up, RF_NONE, 0);
    RF_TRY(run_matvec_experts(b, RF_GPU_T_MATVEC_1, &args, n_slots, err));
    RF_TRY(run_matvec_experts(b, RF_GPU_T_MATVEC_1, &second, n_slots, err));
    return gate(b, g->act, rf_gpu_value(b, g->out), (uint64_t)n_slots * n_ff, err);
}

rf_status rf_gpu_queue_moe_matmul(rf_gpu_backend *b, const rf_op *op, rf_error *err) {
    const rf_op_moe_matmul *m = &op->u.moe_matmul;
    const rf_weight *w = &b->program->weights[m->down];
    uint32_t n_rows = rf_gpu_rows(b, m->in), n_slots = n_rows * m->n_used;
    source from = {rf_gpu_value(b, m->in), n_slots, (uint32_t)w->n_cols};
    rf_gpu_moe_args moe = moe_args(b, m->route, n_rows, m->n_used, w->n_experts);
    bool grouped = on_matrix_units(b, w, n_rows);
    unsigned form = form_of(b, m->down, n_rows);
    if (n_rows == 0)
        return RF_OK;
    b->prepared = RF_NONE; /* its rows are slots */
    RF_TRY(quantise(b, form, from.floats, n_slots, from.n_cols, err));
    if (grouped) {
        RF_TRY(run_grouped(b, from, m->down, &moe, 1, moe.slots, err));
    } else {
        rf_gpu_finish finish = {.out = moe.slots, .out_stride = (uint32_t)w->n_rows, .scale = 1.0f};
        rf_gpu_matvec_args args = matvec_args(b, from, finish);
        args.n_used = m->n_used;
        args.in_per_slot = 1;
        args.route = moe.route;
        add_part(b, &args, m->down, RF_NONE, 0);
        RF_TRY(run_matvec_experts(b, RF_GPU_T_MATVEC_1, &args, n_slots, err));
    }
    moe.n_cols = (uint32_t)w->n_rows;
    moe.add = m->add;
    moe.out = rf_gpu_value(b, m->out);
    return rf_gpu_launch_kernel(b, RF_GPU_K_MOE_SUM, rf_gpu_ceil(moe.n_cols, RF_GPU_THREADS),
                                n_rows, 1, &moe, err);
}
