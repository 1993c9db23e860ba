#include "quant/blocks.h"
#include "quant/quant.h"

void rf_dequant_mxfp4(const void *src, float *out, size_t n) {
    const rf_block_mxfp4 *block = src, *end = block + n / 32;
    for (; block < end; block++, out += 32) {
        float d = rf_e8m0_half(block->e);
        for (int i = 0; i < 16; i++) {
            out[i] = d * (float)rf_mxfp4_values[block->qs[i] & 15];
            out[i + 16] = d * (float)rf_mxfp4_values[block->qs[i] >> 4];
        }
    }
}
