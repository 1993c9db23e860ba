#include "quant/blocks.h"
#include "quant/iq_grids.h"
#include "quant/quant.h"

void rf_dequant_iq2_xs(const void *src, float *out, size_t n) {
    const rf_block_iq2_xs *block = src, *end = block + n / 256;
    for (; block < end; block++, out += 256) {
        float d = rf_half_to_float(block->d);
        for (int g = 0; g < 32; g++) {
            uint32_t q = block->qs[g];
            int s = block->scales[g / 4] >> (g / 2 % 2 * 4) & 15;
            float scale = d * (0.5f + (float)s) * 0.25f;
            rf_iq2_expand(rf_iq2_xs_grid[q & 511], rf_iq_signs(q >> 9), scale, out + 8 * g);
        }
    }
}
