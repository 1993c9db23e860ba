/*
 * Takes an answer apart as it is generated: text, reasoning, calls of tools with their arguments.
 * The same parts come out however the text is cut into pieces. What looks like a call and is none
 * (broken JSON, an unknown tool) is text: nothing is lost. One thread a parser.
 */
#ifndef RF_CHAT_REPLY_H
#define RF_CHAT_REPLY_H

#include "base/buf.h"
#include "base/status.h"
#include "chat/call_syntax.h"
#include "chat/json_scan.h"

typedef enum rf_reply_part {
    RF_REPLY_TEXT,
    RF_REPLY_REASONING,
    RF_REPLY_CALL,      /* a call begins; the text is the tool's name */
    RF_REPLY_ARGUMENTS, /* the next piece of the last call's arguments, a JSON object */
    RF_REPLY_CALL_END
} rf_reply_part;

/* What a parameter's schema says of values that are written without quotes. */
typedef enum rf_param_kind { RF_PARAM_UNKNOWN, RF_PARAM_TEXT, RF_PARAM_JSON } rf_param_kind;

typedef struct rf_reply_options {
    const rf_call_syntax *syntax;         /* NULL: no calls, all of it is text */
    const rf_reasoning_syntax *reasoning; /* NULL: none */
    bool reasoning_open;                  /* the prompt ended inside of it */
    rf_status (*on_part)(void *user, rf_reply_part part, rf_str text, rf_error *err);
    /* Of a tool and its parameters; NULL: every name is one, every kind is unknown. */
    bool (*is_tool)(void *user, rf_str name);
    rf_param_kind (*param_kind)(void *user, rf_str tool, rf_str param);
    void *user;
} rf_reply_options;

typedef enum rf_reply_state {
    RF_REPLY_STATE_START, /* nothing but spaces has come */
    RF_REPLY_STATE_REASONING,
    RF_REPLY_STATE_TEXT,
    RF_REPLY_STATE_SECTION, /* between calls */
    RF_REPLY_STATE_OBJECT,
    RF_REPLY_STATE_NAME,
    RF_REPLY_STATE_ARGUMENTS,
    RF_REPLY_STATE_CALL_TAIL,
    RF_REPLY_STATE_PARAMS, /* between parameters */
    RF_REPLY_STATE_VALUE,
    RF_REPLY_STATE_HEADER, /* of a message of gpt-oss */
    RF_REPLY_STATE_BODY,
    RF_REPLY_STATE_COUNT
} rf_reply_state;

/* The fields are the parser's own. */
typedef struct rf_reply {
    rf_reply_options options; /* copied */
    rf_reply_state state;
    rf_buf held; /* what has not been given out: raw text of a call that may still be none */
    size_t at;   /* bytes of held that the state has read */
    bool final;  /* no more will come */
    bool announced, skips_space, was_bare, is_reasoning;
    uint32_t n_calls, n_params; /* of this section; of this call */
    rf_buf name, key;
    rf_json_scan scan;
    size_t key_at, value_at, sent, name_at, name_end, args_at, args_end; /* in held */
} rf_reply;

void rf_reply_init(rf_reply *reply, const rf_reply_options *options);
void rf_reply_deinit(rf_reply *reply);
/* Pieces of whole UTF-8 characters, with the texts of control tokens. Fails with what on_part
 * returns, or RF_ERR_NO_MEMORY, RF_ERR_LIMIT. */
RF_NODISCARD rf_status rf_reply_push(rf_reply *reply, rf_str piece, rf_error *err);
/* What comes next belongs to reasoning. */
bool rf_reply_is_reasoning(const rf_reply *reply);
/* The answer has ended: gives out what was held back. */
RF_NODISCARD rf_status rf_reply_finish(rf_reply *reply, rf_error *err);

#endif
