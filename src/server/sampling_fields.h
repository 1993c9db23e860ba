/*
 * What a request says about sampling: samplers, biases, stop texts. Owned by the rf_sampling_ask;
 * nothing points into the request's JSON. One thread.
 */
#ifndef RF_SERVER_SAMPLING_FIELDS_H
#define RF_SERVER_SAMPLING_FIELDS_H

#include "sample/sample_params.h"
#include "server/fields.h"
#include "tokenizer/tokenizer.h"

enum { RF_STOPS_MAX = 64, RF_STOP_BYTES = 4096 };

typedef struct rf_sampling_ask {
    rf_sample_params params;
    rf_logit_bias *biases; /* owned */
    char **stops;          /* owned, [n_stops] */
    size_t n_stops;
    uint32_t n_top; /* alternatives to show */
    bool logprobs;
    bool ignore_eos;
} rf_sampling_ask;

/* defaults: where the request says nothing. False: *refusal says what is wrong. Deinit either way.
 */
bool rf_sampling_ask_init(rf_sampling_ask *sampling, const rf_ask *ask,
                          const rf_sample_params *defaults, const rf_tokenizer *tokenizer,
                          rf_refusal *refusal);
void rf_sampling_ask_deinit(rf_sampling_ask *sampling);

#endif
