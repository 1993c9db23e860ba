#include "quant/block32.h"

#include <math.h>

#include "quant/fit.h"
#include "quant/quant.h"

/* 1 / d, or 0 where there is no scale. */
static float inverse_of(float d) { return d != 0 ? 1 / d : 0; }

/* Rounds a value that is at least 0, up to rounding, down to a code; NaN becomes 0. */
static uint8_t floor_code(float v, int hi) {
    v = v > 0 ? v : 0;
    return (uint8_t)(int)(v < (float)hi ? v : (float)hi);
}

uint16_t rf_block32_scale(const float *x, const float *importance, int half, uint8_t codes[32]) {
    float top = 0;
    if (importance) {
        float w[32];
        rf_levels levels = half == 8 ? RF_LEVELS_4BIT : RF_LEVELS_5BIT;
        rf_fit_weights(x, importance, 32, w);
        uint16_t d = rf_float_to_half(rf_fit_scale(x, w, 32, levels));
        rf_fit_codes(x, 32, rf_half_to_float(d), levels, codes);
        return d;
    }
    for (int i = 0; i < 32; i++)
        top = fabsf(x[i]) > fabsf(top) ? x[i] : top;
    float d = top / (float)-half, inverse = inverse_of(d);
    for (int i = 0; i < 32; i++)
        codes[i] = floor_code(x[i] * inverse + ((float)half + 0.5f), 2 * half - 1);
    return rf_float_to_half(d);
}

void rf_block32_offset(const float *x, const float *importance, int hi, uint8_t codes[32],
                       uint16_t *d, uint16_t *m) {
    float least = x[0], most = x[0], scale, offset, inverse;
    if (importance) {
        float w[32];
        rf_fit_weights(x, importance, 32, w);
        rf_fit_scale_offset(x, w, (float)hi, &scale, &offset);
        *d = rf_float_to_half(scale);
        *m = rf_float_to_half(offset);
        inverse = inverse_of(rf_half_to_float(*d));
        offset = rf_half_to_float(*m);
    } else {
        for (int i = 1; i < 32; i++) {
            least = x[i] < least ? x[i] : least;
            most = x[i] > most ? x[i] : most;
        }
        scale = (most - least) / (float)hi;
        inverse = inverse_of(scale);
        offset = least;
        *d = rf_float_to_half(scale);
        *m = rf_float_to_half(offset);
    }
    for (int i = 0; i < 32; i++)
        codes[i] = floor_code((x[i] - offset) * inverse + 0.5f, hi);
}
