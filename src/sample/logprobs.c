#include "sample/logprobs.h"

#include <math.h>

#include "sample/candidates.h"

uint32_t rf_logprobs(rf_sample_scratch *scratch, const float *logits, uint32_t n, int32_t token,
                     uint32_t n_top, float *logprob, rf_token_logprob *top) {
    uint32_t want = n_top < n ? n_top : n, n_out = 0;
    uint32_t m = rf_rank(scratch, logits, NULL, n, want > 0 ? want : 1);
    float best = rf_key_logit(scratch->keys[0]);
    double log_total = (double)best + rf_log_sum_exp(logits, n, best);
    *logprob = (float)((double)logits[token] - log_total);
    for (uint32_t i = 0; i < m && n_out < want; i++) {
        float logit = rf_key_logit(scratch->keys[i]);
        if (logit == -INFINITY)
            break;
        top[n_out++] = (rf_token_logprob){(int32_t)(uint32_t)scratch->keys[i],
                                          (float)((double)logit - log_total)};
    }
    return n_out;
}
