/*
 * Puts a program together: binds tensors by the table model/tensors.def, checks their shapes and
 * types, and appends values and ops. Lives while rf_model_create runs; everything that stays is in
 * the model's arena. Functions fill builder->err. One thread.
 */
#ifndef RF_MODEL_BUILDER_H
#define RF_MODEL_BUILDER_H

#include "model/hparams.h"
#include "op/program.h"

typedef enum rf_tensor_id {
#define X(id, name, n_dims, d0, d1, d2, required) RF_TENSOR_##id,
#include "model/tensors.def"
#undef X
    RF_TENSOR_COUNT
} rf_tensor_id;

typedef struct rf_builder {
    const rf_gguf *gguf;
    const rf_hparams *hp;
    rf_arena *arena;
    rf_error *err;
    uint32_t n_ctx; /* longest sequence that will run */
    uint32_t n_vocab;
    uint32_t layer; /* being emitted */
    bool in_layers;
    bool allow_slow_types;
    rf_program *program; /* counts; the arrays below are its own, still writable */
    rf_op *ops;
    rf_value *values;
    rf_weight *weights;
    rf_rope *ropes;
    rf_kv_layer *kv_layers;
    uint32_t max_ops, max_values, max_weights;
    uint32_t n_tensors_bound; /* tensors of the file that the program uses */
    uint64_t n_params, weights_bytes;
    rf_value_id x; /* the residual stream */
    rf_weight_id token_embd;
} rf_builder;

/* One row of model/archs.def. */
typedef struct rf_arch {
    const char *name;
    void (*defaults)(rf_hparams *hp); /* fallbacks that differ from the table's, or NULL */
    rf_status (*emit)(rf_builder *b);
} rf_arch;

#define X(name) extern const rf_arch rf_arch_##name;
#include "model/archs.def"
#undef X

/* Takes the arrays for the program from the arena. */
RF_NODISCARD rf_status rf_builder_init(rf_builder *b);
/* Publishes the arrays in *b->program. */
void rf_builder_finish(rf_builder *b);

/* The tensor of the current layer (or of the model), checked. *out is RF_NONE when it is absent and
 * optional by the table. */
RF_NODISCARD rf_status rf_builder_weight(rf_builder *b, rf_tensor_id id, rf_weight_id *out);
/* The same, required whatever the table says. */
RF_NODISCARD rf_status rf_builder_need(rf_builder *b, rf_tensor_id id, rf_weight_id *out);
bool rf_builder_has(const rf_builder *b, rf_tensor_id id);
/* Rows first_row … first_row + n_rows - 1 of a bound weight (of each expert) as a weight. */
RF_NODISCARD rf_status rf_builder_view(rf_builder *b, rf_weight_id of, uint64_t first_row,
                                       uint64_t n_rows, rf_weight_id *out);
/* A bound vector's numbers as floats in the arena: all finite and above zero. */
RF_NODISCARD rf_status rf_builder_factors(rf_builder *b, rf_weight_id id, const float **out);

/* The value of this name and width; made at its first use. name: a literal. */
RF_NODISCARD rf_status rf_builder_value(rf_builder *b, const char *name, uint64_t n_cols,
                                        rf_row_kind rows, rf_value_id *out);
RF_NODISCARD rf_status rf_builder_op(rf_builder *b, rf_op op);

#endif
