/* rf_program_check: what every backend may rely on afterwards. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "op/backend.h"

/* The op that is being checked. */
typedef struct check {
    const rf_program *program;
    const rf_op *op;
    uint32_t i_op;
    rf_error *err;
} check;

#define FAIL(c, fmt, ...)                                                      \
    rf_fail((c)->err, RF_ERR_INVALID, "op %u (%s, layer %d): " fmt, (c)->i_op, \
            rf_op_name((c)->op->kind), (c)->op->layer, __VA_ARGS__)

/* id names a value of n_cols columns; 0: any. */
static rf_status check_value(const check *c, const char *field, rf_value_id id, uint64_t n_cols) {
    if (id < 0 || (uint32_t)id >= c->program->n_values)
        return FAIL(c, "%s is value %d of %u", field, id, c->program->n_values);
    uint32_t found = c->program->values[id].n_cols;
    if (n_cols != 0 && found != n_cols)
        return FAIL(c, "%s has %u columns, expected %" PRIu64, field, found, n_cols);
    return RF_OK;
}

/* A value that is read: the logits are written only. */
static rf_status check_input(const check *c, const char *field, rf_value_id id, uint64_t n_cols) {
    RF_TRY(check_value(c, field, id, n_cols));
    if (id == c->program->logits)
        return FAIL(c, "%s reads the logits, which a run may leave out", field);
    return RF_OK;
}

static rf_status same_rows(const check *c, rf_value_id a, rf_value_id b) {
    const rf_value *values = c->program->values;
    if (values[a].rows != values[b].rows)
        return FAIL(c, "values '%s' and '%s' have different rows", values[a].name, values[b].name);
    return RF_OK;
}

/* The shape that an op expects of a weight; 0: any. */
typedef struct shape {
    uint64_t n_cols, n_rows, n_experts;
} shape;

static rf_status check_weight(const check *c, const char *field, rf_weight_id id, shape want) {
    if (id < 0 || (uint32_t)id >= c->program->n_weights)
        return FAIL(c, "%s is weight %d of %u", field, id, c->program->n_weights);
    const rf_weight *w = &c->program->weights[id];
    if ((want.n_cols && w->n_cols != want.n_cols) || (want.n_rows && w->n_rows != want.n_rows) ||
        (want.n_experts && w->n_experts != want.n_experts))
        return FAIL(c,
                    "%s is '%.*s' of [%" PRIu64 "][%" PRIu64 "][%" PRIu64 "], expected [%" PRIu64
                    "][%" PRIu64 "][%" PRIu64 "] (0: any)",
                    field, RF_STR_ARG(w->name), w->n_experts, w->n_rows, w->n_cols, want.n_experts,
                    want.n_rows, want.n_cols);
    return RF_OK;
}

static rf_status check_vector(const check *c, const char *field, rf_weight_id id, uint64_t n) {
    return id == RF_NONE ? RF_OK : check_weight(c, field, id, (shape){n, 1, 1});
}

static rf_status check_number(const check *c, const char *field, float value, bool positive) {
    if (!isfinite(value) || (positive && value <= 0.0f))
        return FAIL(c, "%s is %g", field, (double)value);
    return RF_OK;
}

static rf_status check_embed(const check *c) {
    const rf_op_embed *op = &c->op->u.embed;
    RF_TRY(check_input(c, "out", op->out, 0));
    RF_TRY(check_number(c, "scale", op->scale, false));
    if (c->program->values[op->out].rows != RF_ROWS_TOKENS)
        return FAIL(c, "%s has no row for each token", "out");
    return check_weight(c, "table", op->table,
                        (shape){c->program->values[op->out].n_cols, c->program->n_vocab, 1});
}

static rf_status check_norm(const check *c) {
    const rf_op_norm *op = &c->op->u.norm;
    RF_TRY(check_input(c, "in", op->in, 0));
    uint32_t n = c->program->values[op->in].n_cols;
    RF_TRY(check_input(c, "out", op->out, n));
    if (c->program->values[op->in].rows == RF_ROWS_OUTPUT)
        RF_TRY(same_rows(c, op->in, op->out));
    if (op->add && op->in == op->out)
        return FAIL(c, "adds to its own input '%s'", c->program->values[op->in].name);
    RF_TRY(check_number(c, "eps", op->eps, false));
    RF_TRY(check_vector(c, "weight", op->weight, n));
    return check_vector(c, "bias", op->bias, n);
}

