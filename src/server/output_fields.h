/*
 * What an answer is to be, as a request asks for it: a pattern, a list of texts. Compiled on the
 * worker, within limits. Any thread.
 */
#ifndef RF_SERVER_OUTPUT_FIELDS_H
#define RF_SERVER_OUTPUT_FIELDS_H

#include "server/fields.h"
#include "text/answer_constraint.h"
#include "tokenizer/tokenizer.h"

/* *out is the caller's (rf_free); NULL: the answer may be anything. continues: it goes on where the
 * prompt ends. False: *refusal names the field. */
bool rf_output_fields_take(const rf_ask *ask, const rf_tokenizer *tokenizer, bool continues,
                           rf_automaton **out, rf_refusal *refusal);

#endif
