#include "quant/blocks.h"
#include "quant/quant.h"

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
