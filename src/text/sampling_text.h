/*
 * Sampling settings as one line of text: "temperature=0.7 top_k=20 samplers=top_k;temperature".
 * Names are the JSON keys and fields of sample/sample_params.def, so a new sampler needs no new
 * interface. Pure; any thread whose LC_NUMERIC is "C".
 */
#ifndef RF_TEXT_SAMPLING_TEXT_H
#define RF_TEXT_SAMPLING_TEXT_H

#include "sample/sample_params.h"

/* Changes what the text names; blanks or commas stand between settings. What is unknown, no number
 * or out of range: RF_ERR_USAGE with the name and what was expected. */
RF_NODISCARD rf_status rf_sampling_text_apply(rf_str text, rf_sample_params *params, rf_error *err);

#endif