static rf_status check_matmul_part(const check *c, const rf_op_matmul *op, uint32_t part) {
    const rf_value *out = &c->program->values[op->out];
    RF_TRY(check_weight(c, "weight", op->weight[part],
                        (shape){c->program->values[op->in].n_cols, 0, 1}));
    uint64_t n = c->program->weights[op->weight[part]].n_rows;
    if (op->out_col[part] > out->n_cols || n > out->n_cols - op->out_col[part])
        return FAIL(c, "part %u writes columns %u to %" PRIu64 " of '%s', which has %u", part,
                    op->out_col[part], op->out_col[part] + n, out->name, out->n_cols);
    for (uint32_t p = 0; p < part; p++) {
        uint64_t begin = op->out_col[p], size = c->program->weights[op->weight[p]].n_rows;
        if (op->out_col[part] < begin + size && begin < op->out_col[part] + n)
            return FAIL(c, "parts %u and %u overlap in '%s'", p, part, out->name);
    }
    return check_vector(c, "bias", op->bias[part], n);
}

static rf_status check_matmul(const check *c) {
    const rf_op_matmul *op = &c->op->u.matmul;
    RF_TRY(check_input(c, "in", op->in, 0));
    RF_TRY(check_value(c, "out", op->out, 0));
    RF_TRY(same_rows(c, op->in, op->out));
    if (op->in == op->out)
        return FAIL(c, "in and out are both '%s'", c->program->values[op->in].name);
    if (op->n_parts < 1 || op->n_parts > RF_MATMUL_MAX_PARTS)
        return FAIL(c, "%u parts, expected 1 to %d", op->n_parts, RF_MATMUL_MAX_PARTS);
    RF_TRY(check_number(c, "scale", op->scale, false));
    if (op->scale == 0.0f)
        return FAIL(c, "scale is %d", 0);
    if (!isfinite(op->soft_cap) || op->soft_cap < 0.0f)
        return FAIL(c, "soft_cap is %g", (double)op->soft_cap);
    if (op->row_gate != RF_NONE) {
        RF_TRY(check_input(c, "row_gate", op->row_gate, 1));
        RF_TRY(same_rows(c, op->row_gate, op->out));
    }
    for (uint32_t part = 0; part < op->n_parts; part++)
        RF_TRY(check_matmul_part(c, op, part));
    return RF_OK;
}

static rf_status check_kv_layer(const check *c, uint32_t kv_layer, uint32_t n_head) {
    if (kv_layer >= c->program->n_kv_layers)
        return FAIL(c, "kv_layer is %u of %u", kv_layer, c->program->n_kv_layers);
    uint32_t n_head_kv = c->program->kv_layers[kv_layer].n_head_kv;
    if (n_head == 0 || n_head % n_head_kv != 0)
        return FAIL(c, "%u heads are no multiple of %u heads of k and v", n_head, n_head_kv);
    return RF_OK;
}

static uint64_t qkv_columns(const rf_kv_layer *layer, uint32_t n_head) {
    return ((uint64_t)n_head + layer->n_head_kv) * layer->head_dim +
           (uint64_t)layer->n_head_kv * layer->head_dim_v;
}

static rf_status token_rows(const check *c, const char *field, rf_value_id id) {
    if (c->program->values[id].rows != RF_ROWS_TOKENS)
        return FAIL(c, "%s has no row for each token", field);
    return RF_OK;
}

static rf_status check_rope_store(const check *c) {
    const rf_op_rope_store *op = &c->op->u.rope_store;
    RF_TRY(check_kv_layer(c, op->kv_layer, op->n_head));
    const rf_kv_layer *layer = &c->program->kv_layers[op->kv_layer];
    RF_TRY(check_input(c, "qkv", op->qkv, qkv_columns(layer, op->n_head)));
    RF_TRY(token_rows(c, "qkv", op->qkv));
    RF_TRY(check_vector(c, "q_norm", op->q_norm, layer->head_dim));
    RF_TRY(check_vector(c, "k_norm", op->k_norm, layer->head_dim));
    RF_TRY(check_number(c, "norm_eps", op->norm_eps, false));
    if (op->rope >= c->program->n_ropes)
        return FAIL(c, "rope is %u of %u", op->rope, c->program->n_ropes);
    const rf_rope *rope = &c->program->ropes[op->rope];
    if (rope->kind != RF_ROPE_NONE &&
        (rope->n_dims % 2 != 0 || rope->n_dims > layer->head_dim || !rope->inv_freq))
        return FAIL(c, "rotates %u of %u dimensions", rope->n_dims, layer->head_dim);
    return RF_OK;
}

