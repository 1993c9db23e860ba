#include <math.h>
#include <string.h>

#include "quant/fit.h"
#include "quant/fit_steps.h"
#include "quant/quant.h"

typedef struct problem {
    const float *x, *w; /* [256] */
    int group;          /* 16 or 32 */
    rf_levels levels;
    float codes; /* s from -codes to codes - 1 */
} problem;

typedef struct solution {
    float d; /* exact in a half */
    float s[RF_MAX_GROUPS];
} solution;

typedef struct sums {
    float xq, qq, miss; /* weighted sums: x times level, level squared, error */
} sums;

RF_INLINE sums measure(const float *x, const float *w, int n, float scale, bool iq4, float lo) {
    float xq[RF_GROUP_MAX], qq[RF_GROUP_MAX], miss[RF_GROUP_MAX];
    float inverse = scale != 0 ? 1 / scale : 0;
    for (int i = 0; i < n; i++) {
        float q = rf_level(x[i] * inverse, iq4, lo), e = scale * q - x[i];
        xq[i] = w[i] * q * x[i];
        qq[i] = w[i] * q * q;
        miss[i] = w[i] * e * e;
    }
    return (sums){rf_total(xq, n), rf_total(qq, n), rf_total(miss, n)};
}

static sums measure_group(const problem *p, int g, float scale) {
    const float *x = p->x + g * p->group, *w = p->w + g * p->group;
    if (p->levels == RF_LEVELS_IQ4)
        return measure(x, w, 32, scale, true, -127);
    return measure(x, w, 16, scale, false, p->levels == RF_LEVELS_3BIT ? -4 : -32);
}

/* Every group takes the best code within one step of the present one. Returns the error; *best_d
 * is what d should be for these codes and levels. */
static float step_codes(const problem *p, solution *at, float *best_d) {
    float error = 0, numerator = 0, denominator = 0;
    for (int g = 0; g < RF_SUPERBLOCK / p->group; g++) {
        sums best = {0};
        float s0 = at->s[g];
        for (int i = 0; i < 3; i++) {
            float s = s0 + (float)(i == 2 ? -1 : i);
            if (s < -p->codes || s > p->codes - 1)
                continue;
            sums found = measure_group(p, g, at->d * s);
            if (i == 0 || found.miss < best.miss) {
                best = found;
                at->s[g] = s;
            }
        }
        error += best.miss;
        numerator += at->s[g] * best.xq;
        denominator += at->s[g] * at->s[g] * best.qq;
    }
    *best_d = denominator > 0 ? numerator / denominator : at->d;
    return error;
}

static solution first_solution(const problem *p) {
    solution at = {0};
    float top = 0;
    for (int g = 0; g < RF_SUPERBLOCK / p->group; g++) {
        at.s[g] = rf_fit_scale(p->x + g * p->group, p->w + g * p->group, p->group, p->levels);
        top = fabsf(at.s[g]) > fabsf(top) ? at.s[g] : top;
    }
    at.d = rf_through_half(-top / p->codes, true);
    float by_d = at.d != 0 ? 1 / at.d : 0;
    for (int g = 0; g < RF_SUPERBLOCK / p->group; g++)
        at.s[g] = rf_snap(at.s[g] * by_d, -p->codes, p->codes - 1);
    return at;
}

void rf_fit_linear(const float *x, const float *w, int group, rf_levels levels, float codes,
                   rf_linear_fit *out) {
    problem p = {x, w, group, levels, codes};
    solution at = first_solution(&p), best;
    float d, least = step_codes(&p, &at, &d);
    best = at;
    for (int i = 0; i < 3; i++) {
        at.d = rf_through_half(d, false);
        float error = step_codes(&p, &at, &d);
        if (!(error < least))
            break;
        least = error;
        best = at;
    }
    memset(out, 0, sizeof *out);
    out->d = rf_float_to_half(best.d);
    for (int g = 0; g < RF_SUPERBLOCK / group; g++) {
        out->scales[g] = (int8_t)(int)best.s[g];
        rf_fit_codes(x + g * group, group, best.d * best.s[g], levels, out->codes + g * group);
    }
}
