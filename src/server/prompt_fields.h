/*
 * What a request is about: prompts as text or as token ids. Any thread.
 */
#ifndef RF_SERVER_PROMPT_FIELDS_H
#define RF_SERVER_PROMPT_FIELDS_H

#include "server/fields.h"
#include "tokenizer/tokenizer.h"

struct rf_server;

enum { RF_PROMPTS_MAX = 256 };

/* A list of ids, each checked against the vocabulary. */
bool rf_token_ids_take(const json_t *list, const rf_tokenizer *tokenizer, const char *param,
                       rf_tokens *out, rf_refusal *refusal);

/* "text", ["text", …], [1, 2, …] or [[1, 2], …], or, as llama-server has it, ["text", 1, …]: how
 * many prompts; 0: *refusal. */
size_t rf_prompts_count(const rf_ask *ask, rf_field field, size_t most, rf_refusal *refusal);
/* Tokens of the i-th. */
bool rf_prompts_take(const struct rf_server *server, const rf_ask *ask, rf_field field, size_t i,
                     rf_tokens *out, rf_refusal *refusal);

#endif
