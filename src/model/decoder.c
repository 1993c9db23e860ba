#include "model/decoder.h"

#include <math.h>

static rf_status width(rf_builder *b, const char *name, uint64_t n_cols, rf_value_id *out) {
    return rf_builder_value(b, name, n_cols, RF_ROWS_TOKENS, out);
}

static rf_status norm(rf_builder *b, rf_tensor_id id, rf_value_id in, rf_value_id out, bool add) {
    rf_weight_id weight = RF_NONE;
    RF_TRY(rf_builder_weight(b, id, &weight));
    return rf_builder_op(b, (rf_op){.kind = RF_OP_NORM,
                                    .u.norm = {.in = in,
                                               .out = out,
                                               .weight = weight,
                                               .bias = RF_NONE,
                                               .kind = RF_NORM_RMS,
                                               .eps = b->hp->norm_eps,
                                               .add = add}});
}

/* out = in . weight (+ bias); the plainest matmul, for callers to change. */
static rf_op_matmul matmul_one(rf_value_id in, rf_value_id out, rf_weight_id weight,
                               rf_weight_id bias) {
    rf_op_matmul op = {.in = in, .out = out, .n_parts = 1, .row_gate = RF_NONE, .scale = 1};
    for (int i = 0; i < RF_MATMUL_MAX_PARTS; i++)
        op.weight[i] = op.bias[i] = RF_NONE;
    op.weight[0] = weight;
    op.bias[0] = bias;
    return op;
}

static rf_status push_matmul(rf_builder *b, const rf_op_matmul *matmul) {
    return rf_builder_op(b, (rf_op){.kind = RF_OP_MATMUL, .u.matmul = *matmul});
}

/* x += in . weight (+ bias), through a norm of its own where post_norm names one. */
static rf_status add_to_stream(rf_builder *b, rf_op_matmul matmul, bool post_norm,
                               rf_tensor_id norm_id) {
    if (!post_norm) {
        matmul.out = b->x;
        matmul.add = true;
        return push_matmul(b, &matmul);
    }
    RF_TRY(width(b, "o", b->hp->n_embd, &matmul.out));
    RF_TRY(push_matmul(b, &matmul));
    return norm(b, norm_id, matmul.out, b->x, true);
}

rf_status rf_build_embed(rf_builder *b, float scale) {
    b->in_layers = false;
    b->layer = 0;
    RF_TRY(width(b, "x", b->hp->n_embd, &b->x));
    RF_TRY(rf_builder_weight(b, RF_TENSOR_TOKEN_EMBD, &b->token_embd));
    return rf_builder_op(b,
                         (rf_op){.kind = RF_OP_EMBED,
                                 .u.embed = {.out = b->x, .table = b->token_embd, .scale = scale}});
}

static rf_status qkv_matmul(rf_builder *b, const rf_attention_block *block, rf_value_id in,
                            rf_value_id qkv) {
    rf_op_matmul op = matmul_one(in, qkv, RF_NONE, RF_NONE);
    if (block->fused_qkv || rf_builder_has(b, RF_TENSOR_ATTN_QKV)) {
        RF_TRY(rf_builder_need(b, RF_TENSOR_ATTN_QKV, &op.weight[0]));
        RF_TRY(rf_builder_weight(b, RF_TENSOR_ATTN_QKV_BIAS, &op.bias[0]));
        return push_matmul(b, &op);
    }
    static const rf_tensor_id ids[3][2] = {{RF_TENSOR_ATTN_Q, RF_TENSOR_ATTN_Q_BIAS},
                                           {RF_TENSOR_ATTN_K, RF_TENSOR_ATTN_K_BIAS},
                                           {RF_TENSOR_ATTN_V, RF_TENSOR_ATTN_V_BIAS}};
    op.n_parts = 3;
    uint32_t col = 0;
    for (int i = 0; i < 3; i++) {
        RF_TRY(rf_builder_weight(b, ids[i][0], &op.weight[i]));
        RF_TRY(rf_builder_weight(b, ids[i][1], &op.bias[i]));
        op.out_col[i] = col;
        col += (uint32_t)b->weights[op.weight[i]].n_rows;
    }
    return push_matmul(b, &op);
}

