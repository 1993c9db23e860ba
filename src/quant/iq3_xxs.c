#include "quant/blocks.h"
#include "quant/iq_grids.h"
#include "quant/quant.h"

static const uint8_t values[8] = {4, 12, 20, 28, 36, 44, 52, 62};

void rf_dequant_iq3_xxs(const void *src, float *out, size_t n) {
    const rf_block_iq3_xxs *block = src, *end = block + n / 256;
    for (; block < end; block++, out += 256) {
        float d = rf_half_to_float(block->d);
        for (int g = 0; g < 64; g++) { /* 4 weights each */
            uint32_t bits = block->signs_scale[g / 8];
            float scale = d * (0.5f + (float)(bits >> 28)) * 0.5f;
            uint8_t signs = rf_iq_signs(bits >> (g / 2 % 4 * 7));
            uint16_t codes = rf_iq3_xxs_grid[block->qs[g]];
            for (int i = 0; i < 4; i++)
                out[4 * g + i] =
                    scale * (float)values[codes >> (4 * i) & 7] * rf_iq_sign(signs, g % 2 * 4 + i);
        }
    }
}
