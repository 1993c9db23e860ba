#include "quant/block32.h"
#include "quant/blocks.h"
#include "quant/encode.h"
#include "quant/fit.h"

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

void rf_encode_iq4_nl(const float *src, const float *importance, size_t n, void *out) {
    rf_block_iq4_nl *block = out;
    for (size_t at = 0; at < n; at += 32, block++) {
        float w[32];
        uint8_t codes[32];
        rf_fit_weights(src + at, importance ? importance + at : NULL, 32, w);
        block->d = rf_float_to_half(rf_fit_scale(src + at, w, 32, RF_LEVELS_IQ4));
        rf_fit_codes(src + at, 32, rf_half_to_float(block->d), RF_LEVELS_IQ4, codes);
        rf_pack_nibbles(codes, block->qs);
    }
}
