#include <math.h>

#include "sample/chain.h"

/* Meister et al., "Locally typical sampling", 2022: keeps the tokens whose surprise is nearest to
 * the entropy, until their probabilities exceed p. */
void rf_apply_typ_p(struct rf_sampler *sampler, rf_candidates *cand) {
    double p = (double)sampler->params.typical_p, sum = 0;
    if (p >= 1)
        return;
    rf_candidates_keep_best(cand, cand->n); /* equal distances: the likelier token first */
    double log_sum = rf_candidates_softmax(cand);
    double entropy = rf_candidates_entropy(cand), best = (double)cand->logits[0];
    for (uint32_t i = 0; i < cand->n; i++) {
        double surprise = log_sum + best - (double)cand->logits[i];
        cand->keys[i] = rf_key_make(-(float)fabs(surprise - entropy), i);
    }
    rf_keys_sort(cand->keys, cand->spare, cand->n);
    uint32_t n = 0, least = rf_min_keep(sampler);
    while (n < cand->n) {
        sum += (double)cand->probs[(uint32_t)cand->keys[n++]];
        if (sum > p && n >= least)
            break;
    }
    for (uint32_t i = 0; i < n; i++) {
        uint32_t from = (uint32_t)cand->keys[i];
        cand->keys[i] = rf_key_make(cand->logits[from], (uint32_t)cand->ids[from]);
    }
    rf_keys_sort(cand->keys, cand->spare, n);
    rf_candidates_adopt(cand, n);
}
