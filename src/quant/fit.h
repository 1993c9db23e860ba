/*
 * Searches behind the encoders: scales, minima and codes that make the weighted squared error of a
 * block small. Weighted least squares gives the best scale for given levels; the levels come from a
 * scan of candidate scales, and both are refined in turn. Pure functions on the stack; any thread.
 * Any float is safe as input; what does not fit a half comes out as infinite and is found by
 * rf_encode_rows.
 */
#ifndef RF_QUANT_FIT_H
#define RF_QUANT_FIT_H

#include <stdint.h>

enum { RF_SUPERBLOCK = 256, RF_MAX_GROUPS = 16 };

/* Values that a stored code stands for, before its scale. */
typedef enum rf_levels {
    RF_LEVELS_3BIT, /* -4 … 3 */
    RF_LEVELS_4BIT, /* -8 … 7 */
    RF_LEVELS_5BIT, /* -16 … 15 */
    RF_LEVELS_6BIT, /* -32 … 31 */
    RF_LEVELS_IQ4,  /* rf_iq4_values */
} rf_levels;

/* How much each of n weights (at most 256) counts. importance[n]: NULL counts all alike; otherwise
 * importance x sqrt(mean square + x²), which keeps large weights from being traded away. */
void rf_fit_weights(const float *x, const float *importance, int n, float *w);

/* Scale for a block of n = 16 or 32 weights: x ~ scale * level. 0 where all are (nearly) 0. */
float rf_fit_scale(const float *x, const float *w, int n, rf_levels levels);

/* Scale and offset for 32 weights: x ~ scale * q + offset, q in 0 … hi. */
void rf_fit_scale_offset(const float *x, const float *w, float hi, float *scale, float *offset);

/* Codes of x / scale: level + half of the range, or the index into rf_iq4_values. */
void rf_fit_codes(const float *x, int n, float scale, rf_levels levels, uint8_t *codes);

/* 256 weights in groups of 16 or 32: x ~ d * s * level, s from -codes to codes - 1. */
typedef struct rf_linear_fit {
    uint16_t d;                   /* half */
    int8_t scales[RF_MAX_GROUPS]; /* s */
    uint8_t codes[RF_SUPERBLOCK];
} rf_linear_fit;
void rf_fit_linear(const float *x, const float *w, int group, rf_levels levels, float codes,
                   rf_linear_fit *out);

/* 256 weights in groups of 16 or 32: x ~ d * s * q - dmin * m, q in 0 … hi, s and m in 0 … codes.
 */
typedef struct rf_affine_fit {
    uint16_t d, dmin; /* halves */
    uint8_t scales[RF_MAX_GROUPS], mins[RF_MAX_GROUPS];
    uint8_t codes[RF_SUPERBLOCK];
} rf_affine_fit;
void rf_fit_affine(const float *x, const float *w, int group, float hi, float codes,
                   rf_affine_fit *out);

#endif
