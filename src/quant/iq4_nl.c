#include "quant/blocks.h"
#include "quant/quant.h"

void rf_dequant_iq4_nl(const void *src, float *out, size_t n) {
    const rf_block_iq4_nl *block = src, *end = block + n / 32;
    for (; block < end; block++, out += 32) {
        float d = rf_half_to_float(block->d);
        for (int i = 0; i < 16; i++) {
            out[i] = d * (float)rf_iq4_values[block->qs[i] & 15];
            out[i + 16] = d * (float)rf_iq4_values[block->qs[i] >> 4];
        }
    }
}
