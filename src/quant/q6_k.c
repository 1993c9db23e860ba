#include "quant/blocks.h"
#include "quant/quant.h"

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
