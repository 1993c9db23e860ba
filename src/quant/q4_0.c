#include "quant/block32.h"
#include "quant/blocks.h"
#include "quant/encode.h"

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

void rf_encode_q4_0(const float *src, const float *importance, size_t n, void *out) {
    rf_block_q4_0 *block = out;
    for (size_t at = 0; at < n; at += 32, block++) {
        uint8_t codes[32];
        block->d = rf_block32_scale(src + at, importance ? importance + at : NULL, 8, codes);
        rf_pack_nibbles(codes, block->qs);
    }
}