/* The cache of the current layer; its group is that of its window. */
static rf_status add_kv_layer(rf_builder *b) {
    const rf_hparams *hp = b->hp;
    rf_program *program = b->program;
    uint32_t group = 0, window = hp->layer_window[b->layer];
    while (group < program->n_kv_groups && program->kv_groups[group].window != window)
        group++;
    if (group == RF_KV_MAX_GROUPS)
        return rf_fail(b->err, RF_ERR_UNSUPPORTED,
                       "layer %u: found another size of window, expected at most %d", b->layer,
                       RF_KV_MAX_GROUPS);
    if (group == program->n_kv_groups)
        program->kv_groups[program->n_kv_groups++].window = window;
    b->kv_layers[program->n_kv_layers++] = (rf_kv_layer){.n_head_kv = hp->n_head_kv[b->layer],
                                                         .head_dim = hp->head_dim,
                                                         .head_dim_v = hp->head_dim_v,
                                                         .group = group};
    return RF_OK;
}

static float attention_scale(const rf_hparams *hp, float scale) {
    if (hp->attn_scale != 0)
        return hp->attn_scale;
    return scale != 0 ? scale : 1 / sqrtf((float)hp->head_dim);
}

rf_status rf_build_attention(rf_builder *b, const rf_attention_block *block) {
    const rf_hparams *hp = b->hp;
    uint64_t n_head = hp->n_head[b->layer], n_head_kv = hp->n_head_kv[b->layer];
    uint64_t n_qkv = (n_head + n_head_kv) * hp->head_dim + n_head_kv * hp->head_dim_v;
    rf_value_id h = RF_NONE, qkv = RF_NONE, a = RF_NONE;
    RF_TRY(width(b, "h", hp->n_embd, &h));
    RF_TRY(width(b, "qkv", n_qkv, &qkv));
    RF_TRY(width(b, "a", n_head * hp->head_dim_v, &a));
    RF_TRY(add_kv_layer(b));
    RF_TRY(norm(b, RF_TENSOR_ATTN_NORM, b->x, h, false));
    RF_TRY(qkv_matmul(b, block, h, qkv));
    rf_op_rope_store store = {.qkv = qkv,
                              .kv_layer = b->layer,
                              .n_head = (uint32_t)n_head,
                              .q_norm = RF_NONE,
                              .k_norm = RF_NONE,
                              .norm_eps = hp->norm_eps,
                              .rope = block->rope};
    if (block->qk_norm) {
        RF_TRY(rf_builder_weight(b, RF_TENSOR_ATTN_Q_NORM, &store.q_norm));
        RF_TRY(rf_builder_weight(b, RF_TENSOR_ATTN_K_NORM, &store.k_norm));
    }
    RF_TRY(rf_builder_op(b, (rf_op){.kind = RF_OP_ROPE_STORE, .u.rope_store = store}));
    rf_op_attention attention = {.qkv = qkv,
                                 .out = a,
                                 .kv_layer = b->layer,
                                 .n_head = (uint32_t)n_head,
                                 .scale = attention_scale(hp, block->scale),
                                 .soft_cap = hp->attn_soft_cap,
                                 .window = hp->layer_window[b->layer],
                                 .sinks = RF_NONE};
    RF_TRY(rf_builder_op(b, (rf_op){.kind = RF_OP_ATTENTION, .u.attention = attention}));
    rf_weight_id out = RF_NONE, bias = RF_NONE;
    RF_TRY(rf_builder_weight(b, RF_TENSOR_ATTN_OUTPUT, &out));
    RF_TRY(rf_builder_weight(b, RF_TENSOR_ATTN_OUTPUT_BIAS, &bias));
    return add_to_stream(b, matmul_one(a, RF_NONE, out, bias), block->post_norm,
                         RF_TENSOR_ATTN_POST_NORM);
}

