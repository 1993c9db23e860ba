#include "quant/blocks.h"
#include "quant/encode.h"
#include "quant/fit.h"

void rf_dequant_q3_k(const void *src, float *out, size_t n) {
    const rf_block_q3_k *block = src, *end = block + n / 256;
    for (; block < end; block++, out += 256) {
        float d = rf_half_to_float(block->d);
        int8_t scales[16];
        rf_q3_k_scales(block->scales, scales);
        for (int g = 0; g < 16; g++) {
            const uint8_t *qs = block->qs + 32 * (g / 8) + 16 * (g & 1);
            const uint8_t *mask = block->hmask + 16 * (g & 1);
            int shift = g / 2 % 4 * 2;
            float scale = d * (float)scales[g];
            for (int i = 0; i < 16; i++) {
                int q = (qs[i] >> shift & 3) | (mask[i] >> (g / 2) & 1) << 2;
                out[16 * g + i] = scale * (float)(q - 4);
            }
        }
    }
}

void rf_encode_q3_k(const float *src, const float *importance, size_t n, void *out) {
    rf_block_q3_k *block = out;
    for (size_t at = 0; at < n; at += 256, block++) {
        float w[256];
        rf_linear_fit fit;
        rf_fit_weights(src + at, importance ? importance + at : NULL, 256, w);
        rf_fit_linear(src + at, w, 16, RF_LEVELS_3BIT, 32, &fit);
        memset(block, 0, sizeof *block);
        block->d = fit.d;
        for (int g = 0; g < 16; g++) {
            int s = fit.scales[g] + 32;
            block->scales[g & 7] |= (uint8_t)((s & 15) << (g >> 3 << 2));
            block->scales[8 + (g & 3)] |= (uint8_t)(s >> 4 << (g >> 2 << 1));
        }
        for (int i = 0; i < 256; i++) {
            block->qs[32 * (i / 128) + i % 32] |= (uint8_t)((fit.codes[i] & 3) << i % 128 / 32 * 2);
            block->hmask[i % 32] |= (uint8_t)(fit.codes[i] >> 2 << i / 32);
        }
    }
}
