#include <stdbool.h>

#include "tokenizer/char_class.h"
#include "tokenizer/splitters.h"

typedef enum apostrophe {
    APOSTROPHE_NONE,
    APOSTROPHE_EXACT,  /* 's|'t|'re|'ve|'m|'ll|'d */
    APOSTROPHE_FOLDED, /* (?i:…), which folds U+017F to s */
    APOSTROPHE_SUFFIX  /* folded, and only at the end of a word */
} apostrophe;

/* What differs between the word rules that descend from GPT-4's. Constant in each instance, so the
 * compiler removes what an instance does not use. */
typedef struct word_rule {
    uint32_t letters; /* classes that words are made of */
    apostrophe apostrophe;
    bool cased;        /* words split where upper case follows lower case */
    bool no_han;       /* Han characters are words of their own */
    bool phrases;      /* single spaces inside a word */
    bool slash;        /* symbols end with any of [\r\n/] instead of [\r\n] */
    size_t max_digits; /* in one piece */
    size_t max_tail;   /* of the characters that end symbols */
} word_rule;

#define INLINE static inline __attribute__((always_inline))

static bool is_letter_sequence(const char *s, size_t at, size_t end, char a, char b) {
    return at + 1 < end && (s[at] | 0x20) == a && (s[at + 1] | 0x20) == b;
}

/* End of the contraction at byte at, or at. */
static size_t contraction(const char *s, size_t at, size_t end, bool folded) {
    size_t i = at + 1;
    if (i >= end || s[at] != '\'')
        return at;
    if (!folded && s[i] >= 'A' && s[i] <= 'Z')
        return at;
    char c = (char)(s[i] | 0x20);
    if (c == 's' || c == 't' || c == 'm' || c == 'd')
        return i + 1;
    if (is_letter_sequence(s, i, end, 'r', 'e') || is_letter_sequence(s, i, end, 'v', 'e') ||
        is_letter_sequence(s, i, end, 'l', 'l'))
        return folded || s[i + 1] >= 'a' ? i + 2 : at;
    if (folded && i + 1 < end && s[i] == '\xc5' && s[i + 1] == '\xbf') /* U+017F folds to s */
        return i + 2;
    return at;
}

/* \s+(?!\S)|\s+ of the run of white space [at, run_end). */
static size_t blank_run(const char *s, size_t at, size_t run_end, size_t end) {
    if (run_end == end)
        return run_end;
    size_t last = run_end - 1;
    while (((unsigned char)s[last] & 0xc0) == 0x80)
        last--;
    return last > at ? last : run_end;
}

/* \s*[\r\n]+|\s+(?!\S)|\s+ at white space. */
static size_t blanks(const char *s, size_t at, size_t end) {
    size_t i = at, newline_end = at;
    while (i < end) {
        size_t len;
        uint32_t class = rf_char_class_at(s + i, &len);
        if (!(class & RF_CHAR_SPACE))
            break;
        i += len;
        if (class & RF_CHAR_NEWLINE)
            newline_end = i;
    }
    return newline_end > at ? newline_end : blank_run(s, at, i, end);
}

/* 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
rf_match rf_split_gpt2(const char *s, size_t at, size_t end) {
    size_t i = contraction(s, at, end, false);
    if (i > at)
        return (rf_match){at, i};
    i = at + (s[at] == ' ' && at + 1 < end);
    size_t len;
    uint32_t class = rf_char_class_at(s + i, &len);
    if (class & RF_CHAR_SPACE)
        return (rf_match){at, blank_run(s, at, rf_char_run(s, at, end, RF_CHAR_SPACE), end)};
    uint32_t run = class & RF_CHAR_L ? RF_CHAR_L : class & RF_CHAR_N ? RF_CHAR_N : 0;
    if (run == 0)
        run = RF_CHAR_SYMBOL;
    return (rf_match){at, rf_char_run(s, i + len, end, run)};
}

INLINE uint32_t cased_class_at(const char *s, size_t *len, bool no_han) {
    uint32_t class = rf_char_class_at(s, len);
    return no_han && *len > 1 && rf_char_is_han(rf_char_decode(s, len)) ? 0 : class;
}

/*
 * U*W+ at byte at, where U = [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}] and W = [\p{Ll}\p{Lm}\p{Lo}\p{M}]:
 * its end, or at. *upper_end is the end of the run of U.
 */
INLINE size_t cased_word(const char *s, size_t at, size_t end, bool no_han, size_t *upper_end) {
    const uint32_t upper = RF_CHAR_LU | RF_CHAR_LT | RF_CHAR_LX | RF_CHAR_M;
    const uint32_t lower = RF_CHAR_LL | RF_CHAR_LX | RF_CHAR_M;
    size_t i = at, both_end = at; /* after the last character that is in U and in W */
    size_t len = 0;
    uint32_t class = 0;
    while (i < end) {
        class = cased_class_at(s + i, &len, no_han);
        if (!(class & upper))
            break;
        i += len;
        if (class & lower)
            both_end = i;
    }
    *upper_end = i;
    if (i == end || !(class & lower))
        return both_end;
    while (i < end && (cased_class_at(s + i, &len, no_han) & lower))
        i += len;
    return i;
}

