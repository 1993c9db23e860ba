#include "base/utf8.h"

static bool is_continuation(unsigned char c) { return (c & 0xc0) == 0x80; }

/* Length that a lead byte announces, 0 for a byte that cannot lead. */
static size_t lead_length(unsigned char c) {
    if (c < 0x80)
        return 1;
    if (c < 0xc2)
        return 0;
    if (c < 0xe0)
        return 2;
    if (c < 0xf0)
        return 3;
    return c < 0xf5 ? 4 : 0;
}

/* The second byte's range depends on the lead byte (table 3-7). */
static bool second_ok(unsigned char lead, unsigned char c) {
    switch (lead) {
    case 0xe0: return c >= 0xa0 && c <= 0xbf;
    case 0xed: return c >= 0x80 && c <= 0x9f;
    case 0xf0: return c >= 0x90 && c <= 0xbf;
    case 0xf4: return c >= 0x80 && c <= 0x8f;
    default: return is_continuation(c);
    }
}

size_t rf_utf8_decode(const char *s, size_t n, uint32_t *code) {
    if (n == 0)
        return 0;
    const unsigned char *p = (const unsigned char *)s;
    size_t len = lead_length(p[0]);
    if (len == 1) {
        *code = p[0];
        return 1;
    }
    if (len == 0 || n < len || !second_ok(p[0], p[1]))
        return 0;
    uint32_t c = p[0] & (0xffu >> (len + 1));
    for (size_t i = 1; i < len; i++) {
        if (!is_continuation(p[i]))
            return 0;
        c = c << 6 | (p[i] & 0x3fu);
    }
    *code = c;
    return len;
}

size_t rf_utf8_encode(uint32_t code, char out[4]) {
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (char)(0xc0 | code >> 6);
        out[1] = (char)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        if (code >= 0xd800 && code < 0xe000)
            return 0;
        out[0] = (char)(0xe0 | code >> 12);
        out[1] = (char)(0x80 | (code >> 6 & 0x3f));
        out[2] = (char)(0x80 | (code & 0x3f));
        return 3;
    }
    if (code > 0x10ffff)
        return 0;
    out[0] = (char)(0xf0 | code >> 18);
    out[1] = (char)(0x80 | (code >> 12 & 0x3f));
    out[2] = (char)(0x80 | (code >> 6 & 0x3f));
    out[3] = (char)(0x80 | (code & 0x3f));
    return 4;
}

size_t rf_utf8_valid_prefix(const char *s, size_t n) {
    size_t i = 0;
    while (i < n) {
        uint32_t code;
        size_t len = rf_utf8_decode(s + i, n - i, &code);
        if (len == 0)
            break;
        i += len;
    }
    return i;
}

size_t rf_utf8_unfinished_tail(const char *s, size_t n) {
    for (size_t back = 1; back <= 3 && back <= n; back++) {
        const unsigned char *p = (const unsigned char *)s + n - back;
        if (is_continuation(p[0]))
            continue;
        size_t len = lead_length(p[0]);
        if (len <= back || (back >= 2 && !second_ok(p[0], p[1])))
            return 0;
        return back;
    }
    return 0;
}
