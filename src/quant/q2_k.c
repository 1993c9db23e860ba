#include "quant/blocks.h"
#include "quant/encode.h"
#include "quant/fit.h"

void rf_dequant_q2_k(const void *src, float *out, size_t n) {
    const rf_block_q2_k *block = src, *end = block + n / 256;
    for (; block < end; block++, out += 256) {
        float d = rf_half_to_float(block->d), dmin = rf_half_to_float(block->dmin);
        for (int g = 0; g < 16; g++) {
            const uint8_t *qs = block->qs + 32 * (g / 8) + 16 * (g & 1);
            int shift = g / 2 % 4 * 2;
            float scale = d * (float)(block->scales[g] & 15);
            float min = dmin * (float)(block->scales[g] >> 4);
            for (int i = 0; i < 16; i++)
                out[16 * g + i] = scale * (float)(qs[i] >> shift & 3) - min;
        }
    }
}

void rf_encode_q2_k(const float *src, const float *importance, size_t n, void *out) {
    rf_block_q2_k *block = out;
    for (size_t at = 0; at < n; at += 256, block++) {
        float w[256];
        rf_affine_fit fit;
        rf_fit_weights(src + at, importance ? importance + at : NULL, 256, w);
        rf_fit_affine(src + at, w, 16, 3, 15, &fit);
        memset(block, 0, sizeof *block);
        block->d = fit.d;
        block->dmin = fit.dmin;
        for (int g = 0; g < 16; g++)
            block->scales[g] = (uint8_t)(fit.scales[g] | fit.mins[g] << 4);
        for (int i = 0; i < 256; i++)
            block->qs[32 * (i / 128) + i % 32] |= (uint8_t)(fit.codes[i] << i % 128 / 32 * 2);
    }
}
