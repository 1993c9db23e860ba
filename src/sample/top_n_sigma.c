#include <math.h>

#include "sample/chain.h"

/* Tang et al., "Top-nσ: not all logits are you need", 2024. */
void rf_apply_top_n_sigma(struct rf_sampler *sampler, rf_candidates *cand) {
    double n_sigma = (double)sampler->params.top_n_sigma;
    if (n_sigma <= 0 || cand->n < 2)
        return;
    double sum = 0, squares = 0;
    for (uint32_t i = 0; i < cand->n; i++)
        sum += (double)cand->logits[i];
    double mean = sum / cand->n;
    for (uint32_t i = 0; i < cand->n; i++) {
        double off = (double)cand->logits[i] - mean;
        squares += off * off;
    }
    double floor = (double)rf_candidates_max(cand) - n_sigma * sqrt(squares / cand->n);
    rf_candidates_keep_from(cand, rf_finite(floor), 1);
}
