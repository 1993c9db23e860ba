/* Case mappings by utf8proc, with the multi-character ones of Unicode's SpecialCasing.txt. */
#include <utf8proc.h>

#include "base/utf8.h"
#include "chat/jinja_chars.h"

typedef struct special {
    uint32_t code;
    const char *upper, *title;
} special;

/* SpecialCasing.txt, unconditional mappings to several characters. */
static const special specials[] = {
#define X(code, upper, title) {code, upper, title},
#include "chat/jinja_special_case.def"
#undef X
};

static const special *find_special(uint32_t c) {
    if (c < 0xdf)
        return NULL;
    for (size_t i = 0; i < sizeof specials / sizeof *specials; i++)
        if (specials[i].code == c)
            return &specials[i];
    return NULL;
}

static void put(rf_buf *out, uint32_t c) {
    char text[4];
    rf_buf_append(out, text, rf_utf8_encode(c, text));
}

static void put_upper(rf_buf *out, uint32_t c) {
    const special *s = find_special(c);
    if (s)
        rf_buf_text(out, s->upper);
    else
        put(out, (uint32_t)utf8proc_toupper((utf8proc_int32_t)c));
}

/* Greek iota subscripts: 1f80 … 1fff form rows of eight, whose titlecase is a single character. */
static void put_title(rf_buf *out, uint32_t c) {
    const special *s = find_special(c);
    if (s && s->title)
        rf_buf_text(out, s->title);
    else
        put(out, (uint32_t)utf8proc_totitle((utf8proc_int32_t)c));
}

static bool is_cased(uint32_t c) {
    return rf_char_is_upper(c) || rf_char_is_lower(c) || rf_char_is_title(c);
}

static bool is_case_ignorable(uint32_t c) {
    utf8proc_category_t g = utf8proc_category((utf8proc_int32_t)c);
    return g == UTF8PROC_CATEGORY_MN || g == UTF8PROC_CATEGORY_ME || g == UTF8PROC_CATEGORY_CF ||
           g == UTF8PROC_CATEGORY_LM || g == UTF8PROC_CATEGORY_SK || c == '\'' || c == '.' ||
           c == ':' || c == 0xb7 || c == 0x2018 || c == 0x2019 || c == 0x2024 || c == 0x2027;
}

/* Capital sigma becomes final sigma behind a letter and not before one. */
static bool is_final_sigma(rf_str s, size_t at) {
    uint32_t c = 0;
    size_t i = at, n;
    while ((n = rf_chars_before(s, i, &c)) > 0 && is_case_ignorable(c))
        i -= n;
    if (n == 0 || !is_cased(c))
        return false;
    i = at + 2;
    while ((n = rf_chars_at(s, i, &c)) > 0 && is_case_ignorable(c))
        i += n;
    return n == 0 || !is_cased(c);
}

static void put_lower(rf_buf *out, uint32_t c, rf_str s, size_t at) {
    if (c == 0x130)
        rf_buf_text(out, "i\u0307");
    else if (c == 0x3a3)
        put(out, is_final_sigma(s, at) ? 0x3c2 : 0x3c3);
    else
        put(out, (uint32_t)utf8proc_tolower((utf8proc_int32_t)c));
}

void rf_chars_upper(rf_str s, rf_buf *out) {
    uint32_t c;
    for (size_t i = 0, n; (n = rf_chars_at(s, i, &c)) > 0; i += n)
        put_upper(out, c);
}

void rf_chars_lower(rf_str s, rf_buf *out) {
    uint32_t c;
    for (size_t i = 0, n; (n = rf_chars_at(s, i, &c)) > 0; i += n)
        put_lower(out, c, s, i);
}

void rf_chars_title(rf_str s, rf_buf *out) {
    uint32_t c;
    bool in_word = false;
    for (size_t i = 0, n; (n = rf_chars_at(s, i, &c)) > 0; i += n) {
        if (in_word)
            put_lower(out, c, s, i);
        else
            put_title(out, c);
        in_word = is_cased(c);
    }
}

void rf_chars_capitalize(rf_str s, rf_buf *out) {
    uint32_t c;
    for (size_t i = 0, n; (n = rf_chars_at(s, i, &c)) > 0; i += n) {
        if (i == 0)
            put_title(out, c);
        else
            put_lower(out, c, s, i);
    }
}

void rf_chars_swapcase(rf_str s, rf_buf *out) {
    uint32_t c;
    for (size_t i = 0, n; (n = rf_chars_at(s, i, &c)) > 0; i += n) {
        if (rf_char_is_upper(c))
            put_lower(out, c, s, i);
        else if (rf_char_is_lower(c))
            put_upper(out, c);
        else
            put(out, c);
    }
}

void rf_chars_casefold(rf_str s, rf_buf *out) {
    uint32_t c;
    for (size_t i = 0, n; (n = rf_chars_at(s, i, &c)) > 0; i += n) {
        utf8proc_int32_t folded[8];
        int last = 0;
        utf8proc_ssize_t count =
            utf8proc_decompose_char((utf8proc_int32_t)c, folded, 8, UTF8PROC_CASEFOLD, &last);
        for (utf8proc_ssize_t k = 0; k < count && k < 8; k++)
            put(out, (uint32_t)folded[k]);
    }
}
