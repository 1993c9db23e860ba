#include "quant/blocks.h"
#include "quant/quant.h"

/* The first trit of byte * 3^digit: a byte stands for the fraction byte / 256 in base 3. */
static inline float trit(uint8_t byte, int digit) {
    static const uint8_t power[5] = {1, 3, 9, 27, 81};
    uint8_t rest = (uint8_t)(byte * power[digit]);
    return (float)((rest * 3 >> 8) - 1);
}

/* n_bytes bytes of n_digits trits each; trit k of byte i is weight k * n_bytes + i. */
static float *expand(const uint8_t *bytes, int n_bytes, int n_digits, float d, float *out) {
    for (int digit = 0; digit < n_digits; digit++)
        for (int i = 0; i < n_bytes; i++)
            *out++ = d * trit(bytes[i], digit);
    return out;
}

void rf_dequant_tq1_0(const void *src, float *out, size_t n) {
    const rf_block_tq1_0 *block = src, *end = block + n / 256;
    for (; block < end; block++) {
        float d = rf_half_to_float(block->d);
        out = expand(block->qs, 32, 5, d, out);
        out = expand(block->qs + 32, 16, 5, d, out);
        out = expand(block->qh, 4, 4, d, out);
    }
}
