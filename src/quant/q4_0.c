#include "quant/blocks.h"
#include "quant/quant.h"

void rf_dequant_q4_0(const void *src, float *out, size_t n) {
    const rf_block_q4_0 *block = src, *end = block + n / 32;
    for (; block < end; block++, out += 32) {
        float d = rf_half_to_float(block->d);
        for (int i = 0; i < 16; i++) {
            out[i] = d * (float)((block->qs[i] & 15) - 8);
            out[i + 16] = d * (float)((block->qs[i] >> 4) - 8);
        }
    }
}
