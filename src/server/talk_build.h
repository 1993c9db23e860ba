/*
 * What translators of other APIs need to make a talk: messages in OpenAI's shape. Functions return
 * false or NULL when memory runs out. Any thread.
 */
#ifndef RF_SERVER_TALK_BUILD_H
#define RF_SERVER_TALK_BUILD_H

#include <jansson.h>

#include "base/buf.h"
#include "server/talk.h"

/* {"role", "content"}, added to messages; borrowed, NULL: out of memory. */
json_t *rf_talk_add(json_t *messages, const char *role, rf_str content);
/* A call of a tool, added to an assistant's message; arguments: a JSON text. */
bool rf_talk_add_call(json_t *message, const char *id, const char *name, const char *arguments);
/* {"type": "function", "function": {…}}, added to tools; description and parameters may be NULL. */
bool rf_talk_add_tool(json_t *tools, const json_t *name, json_t *description, json_t *parameters);
bool rf_talk_set_text(json_t *message, const char *key, rf_str text);

/* Tells the template how much to think: reasoning_effort, and enable_thinking, which is off for
 * "none". What chat_template_kwargs say already stays. False: out of memory. */
bool rf_talk_set_effort(rf_talk *talk, rf_str effort);

#endif
