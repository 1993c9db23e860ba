/*
 * Hyper-parameters of a model, read from GGUF metadata by the table model/hparams.def and checked
 * against ranges and each other. Arrays live in the model's arena; immutable once read.
 */
#ifndef RF_MODEL_HPARAMS_H
#define RF_MODEL_HPARAMS_H

#include "base/arena.h"
#include "base/status.h"
#include "gguf/gguf.h"

#define RF_HPARAM_U32    uint32_t
#define RF_HPARAM_F32    float
#define RF_HPARAM_BOOL   bool
#define RF_HPARAM_LAYERS uint32_t * /* [n_layer] */

typedef enum rf_rope_scaling {
    RF_ROPE_SCALING_NONE,
    RF_ROPE_SCALING_LINEAR,
    RF_ROPE_SCALING_YARN,
    RF_ROPE_SCALING_LONGROPE,
    RF_ROPE_SCALING_COUNT
} rf_rope_scaling;

typedef struct rf_hparams {
#define X(kind, field, key, required, fallback, min, max) RF_HPARAM_##kind field;
#include "model/hparams.def"
#undef X
    const char *arch;
    uint32_t *layer_window;       /* [n_layer]; 0 = sees every earlier position */
    rf_rope_scaling rope_scaling; /* rope.scaling.type; linear when a factor has no type */
    /* set by the architecture's defaults */
    bool windowed;             /* attention.sliding_window is honoured */
    uint32_t window_period;    /* the last layer of each so many is full; 0 = none is */
    bool expert_ff_is_a_share; /* an absent n_ff_exp is n_ff / n_expert_used instead of n_ff */
} rf_hparams;

/* Fills *out, whose arch, and whatever defaults() changed after rf_hparams_init, are set. The error
 * names the key, where it is, what was found and what was expected. */
RF_NODISCARD rf_status rf_hparams_read(const rf_gguf *gguf, rf_arena *arena, rf_hparams *out,
                                       rf_error *err);
/* Every field at its fallback. */
void rf_hparams_init(rf_hparams *out, const char *arch);

#endif
