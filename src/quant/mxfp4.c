#include <math.h>

#include "quant/block32.h"
#include "quant/blocks.h"
#include "quant/encode.h"

void rf_dequant_mxfp4(const void *src, float *out, size_t n) {
    const rf_block_mxfp4 *block = src, *end = block + n / 32;
    for (; block < end; block++, out += 32) {
        float d = rf_e8m0_half(block->e);
        for (int i = 0; i < 16; i++) {
            out[i] = d * (float)rf_mxfp4_values[block->qs[i] & 15];
            out[i + 16] = d * (float)rf_mxfp4_values[block->qs[i] >> 4];
        }
    }
}

/* Codes of magnitudes 0, 1, 2, 3, 4, 6, 8 and 12; a tie goes to the smaller one. */
static uint8_t magnitude_code(float v) {
    return (uint8_t)((v > 0.5f) + (v > 1.5f) + (v > 2.5f) + (v > 3.5f) + (v > 5) + (v > 7) +
                     (v > 10));
}

/* The exponent is the one that the Microscaling specification (section 6.3) gives: that of the
 * largest weight less 2, the largest exponent of E2M1. It leaves importance nothing to choose. */
void rf_encode_mxfp4(const float *src, const float *importance, size_t n, void *out) {
    (void)importance;
    rf_block_mxfp4 *block = out;
    for (size_t at = 0; at < n; at += 32, block++) {
        const float *x = src + at;
        float top = 0;
        for (int i = 0; i < 32; i++)
            top = fabsf(x[i]) > top ? fabsf(x[i]) : top;
        float e = top > 0 ? floorf(log2f(top)) + 125 : 0;
        block->e = e > 0 ? (uint8_t)(int)e : 0;
        float scale = rf_e8m0_half(block->e);
        uint8_t codes[32];
        for (int i = 0; i < 32; i++) {
            uint8_t code = magnitude_code(fabsf(x[i]) / scale);
            codes[i] = code && x[i] < 0 ? code | 8 : code;
        }
        rf_pack_nibbles(codes, block->qs);
    }
}
