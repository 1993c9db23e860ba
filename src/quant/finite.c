#include "quant/finite.h"

#include <math.h>
#include <string.h>

enum { MAX_BLOCK_WEIGHTS = 256, NO_SCALE = 0xFF };

/* Byte offsets of a block's half-precision scales. A product of a finite half and the small
 * integers of a block is finite in F32, so the scales alone decide. Types that are absent here
 * are decoded. */
static const struct scales {
    rf_qtype qtype;
    uint8_t at[2];
} half_scales[] = {
    {RF_QTYPE_Q4_0, {0, NO_SCALE}},   {RF_QTYPE_Q4_1, {0, 2}},
    {RF_QTYPE_Q5_0, {0, NO_SCALE}},   {RF_QTYPE_Q5_1, {0, 2}},
    {RF_QTYPE_Q8_0, {0, NO_SCALE}},   {RF_QTYPE_Q2_K, {80, 82}},
    {RF_QTYPE_Q3_K, {108, NO_SCALE}}, {RF_QTYPE_Q4_K, {0, 2}},
    {RF_QTYPE_Q5_K, {0, 2}},          {RF_QTYPE_Q6_K, {208, NO_SCALE}},
    {RF_QTYPE_IQ4_NL, {0, NO_SCALE}}, {RF_QTYPE_IQ4_XS, {0, NO_SCALE}},
};

/* True when an exponent of all ones is among n 16-bit or 32-bit floats. */
static bool any_special16(const uint8_t *src, size_t n, uint16_t exponent) {
    unsigned found = 0;
    for (size_t i = 0; i < n; i++) {
        uint16_t bits;
        memcpy(&bits, src + 2 * i, 2);
        found |= (bits & exponent) == exponent;
    }
    return found != 0;
}

static bool any_special32(const uint8_t *src, size_t n) {
    unsigned found = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, src + 4 * i, 4);
        found |= (bits & 0x7F800000u) == 0x7F800000u;
    }
    return found != 0;
}

static bool scales_special(const struct scales *scales, size_t block_bytes, const uint8_t *src,
                           size_t n_blocks) {
    unsigned found = 0;
    for (size_t i = 0; i < n_blocks; i++, src += block_bytes)
        for (int j = 0; j < 2 && scales->at[j] != NO_SCALE; j++)
            found |= any_special16(src + scales->at[j], 1, 0x7C00);
    return found != 0;
}

/* False: certainly all finite. */
static bool suspicious(rf_qtype qtype, const uint8_t *src, size_t n_blocks) {
    if (qtype == RF_QTYPE_F32)
        return any_special32(src, n_blocks);
    if (qtype == RF_QTYPE_BF16)
        return any_special16(src, n_blocks, 0x7F80);
    if (qtype == RF_QTYPE_F16)
        return any_special16(src, n_blocks, 0x7C00);
    for (size_t i = 0; i < sizeof half_scales / sizeof half_scales[0]; i++)
        if (half_scales[i].qtype == qtype)
            return scales_special(&half_scales[i], rf_qtype_get(qtype)->block_bytes, src, n_blocks);
    return true;
}

bool rf_weights_finite(rf_qtype qtype, const void *src, size_t n, size_t *bad) {
    const rf_qtype_info *type = rf_qtype_get(qtype);
    const uint8_t *block = src;
    size_t n_blocks = n / type->block_weights;
    if (!suspicious(qtype, block, n_blocks))
        return true;
    float decoded[MAX_BLOCK_WEIGHTS];
    for (size_t i = 0; i < n_blocks; i++, block += type->block_bytes) {
        type->dequant(block, decoded, type->block_weights);
        for (size_t j = 0; j < type->block_weights; j++) {
            if (!isfinite(decoded[j])) {
                *bad = i * type->block_weights + j;
                return false;
            }
        }
    }
    return true;
}
