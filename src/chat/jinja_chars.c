#include "chat/jinja_chars.h"

#include <utf8proc.h>

#include "base/utf8.h"

static utf8proc_category_t category(uint32_t c) { return utf8proc_category((utf8proc_int32_t)c); }

bool rf_char_is_space(uint32_t c) {
    if (c < 0x80)
        return c == ' ' || (c >= 9 && c <= 13) || (c >= 0x1c && c <= 0x1f);
    utf8proc_category_t g = category(c);
    return c == 0x85 || g == UTF8PROC_CATEGORY_ZS || c == 0x2028 || c == 0x2029;
}

bool rf_char_is_line_end(uint32_t c) {
    return (c >= 10 && c <= 13) || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 ||
           c == 0x2029;
}

bool rf_char_is_alpha(uint32_t c) {
    utf8proc_category_t g = category(c);
    return g >= UTF8PROC_CATEGORY_LU && g <= UTF8PROC_CATEGORY_LO;
}

bool rf_char_is_decimal(uint32_t c) { return category(c) == UTF8PROC_CATEGORY_ND; }

/* Superscripts, subscripts and circled digits have a digit value without being decimal. */
bool rf_char_is_digit(uint32_t c) {
    static const uint32_t ranges[][2] = {
        {0xb2, 0xb3},       {0xb9, 0xb9},       {0x1369, 0x1371},   {0x19da, 0x19da},
        {0x2070, 0x2070},   {0x2074, 0x2079},   {0x2080, 0x2089},   {0x2460, 0x2468},
        {0x2474, 0x247c},   {0x2488, 0x2490},   {0x24ea, 0x24ea},   {0x24f5, 0x24fd},
        {0x24ff, 0x24ff},   {0x2776, 0x277e},   {0x2780, 0x2788},   {0x278a, 0x2792},
        {0x10a40, 0x10a43}, {0x10e60, 0x10e68}, {0x11052, 0x1105a}, {0x1f100, 0x1f10a}};
    if (rf_char_is_decimal(c))
        return true;
    for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
        if (c >= ranges[i][0] && c <= ranges[i][1])
            return true;
    return false;
}

/* Ideographs that Unihan gives a numeric value, besides the categories of numbers. */
bool rf_char_is_numeric(uint32_t c) {
    static const uint32_t han[] = {
        0x3405, 0x3483, 0x382a, 0x3b4d, 0x4e00, 0x4e03, 0x4e07, 0x4e09, 0x4e5d, 0x4e8c,
        0x4e94, 0x4e96, 0x4ebf, 0x4edf, 0x4ee8, 0x4f0d, 0x4f70, 0x5104, 0x5146, 0x5169,
        0x516b, 0x516d, 0x5341, 0x5343, 0x5344, 0x5345, 0x534c, 0x53c1, 0x53c2, 0x53c3,
        0x53c4, 0x56db, 0x58f1, 0x58f9, 0x5e7a, 0x5efe, 0x5eff, 0x5f0c, 0x5f0d, 0x5f0e,
        0x5f10, 0x62fe, 0x634c, 0x67d2, 0x6f06, 0x7396, 0x767e, 0x8086, 0x842c, 0x8cae,
        0x8cb3, 0x8d30, 0x9621, 0x9646, 0x964c, 0x9678, 0x96f6};
    utf8proc_category_t g = category(c);
    if (g == UTF8PROC_CATEGORY_ND || g == UTF8PROC_CATEGORY_NL || g == UTF8PROC_CATEGORY_NO)
        return true;
    for (size_t i = 0; i < sizeof han / sizeof *han; i++)
        if (c == han[i])
            return true;
    return false;
}

bool rf_char_is_alnum(uint32_t c) {
    if (c < 0x80)
        return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return rf_char_is_alpha(c) || rf_char_is_numeric(c);
}

bool rf_char_is_upper(uint32_t c) { return utf8proc_isupper((utf8proc_int32_t)c) != 0; }
bool rf_char_is_lower(uint32_t c) { return utf8proc_islower((utf8proc_int32_t)c) != 0; }
bool rf_char_is_title(uint32_t c) { return category(c) == UTF8PROC_CATEGORY_LT; }

