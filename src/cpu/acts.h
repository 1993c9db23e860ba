/*
 * One block of quantised activations: the arithmetic that all instruction sets share. Pure
 * functions; any thread.
 */
#ifndef RF_CPU_ACTS_H
#define RF_CPU_ACTS_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "cpu/matmul.h"

/* Where the parts of a row's block lie; see rf_acts. */
typedef struct rf_acts_block {
    int8_t *q;       /* [32] */
    float *scale;    /* scale, then sum and bias at strides of the width */
    uint32_t width;  /* of the panel */
    int16_t *halves; /* [2] */
} rf_acts_block;

static inline rf_acts_block rf_acts_block_at(uint8_t *block, uint32_t i_row, uint32_t width) {
    uint8_t *after_q = block + (size_t)width * RF_ACTS_BLOCK;
    return (rf_acts_block){(int8_t *)block + (size_t)i_row * RF_ACTS_BLOCK,
                           (float *)(void *)after_q + i_row, width,
                           (int16_t *)(void *)(after_q + 12 * (size_t)width) + 2 * i_row};
}

/* Returns 127 / largest, or 0 where every q is 0: all x are (nearly) 0, or one is not finite. */
static inline float rf_acts_scale(uint32_t largest_bits, float *scale) {
    float largest;
    memcpy(&largest, &largest_bits, sizeof largest);
    if (!(largest <= 3.4028235e38f)) { /* infinity or NaN */
        *scale = NAN;
        return 0;
    }
    if (largest < 1e-30f) { /* the inverse would overflow */
        *scale = 0;
        return 0;
    }
    *scale = largest / RF_ACTS_Q_MAX;
    return RF_ACTS_Q_MAX / largest;
}

static inline void rf_acts_block_finish(rf_acts_block out, float scale, int half0, int half1) {
    int32_t bias = -128 * (half0 + half1);
    out.scale[0] = scale;
    out.scale[out.width] = scale * (float)(half0 + half1);
    memcpy(&out.scale[2 * (size_t)out.width], &bias, sizeof bias);
    out.halves[0] = (int16_t)half0;
    out.halves[1] = (int16_t)half1;
}

void rf_acts_block_avx2(const float *x, rf_acts_block out);

#endif
