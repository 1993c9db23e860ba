/* OpenAI's responses. */
#ifndef RF_SERVER_RESPONSES_H
#define RF_SERVER_RESPONSES_H

#include "sample/sample_params.h"
#include "server/answer_form.h"
#include "server/talk.h"

extern const rf_answer_form rf_form_response;

bool rf_talk_init_responses(rf_talk *talk, const rf_ask *ask, rf_refusal *refusal);
/* talk->settings: what the answer repeats of the request. */
bool rf_responses_repeat(rf_talk *talk, const rf_ask *ask, const rf_sample_params *params,
                         rf_refusal *refusal);

#endif