static rf_status dense_ffn(rf_builder *b, const rf_ffn_block *block, rf_value_id h) {
    uint32_t n_ff = b->hp->n_ff[b->layer];
    if (n_ff == 0)
        return rf_fail(b->err, RF_ERR_INVALID,
                       "key \"%s.feed_forward_length\": found none or 0 for layer %u, expected the "
                       "width of ffn_up",
                       b->hp->arch, b->layer);
    rf_op_gated_matmul op = {.in = h, .act = block->act, .gate_bias = RF_NONE, .up_bias = RF_NONE};
    RF_TRY(width(b, "g", n_ff, &op.out));
    if (block->fused_up) {
        rf_weight_id both = RF_NONE;
        RF_TRY(rf_builder_weight(b, RF_TENSOR_FFN_GATE_UP, &both));
        RF_TRY(rf_builder_view(b, both, 0, n_ff, &op.gate));
        RF_TRY(rf_builder_view(b, both, n_ff, n_ff, &op.up));
    } else {
        RF_TRY(rf_builder_weight(b, RF_TENSOR_FFN_GATE, &op.gate));
        RF_TRY(rf_builder_weight(b, RF_TENSOR_FFN_UP, &op.up));
        RF_TRY(rf_builder_weight(b, RF_TENSOR_FFN_GATE_BIAS, &op.gate_bias));
        RF_TRY(rf_builder_weight(b, RF_TENSOR_FFN_UP_BIAS, &op.up_bias));
    }
    RF_TRY(rf_builder_op(b, (rf_op){.kind = RF_OP_GATED_MATMUL, .u.gated_matmul = op}));
    rf_weight_id down = RF_NONE, bias = RF_NONE;
    RF_TRY(rf_builder_weight(b, RF_TENSOR_FFN_DOWN, &down));
    RF_TRY(rf_builder_weight(b, RF_TENSOR_FFN_DOWN_BIAS, &bias));
    return add_to_stream(b, matmul_one(op.out, RF_NONE, down, bias), block->post_norm,
                         RF_TENSOR_FFN_POST_NORM);
}

static rf_status bind_experts(rf_builder *b, rf_weight_id *gate, rf_weight_id *up) {
    if (!rf_builder_has(b, RF_TENSOR_FFN_GATE_UP_EXPS)) {
        RF_TRY(rf_builder_weight(b, RF_TENSOR_FFN_GATE_EXPS, gate));
        return rf_builder_weight(b, RF_TENSOR_FFN_UP_EXPS, up);
    }
    rf_weight_id both = RF_NONE;
    RF_TRY(rf_builder_weight(b, RF_TENSOR_FFN_GATE_UP_EXPS, &both));
    RF_TRY(rf_builder_view(b, both, 0, b->hp->n_ff_exp, gate));
    return rf_builder_view(b, both, b->hp->n_ff_exp, b->hp->n_ff_exp, up);
}

static rf_status expert_ffn(rf_builder *b, const rf_ffn_block *block, rf_value_id h) {
    const rf_hparams *hp = b->hp;
    rf_value_id route = RF_NONE, g = RF_NONE;
    RF_TRY(width(b, "route", 2 * (uint64_t)hp->n_expert_used, &route));
    RF_TRY(width(b, "moe", (uint64_t)hp->n_expert_used * hp->n_ff_exp, &g));
    rf_op_moe_route router = {.in = h,
                              .out = route,
                              .bias = RF_NONE,
                              .n_used = hp->n_expert_used,
                              .gating = RF_MOE_SOFTMAX,
                              .normalise = hp->expert_norm,
                              .scale = hp->expert_scale != 0 ? hp->expert_scale : 1};
    RF_TRY(rf_builder_weight(b, RF_TENSOR_FFN_ROUTER, &router.weight));
    RF_TRY(rf_builder_op(b, (rf_op){.kind = RF_OP_MOE_ROUTE, .u.moe_route = router}));
    rf_op_moe_gated_matmul gated = {
        .in = h, .route = route, .out = g, .n_used = hp->n_expert_used, .act = block->act};
    RF_TRY(bind_experts(b, &gated.gate, &gated.up));
    RF_TRY(rf_builder_op(b, (rf_op){.kind = RF_OP_MOE_GATED_MATMUL, .u.moe_gated_matmul = gated}));
    rf_op_moe_matmul down = {
        .in = g, .route = route, .out = b->x, .n_used = hp->n_expert_used, .add = true};
    RF_TRY(rf_builder_weight(b, RF_TENSOR_FFN_DOWN_EXPS, &down.down));
    return rf_builder_op(b, (rf_op){.kind = RF_OP_MOE_MATMUL, .u.moe_matmul = down});
}

