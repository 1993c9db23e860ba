#include "quant/fit.h"

#include <math.h>

#include "quant/fit_steps.h"

/* Below this a half holds no scale: the block is zero. */
static const float zero_below = 1e-15f;

void rf_fit_weights(const float *x, const float *importance, int n, float *w) {
    float sum = 0;
    for (int i = 0; importance && i < n; i++)
        sum += x[i] * x[i];
    float mean = sum / (float)n, total = 0;
    for (int i = 0; importance && i < n; i++)
        total += w[i] = importance[i] * sqrtf(mean + x[i] * x[i]);
    if (!(total > 0)) /* nothing counts: then all alike */
        for (int i = 0; i < n; i++)
            w[i] = 1;
}

/* ---- scale alone ---- */

typedef struct moments {
    float xq, qq; /* weighted sums of x times level and of level squared */
} moments;

RF_INLINE moments measure(const float *x, const float *w, int n, float inverse, bool iq4,
                          float lo) {
    float xq[RF_GROUP_MAX], qq[RF_GROUP_MAX];
    for (int i = 0; i < n; i++) {
        float q = rf_level(x[i] * inverse, iq4, lo), wq = w[i] * q;
        xq[i] = wq * x[i];
        qq[i] = wq * q;
    }
    return (moments){rf_total(xq, n), rf_total(qq, n)};
}

/* The error is Σ w x² - xq² / qq at the best scale xq / qq, so the largest quotient wins. */
RF_INLINE bool better(moments m, float *best, float *scale) {
    if (!(m.qq > 0 && m.xq * m.xq > *best * m.qq))
        return false;
    *best = m.xq * m.xq / m.qq;
    *scale = m.xq / m.qq;
    return true;
}

/* Candidates map the largest weight to lo plus steps, and to the other end. */
RF_INLINE float search_scale(const float *x, const float *w, int n, bool iq4, float lo) {
    float top = 0, best = 0, scale = 0, step = iq4 ? 1.0f : 0.1f;
    for (int i = 0; i < n; i++)
        top = fabsf(x[i]) > fabsf(top) ? x[i] : top;
    if (!(fabsf(top) >= zero_below))
        return 0;
    for (int side = 0; side < 2; side++)
        for (int i = -9; i <= 9; i++) {
            float end = lo + step * (float)i;
            (void)better(measure(x, w, n, (side ? -end : end) / top, iq4, lo), &best, &scale);
        }
    for (int i = 0; i < 4 && scale != 0; i++)
        if (!better(measure(x, w, n, 1 / scale, iq4, lo), &best, &scale))
            break;
    return scale;
}

static float lowest_level(rf_levels levels) {
    static const float lowest[] = {-4, -8, -16, -32, -127};
    return lowest[levels];
}

float rf_fit_scale(const float *x, const float *w, int n, rf_levels levels) {
    float lo = lowest_level(levels);
    if (levels == RF_LEVELS_IQ4)
        return search_scale(x, w, 32, true, lo);
    return n == 16 ? search_scale(x, w, 16, false, lo) : search_scale(x, w, 32, false, lo);
}

void rf_fit_codes(const float *x, int n, float scale, rf_levels levels, uint8_t *codes) {
    float inverse = scale != 0 ? 1 / scale : 0, lo = lowest_level(levels);
    if (levels == RF_LEVELS_IQ4)
        for (int i = 0; i < n; i++)
            codes[i] = (uint8_t)rf_index_iq4(x[i] * inverse);
    else
        for (int i = 0; i < n; i++)
            codes[i] = (uint8_t)(int)(rf_snap(x[i] * inverse, lo, -lo - 1) - lo);
}
