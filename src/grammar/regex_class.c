/* Sets of characters: escapes, classes in brackets, and single ones. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/utf8.h"
#include "grammar/regex_state.h"

enum { LAST_CHAR = 0x10ffff };

/* ---- sets ---------------------------------------------------------------------------------- */

static rf_status add_range(regex_program *p, uint32_t low, uint32_t high, rf_error *err) {
    if (p->n_ranges == p->ranges_room) {
        uint32_t room = p->ranges_room ? 2 * p->ranges_room : 64;
        rf_char_range *ranges = rf_realloc_array(p->ranges, room, sizeof *ranges);
        if (!ranges)
            return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the pattern");
        p->ranges = ranges;
        p->ranges_room = room;
    }
    p->ranges[p->n_ranges++] = (rf_char_range){low, high};
    return RF_OK;
}

static int by_low(const void *a, const void *b) {
    const rf_char_range *x = a, *y = b;
    return (x->low > y->low) - (x->low < y->low);
}

/* Ranges from first on become rising and apart. */
static void join(regex_program *p, uint32_t first) {
    rf_char_range *r = p->ranges + first;
    uint32_t n = p->n_ranges - first, kept = 0;
    if (n == 0)
        return;
    qsort(r, n, sizeof *r, by_low);
    for (uint32_t i = 1; i < n; i++) {
        if (r[i].low <= r[kept].high + 1)
            r[kept].high = r[i].high > r[kept].high ? r[i].high : r[kept].high;
        else
            r[++kept] = r[i];
    }
    p->n_ranges = first + kept + 1;
}

/* They become what they leave out. */
static rf_status invert(regex_program *p, uint32_t first, rf_error *err) {
    join(p, first);
    uint32_t n = p->n_ranges - first, at = 0;
    for (uint32_t i = 0; i < n; i++) {
        rf_char_range r = p->ranges[first + i];
        if (r.low > at)
            RF_TRY(add_range(p, at, r.low - 1, err));
        at = r.high + 1;
    }
    if (at <= LAST_CHAR)
        RF_TRY(add_range(p, at, LAST_CHAR, err));
    memmove(p->ranges + first, p->ranges + first + n,
            (p->n_ranges - first - n) * sizeof *p->ranges);
    p->n_ranges -= n;
    return RF_OK;
}

static regex_step set_from(const regex_program *p, uint32_t first) {
    return (regex_step){REGEX_SET, first, p->n_ranges - first};
}

/* ---- escapes ------------------------------------------------------------------------------- */

static const struct {
    char letter;
    uint8_t n;
    rf_char_range ranges[6];
} kinds[] = {
    {'d', 1, {{'0', '9'}}},
    {'w', 4, {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}},
    {'s', 2, {{'\t', '\r'}, {' ', ' '}}},
};

/* \d and its kin; false: the letter is none of them. */
static bool add_kind(regex_program *p, char letter, rf_status *status, rf_error *err) {
    bool inverted = letter >= 'A' && letter <= 'Z';
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        if ((letter | 0x20) != kinds[i].letter)
            continue;
        uint32_t first = p->n_ranges;
        *status = RF_OK;
        for (uint8_t k = 0; k < kinds[i].n && *status == RF_OK; k++)
            *status = add_range(p, kinds[i].ranges[k].low, kinds[i].ranges[k].high, err);
        if (*status == RF_OK && inverted)
            *status = invert(p, first, err);
        return true;
    }
    return false;
}

static bool take_hex(rf_str pattern, size_t *at, size_t n, uint32_t *code) {
    *code = 0;
    for (size_t i = 0; i < n; i++) {
        char c = *at + i < pattern.len ? pattern.ptr[*at + i] : 'x';
        const char *digits = "0123456789abcdef", *found;
        char lower = c >= 'A' && c <= 'F' ? (char)(c + 0x20) : c;
        found = lower ? strchr(digits, lower) : NULL;
        if (!found)
            return false;
        *code = *code * 16 + (uint32_t)(found - digits);
    }
    *at += n;
    return true;
}

static rf_status escaped_char(rf_str pattern, size_t *at, uint32_t *code, rf_error *err) {
    static const char letters[] = "ntrfv0", codes[] = "\n\t\r\f\v";
    size_t from = *at;
    char c = pattern.ptr[(*at)++];
    const char *letter = c ? strchr(letters, c) : NULL;
    if (c == 'x' || c == 'u') {
        if (take_hex(pattern, at, c == 'x' ? 2 : 4, code) && (*code < 0xd800 || *code > 0xdfff))
            return RF_OK;
        return rf_fail(err, RF_ERR_INVALID, "at %zu: \\%c needs %s, of a character", from, c,
                       c == 'x' ? "two hexadecimal digits" : "four hexadecimal digits");
    }
    bool digit = *at < pattern.len && pattern.ptr[*at] >= '0' && pattern.ptr[*at] <= '9';
    if (letter && !(c == '0' && digit)) {
        *code = (uint8_t)codes[letter - letters];
        return RF_OK;
    }
    bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (plain)
        return rf_fail(err, RF_ERR_INVALID,
                       "at %zu: \\%c is not supported; expected \\d \\w \\s \\n \\t \\r \\f \\v "
                       "\\xHH \\uHHHH or a sign",
                       from, c);
    *at = from;
    size_t n = rf_utf8_decode(pattern.ptr + from, pattern.len - from, code);
    *at += n;
    return RF_OK;
}

