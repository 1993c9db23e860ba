/*
 * A running chat: session, conversation and what the commands of chat_commands.def act on. Main
 * thread. Freed by cmd_chat.c.
 */
#ifndef RF_CLI_CHAT_STATE_H
#define RF_CLI_CHAT_STATE_H

#include "cli/conversation.h"
#include "cli/generation.h"

typedef struct rf_chat {
    rf_cli *cli;
    rf_session session;
    rf_conversation conversation;
    rf_sampling sampling;
    rf_buf answer;      /* text of the current answer */
    rf_tokens context;  /* of the last answer, prompt and all: what the cache may hold */
    rf_generation last; /* of the last answer */
    size_t n_answers;   /* since the start */
    size_t n_generated; /* tokens of all answers */
    size_t n_steps;     /* tokens but the first of each answer */
    uint64_t steps_ns;  /* the time that these took */
    bool leaving;       /* /exit was typed */
} rf_chat;

/* Answers the conversation, whose last message is the user's, and appends the answer. When it
 * fails the conversation is as before the answer. */
RF_NODISCARD rf_status rf_chat_answer(rf_chat *chat, rf_error *err);

/* Runs a line that begins with a slash. */
RF_NODISCARD rf_status rf_chat_command(rf_chat *chat, rf_str line, rf_error *err);

#endif
