#include "quant/blocks.h"
#include "quant/iq_grids.h"
#include "quant/quant.h"

void rf_dequant_iq2_s(const void *src, float *out, size_t n) {
    const rf_block_iq2_s *block = src, *end = block + n / 256;
    for (; block < end; block++, out += 256) {
        float d = rf_half_to_float(block->d);
        for (int g = 0; g < 32; g++) {
            int index = block->qs[g] | (block->qh[g / 4] >> (g % 4 * 2) & 3) << 8;
            int s = block->scales[g / 4] >> (g / 2 % 2 * 4) & 15;
            float scale = d * (0.5f + (float)s) * 0.25f;
            rf_iq2_expand(rf_iq2_s_grid[index], block->signs[g], scale, out + 8 * g);
        }
    }
}
