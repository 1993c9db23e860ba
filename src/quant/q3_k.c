#include "quant/blocks.h"
#include "quant/quant.h"

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
