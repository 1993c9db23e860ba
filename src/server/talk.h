/*
 * A conversation that is to be answered: messages and tools in the shape that chat templates know,
 * and how what the model writes is taken apart. Filled from the body of one of the chat endpoints,
 * rendered by a worker, then owned by the answer. One thread at a time.
 */
#ifndef RF_SERVER_TALK_H
#define RF_SERVER_TALK_H

#include "chat/reply.h"
#include "server/fields.h"
#include "tokenizer/tokenizer.h"

struct rf_server;

typedef enum rf_tool_choice {
    RF_TOOLS_AUTO,
    RF_TOOLS_NONE,
    RF_TOOLS_REQUIRED,
    RF_TOOLS_NAMED /* the tool `tool_name` */
} rf_tool_choice;

/* Zero-initialise. The JSON is owned: references of the body's, or values of its own. */
typedef struct rf_talk {
    json_t *messages; /* OpenAI's, checked: contents are strings */
    json_t *tools;    /* [{"type": "function", "function": {"name", "parameters", …}}] or NULL */
    json_t *kwargs;   /* further variables of the template, or NULL */
    rf_tool_choice tool_choice;
    char tool_name[128];
    bool one_call; /* a second call in one answer is not wanted */
    bool adds_prompt, continues_last;
    char *settings;    /* owned; JSON members that the answer repeats, or NULL */
    const char *field; /* what errors of the template are about: "messages" */
    /* Set by rendering. */
    const rf_call_syntax *syntax; /* NULL: calls stay text */
    const rf_reasoning_syntax *reasoning;
    bool reasoning_open;
} rf_talk;

void rf_talk_deinit(rf_talk *talk);

/* From the fields of chat completions (and of /apply-template). Changes the messages of the body:
 * content parts become one text, developer becomes system. */
bool rf_talk_init_chat(rf_talk *talk, const rf_ask *ask, rf_refusal *refusal);
/* Tools, tool_choice and parallel_tool_calls as OpenAI has them in chat completions. */
bool rf_talk_take_tools(rf_talk *talk, const rf_ask *ask, rf_refusal *refusal);
/* What it is made of: checks talk->tools (an empty list becomes none); the choice among them. */
bool rf_talk_check_tools(rf_talk *talk, rf_refusal *refusal);
bool rf_talk_set_tool_choice(rf_talk *talk, rf_tool_choice choice, const char *name,
                             rf_refusal *refusal);
/* The same for messages that were made elsewhere: checks and normalises them. */
bool rf_talk_check_messages(json_t *messages, rf_refusal *refusal);
/* In place; false: out of memory. */
bool rf_talk_open_arguments(json_t *messages, bool *changed);
/* For templates that know no tools: tells them in the system message, and past calls as text. */
bool rf_talk_tell_tools(json_t *messages, const json_t *tools);

/* Through the model's chat template. */
bool rf_talk_render(rf_talk *talk, const struct rf_server *server, rf_buf *out,
                    rf_refusal *refusal);
bool rf_talk_tokens(rf_talk *talk, const struct rf_server *server, rf_tokens *out,
                    rf_refusal *refusal);

/* A tool's function object; NULL: there is none of that name. */
const json_t *rf_talk_tool(const rf_talk *talk, rf_str name);
rf_param_kind rf_talk_param_kind(const rf_talk *talk, rf_str tool, rf_str param);
/* Control tokens whose text the parser needs, as bits; NULL: none. */
const uint32_t *rf_talk_shown(const rf_talk *talk, const struct rf_server *server);

#endif
