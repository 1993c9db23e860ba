#include "quant/blocks.h"
#include "quant/encode.h"
#include "quant/fit.h"

void rf_dequant_q5_k(const void *src, float *out, size_t n) {
    const rf_block_q5_k *block = src, *end = block + n / 256;
    for (; block < end; block++, out += 256) {
        float d = rf_half_to_float(block->d), dmin = rf_half_to_float(block->dmin);
        uint8_t scales[8], mins[8];
        rf_q4_k_scales(block->scales, scales, mins);
        for (int g = 0; g < 8; g++) {
            const uint8_t *qs = block->qs + 32 * (g / 2);
            int shift = 4 * (g & 1);
            float scale = d * (float)scales[g], min = dmin * (float)mins[g];
            for (int i = 0; i < 32; i++) {
                int q = (qs[i] >> shift & 15) | (block->qh[i] >> g & 1) << 4;
                out[32 * g + i] = scale * (float)q - min;
            }
        }
    }
}

void rf_encode_q5_k(const float *src, const float *importance, size_t n, void *out) {
    rf_block_q5_k *block = out;
    for (size_t at = 0; at < n; at += 256, block++) {
        float w[256];
        rf_affine_fit fit;
        rf_fit_weights(src + at, importance ? importance + at : NULL, 256, w);
        rf_fit_affine(src + at, w, 32, 31, 63, &fit);
        memset(block, 0, sizeof *block);
        block->d = fit.d;
        block->dmin = fit.dmin;
        rf_q4_k_pack_scales(fit.scales, fit.mins, block->scales);
        for (int i = 0; i < 128; i++) {
            const uint8_t *codes = fit.codes + 64 * (i / 32) + i % 32;
            block->qs[i] = (uint8_t)((codes[0] & 15) | (codes[32] & 15) << 4);
        }
        for (int i = 0; i < 256; i++)
            block->qh[i % 32] |= (uint8_t)(fit.codes[i] >> 4 << i / 32);
    }
}
