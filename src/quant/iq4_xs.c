#include "quant/block32.h"
#include "quant/blocks.h"
#include "quant/encode.h"
#include "quant/fit.h"

void rf_dequant_iq4_xs(const void *src, float *out, size_t n) {
    const rf_block_iq4_xs *block = src, *end = block + n / 256;
    for (; block < end; block++, out += 256) {
        float d = rf_half_to_float(block->d);
        int8_t scales[8];
        rf_iq4_xs_scales(block, scales);
        for (int g = 0; g < 8; g++) {
            const uint8_t *qs = block->qs + 16 * g;
            float scale = d * (float)scales[g];
            for (int i = 0; i < 16; i++) {
                out[32 * g + i] = scale * (float)rf_iq4_values[qs[i] & 15];
                out[32 * g + i + 16] = scale * (float)rf_iq4_values[qs[i] >> 4];
            }
        }
    }
}

void rf_encode_iq4_xs(const float *src, const float *importance, size_t n, void *out) {
    rf_block_iq4_xs *block = out;
    for (size_t at = 0; at < n; at += 256, block++) {
        float w[256];
        rf_linear_fit fit;
        rf_fit_weights(src + at, importance ? importance + at : NULL, 256, w);
        rf_fit_linear(src + at, w, 32, RF_LEVELS_IQ4, 32, &fit);
        memset(block, 0, sizeof *block);
        block->d = fit.d;
        for (int g = 0; g < 8; g++) {
            int s = fit.scales[g] + 32;
            block->scales_l[g / 2] |= (uint8_t)((s & 15) << 4 * (g & 1));
            block->scales_h = (uint16_t)(block->scales_h | (s >> 4) << 2 * g);
            rf_pack_nibbles(fit.codes + 32 * g, block->qs + 16 * g);
        }
    }
}
