#include <math.h>

#include "quant/blocks.h"
#include "quant/encode.h"

void rf_dequant_q8_0(const void *src, float *out, size_t n) {
    const rf_block_q8_0 *block = src, *end = block + n / 32;
    for (; block < end; block++, out += 32) {
        float d = rf_half_to_float(block->d);
        for (int i = 0; i < 32; i++)
            out[i] = d * (float)block->qs[i];
    }
}

/* 8 bits leave an importance vector nothing to trade. */
void rf_encode_q8_0(const float *src, const float *importance, size_t n, void *out) {
    (void)importance;
    rf_block_q8_0 *block = out;
    for (size_t at = 0; at < n; at += 32, block++) {
        const float *x = src + at;
        float top = 0;
        for (int i = 0; i < 32; i++)
            top = fabsf(x[i]) > top ? fabsf(x[i]) : top;
        float d = top / 127, inverse = d != 0 ? 1 / d : 0;
        block->d = rf_float_to_half(d);
        for (int i = 0; i < 32; i++) {
            float v = x[i] * inverse;
            v = v > -127 ? v : -127;
            v = v < 127 ? v : 127;
            int whole = (int)v; /* the rest is exact, and halves round away from 0 */
            float rest = v - (float)whole;
            block->qs[i] = (int8_t)(whole + (rest >= 0.5f) - (rest <= -0.5f));
        }
    }
}
