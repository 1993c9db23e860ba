#include "cli/logits_compare.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

static float item(const void *row, size_t i) {
    float value;
    memcpy(&value, (const uint8_t *)row + i * sizeof value, sizeof value);
    return value;
}

/* log of the sum of exp, and the first index of the greatest. */
static double log_sum(const void *row, size_t n, size_t *best) {
    *best = 0;
    for (size_t i = 1; i < n; i++)
        *best = item(row, i) > item(row, *best) ? i : *best;
    double top = (double)item(row, *best), sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += exp((double)item(row, i) - top);
    return top + log(sum);
}

rf_logits_distance rf_logits_compare(const float *got, const void *want, size_t n_rows,
                                     size_t n_vocab) {
    rf_logits_distance out = {.n_rows = n_rows};
    double sum = 0, squares = 0, error = 0, n = (double)n_rows * (double)n_vocab;
    for (size_t r = 0; r < n_rows; r++) {
        const float *g = got + r * n_vocab;
        const void *w = (const uint8_t *)want + r * n_vocab * sizeof(float);
        size_t best_got, best_want;
        double log_got = log_sum(g, n_vocab, &best_got);
        double log_want = log_sum(w, n_vocab, &best_want), kl = 0;
        for (size_t i = 0; i < n_vocab; i++) {
            double want_i = (double)item(w, i), d = (double)g[i] - want_i;
            double logp = want_i - log_want;
            sum += want_i;
            squares += want_i * want_i;
            error += d * d;
            out.max_error = fabs(d) > out.max_error ? fabs(d) : out.max_error;
            kl += exp(logp) * (logp - ((double)g[i] - log_got));
        }
        out.mean_kl += kl / (double)n_rows;
        out.n_same_best += best_got == best_want;
    }
    double variance = squares / n - sum / n * (sum / n);
    out.relative_error = sqrt(error / n / variance);
    return out;
}
