#include <math.h>

#include "sample/chain.h"

static void divide(rf_candidates *cand, double temp) {
    /* A quotient beyond floats would make different logits equal: then only the distances to the
     * best one count, and they may saturate. */
    double best = (double)rf_candidates_max(cand), shift = 0;
    for (uint32_t i = 0; i < cand->n && shift == 0; i++)
        if (fabs((double)cand->logits[i]) > 1e30 * temp)
            shift = best;
    for (uint32_t i = 0; i < cand->n; i++)
        cand->logits[i] = rf_finite(((double)cand->logits[i] - shift) / temp);
}

/* Dynamic temperature (kalomaze): between temp - range and temp + range, by the entropy's share of
 * its maximum. */
static double dynamic_temp(const rf_sample_params *params, rf_candidates *cand) {
    double temp = (double)params->temp, range = (double)params->dynatemp_range;
    double low = temp > range ? temp - range : 0, high = temp + range;
    (void)rf_candidates_softmax(cand);
    double share = rf_candidates_entropy(cand) / log((double)cand->n);
    return low + (high - low) * pow(share < 0 ? 0 : share, (double)params->dynatemp_exponent);
}

void rf_apply_temperature(struct rf_sampler *sampler, rf_candidates *cand) {
    double temp = (double)sampler->params.temp;
    if (sampler->params.dynatemp_range > 0) {
        if (cand->n < 2)
            return;
        temp = dynamic_temp(&sampler->params, cand);
    }
    if (temp <= 0)
        rf_candidates_keep_best(cand, 1);
    else if (temp != 1)
        divide(cand, temp);
}