static rf_status check_attention(const check *c) {
    const rf_op_attention *op = &c->op->u.attention;
    RF_TRY(check_kv_layer(c, op->kv_layer, op->n_head));
    const rf_kv_layer *layer = &c->program->kv_layers[op->kv_layer];
    RF_TRY(check_input(c, "qkv", op->qkv, qkv_columns(layer, op->n_head)));
    RF_TRY(check_input(c, "out", op->out, (uint64_t)op->n_head * layer->head_dim_v));
    RF_TRY(token_rows(c, "qkv", op->qkv));
    RF_TRY(token_rows(c, "out", op->out));
    RF_TRY(check_number(c, "scale", op->scale, false));
    if (!isfinite(op->soft_cap) || op->soft_cap < 0.0f)
        return FAIL(c, "soft_cap is %g", (double)op->soft_cap);
    uint32_t kept = c->program->kv_groups[layer->group].window;
    if (kept != 0 && (op->window == 0 || op->window > kept))
        return FAIL(c, "window %u is larger than the %u positions that its group keeps", op->window,
                    kept);
    return check_vector(c, "sinks", op->sinks, op->n_head);
}

static rf_status check_gated_matmul(const check *c) {
    const rf_op_gated_matmul *op = &c->op->u.gated_matmul;
    RF_TRY(check_input(c, "in", op->in, 0));
    RF_TRY(check_input(c, "out", op->out, 0));
    RF_TRY(same_rows(c, op->in, op->out));
    uint32_t n_out = c->program->values[op->out].n_cols;
    shape want = {c->program->values[op->in].n_cols, n_out, 1};
    if (op->in == op->out)
        return FAIL(c, "in and out are both '%s'", c->program->values[op->in].name);
    RF_TRY(check_weight(c, "gate", op->gate, want));
    RF_TRY(check_weight(c, "up", op->up, want));
    RF_TRY(check_vector(c, "gate_bias", op->gate_bias, n_out));
    return check_vector(c, "up_bias", op->up_bias, n_out);
}

static rf_status check_moe_route(const check *c) {
    const rf_op_moe_route *op = &c->op->u.moe_route;
    RF_TRY(check_input(c, "in", op->in, 0));
    RF_TRY(check_input(c, "out", op->out, 2 * (uint64_t)op->n_used));
    RF_TRY(token_rows(c, "in", op->in));
    RF_TRY(token_rows(c, "out", op->out));
    RF_TRY(check_weight(c, "weight", op->weight, (shape){c->program->values[op->in].n_cols, 0, 1}));
    uint64_t n_expert = c->program->weights[op->weight].n_rows;
    /* the route holds the index as a float: exact below 2^24 */
    if (op->n_used == 0 || op->n_used > n_expert || n_expert > 1u << 24)
        return FAIL(c, "uses %u of %" PRIu64 " experts", op->n_used, n_expert);
    RF_TRY(check_number(c, "scale", op->scale, false));
    return check_vector(c, "bias", op->bias, n_expert);
}

/* The last op before this one that wrote the route: how many experts may it name? */
static rf_status check_route(const check *c, rf_value_id route, uint32_t n_used,
                             rf_weight_id weight) {
    RF_TRY(check_input(c, "route", route, 2 * (uint64_t)n_used));
    const rf_op *writer = NULL;
    for (const rf_op *op = c->program->ops; op < c->op; op++)
        if (op->kind == RF_OP_MOE_ROUTE && op->u.moe_route.out == route)
            writer = op;
    if (!writer)
        return FAIL(c, "no op before it writes the route '%s'", c->program->values[route].name);
    uint64_t n_expert = c->program->weights[writer->u.moe_route.weight].n_rows;
    return check_weight(c, "weight", weight, (shape){0, 0, n_expert});
}

static rf_status check_moe_gated_matmul(const check *c) {
    const rf_op_moe_gated_matmul *op = &c->op->u.moe_gated_matmul;
    RF_TRY(check_route(c, op->route, op->n_used, op->gate));
    RF_TRY(check_route(c, op->route, op->n_used, op->up));
    RF_TRY(check_input(c, "in", op->in, c->program->weights[op->gate].n_cols));
    RF_TRY(check_input(c, "out", op->out, op->n_used * c->program->weights[op->gate].n_rows));
    RF_TRY(token_rows(c, "in", op->in));
    RF_TRY(token_rows(c, "out", op->out));
    const rf_weight *gate = &c->program->weights[op->gate];
    return check_weight(c, "up", op->up, (shape){gate->n_cols, gate->n_rows, gate->n_experts});
}

