/*
 * A model: hyper-parameters read from GGUF metadata, tensors bound and checked, and the program
 * that its architecture emits. Immutable after creation: any thread may read it. It borrows the
 * rf_gguf, which must outlive it.
 */
#ifndef RF_MODEL_MODEL_H
#define RF_MODEL_MODEL_H

#include "base/status.h"
#include "gguf/gguf.h"
#include "op/program.h"

typedef struct rf_model rf_model;

typedef struct rf_model_options {
    uint32_t n_ctx; /* longest sequence that will run (LongRoPE depends on it); 0 = trained */
    bool allow_slow_types; /* accept weight types that only the reference runs */
} rf_model_options;

typedef struct rf_model_info {
    const char *arch; /* "llama", "qwen2" … */
    rf_str name;      /* general.name, or empty */
    uint32_t n_layer, n_embd, n_head, n_head_kv, head_dim, n_ff, n_vocab, n_ctx_train;
    uint32_t n_expert, n_expert_used;
    uint64_t n_params;      /* weights of all bound tensors */
    uint64_t weights_bytes; /* their bytes in the file */
} rf_model_info;

/* *out is owned by the caller. Unknown architecture, missing tensor, wrong shape or value: the
 * error names it and what was expected. */
RF_NODISCARD rf_status rf_model_create(const rf_gguf *gguf, const rf_model_options *options,
                                       rf_model **out, rf_error *err);
void rf_model_destroy(rf_model *model);

const rf_program *rf_model_program(const rf_model *model);
const rf_model_info *rf_model_get_info(const rf_model *model);

/* The context to take where nobody asks for one: the trained one, at most 4096 tokens. */
uint32_t rf_model_default_ctx(const rf_gguf *gguf);

/* Names of the architectures that this build knows, in table order; NULL past the end. */
const char *rf_model_arch_name(size_t i);

#endif
