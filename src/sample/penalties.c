#include "sample/chain.h"

/* Repetition: Keskar et al., "CTRL", 2019, with negative logits multiplied, so that they fall too.
 * Presence and frequency: as OpenAI defines them. */

static float punish(const rf_sample_params *params, float logit, uint32_t count) {
    double factor = (double)params->repeat_penalty;
    double value = logit <= 0 ? (double)logit * factor : (double)logit / factor;
    value -= (double)count * (double)params->frequency_penalty + (double)params->presence_penalty;
    return rf_finite(value);
}

void rf_apply_penalties(struct rf_sampler *sampler, rf_candidates *cand) {
    const rf_sample_params *params = &sampler->params;
    uint32_t n = rf_history_length(sampler, params->repeat_last_n);
    if (n == 0 || (params->repeat_penalty == 1 && params->presence_penalty == 0 &&
                   params->frequency_penalty == 0))
        return;
    for (uint32_t i = 0; i < n; i++)
        cand->counts[rf_history_at(sampler, i)]++;
    if (!cand->dense)
        for (uint32_t i = 0; i < cand->n; i++) {
            uint32_t count = cand->counts[cand->ids[i]];
            if (count > 0)
                cand->logits[i] = punish(params, cand->logits[i], count);
        }
    for (uint32_t i = 0; i < n; i++) {
        int32_t token = rf_history_at(sampler, i);
        if (cand->dense && cand->counts[token] > 0)
            cand->logits[token] = punish(params, cand->logits[token], cand->counts[token]);
        cand->counts[token] = 0;
    }
    cand->ranked = false;
}
