/* Log-probabilities of one row of logits as they came from the model. A sampling thread's. */
#ifndef RF_SAMPLE_LOGPROBS_H
#define RF_SAMPLE_LOGPROBS_H

#include "sample/sampler.h"

/* log-softmax at token; the n_top best of n tokens go to top, best first (-infinity is left out);
 * returns how many. */
uint32_t rf_logprobs(rf_sample_scratch *scratch, const float *logits, uint32_t n, int32_t token,
                     uint32_t n_top, float *logprob, rf_token_logprob *top);

#endif
