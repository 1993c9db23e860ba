#include <stdbool.h>

#include "tokenizer/char_class.h"
#include "tokenizer/splitters.h"

typedef struct code_range {
    uint32_t first, last;
} code_range;

/* A set of characters: classes, and ranges in ascending order. */
typedef struct char_set {
    uint32_t classes;
    const code_range *ranges;
    size_t n_ranges;
} char_set;

#define INLINE       static inline __attribute__((always_inline))
#define RANGES(list) (list), sizeof(list) / sizeof *(list)

INLINE bool in_set(const char *s, size_t *len, const char_set *set) {
    uint32_t code = rf_char_decode(s, len);
    if (set->classes && (rf_char_class(code) & set->classes))
        return true;
    size_t lo = 0, hi = set->n_ranges;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (code > set->ranges[mid].last)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < set->n_ranges && code >= set->ranges[lo].first;
}

/* [set]{1,max}, after \s? where blank is set. */
INLINE rf_match set_run(const char *s, size_t at, size_t end, const char_set *set, size_t max,
                        bool blank) {
    size_t len = 0, first = at;
    for (; first < end && !in_set(s + first, &len, set); first += len)
        ;
    size_t i = first;
    for (size_t n = 0; n < max && i < end && in_set(s + i, &len, set); n++)
        i += len;
    if (blank && first > at && first < end) {
        size_t before = first - 1;
        while (((unsigned char)s[before] & 0xc0) == 0x80)
            before--;
        if (rf_char_class_at(s + before, &len) & RF_CHAR_SPACE)
            first = before;
    }
    return (rf_match){first, i};
}

#define SET_RULE(name, max, blank, ...)                              \
    rf_match rf_split_##name(const char *s, size_t at, size_t end) { \
        static const char_set set = {__VA_ARGS__};                   \
        return set_run(s, at, end, &set, max, blank);                \
    }

SET_RULE(digit, 1, false, RF_CHAR_N, NULL, 0)                   /* \p{N} */
SET_RULE(digits, SIZE_MAX, false, RF_CHAR_N, NULL, 0)           /* \p{N}+ */
SET_RULE(digits_by_3, 3, false, RF_CHAR_N, NULL, 0)             /* \p{N}{1,3} */
SET_RULE(crlf, 1, false, RF_CHAR_NEWLINE, NULL, 0)              /* [\r\n] */
SET_RULE(space_letters, SIZE_MAX, true, RF_CHAR_L, NULL, 0)     /* \s?\p{L}+ */
SET_RULE(space_punctuation, SIZE_MAX, true, RF_CHAR_P, NULL, 0) /* \s?\p{P}+ */

static const code_range line_feed[] = {{'\n', '\n'}};
SET_RULE(newlines, SIZE_MAX, false, 0, RANGES(line_feed)) /* \n+ */

static const code_range default_symbols[] = {{'$', '$'}, {'+', '+'}, {'<', '>'},
                                             {'^', '^'}, {'|', '|'}, {'~', '~'}};
/* [\p{P}\$\+<=>\^~\|]+ */
SET_RULE(punctuation, SIZE_MAX, false, RF_CHAR_P, RANGES(default_symbols))

static const code_range ascii_punctuation[] = {{'!', '/'}, {':', '@'}, {'[', '`'}, {'{', '~'}};
/* [\p{P}\p{ASCII punctuation}]+ */
SET_RULE(punctuation_falcon, SIZE_MAX, false, RF_CHAR_P, RANGES(ascii_punctuation))
SET_RULE(one_punctuation, 1, false, RF_CHAR_P, RANGES(ascii_punctuation))

static const code_range cjk[] = {{0x0800, 0x9fa5}, {0xac00, 0xd7ff}};
SET_RULE(cjk, SIZE_MAX, false, 0, RANGES(cjk)) /* [一-龥ࠀ-一가-퟿]+ */

static const code_range cjk_kana[] = {{0x3040, 0x30ff}, {0x4e00, 0x9fa5}};
SET_RULE(cjk_kana, SIZE_MAX, false, 0, RANGES(cjk_kana)) /* [一-龥぀-ゟ゠-ヿ]+ */

static const code_range cjk_afmoe[] = {
    {0x0e40, 0x0e7f}, {0x0e80, 0x0eff}, {0x1000, 0x109f}, {0x1100, 0x11ff}, {0x1780, 0x17ff},
    {0x2f00, 0x2fdf}, {0x3040, 0x30ff}, {0x3400, 0x4dbf}, {0x4e00, 0x9fff}, {0xa9e0, 0xa9ff},
    {0xaa60, 0xaa7f}, {0xac00, 0xd7af}, {0xf900, 0xfaff}, {0xff65, 0xff9f}};
SET_RULE(cjk_afmoe, SIZE_MAX, false, 0, RANGES(cjk_afmoe))

