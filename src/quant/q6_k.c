#include "quant/blocks.h"
#include "quant/encode.h"
#include "quant/fit.h"

void rf_dequant_q6_k(const void *src, float *out, size_t n) {
    const rf_block_q6_k *block = src, *end = block + n / 256;
    for (; block < end; block++, out += 256) {
        float d = rf_half_to_float(block->d);
        for (int g = 0; g < 16; g++) {
            /* 32 weights share a shift: row r of 8, and its half g & 1 */
            int r = g / 2;
            const uint8_t *ql = block->ql + 64 * (r / 4) + 32 * (r & 1) + 16 * (g & 1);
            const uint8_t *qh = block->qh + 32 * (r / 4) + 16 * (g & 1);
            int low_shift = r % 4 / 2 * 4, high_shift = r % 4 * 2;
            float scale = d * (float)block->scales[g];
            for (int i = 0; i < 16; i++) {
                int q = (ql[i] >> low_shift & 15) | (qh[i] >> high_shift & 3) << 4;
                out[16 * g + i] = scale * (float)(q - 32);
            }
        }
    }
}

void rf_encode_q6_k(const float *src, const float *importance, size_t n, void *out) {
    rf_block_q6_k *block = out;
    for (size_t at = 0; at < n; at += 256, block++) {
        float w[256];
        rf_linear_fit fit;
        rf_fit_weights(src + at, importance ? importance + at : NULL, 256, w);
        rf_fit_linear(src + at, w, 16, RF_LEVELS_6BIT, 128, &fit);
        memset(block, 0, sizeof *block);
        block->d = fit.d;
        memcpy(block->scales, fit.scales, sizeof block->scales);
        for (int i = 0; i < 256; i++) {
            int row = i / 32 % 4, half = i / 128; /* as the decoder: rows of 32 share a shift */
            uint8_t *low = block->ql + 64 * half + 32 * (row & 1) + i % 32;
            *low |= (uint8_t)((fit.codes[i] & 15) << row / 2 * 4);
            block->qh[32 * half + i % 32] |= (uint8_t)(fit.codes[i] >> 4 << row * 2);
        }
    }
}