static rf_status shared_expert(rf_builder *b, const rf_ffn_block *block, rf_value_id h) {
    rf_value_id gate = RF_NONE;
    rf_weight_id weight = RF_NONE;
    RF_TRY(width(b, "shared_gate", 1, &gate));
    RF_TRY(rf_builder_weight(b, RF_TENSOR_FFN_ROUTER_SHEXP, &weight));
    rf_op_matmul to_gate = matmul_one(h, gate, weight, RF_NONE);
    RF_TRY(push_matmul(b, &to_gate));
    rf_op_gated_matmul op = {.in = h, .act = block->act, .gate_bias = RF_NONE, .up_bias = RF_NONE};
    RF_TRY(width(b, "g", b->hp->n_ff_shexp, &op.out));
    RF_TRY(rf_builder_weight(b, RF_TENSOR_FFN_GATE_SHEXP, &op.gate));
    RF_TRY(rf_builder_weight(b, RF_TENSOR_FFN_UP_SHEXP, &op.up));
    RF_TRY(rf_builder_op(b, (rf_op){.kind = RF_OP_GATED_MATMUL, .u.gated_matmul = op}));
    RF_TRY(rf_builder_weight(b, RF_TENSOR_FFN_DOWN_SHEXP, &weight));
    rf_op_matmul down = matmul_one(op.out, b->x, weight, RF_NONE);
    down.add = true;
    down.row_gate = gate;
    return push_matmul(b, &down);
}

rf_status rf_build_ffn(rf_builder *b, const rf_ffn_block *block) {
    rf_value_id h = RF_NONE;
    RF_TRY(width(b, "h", b->hp->n_embd, &h));
    RF_TRY(norm(b, RF_TENSOR_FFN_NORM, b->x, h, false));
    if (b->hp->n_expert == 0)
        return dense_ffn(b, block, h);
    RF_TRY(expert_ffn(b, block, h));
    return block->shared_expert ? shared_expert(b, block, h) : RF_OK;
}

rf_status rf_build_output(rf_builder *b) {
    rf_program *program = b->program;
    b->in_layers = false;
    b->layer = 0;
    RF_TRY(rf_builder_value(b, "hidden", b->hp->n_embd, RF_ROWS_OUTPUT, &program->hidden));
    RF_TRY(rf_builder_value(b, "logits", b->n_vocab, RF_ROWS_OUTPUT, &program->logits));
    RF_TRY(norm(b, RF_TENSOR_OUTPUT_NORM, b->x, program->hidden, false));
    rf_weight_id output = RF_NONE, bias = RF_NONE;
    RF_TRY(rf_builder_weight(b, RF_TENSOR_OUTPUT, &output));
    RF_TRY(rf_builder_weight(b, RF_TENSOR_OUTPUT_BIAS, &bias));
    rf_op_matmul matmul = matmul_one(program->hidden, program->logits,
                                     output == RF_NONE ? b->token_embd : output, bias);
    matmul.soft_cap = b->hp->final_soft_cap;
    return push_matmul(b, &matmul);
}

rf_status rf_build_decoder(rf_builder *b, const rf_attention_block *attention,
                           const rf_ffn_block *ffn) {
    RF_TRY(rf_build_embed(b, 1));
    b->in_layers = true;
    for (b->layer = 0; b->layer < b->hp->n_layer; b->layer++) {
        RF_TRY(rf_build_attention(b, attention));
        RF_TRY(rf_build_ffn(b, ffn));
    }
    return rf_build_output(b);
}
