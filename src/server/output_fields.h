/*
 * What an answer is to be, as a request asks for it: response_format, json_schema, grammar, regex,
 * choice and the names that vLLM gives them, or a call of a tool. Compiled on the worker, within
 * limits. Any thread.
 */
#ifndef RF_SERVER_OUTPUT_FIELDS_H
#define RF_SERVER_OUTPUT_FIELDS_H

#include "server/fields.h"
#include "server/talk.h"
#include "text/answer_constraint.h"

/* *out is the caller's (rf_free); NULL: the answer may be anything. talk: of forms that talk, else
 * zero. continues: it goes on where the prompt ends. False: *refusal names the field. */
bool rf_output_fields_take(const rf_ask *ask, const rf_talk *talk, const rf_tokenizer *tokenizer,
                           bool continues, rf_automaton **out, rf_refusal *refusal);

#endif
