#include "tests/lib/tiny_program.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/rng.h"

enum { MAX_OPS = 32, MAX_WEIGHTS = 48, MAX_VALUES = 12, SEQS = 8, ROWS = 512 };

/* What is being built. */
typedef struct maker {
    tiny_program *tiny;
    rf_rng rng;
    rf_qtype qtype;
    bool failed;
} maker;

static rf_weight_id add_weight(maker *m, rf_qtype qtype, uint32_t n_cols, uint32_t n_rows,
                               uint32_t n_experts) {
    const rf_qtype_info *type = rf_qtype_get(qtype);
    size_t row_bytes = n_cols / type->block_weights * (size_t)type->block_bytes;
    size_t n_all = (size_t)n_rows * n_experts;
    rf_program *p = &m->tiny->program;
    uint8_t *data = rf_arena_alloc(&m->tiny->arena, row_bytes * n_all + 1, 64);
    if (!data || p->n_weights == MAX_WEIGHTS) {
        m->failed = true;
        return 0;
    }
    data++; /* the mapping promises no alignment */
    for (size_t i = 0; qtype == RF_QTYPE_F32 && i < n_all * n_cols; i++) {
        float x = rf_rng_normal(&m->rng) / sqrtf((float)n_cols) * (n_all == 1 ? 4.0f : 1.0f);
        memcpy(data + 4 * i, &x, 4);
    }
    for (size_t i = 0; qtype == RF_QTYPE_Q8_0 && i < row_bytes * n_all; i++) {
        uint16_t scale = rf_float_to_half(0.016f / sqrtf((float)n_cols));
        data[i] = (uint8_t)rf_rng_u32(&m->rng);
        if (i % type->block_bytes < 2)
            data[i] = (uint8_t)(scale >> (i % type->block_bytes * 8));
    }
    m->tiny->weights[p->n_weights] = (rf_weight){
        RF_STR("tiny.weight"), qtype, n_cols, n_rows, n_experts, row_bytes, n_rows, data};
    return (rf_weight_id)p->n_weights++;
}

static rf_weight_id matrix(maker *m, uint32_t n_cols, uint32_t n_rows, uint32_t n_experts) {
    return add_weight(m, m->qtype, n_cols, n_rows, n_experts);
}

static rf_weight_id vector(maker *m, uint32_t n) { return add_weight(m, RF_QTYPE_F32, n, 1, 1); }

static rf_value_id add_value(maker *m, const char *name, uint32_t n_cols, rf_row_kind rows) {
    rf_program *p = &m->tiny->program;
    m->tiny->values[p->n_values] = (rf_value){name, n_cols, rows};
    return (rf_value_id)p->n_values++;
}

/* A new op at the end of the program. */
static rf_op *add_op(maker *m, rf_op_kind kind, int32_t layer) {
    rf_op *op = &m->tiny->ops[m->tiny->program.n_ops++];
    op->kind = kind;
    op->layer = layer;
    return op;
}

static void add_norm(maker *m, rf_value_id in, rf_value_id out, rf_norm_kind kind, int32_t layer) {
    rf_weight_id bias = kind == RF_NORM_LAYER ? vector(m, TINY_EMBD) : RF_NONE;
    add_op(m, RF_OP_NORM, layer)->u.norm =
        (rf_op_norm){in, out, vector(m, TINY_EMBD), bias, kind, 1e-5f, false};
}

static rf_op_matmul product(maker *m, rf_value_id in, rf_value_id out, bool add) {
    const rf_value *values = m->tiny->values;
    return (rf_op_matmul){.in = in,
                          .out = out,
                          .n_parts = 1,
                          .weight = {matrix(m, values[in].n_cols, values[out].n_cols, 1)},
                          .bias = {RF_NONE, RF_NONE, RF_NONE},
                          .add = add,
                          .row_gate = RF_NONE,
                          .scale = 1.0f};
}

/* Values that layers share. */
typedef struct places {
    rf_value_id x, h, qkv, a, g, gate, route, moe;
} places;

