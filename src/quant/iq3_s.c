#include "quant/blocks.h"
#include "quant/iq_grids.h"
#include "quant/quant.h"

void rf_dequant_iq3_s(const void *src, float *out, size_t n) {
    const rf_block_iq3_s *block = src, *end = block + n / 256;
    for (; block < end; block++, out += 256) {
        float d = rf_half_to_float(block->d);
        for (int g = 0; g < 64; g++) { /* 4 weights each */
            int s = block->scales[g / 16] >> (g / 8 % 2 * 4) & 15;
            float scale = d * (float)(1 + 2 * s);
            uint8_t signs = block->signs[g / 2];
            uint16_t codes = rf_iq3_s_grid[block->qs[g] | (block->qh[g / 8] >> (g % 8) & 1) << 8];
            for (int i = 0; i < 4; i++)
                out[4 * g + i] = scale * (float)(2 * (codes >> (4 * i) & 7) + 1) *
                                 rf_iq_sign(signs, g % 2 * 4 + i);
        }
    }
}
