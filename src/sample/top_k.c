#include "sample/chain.h"

/* Fan et al., "Hierarchical neural story generation", 2018. */
void rf_apply_top_k(struct rf_sampler *sampler, rf_candidates *cand) {
    int64_t k = sampler->params.top_k;
    if (k > 0)
        rf_candidates_keep_best(cand, k < (int64_t)cand->n ? (uint32_t)k : cand->n);
}
