/*
 * Splits a template into tokens, with the whitespace rules of trim_blocks and lstrip_blocks applied
 * and string escapes resolved. Tokens and their texts live in the arena given.
 */
#ifndef RF_CHAT_JINJA_LEXER_H
#define RF_CHAT_JINJA_LEXER_H

#include <stdint.h>

#include "base/arena.h"
#include "base/status.h"

typedef enum rf_jtoken_type {
#define X(id, text) RF_JT_##id,
#include "chat/jinja_tokens.def"
#undef X
    RF_JT_COUNT
} rf_jtoken_type;

typedef struct rf_jtoken {
    rf_jtoken_type type;
    uint32_t line; /* from 1 */
    rf_str text;   /* DATA, NAME, STRING: the value; INTEGER, FLOAT: digits without '_' */
} rf_jtoken;

/* source is borrowed while this runs. The last token is EOF. */
RF_NODISCARD rf_status rf_jinja_lex(rf_str source, rf_arena *arena, rf_jtoken **tokens,
                                    size_t *n_tokens, rf_error *err);
const char *rf_jtoken_name(rf_jtoken_type type);

/* Resolves the escapes of a string literal (Python's unicode-escape). false: *problem says why. */
bool rf_jinja_unescape(rf_str raw, char *out, size_t *n_out, const char **problem);

#endif
