/*
 * Answers as JSON in OpenAI's shapes: whole ones into a body, chunks of streams into answer->sent.
 * On the pump's thread.
 */
#ifndef RF_SERVER_ANSWER_JSON_H
#define RF_SERVER_ANSWER_JSON_H

#include "server/answer.h"

void rf_answer_json_head(rf_answer *answer); /* once, before the first chunk */
void rf_answer_json_text(rf_answer *answer, rf_choice *choice, rf_str text);
void rf_answer_json_finish(rf_answer *answer, rf_choice *choice);
void rf_answer_json_end(rf_answer *answer); /* usage where it is wanted, and [DONE] */
void rf_answer_json_whole(const rf_answer *answer, rf_buf *out);

/* Adds a token to the choice's lists. */
void rf_answer_json_logprob(const rf_answer *answer, rf_choice *choice, const rf_event *event);
/* The lists as the value of "logprobs"; clears: they were sent. */
void rf_logprobs_write(const rf_answer *answer, const rf_choice *choice, rf_buf *out);
void rf_logprobs_clear(rf_choice *choice);

#endif
