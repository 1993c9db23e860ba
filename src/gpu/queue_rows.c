/* The other ops: rows of floats, the cache, attention. */
#include "gpu/gpu_state.h"

rf_status rf_gpu_queue_embed(rf_gpu_backend *b, const rf_op *op, rf_error *err) {
    const rf_op_embed *e = &op->u.embed;
    uint64_t batch = rf_gpu_area(b, b->plan.areas.batch);
    rf_gpu_embed_args args = {.table = b->matrices[e->table],
                              .tokens = batch + b->plan.batch_at.tokens * sizeof(int32_t),
                              .out = rf_gpu_value(b, e->out),
                              .out_stride = b->program->values[e->out].n_cols,
                              .scale = e->scale};
    return rf_gpu_launch_on(b, b->typed[RF_GPU_T_EMBED][args.table.qtype], b->n_rows, 1, 1, &args,
                            err);
}

rf_status rf_gpu_queue_norm(rf_gpu_backend *b, const rf_op *op, rf_error *err) {
    const rf_op_norm *n = &op->u.norm;
    const rf_value *in = &b->program->values[n->in], *out = &b->program->values[n->out];
    bool gathers = in->rows == RF_ROWS_TOKENS && out->rows == RF_ROWS_OUTPUT;
    uint32_t n_rows = rf_gpu_rows(b, n->out);
    const rf_op *next = op + 1;
    unsigned forms = 0;
    if (n_rows == 0)
        return RF_OK;
    if (!n->add && next < b->program->ops + b->program->n_ops) {
        rf_value_id wanted = next->kind == RF_OP_MATMUL         ? next->u.matmul.in
                             : next->kind == RF_OP_GATED_MATMUL ? next->u.gated_matmul.in
                             : next->kind == RF_OP_MOE_ROUTE    ? next->u.moe_route.in
                                                                : RF_NONE;
        forms = wanted == n->out ? rf_gpu_forms_of(b, next) : 0;
    }
    rf_gpu_norm_args args = {
        .to = rf_gpu_quantise_to(b, forms, rf_gpu_value(b, n->out), out->n_cols),
        .in = rf_gpu_value(b, n->in),
        .rows = gathers
                    ? rf_gpu_area(b, b->plan.areas.batch) + b->plan.batch_at.rows * sizeof(int32_t)
                    : 0,
        .weight = rf_gpu_vector(b, n->weight),
        .bias = rf_gpu_vector(b, n->bias),
        .in_stride = in->n_cols,
        .layer_norm = n->kind == RF_NORM_LAYER,
        .add = n->add,
        .eps = n->eps};
    RF_TRY(rf_gpu_launch_kernel(b, RF_GPU_K_NORM, n_rows, 1, 1, &args, err));
    if (forms) {
        b->prepared = n->out;
        b->forms = forms;
    }
    return RF_OK;
}

static rf_gpu_batch batch_of(const rf_gpu_backend *b, uint32_t kv_layer) {
    const rf_gpu_batch_at *at = &b->plan.batch_at;
    uint64_t base = rf_gpu_area(b, b->plan.areas.batch);
    uint32_t group = b->program->kv_layers[kv_layer].group;
    return (rf_gpu_batch){.positions = base + at->positions * sizeof(int32_t),
                          .seqs = base + at->seqs * sizeof(int32_t),
                          .tables = base + at->tables[group] * sizeof(int32_t),
                          .table_stride = at->stride};
}

static rf_gpu_kv kv_of(const rf_gpu_backend *b, uint32_t kv_layer) {
    rf_gpu_kv kv = b->plan.kv[kv_layer];
    kv.at += b->kv;
    return kv;
}

rf_status rf_gpu_queue_rope_store(rf_gpu_backend *b, const rf_op *op, rf_error *err) {
    const rf_op_rope_store *r = &op->u.rope_store;
    const rf_rope *rope = &b->program->ropes[r->rope];
    rf_gpu_rope_args args = {.qkv = rf_gpu_value(b, r->qkv),
                             .qkv_stride = b->program->values[r->qkv].n_cols,
                             .n_head = r->n_head,
                             .q_norm = rf_gpu_vector(b, r->q_norm),
                             .k_norm = rf_gpu_vector(b, r->k_norm),
                             .eps = r->norm_eps,
                             .kind = rope->kind,
                             .n_dims = rope->n_dims,
                             .angles = rf_gpu_area(b, b->plan.angles[r->rope]),
                             .kv = kv_of(b, r->kv_layer),
                             .batch = batch_of(b, r->kv_layer)};
    uint32_t heads = r->n_head + 2 * args.kv.n_head_kv;
    return rf_gpu_launch_kernel(b, RF_GPU_K_ROPE_STORE, rf_gpu_ceil(heads, rf_gpu_waves(b)),
                                b->n_rows, 1, &args, err);
}

rf_status rf_gpu_queue_attention(rf_gpu_backend *b, const rf_op *op, rf_error *err) {
    const rf_op_attention *a = &op->u.attention;
    rf_gpu_attention_args args = {.qkv = rf_gpu_value(b, a->qkv),
                                  .out = rf_gpu_value(b, a->out),
                                  .sinks = rf_gpu_vector(b, a->sinks),
                                  .partial = rf_gpu_area(b, b->plan.areas.partial),
                                  .qkv_stride = b->program->values[a->qkv].n_cols,
                                  .out_stride = b->program->values[a->out].n_cols,
                                  .n_head = a->n_head,
                                  .window = a->window,
                                  .n_splits = b->n_splits,
                                  .scale = a->scale,
                                  .soft_cap = a->soft_cap,
                                  .kv = kv_of(b, a->kv_layer),
                                  .batch = batch_of(b, a->kv_layer)};
    /* what the area holds beside one split for each row */
    uint64_t room = b->plan.target_waves / ((uint64_t)b->n_rows * a->n_head);
    if (args.n_splits > room)
        args.n_splits = room ? (uint32_t)room : 1;
    uint32_t blocks = rf_gpu_ceil(a->n_head, rf_gpu_waves(b));
    RF_TRY(
        rf_gpu_launch_kernel(b, RF_GPU_K_ATTENTION, blocks, b->n_rows, args.n_splits, &args, err));
    return rf_gpu_launch_kernel(b, RF_GPU_K_ATTENTION_SUM, blocks, b->n_rows, 1, &args, err);
}
