#include "cli/program_show.h"

#include <stdio.h>

#include "base/buf.h"
#include "cli/output.h"
#include "op/op_view.h"

/* The fields of an op that are neither values nor weights, as " name value …". */
static void note_embed(const rf_program *program, const rf_op_embed *op, rf_buf *note) {
    (void)program;
    if (op->scale != 1)
        rf_buf_printf(note, " scale %g", (double)op->scale);
}

static void note_norm(const rf_program *program, const rf_op_norm *op, rf_buf *note) {
    (void)program;
    rf_buf_printf(note, " %s eps %g%s", op->kind == RF_NORM_RMS ? "rms" : "layer", (double)op->eps,
                  op->add ? " add" : "");
}

static void note_matmul(const rf_program *program, const rf_op_matmul *op, rf_buf *note) {
    (void)program;
    if (op->add)
        rf_buf_text(note, " add");
    if (op->scale != 1)
        rf_buf_printf(note, " scale %g", (double)op->scale);
    if (op->soft_cap != 0)
        rf_buf_printf(note, " cap %g", (double)op->soft_cap);
}

static void note_rope_store(const rf_program *program, const rf_op_rope_store *op, rf_buf *note) {
    static const char *const kinds[] = {"none", "norm", "neox"};
    const rf_rope *rope = &program->ropes[op->rope];
    rf_buf_printf(note, " rope %s of %u, %u heads", kinds[rope->kind], rope->n_dims, op->n_head);
}

static void note_attention(const rf_program *program, const rf_op_attention *op, rf_buf *note) {
    const rf_kv_layer *layer = &program->kv_layers[op->kv_layer];
    rf_buf_printf(note, " %u heads over %u of %u", op->n_head, layer->n_head_kv, layer->head_dim);
    if (op->window)
        rf_buf_printf(note, ", window %u", op->window);
    if (op->soft_cap != 0)
        rf_buf_printf(note, ", cap %g", (double)op->soft_cap);
}

static const char *activation(rf_activation act) {
    static const char *const names[] = {"silu", "gelu", "gelu erf", "relu"};
    return names[act];
}

static void note_gated_matmul(const rf_program *program, const rf_op_gated_matmul *op,
                              rf_buf *note) {
    (void)program;
    rf_buf_printf(note, " %s", activation(op->act));
}

static void note_moe_route(const rf_program *program, const rf_op_moe_route *op, rf_buf *note) {
    (void)program;
    rf_buf_printf(note, " best %u, %s", op->n_used,
                  op->gating == RF_MOE_SOFTMAX ? "softmax" : "sigmoid");
}

static void note_moe_gated_matmul(const rf_program *program, const rf_op_moe_gated_matmul *op,
                                  rf_buf *note) {
    (void)program;
    rf_buf_printf(note, " %u experts, %s", op->n_used, activation(op->act));
}

static void note_moe_matmul(const rf_program *program, const rf_op_moe_matmul *op, rf_buf *note) {
    (void)program;
    rf_buf_printf(note, " %u experts%s", op->n_used, op->add ? " add" : "");
}

static void note_op(const rf_program *program, const rf_op *op, rf_buf *note) {
    rf_buf_clear(note);
    switch (op->kind) {
#define X(id, name, what)                        \
    case RF_OP_##id:                             \
        note_##name(program, &op->u.name, note); \
        break;
#include "op/ops.def"
#undef X
    case RF_OP_COUNT: break;
    }
}

static void show_value(const rf_program *program, rf_value_id id, rf_buf *text) {
    if (id == RF_NONE)
        rf_buf_text(text, "tokens");
    else
        rf_buf_printf(text, "%s[%u]", program->values[id].name, program->values[id].n_cols);
}

void rf_program_show(const rf_program *program) {
    rf_buf flow, note;
    rf_buf_init(&note, 1024);
    rf_buf_init(&flow, 1024);
    uint64_t total = 0;
    for (uint32_t i = 0; i < program->n_ops; i++) {
        const rf_op *op = &program->ops[i];
        char size[RF_SIZE_TEXT_BYTES], layer[16] = "-";
        rf_op_view view = rf_op_look(program, op);
        note_op(program, op, &note);
        rf_buf_clear(&flow);
        show_value(program, view.in, &flow);
        rf_buf_text(&flow, " -> ");
        show_value(program, view.out, &flow);
        if (op->layer >= 0)
            (void)snprintf(layer, sizeof layer, "%d", op->layer);
        uint64_t bytes = rf_op_bytes(program, &view);
        total += bytes;
        rf_out_printf("  %4u %3s  %-16s %-30s %9s ", i, layer, rf_op_name(op->kind),
                      flow.data ? flow.data : "", bytes ? rf_size_text(bytes, size) : "-");
        rf_out_printf("%s\n", note.data ? note.data : "");
        for (uint32_t w = 0; w < view.n_weights; w++) {
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
    rf_buf_deinit(&note);
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

static json_t *weights_json(const rf_program *program, const rf_op_view *view, bool *ok) {
    json_t *list = json_array();
    for (uint32_t i = 0; i < view->n_weights; i++) {
        const rf_weight *weight = &program->weights[view->weights[i]];
        json_t *item = json_object();
        rf_json_set(item, "name", rf_json_str(weight->name), ok);
        rf_json_set(item, "type", json_string(rf_qtype_get(weight->qtype)->name), ok);
        rf_json_set(item, "columns", json_integer((json_int_t)weight->n_cols), ok);
        rf_json_set(item, "rows", json_integer((json_int_t)weight->n_rows), ok);
        rf_json_set(item, "experts", json_integer((json_int_t)weight->n_experts), ok);
        rf_json_set(item, "bytes", json_integer((json_int_t)rf_weight_bytes(weight)), ok);
        rf_json_add(list, item, ok);
    }
    return list;
}

json_t *rf_program_json(const rf_program *program, bool *ok) {
    json_t *ops = json_array();
    rf_buf note;
    rf_buf_init(&note, 1024);
    for (uint32_t i = 0; i < program->n_ops; i++) {
        const rf_op *op = &program->ops[i];
        rf_op_view view = rf_op_look(program, op);
        note_op(program, op, &note);
        json_t *item = json_object();
        rf_json_set(item, "op", json_string(rf_op_name(op->kind)), ok);
        rf_json_set(item, "layer", op->layer >= 0 ? json_integer(op->layer) : json_null(), ok);
        rf_json_set(item, "in", value_json(program, view.in, ok), ok);
        rf_json_set(item, "out", value_json(program, view.out, ok), ok);
        rf_json_set(item, "weights", weights_json(program, &view, ok), ok);
        rf_json_set(item, "bytes", json_integer((json_int_t)rf_op_bytes(program, &view)), ok);
        rf_json_set(item, "fields", json_string(note.len ? note.data + 1 : ""), ok);
        rf_json_add(ops, item, ok);
    }
    rf_buf_deinit(&note);
    return ops;
}