bool rf_char_is_printable(uint32_t c) {
    utf8proc_category_t g = category(c);
    if (c == ' ')
        return true;
    return !(g == UTF8PROC_CATEGORY_CC || g == UTF8PROC_CATEGORY_CF || g == UTF8PROC_CATEGORY_CS ||
             g == UTF8PROC_CATEGORY_CO || g == UTF8PROC_CATEGORY_CN || g == UTF8PROC_CATEGORY_ZS ||
             g == UTF8PROC_CATEGORY_ZL || g == UTF8PROC_CATEGORY_ZP);
}

int rf_char_digit(uint32_t c) {
    if (c >= '0' && c <= '9')
        return (int)(c - '0');
    if (c < 0x80 || !rf_char_is_decimal(c))
        return -1;
    uint32_t zero =
        c; /* decimal digits come in runs of ten that start at a multiple of their own */
    while (c - zero < 9 && rf_char_is_decimal(zero - 1))
        zero--;
    return (int)((c - zero) % 10);
}

size_t rf_chars_at(rf_str s, size_t at, uint32_t *code) {
    if (at >= s.len)
        return 0;
    size_t n = rf_utf8_decode(s.ptr + at, s.len - at, code);
    if (n)
        return n;
    *code = 0xfffd;
    return 1;
}

size_t rf_chars_before(rf_str s, size_t at, uint32_t *code) {
    if (at == 0)
        return 0;
    size_t start = at - 1;
    while (start > 0 && at - start < 4 && ((unsigned char)s.ptr[start] & 0xc0) == 0x80)
        start--;
    if (rf_utf8_decode(s.ptr + start, at - start, code) == at - start)
        return at - start;
    *code = 0xfffd;
    return 1;
}

size_t rf_chars_space_prefix(rf_str s) {
    size_t i = 0;
    uint32_t code;
    for (size_t n; (n = rf_chars_at(s, i, &code)) > 0 && rf_char_is_space(code);)
        i += n;
    return i;
}

rf_str rf_chars_rstrip(rf_str s) {
    uint32_t code;
    for (size_t n; (n = rf_chars_before(s, s.len, &code)) > 0 && rf_char_is_space(code);)
        s.len -= n;
    return s;
}

bool rf_chars_is_identifier(rf_str s) {
    uint32_t code;
    bool first = true;
    for (size_t i = 0, n; (n = rf_chars_at(s, i, &code)) > 0; i += n, first = false) {
        utf8proc_category_t g = category(code);
        bool start = code == '_' || rf_char_is_alpha(code) || g == UTF8PROC_CATEGORY_NL;
        bool rest = g == UTF8PROC_CATEGORY_ND || g == UTF8PROC_CATEGORY_MN ||
                    g == UTF8PROC_CATEGORY_MC || g == UTF8PROC_CATEGORY_PC;
        if (!start && (first || !rest))
            return false;
    }
    return s.len > 0;
}

size_t rf_chars_count(rf_str s) {
    size_t n = 0;
    for (size_t i = 0; i < s.len; i++)
        n += ((unsigned char)s.ptr[i] & 0xc0) != 0x80;
    return n;
}

bool rf_chars_is_ascii(rf_str s) {
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.ptr[i] >= 0x80)
            return false;
    return true;
}

size_t rf_chars_offset(rf_str s, size_t i) {
    size_t at = 0;
    while (at < s.len && i > 0) {
        at++;
        while (at < s.len && ((unsigned char)s.ptr[at] & 0xc0) == 0x80)
            at++;
        i--;
    }
    return at;
}

/* Names that templates write as \N{…}; the standard has them all in UnicodeData.txt. */
static const struct {
    const char *name, *text;
} named[] = {
#define X(name, text) {name, text},
#include "chat/jinja_char_names.def"
#undef X
};

const char *rf_char_by_name(rf_str name) {
    for (size_t i = 0; i < sizeof named / sizeof *named; i++)
        if (name.len == strlen(named[i].name) &&
            strncasecmp(name.ptr, named[i].name, name.len) == 0)
            return named[i].text;
    return NULL;
}
