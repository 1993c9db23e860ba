/*
 * What the cache holds of a conversation, beside the file of its messages: FILE.kv. Neither knows
 * the other: the cache serves every conversation that begins with its tokens. Main thread.
 */
#ifndef RF_CLI_CHAT_CACHE_H
#define RF_CLI_CHAT_CACHE_H

#include "cli/chat_state.h"

/* Both tell in one note what was saved or loaded, or why it was not: the conversation goes on
 * without. Fails only when memory runs out or a signal came. */
RF_NODISCARD rf_status rf_chat_cache_save(rf_chat *chat, const char *path, rf_error *err);
RF_NODISCARD rf_status rf_chat_cache_load(rf_chat *chat, const char *path, rf_error *err);

#endif
