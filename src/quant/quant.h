/*
 * Block formats: layout, size, reference decode. Pure functions; any thread. No model knowledge.
 * The formats are those of the GGUF specification and of ggml's block structs.
 */
#ifndef RF_QUANT_QUANT_H
#define RF_QUANT_QUANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

typedef enum rf_qtype {
#define X(id, name, gguf_id, weights, bytes, native) RF_QTYPE_##id,
#include "quant/types.def"
#undef X
    RF_QTYPE_COUNT
} rf_qtype;

/* Decodes n weights (a multiple of the type's block) from src (unaligned) to out[n]. */
typedef void (*rf_dequant_fn)(const void *src, float *out, size_t n);

typedef struct rf_qtype_info {
    const char *name;
    uint32_t gguf_id;
    uint32_t block_weights;
    uint32_t block_bytes;
    bool native;
    rf_dequant_fn dequant;
} rf_qtype_info;

/* qtype must be < RF_QTYPE_COUNT. */
const rf_qtype_info *rf_qtype_get(rf_qtype qtype);
/* False for ids that no type here has. */
bool rf_qtype_from_gguf(uint32_t gguf_id, rf_qtype *out);
bool rf_qtype_from_name(rf_str name, rf_qtype *out); /* any case */

/* Bytes of a row of n weights. False if n is no multiple of the block or the product wraps. */
bool rf_qtype_row_bytes(rf_qtype qtype, uint64_t n, uint64_t *out_bytes);

#define X(id, name, gguf_id, weights, bytes, native) \
    void rf_dequant_##name(const void *src, float *out, size_t n);
#include "quant/types.def"
#undef X

/* Scalars as the formats store them. Exact, NaN and subnormals included; to-half rounds to nearest
 * even. */
float rf_half_to_float(uint16_t half);
uint16_t rf_float_to_half(float value);
float rf_bf16_to_float(uint16_t bf16);
uint16_t rf_float_to_bf16(float value);

#endif
