/*
 * Block formats: layout, size, reference decode. Pure functions; any thread. No model knowledge.
 * The formats are those of the GGUF specification and of ggml's block structs.
 */
#ifndef RF_QUANT_QUANT_H
#define RF_QUANT_QUANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

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
    const char *name; /* as in files and messages: "Q4_K" */
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

/* Scalars as the formats store them. Exact, subnormals included; a NaN keeps its sign and its upper
 * payload bits. Narrowing rounds to nearest even. Free of branches, so that loops over them become
 * vector code on every instruction set. */

static inline uint32_t rf_float_bits(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline float rf_bits_float(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline float rf_half_to_float(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000) << 16, rest = (uint32_t)(half & 0x7fff) << 13;
    uint32_t normal = rest + (112u << 23); /* exponent bias 15 to 127 */
    /* Exponent field 1 with the subnormal's fraction, less 2^-14: exact, and never subnormal. */
    uint32_t small = rf_float_bits(rf_bits_float(rest + (113u << 23)) - 0x1p-14f);
    uint32_t huge = rest | 0x7f800000; /* infinity and NaN */
    uint32_t bits = rest < 1u << 23 ? small : rest >= 31u << 23 ? huge : normal;
    return rf_bits_float(sign | bits);
}

static inline uint16_t rf_float_to_half(float value) {
    uint32_t bits = rf_float_bits(value), sign = bits >> 16 & 0x8000, rest = bits & 0x7fffffff;
    uint32_t normal = (rest - (112u << 23) + 0xfff + (rest >> 13 & 1)) >> 13;
    /* Adding 0.5 lets the hardware round at the unit of a subnormal half, 2^-24. */
    uint32_t small = rf_float_bits(rf_bits_float(rest) + 0.5f) - (126u << 23);
    uint32_t payload = rest >> 13 & 0x3ff;
    uint32_t nan = 0x7c00 | (payload ? payload : 0x200);
    uint32_t huge = rest > 0x7f800000 ? nan : 0x7c00; /* from 2^16 on: infinity */
    uint32_t half = rest < 113u << 23 ? small : rest >= 143u << 23 ? huge : normal;
    return (uint16_t)(sign | half);
}

static inline float rf_bf16_to_float(uint16_t bf16) { return rf_bits_float((uint32_t)bf16 << 16); }

static inline uint16_t rf_float_to_bf16(float value) {
    uint32_t bits = rf_float_bits(value);
    uint32_t nan = bits >> 16 | 0x40; /* quiet */
    uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    return (uint16_t)((bits & 0x7fffffff) > 0x7f800000 ? nan : rounded);
}

#endif
