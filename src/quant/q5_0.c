#include "quant/block32.h"
#include "quant/blocks.h"
#include "quant/encode.h"

void rf_dequant_q5_0(const void *src, float *out, size_t n) {
    const rf_block_q5_0 *block = src, *end = block + n / 32;
    for (; block < end; block++, out += 32) {
        float d = rf_half_to_float(block->d);
        uint32_t qh = block->qh;
        for (int i = 0; i < 16; i++) {
            int low = (block->qs[i] & 15) | (int)(qh >> i & 1) << 4;
            int high = block->qs[i] >> 4 | (int)(qh >> (i + 16) & 1) << 4;
            out[i] = d * (float)(low - 16);
            out[i + 16] = d * (float)(high - 16);
        }
    }
}

void rf_encode_q5_0(const float *src, const float *importance, size_t n, void *out) {
    rf_block_q5_0 *block = out;
    for (size_t at = 0; at < n; at += 32, block++) {
        uint8_t codes[32];
        block->d = rf_block32_scale(src + at, importance ? importance + at : NULL, 16, codes);
        block->qh = rf_pack_fifth_bits(codes);
        rf_pack_nibbles(codes, block->qs);
    }
}
