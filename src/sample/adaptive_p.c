#include "sample/chain.h"

/*
 * Adaptive-p (MrJackSpade, llama.cpp pull request 17927): prefers tokens whose probability is near
 * a target, which moves so that the chosen ones meet the wanted average. Runs last, wherever the
 * order names it.
 */
void rf_apply_adaptive_p(struct rf_sampler *sampler, rf_candidates *cand) {
    const double width = 0.3, peak = 5, sharpness = 10;
    double wanted = (double)sampler->params.adaptive_target;
    if (wanted < 0)
        return;
    (void)rf_candidates_softmax(cand);
    double target = 2 * wanted - sampler->chosen_sum / sampler->chosen_count;
    target = target < 0 ? 0 : target > 1 ? 1 : target;
    for (uint32_t i = 0; i < cand->n; i++) {
        double off = ((double)cand->probs[i] - target) / width;
        off = off < 0 ? -off : off;
        cand->saved[i] = cand->probs[i];
        cand->logits[i] = (float)(peak - sharpness * off * off / (1 + off));
    }
    cand->ranked = false;
}
