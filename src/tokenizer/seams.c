#include "tokenizer/seams.h"

#include "tokenizer/char_class.h"

typedef struct edges {
    unsigned first, last; /* bytes of a character */
    size_t len;
} edges;

static inline edges edges_at(const char *s, size_t n) {
    unsigned first = (unsigned char)*s;
    if (first < 0x80)
        return (edges){first, first, 1};
    if (n >= 3 && memcmp(s, "\xe2\x96\x81", 3) == 0)
        return (edges){' ', ' ', 3};
    size_t len = rf_char_length(*s);
    len = len < n ? len : n;
    return (edges){first, (unsigned char)s[len - 1], len};
}

void rf_seams_build(rf_seams *seams, const rf_vocab *vocab, unsigned types) {
    *seams = (rf_seams){0};
    for (uint32_t id = 0; id < vocab->n; id++) {
        rf_str text = rf_vocab_text(vocab, id);
        if (text.len < 2 || !rf_vocab_is(vocab, id, types))
            continue;
        edges left = edges_at(text.ptr, text.len);
        for (size_t i = left.len; i < text.len; i += left.len) {
            edges right = edges_at(text.ptr + i, text.len - i);
            seams->joined[left.last][right.first >> 5] |= 1u << (right.first & 31);
            left = right;
        }
    }
}

size_t rf_seams_part(const rf_seams *seams, rf_str text) {
    edges left = edges_at(text.ptr, text.len);
    size_t i = left.len;
    while (i < text.len) {
        edges right = edges_at(text.ptr + i, text.len - i);
        if (!(seams->joined[left.last][right.first >> 5] >> (right.first & 31) & 1))
            break;
        left = right;
        i += right.len;
    }
    return i;
}