/* [^\r\n\p{L}\p{N}]?U*W+|[^\r\n\p{L}\p{N}]?U+W* at byte at: its end, or at. */
INLINE size_t cased_match(const char *s, size_t at, size_t end, bool no_han) {
    size_t len, upper_end, from = at;
    uint32_t class = rf_char_class_at(s + at, &len);
    if (class & (RF_CHAR_NEWLINE | RF_CHAR_N))
        return at;
    if (!(class & RF_CHAR_L))
        from = at + len;
    size_t e = cased_word(s, from, end, no_han, &upper_end);
    if (e > from)
        return e;
    size_t with_prefix_end = upper_end;
    if (class & RF_CHAR_M) { /* a mark may be the word itself instead of its prefix */
        e = cased_word(s, at, end, no_han, &upper_end);
        if (e > at)
            return e;
    }
    return with_prefix_end > from ? with_prefix_end : at;
}

/* [^\r\n\p{L}\p{N}]?\p{L}+ at byte at: its end, or at. */
INLINE size_t plain_match(const char *s, size_t at, size_t end, word_rule r) {
    size_t len;
    uint32_t class = rf_char_class_at(s + at, &len);
    if (class & r.letters)
        return rf_char_run(s, at + len, end, r.letters);
    if ((class & (RF_CHAR_NEWLINE | RF_CHAR_N)) || at + len >= end)
        return at;
    size_t from = at + len;
    size_t e = rf_char_run(s, from, end, r.letters);
    return e > from ? e : at;
}

/* [^\r\n\p{L}\p{N}]?(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+ at byte at: its end, or at. */
static size_t phrase_match(const char *s, size_t at, size_t end) {
    size_t len, i = at;
    uint32_t class = rf_char_class_at(s + at, &len);
    if (!(class & RF_CHAR_L)) {
        if (class & (RF_CHAR_NEWLINE | RF_CHAR_N))
            return at;
        i += len;
    }
    size_t from = i;
    while (i < end) {
        size_t next = i > from && s[i] == ' ' ? i + 1 : i;
        if (next == end || !(rf_char_class_at(s + next, &len) & RF_CHAR_L))
            break;
        i = rf_char_run(s, next + len, end, RF_CHAR_M);
    }
    return i > from ? i : at;
}

INLINE size_t digit_run(const char *s, size_t at, size_t end, size_t max) {
    for (size_t n = 0; n < max && at < end; n++) {
        size_t len;
        if (!(rf_char_class_at(s + at, &len) & RF_CHAR_N))
            break;
        at += len;
    }
    return at;
}

INLINE size_t tail_run(const char *s, size_t at, size_t end, word_rule r) {
    for (size_t n = 0; n < r.max_tail && at < end; n++, at++)
        if (s[at] != '\r' && s[at] != '\n' && !(r.slash && s[at] == '/'))
            break;
    return at;
}

/* Every character begins a match of such a rule. */
INLINE rf_match words(const char *s, size_t at, size_t end, word_rule r) {
    size_t i = at, len;
    if (r.apostrophe == APOSTROPHE_FOLDED && (i = contraction(s, at, end, true)) > at)
        return (rf_match){at, i};
    if (r.no_han)
        for (; i < end && rf_char_is_han(rf_char_decode(s + i, &len)); i += len)
            ;
    if (i > at)
        return (rf_match){at, i};
    i = r.cased     ? cased_match(s, at, end, r.no_han)
        : r.phrases ? phrase_match(s, at, end)
                    : plain_match(s, at, end, r);
    if (i > at)
        return (rf_match){at, r.apostrophe == APOSTROPHE_SUFFIX ? contraction(s, i, end, true) : i};
    if ((i = digit_run(s, at, end, r.max_digits)) > at)
        return (rf_match){at, i};
    const uint32_t symbols = RF_CHAR_SYMBOL & ~r.letters;
    size_t from = at + (s[at] == ' ');
    if ((i = rf_char_run(s, from, end, symbols)) > from)
        return (rf_match){at, tail_run(s, i, end, r)};
    return (rf_match){at, blanks(s, at, end)};
}

#define WORD_RULE(name, ...)                                         \
    rf_match rf_split_##name(const char *s, size_t at, size_t end) { \
        return words(s, at, end, (word_rule){__VA_ARGS__});          \
    }

/* (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*
 * |\s*[\r\n]+|\s+(?!\S)|\s+ */
WORD_RULE(llama3, .letters = RF_CHAR_L, .apostrophe = APOSTROPHE_FOLDED, .max_digits = 3,
          .max_tail = SIZE_MAX)
/* The same with \p{N}+. */
WORD_RULE(llama3_all_digits, .letters = RF_CHAR_L, .apostrophe = APOSTROPHE_FOLDED,
          .max_digits = SIZE_MAX, .max_tail = SIZE_MAX)
