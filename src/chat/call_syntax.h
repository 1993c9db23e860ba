/*
 * How model families write calls of tools and reasoning into their text: one row each, chosen by
 * what the model's chat template contains. Immutable; any thread.
 */
#ifndef RF_CHAT_CALL_SYNTAX_H
#define RF_CHAT_CALL_SYNTAX_H

#include "base/str.h"

typedef enum rf_call_form {
    RF_CALL_JSON,    /* {"name": …, "arguments": {…}}, or a list of such */
    RF_CALL_NAMED,   /* a name, then its arguments as a JSON object */
    RF_CALL_PARAMS,  /* a name, then keys and values between markers */
    RF_CALL_CHANNELS /* gpt-oss: messages with headers */
} rf_call_form;

/* Markers; "" where there is none. */
typedef struct rf_call_syntax {
    const char *name;
    const char *sign, *lacks; /* the template contains the first and not the second ("": no rule) */
    rf_call_form form;
    const char *open,
        *close;       /* around all calls; open "": the answer's first character is { or [ */
    const char *call; /* before each name; of JSON: may stand before the first call */
    const char *id;   /* after the name, before the call's own id */
    const char *name_end;
    const char *call_end;
    const char *param, *key_end, *value, *param_end; /* <param>key<key_end><value>text<param_end> */
} rf_call_syntax;

/* The family of a template; one that fits every JSON call at the start of an answer when none
 * matches. */
const rf_call_syntax *rf_call_syntax_of(rf_str template_source);
/* By name, for tests; NULL: none. */
const rf_call_syntax *rf_call_syntax_named(const char *name);

typedef struct rf_reasoning_syntax {
    const char *begin, *end;
} rf_reasoning_syntax;

/* A control token's text is part of how calls or reasoning are written: the parser must see it.
 * Either may be NULL. */
bool rf_call_syntax_needs(const rf_call_syntax *syntax, const rf_reasoning_syntax *reasoning,
                          rf_str text);

/* NULL: the template knows no reasoning between markers. */
const rf_reasoning_syntax *rf_reasoning_syntax_of(rf_str template_source);
/* The prompt ends inside of reasoning that the answer goes on with. */
bool rf_reasoning_is_open(const rf_reasoning_syntax *syntax, rf_str prompt);

#endif