static void add_attention(maker *m, const places *v, uint32_t layer) {
    rf_op_matmul qkv = {.in = v->h,
                        .out = v->qkv,
                        .n_parts = 3,
                        .bias = {vector(m, TINY_HEADS * TINY_DIM), RF_NONE, RF_NONE},
                        .row_gate = RF_NONE,
                        .scale = 1.0f};
    for (uint32_t part = 0; part < 3; part++) {
        uint32_t heads = part == 0 ? TINY_HEADS : TINY_HEADS_KV;
        qkv.weight[part] = matrix(m, TINY_EMBD, heads * TINY_DIM, 1);
        qkv.out_col[part] = part == 0 ? 0 : (TINY_HEADS + (part - 1) * TINY_HEADS_KV) * TINY_DIM;
    }
    add_norm(m, v->x, v->h, layer ? RF_NORM_LAYER : RF_NORM_RMS, (int32_t)layer);
    add_op(m, RF_OP_MATMUL, (int32_t)layer)->u.matmul = qkv;
    add_op(m, RF_OP_ROPE_STORE, (int32_t)layer)->u.rope_store =
        (rf_op_rope_store){v->qkv,
                           layer,
                           TINY_HEADS,
                           layer ? vector(m, TINY_DIM) : RF_NONE,
                           layer ? vector(m, TINY_DIM) : RF_NONE,
                           1e-6f,
                           layer};
    add_op(m, RF_OP_ATTENTION, (int32_t)layer)->u.attention =
        (rf_op_attention){.qkv = v->qkv,
                          .out = v->a,
                          .kv_layer = layer,
                          .n_head = TINY_HEADS,
                          .scale = 0.2f,
                          .soft_cap = layer ? 25.0f : 0.0f,
                          .window = layer ? TINY_WINDOW : 0,
                          .sinks = layer ? vector(m, TINY_HEADS) : RF_NONE};
    add_op(m, RF_OP_MATMUL, (int32_t)layer)->u.matmul = product(m, v->a, v->x, true);
}

static void add_experts(maker *m, const places *v) {
    rf_weight_id bias = vector(m, TINY_EXPERTS);
    add_op(m, RF_OP_MOE_ROUTE, 1)->u.moe_route = (rf_op_moe_route){
        v->h, v->route, matrix(m, TINY_EMBD, TINY_EXPERTS, 1), bias, TINY_USED, RF_MOE_SOFTMAX,
        true, 1.5f};
    rf_weight_id gate = matrix(m, TINY_EMBD, TINY_FF, TINY_EXPERTS);
    rf_weight_id up = matrix(m, TINY_EMBD, TINY_FF, TINY_EXPERTS);
    rf_weight_id down = matrix(m, TINY_FF, TINY_EMBD, TINY_EXPERTS);
    add_op(m, RF_OP_MOE_GATED_MATMUL, 1)->u.moe_gated_matmul =
        (rf_op_moe_gated_matmul){v->h, v->route, v->moe, gate, up, TINY_USED, RF_ACT_GELU_TANH};
    add_op(m, RF_OP_MOE_MATMUL, 1)->u.moe_matmul =
        (rf_op_moe_matmul){v->moe, v->route, v->x, down, TINY_USED, true};
    /* a shared expert, gated row by row */
    add_op(m, RF_OP_MATMUL, 1)->u.matmul = product(m, v->h, v->gate, false);
}

static void add_layer(maker *m, const places *v, uint32_t layer) {
    add_attention(m, v, layer);
    add_norm(m, v->x, v->h, RF_NORM_RMS, (int32_t)layer);
    if (layer == 1)
        add_experts(m, v);
    rf_weight_id bias = layer ? RF_NONE : vector(m, TINY_FF);
    add_op(m, RF_OP_GATED_MATMUL, (int32_t)layer)->u.gated_matmul =
        (rf_op_gated_matmul){v->h,
                             v->g,
                             matrix(m, TINY_EMBD, TINY_FF, 1),
                             matrix(m, TINY_EMBD, TINY_FF, 1),
                             RF_NONE,
                             bias,
                             RF_ACT_SILU};
    rf_op_matmul down = product(m, v->g, v->x, true);
    down.row_gate = layer ? v->gate : RF_NONE;
    add_op(m, RF_OP_MATMUL, (int32_t)layer)->u.matmul = down;
}

static void add_ropes(maker *m) {
    tiny_program *t = m->tiny;
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t dims = i ? TINY_DIM : TINY_DIM / 2;
        float *inverse = RF_ARENA_ARRAY(&t->arena, float, dims / 2);
        if (!inverse) {
            m->failed = true;
            return;
        }
        for (uint32_t j = 0; j < dims / 2; j++)
            inverse[j] = powf(1000.0f, -2.0f * (float)j / (float)dims);
        t->ropes[i] = (rf_rope){i ? RF_ROPE_NEOX : RF_ROPE_NORM, dims, 1.1f, inverse};
        t->kv_layers[i] = (rf_kv_layer){TINY_HEADS_KV, TINY_DIM, TINY_DIM, i};
    }
}

static void build(maker *m) {
    rf_program *p = &m->tiny->program;
    const uint32_t qkv = (TINY_HEADS + 2 * TINY_HEADS_KV) * TINY_DIM;
    places v = {add_value(m, "x", TINY_EMBD, RF_ROWS_TOKENS),
                add_value(m, "h", TINY_EMBD, RF_ROWS_TOKENS),
                add_value(m, "qkv", qkv, RF_ROWS_TOKENS),
                add_value(m, "a", TINY_HEADS * TINY_DIM, RF_ROWS_TOKENS),
                add_value(m, "g", TINY_FF, RF_ROWS_TOKENS),
                add_value(m, "gate", 1, RF_ROWS_TOKENS),
                add_value(m, "route", 2 * TINY_USED, RF_ROWS_TOKENS),
                add_value(m, "moe", TINY_USED * TINY_FF, RF_ROWS_TOKENS)};
    p->hidden = add_value(m, "hidden", TINY_EMBD, RF_ROWS_OUTPUT);
    p->logits = add_value(m, "logits", TINY_VOCAB, RF_ROWS_OUTPUT);
    add_ropes(m);
    add_op(m, RF_OP_EMBED, -1)->u.embed =
        (rf_op_embed){v.x, matrix(m, TINY_EMBD, TINY_VOCAB, 1), 3.0f};
    for (uint32_t layer = 0; layer < 2; layer++)
        add_layer(m, &v, layer);
    add_norm(m, v.x, p->hidden, RF_NORM_RMS, -1);
    rf_op_matmul logits = product(m, p->hidden, p->logits, false);
    logits.soft_cap = 30.0f;
    logits.scale = 2.0f;
    add_op(m, RF_OP_MATMUL, -1)->u.matmul = logits;
}

