#include "quant/blocks.h"
#include "quant/quant.h"

void rf_dequant_q4_1(const void *src, float *out, size_t n) {
    const rf_block_q4_1 *block = src, *end = block + n / 32;
    for (; block < end; block++, out += 32) {
        float d = rf_half_to_float(block->d), m = rf_half_to_float(block->m);
        for (int i = 0; i < 16; i++) {
            out[i] = d * (float)(block->qs[i] & 15) + m;
            out[i + 16] = d * (float)(block->qs[i] >> 4) + m;
        }
    }
}
