#include "cli/program_show.h"

#include <stdio.h>

#include "base/buf.h"
#include "cli/output.h"

enum { MAX_WEIGHTS = 8 };

/* What an op touches, flattened for printing. */
typedef struct op_view {
    rf_value_id in, out;
    rf_weight_id weights[MAX_WEIGHTS];
    int n_weights;
    uint64_t n_read, n_of; /* a token reads n_read of n_of parts of the weights */
    rf_buf note;           /* fields that are neither */
    const rf_program *program;
} op_view;

static void use(op_view *view, rf_weight_id weight) {
    if (weight != RF_NONE && view->n_weights < MAX_WEIGHTS)
        view->weights[view->n_weights++] = weight;
}

static void look_embed(const rf_op_embed *op, op_view *view) {
    view->out = op->out;
    use(view, op->table);
    view->n_of = view->program->weights[op->table].n_rows;
    if (op->scale != 1)
        rf_buf_printf(&view->note, " scale %g", (double)op->scale);
}

static void look_norm(const rf_op_norm *op, op_view *view) {
    view->in = op->in;
    view->out = op->out;
    use(view, op->weight);
    use(view, op->bias);
    rf_buf_printf(&view->note, " %s eps %g%s", op->kind == RF_NORM_RMS ? "rms" : "layer",
                  (double)op->eps, op->add ? " add" : "");
}

static void look_matmul(const rf_op_matmul *op, op_view *view) {
    view->in = op->in;
    view->out = op->out;
    for (uint32_t i = 0; i < op->n_parts && i < RF_MATMUL_MAX_PARTS; i++) {
        use(view, op->weight[i]);
        use(view, op->bias[i]);
    }
    if (op->add)
        rf_buf_text(&view->note, " add");
    if (op->scale != 1)
        rf_buf_printf(&view->note, " scale %g", (double)op->scale);
    if (op->soft_cap != 0)
        rf_buf_printf(&view->note, " cap %g", (double)op->soft_cap);
}

static void look_rope_store(const rf_op_rope_store *op, op_view *view) {
    static const char *const kinds[] = {"none", "norm", "neox"};
    const rf_rope *rope = &view->program->ropes[op->rope];
    view->in = view->out = op->qkv;
    use(view, op->q_norm);
    use(view, op->k_norm);
    rf_buf_printf(&view->note, " rope %s of %u, %u heads", kinds[rope->kind], rope->n_dims,
                  op->n_head);
}

static void look_attention(const rf_op_attention *op, op_view *view) {
    const rf_kv_layer *layer = &view->program->kv_layers[op->kv_layer];
    view->in = op->qkv;
    view->out = op->out;
    use(view, op->sinks);
    rf_buf_printf(&view->note, " %u heads over %u of %u", op->n_head, layer->n_head_kv,
                  layer->head_dim);
    if (op->window)
        rf_buf_printf(&view->note, ", window %u", op->window);
    if (op->soft_cap != 0)
        rf_buf_printf(&view->note, ", cap %g", (double)op->soft_cap);
}

/* A token reads n_used of the experts that weight holds. */
static void use_experts(op_view *view, rf_weight_id weight, uint32_t n_used) {
    use(view, weight);
    view->n_read = n_used;
    view->n_of = view->program->weights[weight].n_experts;
}

static const char *activation(rf_activation act) {
    static const char *const names[] = {"silu", "gelu", "gelu erf", "relu"};
    return names[act];
}

static void look_gated_matmul(const rf_op_gated_matmul *op, op_view *view) {
    view->in = op->in;
    view->out = op->out;
    use(view, op->gate);
    use(view, op->gate_bias);
    use(view, op->up);
    use(view, op->up_bias);
    rf_buf_printf(&view->note, " %s", activation(op->act));
}

static void look_moe_route(const rf_op_moe_route *op, op_view *view) {
    view->in = op->in;
    view->out = op->out;
    use(view, op->weight);
    use(view, op->bias);
    rf_buf_printf(&view->note, " best %u, %s", op->n_used,
                  op->gating == RF_MOE_SOFTMAX ? "softmax" : "sigmoid");
}

static void look_moe_gated_matmul(const rf_op_moe_gated_matmul *op, op_view *view) {
    view->in = op->in;
    view->out = op->out;
    use_experts(view, op->gate, op->n_used);
    use_experts(view, op->up, op->n_used);
    rf_buf_printf(&view->note, " %u experts, %s", op->n_used, activation(op->act));
}

static void look_moe_matmul(const rf_op_moe_matmul *op, op_view *view) {
    view->in = op->in;
    view->out = op->out;
    use_experts(view, op->down, op->n_used);
    rf_buf_printf(&view->note, " %u experts%s", op->n_used, op->add ? " add" : "");
}

static void look(const rf_program *program, const rf_op *op, op_view *view) {
    rf_buf note = view->note;
    *view = (op_view){
        .in = RF_NONE, .out = RF_NONE, .n_read = 1, .n_of = 1, .note = note, .program = program};
    rf_buf_clear(&view->note);
    switch (op->kind) {
#define X(id, name, what)               \
    case RF_OP_##id:                    \
        look_##name(&op->u.name, view); \
        break;
#include "op/ops.def"
#undef X
    case RF_OP_COUNT: break;
    }
}

static uint64_t weight_bytes(const rf_weight *weight) {
    return weight->row_bytes * weight->n_rows * weight->n_experts;
}