/* Letters with case and their kin, as the DeepSeek LLM tokenizer lists them. */
static const code_range cased_letters[] = {
    {0x41, 0x5a},       {0x61, 0x7a},       {0xb5, 0xb5},       {0xc0, 0xd6},
    {0xd8, 0xf6},       {0xf8, 0x1ba},      {0x1bc, 0x1bf},     {0x1c4, 0x293},
    {0x295, 0x2af},     {0x370, 0x373},     {0x376, 0x377},     {0x37b, 0x37d},
    {0x37f, 0x37f},     {0x386, 0x386},     {0x388, 0x38a},     {0x38c, 0x38c},
    {0x38e, 0x3a1},     {0x3a3, 0x3f5},     {0x3f7, 0x481},     {0x48a, 0x52f},
    {0x531, 0x556},     {0x10a0, 0x10c5},   {0x13a0, 0x13f5},   {0x13f8, 0x13fd},
    {0x1c90, 0x1cba},   {0x1cbd, 0x1cbf},   {0x1d00, 0x1d2b},   {0x1d6b, 0x1d77},
    {0x1d79, 0x1d9a},   {0x1e00, 0x1f15},   {0x1f18, 0x1f1d},   {0x1f20, 0x1f45},
    {0x1f48, 0x1f4d},   {0x1f50, 0x1f57},   {0x1f59, 0x1f59},   {0x1f5b, 0x1f5b},
    {0x1f5d, 0x1f5d},   {0x1f5f, 0x1f7d},   {0x1f80, 0x1fb4},   {0x1fb6, 0x1fbc},
    {0x1fbe, 0x1fbe},   {0x1fc2, 0x1fc4},   {0x1fc6, 0x1fcc},   {0x1fd0, 0x1fd3},
    {0x1fd6, 0x1fdb},   {0x1fe0, 0x1fec},   {0x1ff2, 0x1ff4},   {0x1ff6, 0x1ffc},
    {0x2102, 0x2102},   {0x2107, 0x2107},   {0x210a, 0x2113},   {0x2115, 0x2115},
    {0x2119, 0x211d},   {0x2124, 0x2124},   {0x2126, 0x2126},   {0x2128, 0x2128},
    {0x212a, 0x212d},   {0x212f, 0x2134},   {0x2139, 0x2139},   {0x213c, 0x213f},
    {0x2145, 0x2149},   {0x214e, 0x214e},   {0x2183, 0x2184},   {0x2c00, 0x2c7b},
    {0x2c7e, 0x2ce4},   {0x2ceb, 0x2cee},   {0x2cf2, 0x2cf3},   {0xa640, 0xa66d},
    {0xa680, 0xa69b},   {0xa722, 0xa76f},   {0xa771, 0xa787},   {0xa78b, 0xa78e},
    {0xab70, 0xabbf},   {0xfb00, 0xfb06},   {0xfb13, 0xfb17},   {0xff21, 0xff3a},
    {0xff41, 0xff5a},   {0x10400, 0x1044f}, {0x104b0, 0x104d3}, {0x104d8, 0x104fb},
    {0x10c80, 0x10cb2}, {0x10cc0, 0x10cf2}, {0x118a0, 0x118df}, {0x1e900, 0x1e943},

};
SET_RULE(space_cased_letters, SIZE_MAX, true, 0, RANGES(cased_letters)) /* \s?[A-Za-zµ…]+ */

/* \s?[!-/:-~！-／：-～‘-‟　-。]+ */
static const code_range wide_punctuation[] = {{'!', '/'},       {':', '~'},       {0x2018, 0x201f},
                                              {0x3000, 0x3002}, {0xff01, 0xff0f}, {0xff1a, 0xff5e}};
SET_RULE(space_wide_punctuation, SIZE_MAX, true, 0, RANGES(wide_punctuation))

/* [가-힣ㄱ-ㆎ]+|[！…“”‘’—：；，、-〿︰-﹏]+|[ㄅ-ㄯ]+|[一-龥぀-ゟ゠-ヿ]+
 */
rf_match rf_split_cjk_youtu(const char *s, size_t at, size_t end) {
    static const code_range hangul[] = {{0x3131, 0x318e}, {0xac00, 0xd7a3}};
    static const code_range marks[] = {{0x2014, 0x2014}, {0x2018, 0x2019}, {0x201c, 0x201d},
                                       {0x2026, 0x2026}, {0x3001, 0x303f}, {0xfe30, 0xfe4f},
                                       {0xff01, 0xff01}, {0xff0c, 0xff0c}, {0xff1a, 0xff1b}};
    static const code_range bopomofo[] = {{0x3105, 0x312f}};
    static const char_set sets[] = {
        {0, RANGES(hangul)}, {0, RANGES(marks)}, {0, RANGES(bopomofo)}, {0, RANGES(cjk_kana)}};
    for (size_t i = at, len = 0; i < end; i += len)
        for (size_t k = 0; k < sizeof sets / sizeof *sets; k++)
            if (in_set(s + i, &len, &sets[k]))
                return (rf_match){i, set_run(s, i, end, &sets[k], SIZE_MAX, false).end};
    return (rf_match){end, end};
}

/* \s+$ at the end of the region. */
rf_match rf_split_trailing_space(const char *s, size_t at, size_t end) {
    size_t start = end, len;
    while (start > at) {
        size_t i = start - 1;
        while (i > at && ((unsigned char)s[i] & 0xc0) == 0x80)
            i--;
        if (!(rf_char_class_at(s + i, &len) & RF_CHAR_SPACE))
            break;
        start = i;
    }
    return (rf_match){start, end};
}

