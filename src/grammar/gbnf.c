#include "grammar/gbnf.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "base/map.h"
#include "base/utf8.h"

enum { RANGES_MAX = 1024, LAST_CHAR = 0x10ffff };

/* A group that is open: where its alternatives and the parts of the last one begin. */
typedef struct group {
    size_t alternatives, parts, opened;
} group;

typedef struct parser {
    rf_rules *rules;
    rf_str text;
    size_t at;
    rf_map names;                  /* of rules */
    uint8_t *defined;              /* owned: [RF_RULES_MAX_RULES] */
    rf_expr *alternatives, *parts; /* owned: stacks over all open groups */
    size_t n_alternatives, n_parts, room;
    group groups[RF_GBNF_MAX_DEPTH + 1];
    uint32_t depth;
    rf_error *err;
} parser;

static rf_status wrong_at(const parser *p, size_t at, const char *what) {
    size_t line = 1, column = 1;
    for (size_t i = 0; i < at && i < p->text.len; i++) {
        bool breaks = p->text.ptr[i] == '\n';
        line += breaks;
        column = breaks ? 1 : column + 1;
    }
    return rf_fail(p->err, RF_ERR_INVALID, "line %zu, column %zu: %s", line, column, what);
}

static rf_status wrong(const parser *p, const char *what) { return wrong_at(p, p->at, what); }

static char peek(const parser *p) { return p->at < p->text.len ? p->text.ptr[p->at] : 0; }
static bool more(const parser *p) { return p->at < p->text.len; }

static void skip_space(parser *p, bool lines) {
    while (more(p)) {
        char c = peek(p);
        if (c == '#')
            while (more(p) && peek(p) != '\n')
                p->at++;
        else if (c == ' ' || c == '\t' || c == '\r' || (lines && c == '\n'))
            p->at++;
        else
            return;
    }
}

static bool is_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

static rf_str take_name(parser *p) {
    size_t from = p->at;
    while (more(p) && is_name(peek(p)))
        p->at++;
    return rf_str_sub(p->text, from, p->at);
}

static rf_status rule_of(parser *p, rf_str name, rf_rule *out) {
    uint32_t known;
    if (rf_map_get(&p->names, name, &known)) {
        *out = known;
        return RF_OK;
    }
    *out = rf_rules_declare(p->rules, name, false);
    return rf_map_put(&p->names, name, *out, NULL)
               ? RF_OK
               : rf_fail(p->err, RF_ERR_NO_MEMORY, "out of memory for a grammar");
}

static rf_status grow(parser *p) {
    size_t most = p->n_parts > p->n_alternatives ? p->n_parts : p->n_alternatives;
    if (most + 2 < p->room)
        return RF_OK;
    size_t room = p->room ? 2 * p->room : 256;
    rf_expr *a = rf_realloc_array(p->alternatives, room, sizeof *a);
    if (a)
        p->alternatives = a;
    rf_expr *b = rf_realloc_array(p->parts, room, sizeof *b);
    if (b)
        p->parts = b;
    if (!a || !b)
        return rf_fail(p->err, RF_ERR_NO_MEMORY, "out of memory for a grammar");
    p->room = room;
    return RF_OK;
}

static rf_status add_part(parser *p, rf_expr e) {
    RF_TRY(grow(p));
    p->parts[p->n_parts++] = e;
    return RF_OK;
}

/* ---- literals and classes -------------------------------------------------------------------- */

static rf_status take_hex(parser *p, int n, uint32_t *code) {
    static const char digits[] = "0123456789abcdef";
    *code = 0;
    for (int i = 0; i < n; i++, p->at++) {
        char c = peek(p);
        const char *digit = c ? strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c) : NULL;
        if (!digit)
            return wrong(p, "expected hexadecimal digits: \\xHH, \\uHHHH or \\UHHHHHHHH");
        *code = *code * 16 + (uint32_t)(digit - digits);
    }
    return *code > LAST_CHAR || (*code >= 0xd800 && *code <= 0xdfff)
               ? wrong(p, "the escape is no character")
               : RF_OK;
}

/* A character of a literal or class, escapes included. */
static rf_status take_char(parser *p, uint32_t *code) {
    static const char letters[] = "nrt\\\"[]-^/'", codes[] = "\n\r\t\\\"[]-^/'";
    if (peek(p) != '\\') {
        p->at += rf_utf8_decode(p->text.ptr + p->at, p->text.len - p->at, code);
        return RF_OK;
    }
    p->at++;
    char c = peek(p);
    p->at += more(p);
    if (c == 'x' || c == 'u' || c == 'U')
        return take_hex(p, c == 'x' ? 2 : c == 'u' ? 4 : 8, code);
    const char *letter = c ? strchr(letters, c) : NULL;
    if (!letter)
        return wrong_at(p, p->at - 1, "expected one of \\n \\r \\t \\\\ \\\" \\[ \\] \\x \\u \\U");
    *code = (uint8_t)codes[letter - letters];
    return RF_OK;
}

