/*
 * What OpenAI's completions and chat completions share as JSON: whole bodies, chunks of streams
 * into answer->sent, log-probabilities. On the pump's thread.
 */
#ifndef RF_SERVER_ANSWER_JSON_H
#define RF_SERVER_ANSWER_JSON_H

#include "server/answer.h"

typedef struct rf_answer_counts {
    size_t n_prompt, n_cached, n_generated, n_reasoning; /* tokens */
} rf_answer_counts;
rf_answer_counts rf_answer_count(const rf_answer *answer);

/* {"id", "object", "created", "model", "system_fingerprint", without the closing brace. */
void rf_answer_json_head(const rf_answer *answer, const char *object, rf_buf *out);
void rf_answer_json_usage(const rf_answer *answer, rf_buf *out);   /* "usage":{…} */
void rf_answer_json_timings(const rf_answer *answer, rf_buf *out); /* "timings":{…} */
void rf_answer_json_end(const rf_answer *answer, rf_buf *out);     /* both, and the closing brace */

size_t rf_answer_index(const rf_choice *choice); /* among all choices of the answer */
const char *rf_finish_name(rf_choice_end end);   /* "stop", "length", "tool_calls" */

/* A chunk: answer->head, a choice's index, what is between the two calls, how it ends. */
void rf_chunk_begin(rf_answer *answer, const rf_choice *choice);
void rf_chunk_logprobs(rf_answer *answer, rf_choice *choice); /* those that were not sent */
void rf_chunk_end(rf_answer *answer, rf_choice_end end);
void rf_chunks_end(rf_answer *answer); /* usage where it is wanted, and [DONE] */

/* Adds a token to the choice's lists. */
/* Those of the prompt's own tokens, before any other; the first has none. scores: rf_event's. */
void rf_answer_json_scores(const rf_answer *answer, const rf_answer_prompt *prompt,
                           rf_choice *choice, const rf_token_logprob *scores);
void rf_answer_json_logprob(const rf_answer *answer, rf_choice *choice, const rf_event *event);
/* The lists as the value of "logprobs"; clears: they were sent. */
void rf_logprobs_write(const rf_answer *answer, const rf_choice *choice, rf_buf *out);
void rf_logprobs_clear(rf_choice *choice);

#endif