static rf_status check_more(rf_str pattern, size_t at, rf_error *err) {
    return at < pattern.len ? RF_OK
                            : rf_fail(err, RF_ERR_INVALID, "at %zu: the pattern ends after \\", at);
}

rf_status rf_regex_escape(regex_program *p, rf_str pattern, size_t *at, regex_step *out,
                          rf_error *err) {
    uint32_t first = p->n_ranges, code;
    rf_status status;
    RF_TRY(check_more(pattern, *at, err));
    if (add_kind(p, pattern.ptr[*at], &status, err)) {
        RF_TRY(status);
        ++*at;
    } else {
        RF_TRY(escaped_char(pattern, at, &code, err));
        RF_TRY(add_range(p, code, code, err));
    }
    *out = set_from(p, first);
    return RF_OK;
}

/* ---- classes ------------------------------------------------------------------------------- */

/* One character of a class, or a kind: *is_kind, then its ranges were added. */
static rf_status class_atom(regex_program *p, rf_str pattern, size_t *at, uint32_t *code,
                            bool *is_kind, rf_error *err) {
    rf_status status;
    *is_kind = false;
    if (pattern.ptr[*at] != '\\') {
        *at += rf_utf8_decode(pattern.ptr + *at, pattern.len - *at, code);
        return RF_OK;
    }
    ++*at;
    RF_TRY(check_more(pattern, *at, err));
    if (add_kind(p, pattern.ptr[*at], &status, err)) {
        ++*at;
        *is_kind = true;
        return status;
    }
    if (pattern.ptr[*at] == 'b') { /* in a class, and only there */
        ++*at;
        *code = '\b';
        return RF_OK;
    }
    return escaped_char(pattern, at, code, err);
}

rf_status rf_regex_class(regex_program *p, rf_str pattern, size_t *at, regex_step *out,
                         rf_error *err) {
    size_t begin = *at - 1;
    uint32_t first = p->n_ranges, low, high;
    bool inverted = *at < pattern.len && pattern.ptr[*at] == '^', is_kind;
    *at += inverted;
    for (bool any = false; *at < pattern.len && (pattern.ptr[*at] != ']' || !any); any = true) {
        size_t from = *at;
        if (pattern.ptr[*at] == ']') /* ECMAScript and Python disagree on it */
            return rf_fail(err, RF_ERR_INVALID, "at %zu: the class is empty; ] is written \\]",
                           begin);
        RF_TRY(class_atom(p, pattern, at, &low, &is_kind, err));
        high = low;
        bool range =
            *at + 1 < pattern.len && pattern.ptr[*at] == '-' && pattern.ptr[*at + 1] != ']';
        if (range && !is_kind) {
            ++*at;
            RF_TRY(class_atom(p, pattern, at, &high, &is_kind, err));
            if (is_kind || high < low)
                return rf_fail(err, RF_ERR_INVALID, "at %zu: a range that ends before it begins",
                               from);
        }
        if (!is_kind)
            RF_TRY(add_range(p, low, high, err));
    }
    if (*at >= pattern.len)
        return rf_fail(err, RF_ERR_INVALID, "at %zu: [ without ]", begin);
    ++*at;
    join(p, first);
    if (inverted)
        RF_TRY(invert(p, first, err));
    *out = set_from(p, first);
    return RF_OK;
}

rf_status rf_regex_char(regex_program *p, rf_str pattern, size_t *at, regex_step *out,
                        rf_error *err) {
    uint32_t first = p->n_ranges, code;
    *at += rf_utf8_decode(pattern.ptr + *at, pattern.len - *at, &code);
    RF_TRY(add_range(p, code, code, err));
    *out = set_from(p, first);
    return RF_OK;
}

rf_status rf_regex_any(regex_program *p, regex_step *out, rf_error *err) {
    uint32_t first = p->n_ranges;
    RF_TRY(add_range(p, 0, '\n' - 1, err));
    RF_TRY(add_range(p, '\n' + 1, LAST_CHAR, err));
    *out = set_from(p, first);
    return RF_OK;
}
