/* Escapes of string literals: what Python makes of text.encode("ascii", "backslashreplace")
 * .decode("unicode-escape"), which is how Jinja reads them. */
#include <stdio.h>

#include "base/utf8.h"
#include "chat/jinja_chars.h"
#include "chat/jinja_lexer.h"

static int hex_value(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool hex(rf_str s, size_t at, size_t n, uint32_t *code) {
    *code = 0;
    for (size_t i = 0; i < n; i++) {
        int digit = at + i < s.len ? hex_value(s.ptr[at + i]) : -1;
        if (digit < 0)
            return false;
        *code = *code << 4 | (uint32_t)digit;
    }
    return true;
}

/* Surrogates, which UTF-8 cannot carry, become the replacement character. */
static size_t put(char *out, uint32_t code) {
    size_t n = rf_utf8_encode(code, out);
    return n ? n : rf_utf8_encode(0xfffd, out);
}

static char simple_escape(char c) {
    static const char from[] = "\\'\"abfnrtv", to[] = "\\'\"\a\b\f\n\r\t\v";
    const char *found = c ? strchr(from, c) : NULL;
    return found ? to[found - from] : 0;
}

/* The escape whose backslash stands at *i; moves *i past it. */
static bool one(rf_str s, size_t *i, char *out, size_t *n, const char **problem) {
    size_t at = *i + 1;
    char c = s.ptr[at];
    uint32_t code;
    if (c == '\n') {
        *i = at + 1;
    } else if (simple_escape(c)) {
        out[(*n)++] = simple_escape(c);
        *i = at + 1;
    } else if (c >= '0' && c <= '7') {
        code = 0;
        size_t k = 0;
        for (; k < 3 && at + k < s.len && s.ptr[at + k] >= '0' && s.ptr[at + k] <= '7'; k++)
            code = code * 8 + (uint32_t)(s.ptr[at + k] - '0');
        *n += put(out + *n, code);
        *i = at + k;
    } else if (c == 'x' || c == 'u' || c == 'U') {
        size_t width = c == 'x' ? 2 : c == 'u' ? 4 : 8;
        if (!hex(s, at + 1, width, &code) || code > 0x10ffff) {
            *problem = c == 'x' ? "truncated \\xXX escape" : "truncated \\uXXXX escape";
            return false;
        }
        *n += put(out + *n, code);
        *i = at + 1 + width;
    } else if (c == 'N') {
        const char *end = at + 1 < s.len && s.ptr[at + 1] == '{'
                              ? memchr(s.ptr + at + 2, '}', s.len - at - 2)
                              : NULL;
        if (!end) {
            *problem = "malformed \\N character escape";
            return false;
        }
        const char *text = rf_char_by_name(rf_str_sub(s, at + 2, (size_t)(end - s.ptr)));
        if (!text) {
            *problem = "unknown Unicode character name";
            return false;
        }
        memcpy(out + *n, text, strlen(text));
        *n += strlen(text);
        *i = (size_t)(end - s.ptr) + 1;
    } else if ((unsigned char)c >= 0x80) { /* encoded with a backslash of its own first */
        size_t used = rf_utf8_decode(s.ptr + at, s.len - at, &code);
        *n += (size_t)snprintf(out + *n, 12,
                               code < 0x100     ? "\\x%02x"
                               : code < 0x10000 ? "\\u%04x"
                                                : "\\U%08x",
                               code);
        *i = at + used;
    } else {
        out[(*n)++] = '\\';
        *i = at;
    }
    return true;
}

bool rf_jinja_unescape(rf_str raw, char *out, size_t *n_out, const char **problem) {
    size_t n = 0;
    for (size_t i = 0; i < raw.len;) {
        if (raw.ptr[i] != '\\') {
            out[n++] = raw.ptr[i++];
        } else if (i + 1 >= raw.len) {
            *problem = "\\ at end of string";
            return false;
        } else if (!one(raw, &i, out, &n, problem)) {
            return false;
        }
    }
    *n_out = n;
    return true;
}
