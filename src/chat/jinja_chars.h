/* Character classes and case as Python's str knows them (Unicode, by utf8proc). Any thread. */
#ifndef RF_CHAT_JINJA_CHARS_H
#define RF_CHAT_JINJA_CHARS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/str.h"

bool rf_char_is_space(uint32_t c);
bool rf_char_is_alnum(uint32_t c);
bool rf_char_is_alpha(uint32_t c);
bool rf_char_is_decimal(uint32_t c);
bool rf_char_is_digit(uint32_t c);
bool rf_char_is_numeric(uint32_t c);
bool rf_char_is_upper(uint32_t c);
bool rf_char_is_lower(uint32_t c);
bool rf_char_is_title(uint32_t c);
bool rf_char_is_printable(uint32_t c);    /* repr shows it as it is */
bool rf_char_is_line_end(uint32_t c);     /* str.splitlines */
int rf_char_digit(uint32_t c);            /* value of a decimal digit, -1 if it is none */
const char *rf_char_by_name(rf_str name); /* UTF-8 of \N{name} for common names, or NULL */

size_t rf_chars_space_prefix(rf_str s); /* bytes of white space at the start */
rf_str rf_chars_rstrip(rf_str s);
bool rf_chars_is_identifier(rf_str s);
size_t rf_chars_count(rf_str s); /* characters of valid UTF-8 */
bool rf_chars_is_ascii(rf_str s);
/* Byte offset of character i (at most the length). */
size_t rf_chars_offset(rf_str s, size_t i);
/* The character before byte offset `at`; its length, 0 at the start. */
size_t rf_chars_before(rf_str s, size_t at, uint32_t *code);
/* The character at offset `at`; its length, 0 at the end. */
size_t rf_chars_at(rf_str s, size_t at, uint32_t *code);

/* Full case mappings with special casing; context (final sigma) included. */
void rf_chars_upper(rf_str s, rf_buf *out);
void rf_chars_lower(rf_str s, rf_buf *out);
void rf_chars_title(rf_str s, rf_buf *out);      /* str.title */
void rf_chars_capitalize(rf_str s, rf_buf *out); /* str.capitalize */
void rf_chars_swapcase(rf_str s, rf_buf *out);
void rf_chars_casefold(rf_str s, rf_buf *out);

#endif
