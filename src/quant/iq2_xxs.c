#include "quant/blocks.h"
#include "quant/iq_grids.h"
#include "quant/quant.h"

void rf_dequant_iq2_xxs(const void *src, float *out, size_t n) {
    const rf_block_iq2_xxs *block = src, *end = block + n / 256;
    for (; block < end; block++, out += 256) {
        float d = rf_half_to_float(block->d);
        for (int g = 0; g < 8; g++) {
            uint32_t bits = block->groups[g].signs_scale;
            float scale = d * (0.5f + (float)(bits >> 28)) * 0.25f;
            for (int i = 0; i < 4; i++) {
                uint16_t codes = rf_iq2_xxs_grid[block->groups[g].grid[i]];
                rf_iq2_expand(codes, rf_iq_signs(bits >> (7 * i)), scale, out + 32 * g + 8 * i);
            }
        }
    }
}
