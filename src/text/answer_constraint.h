/*
 * What an answer may be, from the words of whoever asks: a pattern, a list of texts, a grammar, a
 * JSON schema, calls of tools. Any thread.
 */
#ifndef RF_TEXT_ANSWER_CONSTRAINT_H
#define RF_TEXT_ANSWER_CONSTRAINT_H

#include <jansson.h>

#include "chat/call_syntax.h"
#include "grammar/automaton.h"
#include "tokenizer/tokenizer.h"

/* Zero-initialise: an answer may be anything. At most one of the first five groups. */
typedef struct rf_answer_spec {
    const char *pattern;
    const char *const *choices; /* [n_choices] */
    size_t n_choices;
    rf_str grammar;     /* GBNF */
    json_t *schema;     /* JSON schema; borrowed */
    rf_str schema_text; /* the same, not parsed yet */
    bool any_object;    /* any JSON object */
    /* Calls of one of the tools (OpenAI's list) as the family writes them; beside the others it is
     * one or the other. tool_name: of that one; one_call: not several. */
    const rf_call_syntax *calls; /* NULL: none */
    json_t *tools;
    const char *tool_name;
    bool one_call;
    /* Reasoning may stand in front; open: the prompt ends inside of it. */
    const rf_reasoning_syntax *reasoning;
    bool reasoning_open;
} rf_answer_spec;

/* *out is the caller's (rf_free), NULL when nothing is asked for. continues: the answer goes on
 * where the prompt ends, so that a space in front of it is shown. RF_ERR_INVALID and RF_ERR_LIMIT
 * say what is wrong with what was asked. */
RF_NODISCARD rf_status rf_answer_constraint_compile(const rf_answer_spec *spec,
                                                    const rf_tokenizer *tokenizer, bool continues,
                                                    rf_automaton **out, rf_error *err);

#endif