static rf_status take_literal(parser *p) {
    size_t opened = p->at++;
    rf_buf bytes;
    rf_buf_init(&bytes, RF_GBNF_MAX_BYTES);
    rf_status status = RF_OK;
    while (status == RF_OK && more(p) && peek(p) != '"') {
        uint32_t code;
        char text[4];
        status = take_char(p, &code);
        if (status == RF_OK)
            rf_buf_append(&bytes, text, rf_utf8_encode(code, text));
    }
    if (status == RF_OK && peek(p) != '"')
        status = wrong_at(p, opened, "\" without a second one");
    p->at++;
    if (status == RF_OK)
        status = add_part(p, rf_rules_text(p->rules, rf_buf_view(&bytes)));
    rf_buf_deinit(&bytes);
    return status;
}

static int by_low(const void *a, const void *b) {
    const rf_char_range *x = a, *y = b;
    return (x->low > y->low) - (x->low < y->low);
}

/* What the ranges leave out. */
static size_t invert(rf_char_range *ranges, size_t n, rf_char_range *out) {
    uint32_t at = 0;
    size_t n_out = 0;
    qsort(ranges, n, sizeof *ranges, by_low);
    for (size_t i = 0; i < n; i++) {
        if (ranges[i].low > at)
            out[n_out++] = (rf_char_range){at, ranges[i].low - 1};
        at = ranges[i].high >= at ? ranges[i].high + 1 : at;
    }
    if (at <= LAST_CHAR)
        out[n_out++] = (rf_char_range){at, LAST_CHAR};
    return n_out;
}

static rf_status take_ranges(parser *p, rf_char_range *ranges, size_t *n) {
    size_t opened = p->at - 1;
    while (more(p) && peek(p) != ']') {
        uint32_t low, high;
        if (*n == RANGES_MAX)
            return wrong(p, "a class of more than 1,024 ranges");
        RF_TRY(take_char(p, &low));
        high = low;
        if (peek(p) == '-' && p->at + 1 < p->text.len && p->text.ptr[p->at + 1] != ']') {
            p->at++;
            RF_TRY(take_char(p, &high));
            if (high < low)
                return wrong(p, "a range that ends before it begins");
        }
        ranges[(*n)++] = (rf_char_range){low, high};
    }
    if (!more(p))
        return wrong_at(p, opened, "[ without ]");
    p->at++;
    return RF_OK;
}

static rf_status take_class(parser *p) {
    rf_char_range ranges[RANGES_MAX], inverted[RANGES_MAX + 1];
    size_t n = 0;
    p->at++;
    bool inverts = peek(p) == '^';
    p->at += inverts;
    RF_TRY(take_ranges(p, ranges, &n));
    if (!inverts)
        return add_part(p, rf_rules_class(p->rules, ranges, n));
    n = invert(ranges, n, inverted);
    return add_part(p, rf_rules_class(p->rules, inverted, n));
}

/* ---- structure ------------------------------------------------------------------------------- */

static rf_status take_number(parser *p, int32_t *out) {
    size_t from = p->at;
    for (*out = 0; more(p) && peek(p) >= '0' && peek(p) <= '9'; p->at++)
        *out = *out > RF_RULES_MAX_COUNT ? *out : *out * 10 + (peek(p) - '0');
    return p->at > from ? RF_OK : wrong(p, "expected a number");
}

static rf_status take_counts(parser *p, int32_t *least, int32_t *most) {
    p->at++;
    skip_space(p, false);
    RF_TRY(take_number(p, least));
    *most = *least;
    skip_space(p, false);
    if (peek(p) == ',') {
        p->at++;
        skip_space(p, false);
        *most = RF_RULES_ANY_NUMBER;
        if (peek(p) != '}')
            RF_TRY(take_number(p, most));
        skip_space(p, false);
    }
    if (peek(p) != '}' || (*most >= 0 && *most < *least))
        return wrong(p, "expected {m}, {m,} or {m,n} with m up to n");
    p->at++;
    return RF_OK;
}

static rf_status take_repetition(parser *p, char c) {
    int32_t least = c == '+', most = c == '?' ? 1 : RF_RULES_ANY_NUMBER;
    if (p->n_parts == p->groups[p->depth].parts)
        return wrong(p, "a repetition of nothing");
    if (c == '{')
        RF_TRY(take_counts(p, &least, &most));
    else
        p->at++;
    rf_expr *last = &p->parts[p->n_parts - 1];
    *last = rf_rules_repeat(p->rules, *last, least, most);
    return RF_OK;
}

