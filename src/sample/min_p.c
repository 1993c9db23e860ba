#include <math.h>

#include "sample/chain.h"

/* Nguyen et al., "Turning up the heat: min-p sampling", 2024: keeps tokens of at least p times the
 * best one's probability. */
void rf_apply_min_p(struct rf_sampler *sampler, rf_candidates *cand) {
    double p = (double)sampler->params.min_p;
    if (p <= 0)
        return;
    double floor = (double)rf_candidates_max(cand) + log(p);
    rf_candidates_keep_from(cand, rf_finite(floor), rf_min_keep(sampler));
}
