#include <string.h>

#include "quant/fit.h"
#include "quant/fit_steps.h"
#include "quant/quant.h"

/* ---- one group ---- */

typedef struct affine {
    float scale, offset, error; /* error: weighted, less Σ w x² */
} affine;

/* Best scale and offset for the codes of (x - start) * inverse. The K formats have minima without a
 * sign: unless any_sign, an offset above 0 becomes 0. */
RF_INLINE affine solve(const float *x, const float *w, int n, affine guess, float hi,
                       bool any_sign) {
    float w1[RF_GROUP_MAX], q1[RF_GROUP_MAX], q2[RF_GROUP_MAX], x1[RF_GROUP_MAX], xq[RF_GROUP_MAX];
    float inverse = 1 / guess.scale, start = guess.offset;
    for (int i = 0; i < n; i++) {
        float q = rf_snap((x[i] - start) * inverse, 0, hi);
        w1[i] = w[i];
        q1[i] = w[i] * q;
        q2[i] = q1[i] * q;
        x1[i] = w[i] * x[i];
        xq[i] = q1[i] * x[i];
    }
    float sw = rf_total(w1, n), sq = rf_total(q1, n), sqq = rf_total(q2, n);
    float sx = rf_total(x1, n), sxq = rf_total(xq, n), determinant = sw * sqq - sq * sq;
    affine fit = {0};
    if (determinant > 0) {
        fit.scale = (sw * sxq - sq * sx) / determinant;
        fit.offset = (sqq * sx - sq * sxq) / determinant;
    }
    if (!(determinant > 0) || (fit.offset > 0 && !any_sign)) {
        fit.scale = sqq > 0 ? sxq / sqq : 0;
        fit.offset = 0;
    }
    fit.error = fit.scale * (fit.scale * sqq + 2 * (fit.offset * sq - sxq)) +
                fit.offset * (fit.offset * sw - 2 * sx);
    return fit;
}

/* Candidates spread the range of x over a little less or more than hi steps. */
RF_INLINE affine search(const float *x, const float *w, int n, float hi, bool any_sign) {
    float least = x[0], most = x[0];
    for (int i = 1; i < n; i++) {
        least = x[i] < least ? x[i] : least;
        most = x[i] > most ? x[i] : most;
    }
    if (least > 0 && !any_sign)
        least = 0;
    affine best = {0, least, 0};
    if (!(most - least > 1e-15f)) /* one value; below this a half holds no scale */
        return best;
    bool found = false;
    for (int i = 0; i <= 20; i++) {
        affine guess = {(most - least) / (hi - 1 + 0.1f * (float)i), least, 0};
        affine fit = solve(x, w, n, guess, hi, any_sign);
        if (fit.scale > 0 && (!found || fit.error < best.error)) {
            best = fit;
            found = true;
        }
    }
    for (int i = 0; i < 4 && found; i++) {
        affine fit = solve(x, w, n, best, hi, any_sign);
        if (!(fit.scale > 0 && fit.error < best.error))
            break;
        best = fit;
    }
    return best;
}

void rf_fit_scale_offset(const float *x, const float *w, float hi, float *scale, float *offset) {
    /* Relative to the least weight: a large common part would take precision from the sums. */
    float least = x[0], moved[32];
    for (int i = 1; i < 32; i++)
        least = x[i] < least ? x[i] : least;
    for (int i = 0; i < 32; i++)
        moved[i] = x[i] - least;
    affine fit = search(moved, w, 32, hi, true);
    *scale = fit.scale;
    *offset = least + fit.offset;
}

/* ---- superblock ---- */

typedef struct problem {
    const float *x, *w; /* [256] */
    int group;          /* 16 or 32 */
    float hi, codes;
} problem;

typedef struct solution {
    float d, dmin; /* exact in a half */
    float s[RF_MAX_GROUPS], m[RF_MAX_GROUPS];
} solution;

/* Weighted squared error of a group under a scale and a minimum. */
RF_INLINE float error_of(const float *x, const float *w, int n, float hi, affine at) {
    float error[RF_GROUP_MAX], inverse = at.scale > 0 ? 1 / at.scale : 0;
    for (int i = 0; i < n; i++) {
        float q = rf_snap((x[i] - at.offset) * inverse, 0, hi);
        float miss = at.scale * q + at.offset - x[i];
        error[i] = w[i] * miss * miss;
    }
    return rf_total(error, n);
}

RF_INLINE float group_error(const problem *p, int g, affine at) {
    const float *x = p->x + g * p->group, *w = p->w + g * p->group;
    return p->group == 16 ? error_of(x, w, 16, p->hi, at) : error_of(x, w, 32, p->hi, at);
}

