/*
 * Quantised activations, eight blocks of a row at a time: the arithmetic that all instruction sets
 * share. Pure functions; any thread.
 */
#ifndef RF_CPU_ACTS_H
#define RF_CPU_ACTS_H

#include <stdint.h>

#include "cpu/matmul.h"

enum { RF_ACTS_EIGHT = 8 };

#define RF_ACTS_SMALLEST 1e-30f /* blocks below are 0: the inverse would overflow */

/* What a block holds beside q; see rf_acts. */
typedef struct rf_acts_eight {
    float scale[RF_ACTS_EIGHT], sum[RF_ACTS_EIGHT];
    int32_t bias[RF_ACTS_EIGHT];
    int16_t halves[RF_ACTS_EIGHT][2];
} rf_acts_eight;

/* Quantises n <= 8 blocks at x; block i goes to q + i * q_step. Entries beyond n are undefined. */
void rf_acts_eight_avx2(const float *x, uint32_t n, uint8_t *q, size_t q_step, rf_acts_eight *out);

/* rest = x - scale * q, block by block. */
void rf_acts_rest_avx2(const float *x, uint32_t n, const uint8_t *q, size_t q_step,
                       const float *scale, float *rest);

#endif
