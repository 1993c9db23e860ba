/*
 * What the encoders of 32-weight formats share: scale, offset and codes of one block, and the
 * packing of codes. Pure; any thread.
 */
#ifndef RF_QUANT_BLOCK32_H
#define RF_QUANT_BLOCK32_H

#include <stdint.h>

/* x ~ d * (code - half), half = 8 or 16; d as a half is returned. Without importance (NULL) by
 * ggml's rule: the largest weight becomes code 0. */
uint16_t rf_block32_scale(const float *x, const float *importance, int half, uint8_t codes[32]);

/* x ~ d * code + m, code in 0 … hi. Without importance by ggml's rule: the smallest weight becomes
 * 0, the largest hi. */
void rf_block32_offset(const float *x, const float *importance, int hi, uint8_t codes[32],
                       uint16_t *d, uint16_t *m);

/* Byte j: code j in the low nibble, code j + 16 in the high one. */
static inline void rf_pack_nibbles(const uint8_t codes[32], uint8_t qs[16]) {
    for (int i = 0; i < 16; i++)
        qs[i] = (uint8_t)((codes[i] & 15) | (codes[i + 16] & 15) << 4);
}

/* Bit i: the fifth bit of code i. */
static inline uint32_t rf_pack_fifth_bits(const uint8_t codes[32]) {
    uint32_t bits = 0;
    for (int i = 0; i < 32; i++)
        bits |= (uint32_t)(codes[i] >> 4 & 1) << i;
    return bits;
}

#endif
