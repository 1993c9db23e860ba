#include "quant/blocks.h"
#include "quant/iq_grids.h"
#include "quant/quant.h"

void rf_dequant_iq1_m(const void *src, float *out, size_t n) {
    const rf_block_iq1_m *block = src, *end = block + n / 256;
    for (; block < end; block++, out += 256) {
        uint32_t half = 0;
        for (int i = 0; i < 4; i++)
            half |= (uint32_t)(block->scales[i] >> 12) << (4 * i);
        float d = rf_half_to_float((uint16_t)half);
        for (int g = 0; g < 32; g++) {
            uint32_t qh = (uint32_t)block->qh[g / 2] >> (g % 2 * 4);
            float scale = d * (float)(2 * (block->scales[g / 8] >> (g / 2 % 4 * 3) & 7) + 1);
            float shift = qh & 8 ? -0.125f : 0.125f;
            rf_iq1_expand(rf_iq1_grid[block->qs[g] | (qh & 7) << 8], shift, scale, out + 8 * g);
        }
    }
}