static uint64_t op_bytes(const op_view *view) {
    uint64_t bytes = 0;
    for (int i = 0; i < view->n_weights; i++)
        bytes += weight_bytes(&view->program->weights[view->weights[i]]);
    return bytes;
}

uint64_t rf_program_step_bytes(const rf_program *program) {
    op_view view = {0};
    uint64_t bytes = 0;
    rf_buf_init(&view.note, 1024);
    for (uint32_t i = 0; i < program->n_ops; i++) {
        look(program, &program->ops[i], &view);
        bytes += view.n_of > 0 ? op_bytes(&view) / view.n_of * view.n_read : 0;
    }
    rf_buf_deinit(&view.note);
    return bytes;
}

static void show_value(const rf_program *program, rf_value_id id, rf_buf *text) {
    if (id == RF_NONE)
        rf_buf_text(text, "tokens");
    else
        rf_buf_printf(text, "%s[%u]", program->values[id].name, program->values[id].n_cols);
}

void rf_program_show(const rf_program *program) {
    op_view view = {0};
    rf_buf flow;
    rf_buf_init(&view.note, 1024);
    rf_buf_init(&flow, 1024);
    uint64_t total = 0;
    for (uint32_t i = 0; i < program->n_ops; i++) {
        const rf_op *op = &program->ops[i];
        char size[RF_SIZE_TEXT_BYTES], layer[16] = "-";
        look(program, op, &view);
        rf_buf_clear(&flow);
        show_value(program, view.in, &flow);
        rf_buf_text(&flow, " -> ");
        show_value(program, view.out, &flow);
        if (op->layer >= 0)
            (void)snprintf(layer, sizeof layer, "%d", op->layer);
        uint64_t bytes = op_bytes(&view);
        total += bytes;
        rf_out_printf("  %4u %3s  %-16s %-30s %9s ", i, layer, rf_op_name(op->kind),
                      flow.data ? flow.data : "", bytes ? rf_size_text(bytes, size) : "-");
        rf_out_printf("%s\n", view.note.data ? view.note.data : "");
        for (int w = 0; w < view.n_weights; w++) {
            const rf_weight *weight = &program->weights[view.weights[w]];
            rf_out_printf("%29s%s", "", rf_out_style(RF_STYLE_DIM));
            rf_out_safe(weight->name, 200, false);
            rf_out_printf(" %s %llu x %llu", rf_qtype_get(weight->qtype)->name,
                          (unsigned long long)weight->n_cols, (unsigned long long)weight->n_rows);
            if (weight->n_experts > 1)
                rf_out_printf(" x %llu", (unsigned long long)weight->n_experts);
            rf_out_printf("%s\n", rf_out_style(RF_STYLE_NONE));
        }
    }
    char size[RF_SIZE_TEXT_BYTES];
    rf_out_printf("  %u ops over %u values and %u weights, %s\n", program->n_ops, program->n_values,
                  program->n_weights, rf_size_text(total, size));
    rf_buf_deinit(&view.note);
    rf_buf_deinit(&flow);
}

static json_t *value_json(const rf_program *program, rf_value_id id, bool *ok) {
    if (id == RF_NONE)
        return json_null();
    const rf_value *value = &program->values[id];
    json_t *item = json_object();
    rf_json_set(item, "name", json_string(value->name), ok);
    rf_json_set(item, "columns", json_integer(value->n_cols), ok);
    rf_json_set(item, "rows", json_string(value->rows == RF_ROWS_TOKENS ? "tokens" : "outputs"),
                ok);
    return item;
}

static json_t *weights_json(const op_view *view, bool *ok) {
    json_t *list = json_array();
    for (int i = 0; i < view->n_weights; i++) {
        const rf_weight *weight = &view->program->weights[view->weights[i]];
        json_t *item = json_object();
        rf_json_set(item, "name", rf_json_str(weight->name), ok);
        rf_json_set(item, "type", json_string(rf_qtype_get(weight->qtype)->name), ok);
        rf_json_set(item, "columns", json_integer((json_int_t)weight->n_cols), ok);
        rf_json_set(item, "rows", json_integer((json_int_t)weight->n_rows), ok);
        rf_json_set(item, "experts", json_integer((json_int_t)weight->n_experts), ok);
        rf_json_set(item, "bytes", json_integer((json_int_t)weight_bytes(weight)), ok);
        rf_json_add(list, item, ok);
    }
    return list;
}

json_t *rf_program_json(const rf_program *program, bool *ok) {
    json_t *ops = json_array();
    op_view view = {0};
    rf_buf_init(&view.note, 1024);
    for (uint32_t i = 0; i < program->n_ops; i++) {
        const rf_op *op = &program->ops[i];
        look(program, op, &view);
        json_t *item = json_object();
        rf_json_set(item, "op", json_string(rf_op_name(op->kind)), ok);
        rf_json_set(item, "layer", op->layer >= 0 ? json_integer(op->layer) : json_null(), ok);
        rf_json_set(item, "in", value_json(program, view.in, ok), ok);
        rf_json_set(item, "out", value_json(program, view.out, ok), ok);
        rf_json_set(item, "weights", weights_json(&view, ok), ok);
        rf_json_set(item, "bytes", json_integer((json_int_t)op_bytes(&view)), ok);
        rf_json_set(item, "fields", json_string(view.note.len ? view.note.data + 1 : ""), ok);
        rf_json_add(ops, item, ok);
    }
    rf_buf_deinit(&view.note);
    return ops;
}
