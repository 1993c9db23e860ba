#include "quant/blocks.h"
#include "quant/quant.h"

void rf_dequant_q4_k(const void *src, float *out, size_t n) {
    const rf_block_q4_k *block = src, *end = block + n / 256;
    for (; block < end; block++, out += 256) {
        float d = rf_half_to_float(block->d), dmin = rf_half_to_float(block->dmin);
        uint8_t scales[8], mins[8];
        rf_q4_k_scales(block->scales, scales, mins);
        for (int g = 0; g < 8; g++) {
            const uint8_t *qs = block->qs + 32 * (g / 2);
            int shift = 4 * (g & 1);
            float scale = d * (float)scales[g], min = dmin * (float)mins[g];
            for (int i = 0; i < 32; i++)
                out[32 * g + i] = scale * (float)(qs[i] >> shift & 15) - min;
        }
    }
}
