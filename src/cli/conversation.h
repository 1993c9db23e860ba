/*
 * A list of chat messages and the template that turns them into a prompt. Main thread. The
 * tokenizer of the session must outlive it.
 */
#ifndef RF_CLI_CONVERSATION_H
#define RF_CLI_CONVERSATION_H

#include <jansson.h>

#include "chat/template.h"
#include "cli/session.h"

typedef struct rf_conversation {
    json_t *messages; /* owned; [{"role", "content"}] */
    rf_template *tmpl;
    const rf_tokenizer *tokenizer;
} rf_conversation;

/* The template of --chat-template-file or the model's own; without either RF_ERR_NOT_FOUND. A
 * system message from --system comes first. */
RF_NODISCARD rf_status rf_conversation_init(rf_conversation *conversation, rf_cli *cli,
                                            const rf_session *session, rf_error *err);
void rf_conversation_deinit(rf_conversation *conversation); /* safe on a zeroed one */

size_t rf_conversation_length(const rf_conversation *conversation);
/* content must be UTF-8. */
RF_NODISCARD rf_status rf_conversation_add(rf_conversation *conversation, const char *role,
                                           rf_str content, rf_error *err);
void rf_conversation_truncate(rf_conversation *conversation, size_t n_messages);
/* Replaces, adds or (NULL) removes the system message in front. */
RF_NODISCARD rf_status rf_conversation_system(rf_conversation *conversation, const char *text,
                                              rf_error *err);
bool rf_conversation_has_system(const rf_conversation *conversation);

/* The prompt that asks for the next answer. */
RF_NODISCARD rf_status rf_conversation_tokens(const rf_conversation *conversation, rf_tokens *out,
                                              rf_error *err);

#endif
