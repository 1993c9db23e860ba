/*
 * Character classes of the pre-tokenisers: general categories and White_Space, as bits. ASCII comes
 * from a table, the rest from utf8proc. Any thread. Texts given to these functions are valid UTF-8.
 */
#ifndef RF_TOKENIZER_CHAR_CLASS_H
#define RF_TOKENIZER_CHAR_CLASS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    RF_CHAR_LU = 1 << 0,
    RF_CHAR_LL = 1 << 1,
    RF_CHAR_LT = 1 << 2,
    RF_CHAR_LX = 1 << 3, /* Lm and Lo: letters without case */
    RF_CHAR_M = 1 << 4,
    RF_CHAR_N = 1 << 5,
    RF_CHAR_P = 1 << 6,
    RF_CHAR_S = 1 << 7,
    RF_CHAR_SPACE = 1 << 8,   /* White_Space, which is \s */
    RF_CHAR_NEWLINE = 1 << 9, /* CR and LF, which are RF_CHAR_SPACE too */
    RF_CHAR_OTHER = 1 << 10,  /* controls, format characters, unassigned */

    RF_CHAR_ND = 1 << 11, /* decimal digits, which are RF_CHAR_N too */

    RF_CHAR_DIGIT = RF_CHAR_N | RF_CHAR_ND,
    RF_CHAR_L = RF_CHAR_LU | RF_CHAR_LL | RF_CHAR_LT | RF_CHAR_LX,
    RF_CHAR_SYMBOL = RF_CHAR_M | RF_CHAR_P | RF_CHAR_S | RF_CHAR_OTHER /* [^\s\p{L}\p{N}] */
};

extern const uint16_t rf_char_ascii_class[128];
uint32_t rf_char_wide_class(uint32_t code); /* code >= 128 */
bool rf_char_is_han(uint32_t code);         /* Script=Han */

static inline uint32_t rf_char_class(uint32_t code) {
    return code < 128 ? rf_char_ascii_class[code] : rf_char_wide_class(code);
}

static inline size_t rf_char_length(char lead) {
    unsigned char c = (unsigned char)lead;
    return c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

/* The character at s, which is whole and valid. */
static inline uint32_t rf_char_decode(const char *s, size_t *len) {
    const unsigned char *p = (const unsigned char *)s;
    *len = rf_char_length(*s);
    switch (*len) {
    case 1: return p[0];
    case 2: return (p[0] & 0x1fu) << 6 | (p[1] & 0x3fu);
    case 3: return (p[0] & 0x0fu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
    default:
        return (p[0] & 0x07u) << 18 | (p[1] & 0x3fu) << 12 | (p[2] & 0x3fu) << 6 | (p[3] & 0x3fu);
    }
}

static inline uint32_t rf_char_class_at(const char *s, size_t *len) {
    if ((unsigned char)*s < 0x80) {
        *len = 1;
        return rf_char_ascii_class[(unsigned char)*s];
    }
    return rf_char_wide_class(rf_char_decode(s, len));
}

/* End of the run of characters of any class in mask that starts at byte at (at, if none). */
static inline size_t rf_char_run(const char *s, size_t at, size_t end, uint32_t mask) {
    while (at < end) {
        size_t len;
        if (!(rf_char_class_at(s + at, &len) & mask))
            break;
        at += len;
    }
    return at;
}

#endif
