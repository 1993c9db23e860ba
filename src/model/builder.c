#include "model/builder.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Most that a layer of any block combination in model/decoder.c needs, and the model around them.
 */
enum { OPS_A_LAYER = 14, WEIGHTS_A_LAYER = 24, OUTSIDE_LAYERS = 16, NAME_BYTES = 64 };

typedef enum dim_id {
#define X(id, text, value) DIM_##id,
#include "model/dims.def"
#undef X
    DIM_COUNT
} dim_id;

typedef struct tensor_row {
    const char *name;
    uint32_t n_dims;
    dim_id dims[3];
    bool required;
} tensor_row;

static const tensor_row rows[] = {
#define X(id, name, n_dims, d0, d1, d2, required) \
    {name, n_dims, {DIM_##d0, DIM_##d1, DIM_##d2}, required},
#include "model/tensors.def"
#undef X
};

static const char *const dim_texts[] = {
#define X(id, text, value) text,
#include "model/dims.def"
#undef X
};

static uint64_t dim_value(const rf_builder *b, dim_id dim) {
    const rf_hparams *hp = b->hp;
    uint32_t layer = b->layer;
    uint64_t n_vocab = b->n_vocab;
    const uint64_t values[] = {
#define X(id, text, value) value,
#include "model/dims.def"
#undef X
    };
    return values[dim];
}

static void tensor_name(const rf_builder *b, rf_tensor_id id, char out[NAME_BYTES]) {
    if (rows[id].name[0] == '.')
        (void)snprintf(out, NAME_BYTES, "blk.%u%s", b->layer, rows[id].name);
    else
        (void)snprintf(out, NAME_BYTES, "%s", rows[id].name);
}

static const rf_gguf_tensor *find(const rf_builder *b, rf_tensor_id id, char name[NAME_BYTES]) {
    tensor_name(b, id, name);
    return rf_gguf_find_tensor(b->gguf, rf_str_of(name));
}

/* "[96, 128] (n_embd, n_ff)" */
static void expected_shape(const rf_builder *b, const tensor_row *row, char *out, size_t cap) {
    size_t at = 0;
    for (uint32_t pass = 0; pass < 2; pass++) {
        for (uint32_t d = 0; d < row->n_dims && at < cap; d++) {
            const char *before = d ? ", " : pass ? "] (" : "[";
            int n = pass ? snprintf(out + at, cap - at, "%s%s", before, dim_texts[row->dims[d]])
                         : snprintf(out + at, cap - at, "%s%llu", before,
                                    (unsigned long long)dim_value(b, row->dims[d]));
            at += n > 0 ? (size_t)n : 0;
        }
    }
    if (at < cap)
        (void)snprintf(out + at, cap - at, ")");
}

static rf_status check_shape(rf_builder *b, const rf_gguf_tensor *tensor, const tensor_row *row) {
    bool same = tensor->ne[3] == 1;
    for (uint32_t d = 0; d < 3; d++)
        same = same && tensor->ne[d] == dim_value(b, row->dims[d]);
    if (same)
        return RF_OK;
    char found[96], expected[200];
    size_t at = 0;
    for (uint32_t d = 0; d < tensor->n_dims && d < RF_GGUF_MAX_DIMS && at < sizeof found; d++) {
        int n = snprintf(found + at, sizeof found - at, "%s%llu", d ? ", " : "",
                         (unsigned long long)tensor->ne[d]);
        at += n > 0 ? (size_t)n : 0;
    }
    expected_shape(b, row, expected, sizeof expected);
    return rf_fail(b->err, RF_ERR_INVALID,
                   "tensor \"%.*s\" at byte %llu: found shape [%s], expected %s",
                   RF_STR_ARG(tensor->name), (unsigned long long)tensor->offset, found, expected);
}

static rf_status check_type(rf_builder *b, const rf_gguf_tensor *tensor, rf_qtype *out) {
    if (!rf_qtype_from_gguf(tensor->type_id, out))
        return rf_fail(
            b->err, RF_ERR_UNSUPPORTED,
            "tensor \"%.*s\" at byte %llu: found type id %u, expected one that this build "
            "decodes",
            RF_STR_ARG(tensor->name), (unsigned long long)tensor->offset, tensor->type_id);
    const rf_qtype_info *info = rf_qtype_get(*out);
    if (!info->native && !b->allow_slow_types)
        return rf_fail(
            b->err, RF_ERR_UNSUPPORTED,
            "tensor \"%.*s\" at byte %llu: found type %s, which the slow reference alone "
            "runs, expected a native one (or --allow-slow-types)",
            RF_STR_ARG(tensor->name), (unsigned long long)tensor->offset, info->name);
    return RF_OK;
}

/* NaN in a norm or bias makes every logit NaN; these are small enough to look through at load. */
static rf_status check_finite(rf_builder *b, const rf_gguf_tensor *tensor, rf_qtype qtype) {
    if (tensor->n_dims != 1 || qtype != RF_QTYPE_F32 || !tensor->data)
        return RF_OK;
    for (uint64_t i = 0; i < tensor->ne[0]; i++) {
        float value;
        memcpy(&value, tensor->data + i * sizeof value, sizeof value);
        if (!isfinite(value))
            return rf_fail(
                b->err, RF_ERR_INVALID,
                "tensor \"%.*s\" at byte %llu: found %g as element %llu, expected a finite "
                "number",
                RF_STR_ARG(tensor->name), (unsigned long long)tensor->offset, (double)value,
                (unsigned long long)i);
    }
    return RF_OK;
}

static rf_status missing(rf_builder *b, const tensor_row *row, const char *name) {
    char expected[200];
    expected_shape(b, row, expected, sizeof expected);
    return rf_fail(b->err, RF_ERR_INVALID,
                   "tensor \"%s\": found none, but %s models are expected to have it with shape %s",
                   name, b->hp->arch, expected);
}

static rf_status add_weight(rf_builder *b, const rf_weight *weight, rf_weight_id *out) {
    if (b->program->n_weights >= b->max_weights)
        return rf_fail(b->err, RF_ERR_INTERNAL, "more weights than a layer may have");
    *out = (rf_weight_id)b->program->n_weights;
    b->weights[b->program->n_weights++] = *weight;
    return RF_OK;
}

static rf_status bind(rf_builder *b, rf_tensor_id id, bool required, rf_weight_id *out) {
    const tensor_row *row = &rows[id];
    char name[NAME_BYTES];
    *out = RF_NONE;
    const rf_gguf_tensor *tensor = find(b, id, name);
    if (!tensor)
        return required ? missing(b, row, name) : RF_OK;
    rf_qtype qtype = RF_QTYPE_F32;
    RF_TRY(check_shape(b, tensor, row));
    RF_TRY(check_type(b, tensor, &qtype));
    RF_TRY(check_finite(b, tensor, qtype));
    rf_weight weight = {.name = tensor->name,
                        .qtype = qtype,
                        .n_cols = tensor->ne[0],
                        .n_rows = tensor->ne[1],
                        .n_experts = tensor->ne[2],
                        .expert_stride_rows = tensor->ne[1],
                        .data = tensor->data};
    if (!rf_qtype_row_bytes(qtype, weight.n_cols, &weight.row_bytes))
        return rf_fail(
            b->err, RF_ERR_INVALID,
            "tensor \"%.*s\": found rows of %llu, expected a multiple of %s's block of %u",
            RF_STR_ARG(tensor->name), (unsigned long long)weight.n_cols, rf_qtype_get(qtype)->name,
            rf_qtype_get(qtype)->block_weights);
    b->n_tensors_bound++;
    b->n_params += tensor->n_elements;
    b->weights_bytes += tensor->bytes;
    return add_weight(b, &weight, out);
}

rf_status rf_builder_weight(rf_builder *b, rf_tensor_id id, rf_weight_id *out) {
    return bind(b, id, rows[id].required, out);
}

rf_status rf_builder_need(rf_builder *b, rf_tensor_id id, rf_weight_id *out) {
    return bind(b, id, true, out);
}

bool rf_builder_has(const rf_builder *b, rf_tensor_id id) {
    char name[NAME_BYTES];
    return find(b, id, name) != NULL;
}

rf_status rf_builder_view(rf_builder *b, rf_weight_id of, uint64_t first_row, uint64_t n_rows,
                          rf_weight_id *out) {
    rf_weight view = b->weights[of];
    if (first_row > view.n_rows || n_rows > view.n_rows - first_row)
        return rf_fail(b->err, RF_ERR_INTERNAL, "a view beyond the rows of %.*s",
                       RF_STR_ARG(view.name));
    if (view.data)
        view.data += first_row * view.row_bytes;
    view.n_rows = n_rows;
    return add_weight(b, &view, out);
}

rf_status rf_builder_factors(rf_builder *b, rf_weight_id id, const float **out) {
    const rf_weight *weight = &b->weights[id];
    if (!weight->data)
        return rf_fail(b->err, RF_ERR_INVALID,
                       "tensor \"%.*s\": found no data, expected the file to be opened with it",
                       RF_STR_ARG(weight->name));
    float *factors = RF_ARENA_ARRAY(b->arena, float, weight->n_cols);
    if (!factors)
        return rf_fail(b->err, RF_ERR_NO_MEMORY, "out of memory for the rope factors");
    rf_qtype_get(weight->qtype)->dequant(weight->data, factors, weight->n_cols);
    for (uint64_t i = 0; i < weight->n_cols; i++) {
        if (!(factors[i] > 0) || !isfinite(factors[i]))
            return rf_fail(
                b->err, RF_ERR_INVALID,
                "tensor \"%.*s\": found %g as element %llu, expected a finite number above 0",
                RF_STR_ARG(weight->name), (double)factors[i], (unsigned long long)i);
    }
    *out = factors;
    return RF_OK;
}

rf_status rf_builder_value(rf_builder *b, const char *name, uint64_t n_cols, rf_row_kind kind,
                           rf_value_id *out) {
    if (n_cols == 0 || n_cols > INT32_MAX)
        return rf_fail(b->err, RF_ERR_LIMIT, "layer %u: found %s %llu wide, expected 1 to %d",
                       b->layer, name, (unsigned long long)n_cols, INT32_MAX);
    for (uint32_t i = 0; i < b->program->n_values; i++) {
        const rf_value *value = &b->values[i];
        if (value->n_cols == n_cols && value->rows == kind && strcmp(value->name, name) == 0) {
            *out = (rf_value_id)i;
            return RF_OK;
        }
    }
    if (b->program->n_values >= b->max_values)
        return rf_fail(b->err, RF_ERR_LIMIT, "layers differ in more than %u widths", b->max_values);
    *out = (rf_value_id)b->program->n_values;
    b->values[b->program->n_values++] = (rf_value){name, (uint32_t)n_cols, kind};
    return RF_OK;
}

rf_status rf_builder_op(rf_builder *b, rf_op op) {
    if (b->program->n_ops >= b->max_ops)
        return rf_fail(b->err, RF_ERR_INTERNAL, "more ops than a layer may have");
    op.layer = b->in_layers ? (int32_t)b->layer : -1;
    b->ops[b->program->n_ops++] = op;
    return RF_OK;
}

rf_status rf_builder_init(rf_builder *b) {
    uint32_t n_layer = b->hp->n_layer;
    b->max_ops = n_layer * OPS_A_LAYER + OUTSIDE_LAYERS;
    b->max_weights = n_layer * WEIGHTS_A_LAYER + OUTSIDE_LAYERS;
    b->max_values = 256;
    b->ops = RF_ARENA_ARRAY(b->arena, rf_op, b->max_ops);
    b->weights = RF_ARENA_ARRAY(b->arena, rf_weight, b->max_weights);
    b->values = RF_ARENA_ARRAY(b->arena, rf_value, b->max_values);
    b->ropes = RF_ARENA_ARRAY(b->arena, rf_rope, 2);
    b->kv_layers = RF_ARENA_ARRAY(b->arena, rf_kv_layer, n_layer);
    if (!b->ops || !b->weights || !b->values || !b->ropes || !b->kv_layers)
        return rf_fail(b->err, RF_ERR_NO_MEMORY, "out of memory for the program of %u layers",
                       n_layer);
    return RF_OK;
}

void rf_builder_finish(rf_builder *b) {
    rf_program *program = b->program;
    program->arena = b->arena;
    program->ops = b->ops;
    program->values = b->values;
    program->weights = b->weights;
    program->ropes = b->ropes;
    program->kv_layers = b->kv_layers;
    program->n_vocab = b->n_vocab;
    program->n_embd = b->hp->n_embd;
    program->n_ctx_train = b->hp->n_ctx_train;
}