/* ?[^(\s|.,!?…。，、।۔،)]+ */
rf_match rf_split_bloom(const char *s, size_t at, size_t end) {
    static const code_range stops[] = {{'!', '!'},       {'(', ')'},       {',', ','},
                                       {'.', '.'},       {'?', '?'},       {'|', '|'},
                                       {0x060c, 0x060c}, {0x06d4, 0x06d4}, {0x0964, 0x0964},
                                       {0x2026, 0x2026}, {0x3001, 0x3002}, {0xff0c, 0xff0c}};
    static const char_set set = {RF_CHAR_SPACE, RANGES(stops)};
    size_t len = 0, i = at;
    for (; i < end && in_set(s + i, &len, &set); i += len)
        ;
    size_t start = i > at && i < end && s[i - 1] == ' ' ? i - 1 : i;
    for (; i < end && !in_set(s + i, &len, &set); i += len)
        ;
    return (rf_match){start, i};
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

/* [0-9][0-9][0-9] */
rf_match rf_split_ascii_digits_by_3(const char *s, size_t at, size_t end) {
    for (size_t i = at; i + 2 < end; i++)
        if (is_digit(s[i]) && is_digit(s[i + 1]) && is_digit(s[i + 2]))
            return (rf_match){i, i + 3};
    return (rf_match){end, end};
}

/* Runs of digits among the 256 characters that stand for bytes: ASCII digits, ², ³, ¹, ¼, ½, ¾.
 * A byte rule: it cuts UTF-8 sequences, as the tokenizer that maps bytes first does. */
static bool is_byte_digit(char c) {
    unsigned char b = (unsigned char)c;
    return is_digit(c) || b == 0xb2 || b == 0xb3 || b == 0xb9 || (b >= 0xbc && b <= 0xbe);
}

rf_match rf_split_byte_digits(const char *s, size_t at, size_t end) {
    size_t start = at;
    while (start < end && !is_byte_digit(s[start]))
        start++;
    size_t i = start;
    while (i < end && is_byte_digit(s[i]))
        i++;
    return (rf_match){start, i};
}

/* The first 1 or 2 digits of a run whose length is no multiple of 3, or the whole run: followed by
 * a rule that takes threes, this groups from the right. bounded: only runs that end a word, as
 * \d{1,3}(?=(?:\d{3})*\b) asks. */
static rf_match digit_head(const char *s, size_t at, size_t end, bool bounded) {
    const uint32_t word = RF_CHAR_L | RF_CHAR_M | RF_CHAR_N;
    size_t len = 0;
    for (size_t start = at; start < end;) {
        if (!(rf_char_class_at(s + start, &len) & RF_CHAR_ND)) {
            start += len;
            continue;
        }
        size_t n = 0, i = start, head[3] = {start, start, start}; /* after 0, 1 and 2 digits */
        for (; i < end && (rf_char_class_at(s + i, &len) & RF_CHAR_ND); n++) {
            i += len;
            if (n < 2)
                head[n + 1] = i;
        }
        if (!bounded || i == end || !((rf_char_class_at(s + i, &len) & word) || s[i] == '_'))
            return (rf_match){start, n % 3 ? head[n % 3] : i};
        start = i;
    }
    return (rf_match){end, end};
}

rf_match rf_split_digits_from_right(const char *s, size_t at, size_t end) {
    return digit_head(s, at, end, false);
}

rf_match rf_split_word_digits_from_right(const char *s, size_t at, size_t end) {
    return digit_head(s, at, end, true);
}

/* [\t\n]|    |  , the longer run of spaces first */
rf_match rf_split_indent(const char *s, size_t at, size_t end) {
    for (size_t i = at; i < end; i++) {
        if (s[i] == '\t' || s[i] == '\n')
            return (rf_match){i, i + 1};
        if (i + 4 <= end && s[i] == ' ' && s[i + 1] == ' ' && s[i + 2] == ' ' && s[i + 3] == ' ')
            return (rf_match){i, i + 4};
        if (i + 2 <= end && s[i] == ' ' && s[i + 1] == ' ')
            return (rf_match){i, i + 2};
    }
    return (rf_match){end, end};
}

/* \s{512}(?!\S)|\s{256}(?!\S)|…|\s{1,2}(?!\S) over a region of white space without newlines. */
rf_match rf_split_space_powers(const char *s, size_t at, size_t end) {
    size_t last = end - 1, len;
    while (last > at && ((unsigned char)s[last] & 0xc0) == 0x80)
        last--;
    uint32_t class = rf_char_class_at(s + last, &len);
    if (!(class & RF_CHAR_SPACE) || (class & RF_CHAR_NEWLINE))
        return (rf_match){end, end};
    size_t n = 0, taken = 1, taken_end = at;
    for (size_t i = at; i < end && n < 512; n++) {
        i += rf_char_length(s[i]);
        if (n + 1 == taken) {
            taken_end = i;
            taken *= 2;
        }
    }
    return (rf_match){at, taken_end};
}