/* The best pair of codes for group g within one step of the present one; returns its error. */
static float step_codes(const problem *p, solution *at, int g) {
    float s0 = at->s[g], m0 = at->m[g], best = -1;
    for (int i = 0; i < 9; i++) {
        float s = s0 + (float)(i % 3 - 1), m = m0 + (float)(i / 3 - 1);
        if (s < 0 || s > p->codes || m < 0 || m > p->codes)
            continue;
        float error = group_error(p, g, (affine){at->d * s, -at->dmin * m, 0});
        if (best < 0 || error < best) {
            best = error;
            at->s[g] = s;
            at->m[g] = m;
        }
    }
    return best;
}

static float step_all_codes(const problem *p, solution *at) {
    float error = 0;
    for (int g = 0; g < RF_SUPERBLOCK / p->group; g++)
        error += step_codes(p, at, g);
    return error;
}

/* d and dmin that are best for the present codes: the normal equations of
 * Σ w (d s q - dmin m - x)². */
static void solve_halves(const problem *p, solution *at) {
    float aa = 0, ab = 0, bb = 0, ax = 0, bx = 0;
    for (int g = 0; g < RF_SUPERBLOCK / p->group; g++) {
        float scale = at->d * at->s[g], min = at->dmin * at->m[g];
        float inverse = scale > 0 ? 1 / scale : 0, m = at->m[g];
        for (int i = g * p->group; i < (g + 1) * p->group; i++) {
            float a = at->s[g] * rf_snap((p->x[i] + min) * inverse, 0, p->hi), w = p->w[i];
            aa += w * a * a;
            ab += w * a * m;
            bb += w * m * m;
            ax += w * a * p->x[i];
            bx += w * m * p->x[i];
        }
    }
    float determinant = aa * bb - ab * ab, d, dmin;
    if (determinant > 0) {
        d = (ax * bb - ab * bx) / determinant;
        dmin = (ab * ax - aa * bx) / determinant;
    } else {
        d = aa > 0 ? ax / aa : at->d;
        dmin = at->dmin;
    }
    if (d > 0 && dmin >= 0) {
        at->d = rf_through_half(d, false);
        at->dmin = rf_through_half(dmin, false);
    }
}

static solution first_solution(const problem *p) {
    solution at = {0};
    float most_scale = 0, most_min = 0;
    for (int g = 0; g < RF_SUPERBLOCK / p->group; g++) {
        const float *x = p->x + g * p->group, *w = p->w + g * p->group;
        affine fit =
            p->group == 16 ? search(x, w, 16, p->hi, false) : search(x, w, 32, p->hi, false);
        at.s[g] = fit.scale;
        at.m[g] = -fit.offset;
        most_scale = at.s[g] > most_scale ? at.s[g] : most_scale;
        most_min = at.m[g] > most_min ? at.m[g] : most_min;
    }
    at.d = rf_through_half(most_scale / p->codes, true);
    at.dmin = rf_through_half(most_min / p->codes, true);
    float by_d = at.d > 0 ? 1 / at.d : 0, by_dmin = at.dmin > 0 ? 1 / at.dmin : 0;
    for (int g = 0; g < RF_SUPERBLOCK / p->group; g++) {
        at.s[g] = rf_snap(at.s[g] * by_d, 0, p->codes);
        at.m[g] = rf_snap(at.m[g] * by_dmin, 0, p->codes);
    }
    return at;
}

void rf_fit_affine(const float *x, const float *w, int group, float hi, float codes,
                   rf_affine_fit *out) {
    problem p = {x, w, group, hi, codes};
    solution at = first_solution(&p), best = at;
    float least = step_all_codes(&p, &at);
    best = at;
    for (int i = 0; i < 3; i++) {
        solve_halves(&p, &at);
        float error = step_all_codes(&p, &at);
        if (!(error < least))
            break;
        least = error;
        best = at;
    }
    memset(out, 0, sizeof *out);
    out->d = rf_float_to_half(best.d);
    out->dmin = rf_float_to_half(best.dmin);
    for (int g = 0; g < RF_SUPERBLOCK / group; g++) {
        float scale = best.d * best.s[g], min = best.dmin * best.m[g];
        float inverse = scale > 0 ? 1 / scale : 0;
        out->scales[g] = (uint8_t)(int)best.s[g];
        out->mins[g] = (uint8_t)(int)best.m[g];
        for (int i = g * group; i < (g + 1) * group; i++)
            out->codes[i] = (uint8_t)(int)rf_snap((x[i] + min) * inverse, 0, hi);
    }
}
