#include "quant/blocks.h"
#include "quant/quant.h"

void rf_dequant_tq2_0(const void *src, float *out, size_t n) {
    const rf_block_tq2_0 *block = src, *end = block + n / 256;
    for (; block < end; block++, out += 256) {
        float d = rf_half_to_float(block->d);
        for (int i = 0; i < 256; i++)
            out[i] = d * (float)((block->qs[i / 128 * 32 + i % 32] >> (i / 32 % 4 * 2) & 3) - 1);
    }
}
