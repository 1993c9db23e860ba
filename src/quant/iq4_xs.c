#include "quant/blocks.h"
#include "quant/quant.h"

void rf_dequant_iq4_xs(const void *src, float *out, size_t n) {
    const rf_block_iq4_xs *block = src, *end = block + n / 256;
    for (; block < end; block++, out += 256) {
        float d = rf_half_to_float(block->d);
        int8_t scales[8];
        rf_iq4_xs_scales(block, scales);
        for (int g = 0; g < 8; g++) {
            const uint8_t *qs = block->qs + 16 * g;
            float scale = d * (float)scales[g];
            for (int i = 0; i < 16; i++) {
                out[32 * g + i] = scale * (float)rf_iq4_values[qs[i] & 15];
                out[32 * g + i + 16] = scale * (float)rf_iq4_values[qs[i] >> 4];
            }
        }
    }
}
