/* Rotary position tables: every scaling that GGUF files name, resolved into rf_rope. */
#ifndef RF_MODEL_ROPE_H
#define RF_MODEL_ROPE_H

#include "model/builder.h"

/* The model's rotation: its base, scaling and factor tensors. Appends to the program; *out is its
 * index. At most two ropes a program. */
RF_NODISCARD rf_status rf_build_rope(rf_builder *b, rf_rope_kind kind, uint32_t *out);
/* The plain rotation of windowed layers: rope.freq_base_swa, no scaling. */
RF_NODISCARD rf_status rf_build_rope_local(rf_builder *b, rf_rope_kind kind, uint32_t *out);

#endif