bool tiny_program_open(tiny_program *tiny, uint64_t seed, rf_qtype qtype) {
    memset(tiny, 0, sizeof *tiny);
    rf_arena_init(&tiny->arena, 1 << 24);
    tiny->ops = RF_ARENA_ARRAY(&tiny->arena, rf_op, MAX_OPS);
    tiny->values = RF_ARENA_ARRAY(&tiny->arena, rf_value, MAX_VALUES);
    tiny->weights = RF_ARENA_ARRAY(&tiny->arena, rf_weight, MAX_WEIGHTS);
    tiny->ropes = RF_ARENA_ARRAY(&tiny->arena, rf_rope, 2);
    tiny->kv_layers = RF_ARENA_ARRAY(&tiny->arena, rf_kv_layer, 2);
    if (!tiny->ops || !tiny->values || !tiny->weights || !tiny->ropes || !tiny->kv_layers)
        return false;
    tiny->program = (rf_program){.arena = &tiny->arena,
                                 .n_ropes = 2,
                                 .n_kv_layers = 2,
                                 .n_kv_groups = 2,
                                 .ops = tiny->ops,
                                 .values = tiny->values,
                                 .weights = tiny->weights,
                                 .ropes = tiny->ropes,
                                 .kv_layers = tiny->kv_layers,
                                 .kv_groups = {{0}, {TINY_WINDOW}},
                                 .n_vocab = TINY_VOCAB,
                                 .n_embd = TINY_EMBD,
                                 .n_ctx_train = TINY_CONTEXT};
    maker m = {tiny, rf_rng_make(seed, 0), qtype, false};
    build(&m);
    return !m.failed;
}

void tiny_program_close(tiny_program *tiny) { rf_arena_deinit(&tiny->arena); }

uint32_t tiny_program_op(const tiny_program *tiny, rf_op_kind kind) {
    uint32_t i = 0;
    while (i + 1 < tiny->program.n_ops && tiny->ops[i].kind != kind)
        i++;
    return i;
}

rf_limits tiny_limits(uint32_t max_seqs, rf_kv_type type) {
    return (rf_limits){.max_tokens = ROWS,
                       .max_seqs = max_seqs,
                       .max_outputs = ROWS,
                       .max_context = TINY_CONTEXT,
                       .block_tokens = TINY_BLOCK,
                       .n_blocks = {SEQS * TINY_BLOCKS, SEQS * TINY_BLOCKS},
                       .type_k = type,
                       .type_v = type};
}

int32_t tiny_token(int32_t seq, int32_t position) {
    return (seq * 31 + position * 17 + position * position % 13) % TINY_VOCAB;
}

rf_status tiny_step(rf_backend *backend, int32_t n_seqs, const int32_t *ids, const int32_t *starts,
                    const int32_t *counts, float *logits, rf_error *err) {
    int32_t tokens[ROWS], positions[ROWS], rows[ROWS], seq_start[SEQS + 1] = {0};
    int32_t tables[2 * SEQS * TINY_BLOCKS], n = 0;
    for (int32_t s = 0; s < n_seqs; s++) {
        for (int32_t i = 0; i < counts[s] && n < ROWS; i++, n++) {
            tokens[n] = tiny_token(ids[s], starts[s] + i);
            positions[n] = starts[s] + i;
            rows[n] = n;
        }
        seq_start[s + 1] = n;
        for (int32_t b = 0; b < 2 * TINY_BLOCKS; b++) {
            bool passed = b >= TINY_BLOCKS &&
                          (b - TINY_BLOCKS + 1) * TINY_BLOCK <= starts[s] + 1 - TINY_WINDOW;
            int32_t group = b / TINY_BLOCKS,
                    at = (group * n_seqs + s) * TINY_BLOCKS + b % TINY_BLOCKS;
            tables[at] = passed ? -1 : ids[s] + b % TINY_BLOCKS * SEQS;
        }
    }
    rf_batch batch = {n, n_seqs, n, tokens, positions, seq_start, rows, tables, TINY_BLOCKS};
    rf_outputs outputs = {.logits = logits};
    return backend->api->run(backend, &batch, &outputs, err);
}
