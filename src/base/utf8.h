/* UTF-8 by the Unicode standard, table 3-7: no surrogates, no overlong forms. Any thread. */
#ifndef RF_BASE_UTF8_H
#define RF_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decodes the character at s (n bytes are readable). Returns its length, 1 to 4, and sets *code;
 * returns 0 when the bytes there are no whole valid character (n == 0 included). */
size_t rf_utf8_decode(const char *s, size_t n, uint32_t *code);

/* Writes code to out (4 bytes are enough); returns the length, 0 if code is no scalar value. */
size_t rf_utf8_encode(uint32_t code, char out[4]);

/* Number of leading bytes of s that are valid UTF-8; n when all are. */
size_t rf_utf8_valid_prefix(const char *s, size_t n);

/* Length of an unfinished but so far valid character at the very end of s (0 to 3): what a
 * streaming writer must hold back. */
size_t rf_utf8_unfinished_tail(const char *s, size_t n);

#endif
