#include <math.h>

#include "sample/chain.h"

/* Holtzman et al., "The curious case of neural text degeneration", 2019: the smallest set of the
 * best tokens whose probabilities reach p. */
void rf_apply_top_p(struct rf_sampler *sampler, rf_candidates *cand) {
    enum { FIRST = 256 }; /* most distributions reach p within so many: rank no more at first */
    double p = (double)sampler->params.top_p;
    if (p >= 1)
        return;
    uint32_t n = cand->n, least = rf_min_keep(sampler);
    float best = rf_candidates_max(cand);
    double scale = exp(-rf_log_sum_exp(cand->logits, n, best));
    const int32_t *ids = cand->dense ? NULL : cand->ids;
    for (uint32_t k = FIRST < n ? FIRST : n;; k = n) {
        uint32_t m = rf_rank(cand, cand->logits, ids, n, k), kept = 0;
        double sum = 0;
        while (kept < m && (sum < p || kept < least || kept == 0)) {
            float logit = rf_key_logit(cand->keys[kept++]);
            sum += (double)rf_exp_negative(logit - best) * scale;
        }
        if ((sum >= p && kept >= least) || m == n) {
            rf_candidates_adopt(cand, kept);
            return;
        }
    }
}
