#include "quant/blocks.h"
#include "quant/iq_grids.h"
#include "quant/quant.h"

void rf_dequant_iq1_s(const void *src, float *out, size_t n) {
    const rf_block_iq1_s *block = src, *end = block + n / 256;
    for (; block < end; block++, out += 256) {
        float d = rf_half_to_float(block->d);
        for (int g = 0; g < 32; g++) {
            uint32_t qh = block->qh[g / 4];
            float scale = d * (float)(2 * (qh >> 12 & 7) + 1);
            float shift = qh & 0x8000 ? -0.125f : 0.125f;
            uint32_t index = block->qs[g] | (qh >> (g % 4 * 3) & 7) << 8;
            rf_iq1_expand(rf_iq1_grid[index], shift, scale, out + 8 * g);
        }
    }
}
