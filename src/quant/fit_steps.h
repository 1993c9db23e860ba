/*
 * Steps that the searches share: rounding, levels and sums over a group, written so that loops of a
 * constant length become vector code. Pure; any thread.
 */
#ifndef RF_QUANT_FIT_STEPS_H
#define RF_QUANT_FIT_STEPS_H

#include <stdbool.h>
#include <stdint.h>

#include "quant/quant.h"

#define RF_INLINE static inline __attribute__((always_inline))

enum { RF_GROUP_MAX = 32 };

/* Nearest whole number to v within lo … hi (below 2^22); a NaN becomes lo. Adding 1.5 x 2^23 leaves
 * a float no room for a fraction. */
RF_INLINE float rf_snap(float v, float lo, float hi) {
    v = v > lo ? v : lo;
    v = v < hi ? v : hi;
    return (v + 12582912.0f) - 12582912.0f;
}

/* Sum of n = 16 or 32 values, which it overwrites, by halves. */
RF_INLINE float rf_total(float *v, int n) {
    for (int i = 0; n == 32 && i < 16; i++)
        v[i] += v[i + 16];
    for (int i = 0; i < 8; i++)
        v[i] += v[i + 8];
    for (int i = 0; i < 4; i++)
        v[i] += v[i + 4];
    return (v[0] + v[2]) + (v[1] + v[3]);
}

/* Middles between neighbours of rf_iq4_values, and the steps that lead from one to the next. */
static const float rf_iq4_middles[15] = {-115.5f, -93.5f, -74,   -57,   -42, -28.5f, -16, -4.5f,
                                         7,       19,     31.5f, 45.5f, 61,  79,     101};
static const float rf_iq4_steps[15] = {23, 21, 18, 16, 14, 13, 12, 11, 12, 12, 13, 15, 16, 20, 24};

RF_INLINE float rf_snap_iq4(float v) {
    float level = -127;
    for (int i = 0; i < 15; i++)
        level += v > rf_iq4_middles[i] ? rf_iq4_steps[i] : 0.0f;
    return level;
}

RF_INLINE int rf_index_iq4(float v) {
    int index = 0;
    for (int i = 0; i < 15; i++)
        index += v > rf_iq4_middles[i];
    return index;
}

/* The level nearest to v: of the IQ4 table, or whole from lo to -lo - 1. */
RF_INLINE float rf_level(float v, bool iq4, float lo) {
    return iq4 ? rf_snap_iq4(v) : rf_snap(v, lo, -lo - 1);
}

/* The half nearest to value, or with away the next one when that is nearer to 0: codes of what
 * value was the largest of then stay within their range. */
static inline float rf_through_half(float value, bool away) {
    uint16_t half = rf_float_to_half(value);
    float rounded = rf_half_to_float(half);
    bool short_of = away && (value < 0 ? value < rounded : value > rounded);
    return short_of ? rf_half_to_float((uint16_t)(half + 1)) : rounded;
}

#endif