static rf_status check_moe_matmul(const check *c) {
    const rf_op_moe_matmul *op = &c->op->u.moe_matmul;
    RF_TRY(check_route(c, op->route, op->n_used, op->down));
    const rf_weight *down = &c->program->weights[op->down];
    RF_TRY(check_input(c, "in", op->in, op->n_used * down->n_cols));
    RF_TRY(check_input(c, "out", op->out, down->n_rows));
    RF_TRY(token_rows(c, "in", op->in));
    return token_rows(c, "out", op->out);
}

/* A weight's own fields: sizes that fit together. */
static rf_status check_weight_fields(const rf_program *program, uint32_t i, rf_error *err) {
    const rf_weight *w = &program->weights[i];
    uint64_t row_bytes, rows, bytes;
    if ((unsigned)w->qtype >= RF_QTYPE_COUNT || !w->data || w->n_cols == 0 || w->n_rows == 0 ||
        w->n_experts == 0 || w->n_cols > INT32_MAX || w->n_rows > INT32_MAX ||
        w->n_experts > INT32_MAX || w->expert_stride_rows < w->n_rows ||
        !rf_qtype_row_bytes(w->qtype, w->n_cols, &row_bytes) || row_bytes != w->row_bytes ||
        !rf_mul_u64(w->n_experts, w->expert_stride_rows, &rows) ||
        !rf_mul_u64(rows, row_bytes, &bytes) || bytes > PTRDIFF_MAX)
        return rf_fail(err, RF_ERR_INVALID,
                       "tensor '%.*s': [%" PRIu64 "][%" PRIu64 "][%" PRIu64 "], rows of %" PRIu64
                       " bytes, is no matrix that a program can hold",
                       RF_STR_ARG(w->name), w->n_experts, w->n_rows, w->n_cols, w->row_bytes);
    return RF_OK;
}

static rf_status check_tables(const rf_program *program, rf_error *err) {
    for (uint32_t i = 0; i < program->n_weights; i++)
        RF_TRY(check_weight_fields(program, i, err));
    for (uint32_t i = 0; i < program->n_values; i++)
        if (program->values[i].n_cols == 0 || program->values[i].n_cols > INT32_MAX)
            return rf_fail(err, RF_ERR_INVALID, "value '%s' has %u columns",
                           program->values[i].name, program->values[i].n_cols);
    if (program->n_kv_groups > RF_KV_MAX_GROUPS)
        return rf_fail(err, RF_ERR_INVALID, "%u groups of KV layers, at most %d",
                       program->n_kv_groups, RF_KV_MAX_GROUPS);
    for (uint32_t i = 0; i < program->n_kv_layers; i++) {
        const rf_kv_layer *l = &program->kv_layers[i];
        const uint32_t most = 1 << 15; /* keeps every size of a block far from wrapping */
        if (l->group >= program->n_kv_groups || l->n_head_kv == 0 || l->n_head_kv > most ||
            l->head_dim == 0 || l->head_dim > most || l->head_dim_v == 0 || l->head_dim_v > most)
            return rf_fail(err, RF_ERR_INVALID,
                           "KV layer %u: %u heads of %u and %u dimensions in group %u of %u", i,
                           l->n_head_kv, l->head_dim, l->head_dim_v, l->group,
                           program->n_kv_groups);
    }
    return RF_OK;
}

static rf_status check_result(const rf_program *program, const char *what, rf_value_id id,
                              uint32_t n_cols, rf_error *err) {
    if (id == RF_NONE)
        return RF_OK;
    if (id < 0 || (uint32_t)id >= program->n_values || program->values[id].n_cols != n_cols ||
        program->values[id].rows != RF_ROWS_OUTPUT)
        return rf_fail(err, RF_ERR_INVALID, "program: %s is value %d, expected %u output columns",
                       what, id, n_cols);
    return RF_OK;
}

rf_status rf_program_check(const rf_program *program, rf_error *err) {
    static rf_status (*const checks[])(const check *) = {
#define X(id, name, what) check_##name,
#include "op/ops.def"
#undef X
    };
    RF_TRY(check_tables(program, err));
    RF_TRY(check_result(program, "hidden", program->hidden, program->n_embd, err));
    RF_TRY(check_result(program, "logits", program->logits, program->n_vocab, err));
    for (uint32_t i = 0; i < program->n_ops; i++) {
        check c = {program, &program->ops[i], i, err};
        if ((unsigned)c.op->kind >= RF_OP_COUNT)
            return rf_fail(err, RF_ERR_INVALID, "op %u is of unknown kind %d", i, (int)c.op->kind);
        RF_TRY(checks[c.op->kind](&c));
    }
    return RF_OK;
}