/* The parts since | become one alternative. */
static rf_status end_alternative(parser *p) {
    size_t from = p->groups[p->depth].parts;
    RF_TRY(grow(p));
    p->alternatives[p->n_alternatives++] =
        rf_rules_seq(p->rules, p->parts + from, p->n_parts - from);
    p->n_parts = from;
    return RF_OK;
}

static rf_expr end_group(parser *p) {
    size_t from = p->groups[p->depth].alternatives;
    rf_expr e = rf_rules_any(p->rules, p->alternatives + from, p->n_alternatives - from);
    p->n_alternatives = from;
    return e;
}

static rf_status open_group(parser *p) {
    if (p->depth == RF_GBNF_MAX_DEPTH)
        return wrong(p, "groups are nested more than 200 deep");
    p->groups[++p->depth] = (group){p->n_alternatives, p->n_parts, p->at++};
    return RF_OK;
}

static rf_status close_group(parser *p) {
    if (p->depth == 0)
        return wrong(p, ") without (");
    RF_TRY(end_alternative(p));
    rf_expr e = end_group(p);
    p->depth--;
    p->at++;
    return add_part(p, e);
}

static rf_status take_reference(parser *p) {
    rf_rule rule;
    RF_TRY(rule_of(p, take_name(p), &rule));
    return add_part(p, rf_rules_call(p->rules, rule));
}

static rf_status take_part(parser *p) {
    static const rf_char_range all = {0, LAST_CHAR};
    char c = peek(p);
    switch (c) {
    case '"': return take_literal(p);
    case '[': return take_class(p);
    case '(': return open_group(p);
    case ')': return close_group(p);
    case '.': p->at++; return add_part(p, rf_rules_class(p->rules, &all, 1));
    case '*':
    case '+':
    case '?':
    case '{': return take_repetition(p, c);
    case '|':
        p->at++;
        skip_space(p, true);
        return end_alternative(p);
    default: return is_name(c) ? take_reference(p) : wrong(p, "expected a part of a rule");
    }
}

static rf_status take_rule(parser *p) {
    size_t from = p->at;
    rf_rule rule;
    rf_str name = take_name(p);
    if (name.len == 0)
        return wrong(p, "expected the name of a rule");
    RF_TRY(rule_of(p, name, &rule));
    skip_space(p, false);
    if (!rf_str_starts(rf_str_sub(p->text, p->at, p->text.len), RF_STR("::=")))
        return wrong(p, "expected ::=");
    p->at += 3;
    if (p->defined[rule])
        return wrong_at(p, from, "the rule is defined twice");
    p->defined[rule] = 1;
    p->groups[0] = (group){0, 0, from};
    p->depth = 0;
    skip_space(p, true);
    while (more(p) && (p->depth > 0 || peek(p) != '\n')) {
        RF_TRY(take_part(p));
        skip_space(p, p->depth > 0);
    }
    if (p->depth > 0)
        return wrong_at(p, p->groups[p->depth].opened, "( without )");
    RF_TRY(end_alternative(p));
    rf_rules_define(p->rules, rule, end_group(p));
    return RF_OK;
}

static rf_status parse(parser *p, rf_expr *out) {
    uint32_t root;
    size_t valid = rf_utf8_valid_prefix(p->text.ptr, p->text.len);
    if (p->text.len > RF_GBNF_MAX_BYTES)
        return rf_fail(p->err, RF_ERR_LIMIT, "%zu bytes, expected at most %d", p->text.len,
                       RF_GBNF_MAX_BYTES);
    if (valid < p->text.len)
        return wrong_at(p, valid, "no UTF-8");
    for (skip_space(p, true); more(p); skip_space(p, true))
        RF_TRY(take_rule(p));
    if (!rf_map_get(&p->names, RF_STR("root"), &root))
        return rf_fail(p->err, RF_ERR_INVALID, "found no rule named root");
    *out = rf_rules_call(p->rules, root);
    return RF_OK;
}

rf_status rf_gbnf_parse(rf_rules *rules, rf_str text, rf_expr *out, rf_error *err) {
    parser *p = rf_calloc(1, sizeof *p);
    uint8_t *defined = rf_calloc(RF_RULES_MAX_RULES, 1);
    *out = 0;
    rf_status status = rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for a grammar");
    if (p && defined) {
        *err = (rf_error){0};
        *p = (parser){.rules = rules, .text = text, .defined = defined, .err = err};
        rf_map_init(&p->names);
        status = parse(p, out);
        rf_map_deinit(&p->names);
        rf_free(p->alternatives);
        rf_free(p->parts);
    }
    rf_free(defined);
    rf_free(p);
    return status;
}
