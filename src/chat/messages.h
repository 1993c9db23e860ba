/*
 * Messages to prompt: builds the variables that chat templates expect and renders. Any thread.
 */
#ifndef RF_CHAT_MESSAGES_H
#define RF_CHAT_MESSAGES_H

#include "chat/template.h"

/* Everything is borrowed. JSON texts may be empty: tools and kwargs are then absent. */
typedef struct rf_prompt_request {
    rf_str messages; /* JSON array of objects with role and content */
    rf_str tools;    /* JSON array, or empty for none */
    rf_str kwargs;   /* JSON object: further variables; they may replace the ones below */
    rf_str bos_token, eos_token; /* plain text, empty: the model has none */
    bool add_generation_prompt;
    /* Cuts the text right behind the final message's content, so that the model goes on with it. */
    bool continue_final_message;
    int64_t clock; /* seconds since 1970, UTC */
} rf_prompt_request;

/* Appends the prompt to out; failures as rf_template_render reports them. */
RF_NODISCARD rf_status rf_prompt_render(const rf_template *tmpl, const rf_prompt_request *request,
                                        rf_buf *out, rf_template_error_kind *kind, rf_error *err);

/* Appends {"role": …, "content": …} to a JSON array being built in messages (empty at first, or
 * what this function made before). The result is a whole array after every call. */
void rf_messages_append(rf_buf *messages, rf_str role, rf_str content);

/* Appends s as a JSON string; invalid UTF-8 becomes U+FFFD. */
void rf_json_append_string(rf_buf *out, rf_str s);

#endif
