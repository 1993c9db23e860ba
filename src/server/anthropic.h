/* Anthropic's messages. */
#ifndef RF_SERVER_ANTHROPIC_H
#define RF_SERVER_ANTHROPIC_H

#include "server/answer_form.h"
#include "server/talk.h"

extern const rf_answer_form rf_form_messages;

bool rf_talk_init_messages(rf_talk *talk, const rf_ask *ask, rf_refusal *refusal);

#endif
