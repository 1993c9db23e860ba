#include "sample/chain.h"

uint32_t rf_choose(const struct rf_sampler *sampler, const rf_candidates *cand) {
    double total = 0, sum = 0;
    for (uint32_t i = 0; i < cand->n; i++)
        total += (double)cand->probs[i];
    double at = rf_sampler_draw(sampler, RF_DRAW_CHOICE) * total;
    uint32_t last = 0;
    for (uint32_t i = 0; i < cand->n; i++) {
        if (cand->probs[i] <= 0)
            continue;
        sum += (double)cand->probs[i];
        last = i;
        if (sum > at)
            break;
    }
    return last;
}