/* With \p{N}. */
WORD_RULE(qwen2, .letters = RF_CHAR_L, .apostrophe = APOSTROPHE_FOLDED, .max_digits = 1,
          .max_tail = SIZE_MAX)
/* With \p{N}, and [\p{L}\p{M}] for \p{L} in words and symbols. */
WORD_RULE(qwen35, .letters = RF_CHAR_L | RF_CHAR_M, .apostrophe = APOSTROPHE_FOLDED,
          .max_digits = 1, .max_tail = SIZE_MAX)
/* Qwen 2 without contractions. */
WORD_RULE(ufakzeka, .letters = RF_CHAR_L, .max_digits = 1, .max_tail = SIZE_MAX)
/* Qwen 2 with ?[^\s\p{L}\p{N}\r\n]+ for symbols. */
WORD_RULE(seed_coder, .letters = RF_CHAR_L, .apostrophe = APOSTROPHE_FOLDED, .max_digits = 1)
/* Qwen 2 with words of (?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+ and [\r\n/]? after symbols. */
WORD_RULE(exaone_moe, .letters = RF_CHAR_L, .apostrophe = APOSTROPHE_FOLDED, .phrases = true,
          .slash = true, .max_digits = 1, .max_tail = 1)
/* [^\r\n\p{L}\p{N}]?U*W+(?i:'s|…)?|[^\r\n\p{L}\p{N}]?U+W*(?i:'s|…)?|\p{N}{1,3}
 * | ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+, with U and W as at cased_word */
WORD_RULE(gpt4o, .letters = RF_CHAR_L, .apostrophe = APOSTROPHE_SUFFIX, .cased = true,
          .slash = true, .max_digits = 3, .max_tail = SIZE_MAX)
/* The same with \p{N}. */
WORD_RULE(youtu, .letters = RF_CHAR_L, .apostrophe = APOSTROPHE_SUFFIX, .cased = true,
          .slash = true, .max_digits = 1, .max_tail = SIZE_MAX)
/* With \p{N} and without contractions. */
WORD_RULE(tekken, .letters = RF_CHAR_L, .cased = true, .slash = true, .max_digits = 1,
          .max_tail = SIZE_MAX)
/* \p{Han}+, then GPT-4o's with Han taken out of U and W, and [\r\n]* after symbols. */
WORD_RULE(kimi_k2, .letters = RF_CHAR_L, .apostrophe = APOSTROPHE_SUFFIX, .cased = true,
          .no_han = true, .max_digits = 3, .max_tail = SIZE_MAX)

static bool is_ascii_letter(char c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; }

static bool is_ascii_punctuation(char c) {
    return (unsigned char)c < 128 &&
           (rf_char_ascii_class[(unsigned char)c] & (RF_CHAR_P | RF_CHAR_S)) != 0;
}

/* End of the match that starts at byte at, or at: see rf_split_deepseek3. */
INLINE size_t deepseek_match(const char *s, size_t at, size_t end, bool newline_tails) {
    const uint32_t letters = RF_CHAR_L | RF_CHAR_M, symbols = RF_CHAR_P | RF_CHAR_S;
    size_t len, i = at + 1;
    if (is_ascii_punctuation(s[at]) && i < end && is_ascii_letter(s[i])) {
        while (i < end && is_ascii_letter(s[i]))
            i++;
        return i;
    }
    uint32_t class = rf_char_class_at(s + at, &len);
    if (class & letters)
        return rf_char_run(s, at + len, end, letters);
    if (!(class & (RF_CHAR_NEWLINE | symbols)) &&
        (i = rf_char_run(s, at + len, end, letters)) > at + len)
        return i;
    size_t from = at + (s[at] == ' ');
    if ((i = rf_char_run(s, from, end, symbols)) > from) {
        while (newline_tails && i < end && (s[i] == '\r' || s[i] == '\n'))
            i++;
        return i;
    }
    if (!(class & RF_CHAR_SPACE))
        return at;
    if (newline_tails)
        return blanks(s, at, end);
    if (class & RF_CHAR_NEWLINE)
        return at + 1;
    return blank_run(s, at, rf_char_run(s, at, end, RF_CHAR_SPACE), end);
}

INLINE rf_match deepseek_words(const char *s, size_t at, size_t end, bool newline_tails) {
    for (size_t i = at; i < end; i += rf_char_length(s[i])) {
        size_t e = deepseek_match(s, i, end, newline_tails);
        if (e > i)
            return (rf_match){i, e};
    }
    return (rf_match){end, end};
}

/* [!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+
 * | ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+ */
rf_match rf_split_deepseek3(const char *s, size_t at, size_t end) {
    return deepseek_words(s, at, end, true);
}

/* The same with ?[\p{P}\p{S}]+|[\r\n] for the alternatives that end in newlines. */
rf_match rf_split_spark(const char *s, size_t at, size_t end) {
    return deepseek_words(s, at, end, false);
}
