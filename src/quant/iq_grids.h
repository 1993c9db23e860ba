/*
 * Code books of the IQ1, IQ2 and IQ3 formats: constants of the file format, one row of weights an
 * entry, packed. Any thread.
 */
#ifndef RF_QUANT_IQ_GRIDS_H
#define RF_QUANT_IQ_GRIDS_H

#include <stdint.h>

/* 8 codes of 2 bits, first weight in the lowest. IQ2: 0, 1, 2 stand for 8, 25, 43; IQ1: for -1, 0,
 * 1. */
extern const uint16_t rf_iq2_xxs_grid[256];
extern const uint16_t rf_iq2_xs_grid[512];
extern const uint16_t rf_iq2_s_grid[1024];
extern const uint16_t rf_iq1_grid[2048];
/* 4 codes of 4 bits, 0 to 7. */
extern const uint16_t rf_iq3_xxs_grid[256];
extern const uint16_t rf_iq3_s_grid[512];

/* A sign index keeps 7 of 8 signs; the eighth makes the number of minus signs even. */
static inline uint8_t rf_iq_signs(uint32_t index) {
    uint32_t low = index & 127;
    return (uint8_t)(low | (uint32_t)__builtin_parity(low) << 7);
}

static inline float rf_iq_sign(uint8_t signs, int i) { return signs >> i & 1 ? -1.0f : 1.0f; }

static inline void rf_iq2_expand(uint16_t codes, uint8_t signs, float scale, float out[8]) {
    static const uint8_t values[4] = {8, 25, 43, 0};
    for (int i = 0; i < 8; i++)
        out[i] = scale * (float)values[codes >> (2 * i) & 3] * rf_iq_sign(signs, i);
}

static inline void rf_iq1_expand(uint16_t codes, float shift, float scale, float out[8]) {
    for (int i = 0; i < 8; i++)
        out[i] = scale * ((float)((codes >> (2 * i) & 3) - 1) + shift);
}

#endif
