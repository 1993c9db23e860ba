/*
 * Turns sampling options into the parameters of a sampler. The struct owns what the parameters
 * borrow; rf_sampling_deinit frees it. Main thread.
 */
#ifndef RF_CLI_SAMPLING_H
#define RF_CLI_SAMPLING_H

#include "cli/options.h"
#include "sample/sampler.h"
#include "text/breakers.h"

typedef struct rf_sampling {
    rf_sample_params params;
    rf_logit_bias *bias; /* owned */
    rf_breakers breakers;
} rf_sampling;

/* ignore_eos: tokens that end generation are banned. */
RF_NODISCARD rf_status rf_sampling_init(rf_sampling *sampling, const rf_options *options,
                                        const rf_tokenizer *tokenizer, bool ignore_eos,
                                        rf_error *err);
void rf_sampling_deinit(rf_sampling *sampling); /* safe on a zeroed one */

#endif
