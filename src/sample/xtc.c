#include "sample/chain.h"

/* "Exclude top choices" (p-e-w, text-generation-webui pull request 6335): with some chance, drops
 * all tokens that reach the threshold but the least likely of them. */
void rf_apply_xtc(struct rf_sampler *sampler, rf_candidates *cand) {
    const rf_sample_params *params = &sampler->params;
    if (params->xtc_probability <= 0 || params->xtc_threshold > 0.5f || cand->n < 2)
        return;
    if (rf_sampler_draw(sampler, RF_DRAW_XTC) >= (double)params->xtc_probability)
        return;
    rf_candidates_keep_best(cand, cand->n);
    (void)rf_candidates_softmax(cand);
    uint32_t drop = 0;
    while (drop + 1 < cand->n && cand->probs[drop + 1] >= params->xtc_threshold)
        drop++;
    if (drop == 0 || cand->n - drop < rf_min_keep(sampler))
        return;
    cand->n -= drop;
    memmove(cand->ids, cand->ids + drop, cand->n * sizeof *cand->ids);
    memmove(cand->logits, cand->logits + drop, cand->n * sizeof *cand->logits);
}
