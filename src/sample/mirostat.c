#include <math.h>

#include "sample/chain.h"

/* Basu et al., "Mirostat: a neural text decoding algorithm that directly controls perplexity",
 * 2020. Logits are ranked or not; mu is the surprise that the next token may have, in bits. */

/* Version 1: how many tokens to keep, from the Zipf exponent of the best hundred. */
static uint32_t zipf_cut(const struct rf_sampler *sampler, const rf_candidates *cand) {
    enum { BEST = 100 };
    double tb = 0, tt = 0;
    for (uint32_t i = 0; i + 1 < cand->n && i + 1 < BEST; i++) {
        double t = log((double)(i + 2) / (double)(i + 1));
        tb += t * ((double)cand->logits[i] - (double)cand->logits[i + 1]);
        tt += t * t;
    }
    double s = tb / tt, epsilon = s - 1;
    double k =
        pow(epsilon * exp2((double)sampler->mu) / (1 - pow(sampler->n_vocab, -epsilon)), 1 / s);
    if (!(k >= 1)) /* NaN included: no slope to measure, or one of exactly 1 */
        return isnan(k) ? cand->n : 1;
    return k < cand->n ? (uint32_t)k : cand->n;
}

uint32_t rf_choose_mirostat(struct rf_sampler *sampler, rf_candidates *cand) {
    if (sampler->params.mirostat == 1) {
        rf_candidates_keep_best(cand, cand->n);
        if (cand->n > 1)
            rf_candidates_keep_best(cand, zipf_cut(sampler, cand));
    } else { /* version 2: drop what surprises by more than mu */
        double log_sum = rf_candidates_softmax(cand), ln2 = 0.693147180559945309;
        double best = (double)rf_candidates_max(cand);
        rf_candidates_keep_from(cand, rf_finite(best + log_sum - (double)sampler->mu * ln2), 1);
    }
    (void)rf_candidates_softmax(cand);
    uint32_t chosen = rf_choose(sampler, cand);
    double surprise = -log2((double)cand->probs[chosen]);
    sampler->pending_mu =
        (float)((double)sampler->mu - (double)sampler->params.mirostat_eta *
                                          (surprise - (double)sampler->params.mirostat_tau));
    return chosen;
}
