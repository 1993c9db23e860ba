#include "chat/jinja_lexer.h"

#include <stdint.h>

#include "base/utf8.h"
#include "chat/jinja_chars.h"

typedef struct lexer {
    rf_str src; /* line ends are all \n */
    size_t pos;
    uint32_t line;
    bool line_starting; /* the text before pos ends a line */
    rf_arena *arena;
    rf_jtoken *tokens;
    size_t n, cap;
    char *balance; /* closing brackets that are due; one byte a source byte at most */
    size_t n_balance;
    rf_error *err;
} lexer;

static const char *const token_names[] = {
#define X(id, text) text,
#include "chat/jinja_tokens.def"
#undef X
};

const char *rf_jtoken_name(rf_jtoken_type type) { return token_names[type]; }

static rf_status fail(lexer *lx, const char *what) {
    return rf_fail(lx->err, RF_ERR_INVALID, "line %u: %s", lx->line, what);
}

static rf_status push(lexer *lx, rf_jtoken_type type, rf_str text) {
    if (lx->n == lx->cap) {
        size_t cap = lx->cap ? lx->cap * 2 : 64;
        rf_jtoken *grown = RF_ARENA_ARRAY(lx->arena, rf_jtoken, cap);
        if (!grown)
            return rf_fail(lx->err, RF_ERR_LIMIT, "template: no memory for %zu tokens", cap);
        if (lx->n)
            memcpy(grown, lx->tokens, lx->n * sizeof *grown);
        lx->tokens = grown;
        lx->cap = cap;
    }
    lx->tokens[lx->n++] = (rf_jtoken){type, lx->line, text};
    return RF_OK;
}

static void advance(lexer *lx, size_t to) {
    for (size_t i = lx->pos; i < to; i++)
        if (lx->src.ptr[i] == '\n')
            lx->line++;
    if (to > lx->pos)
        lx->line_starting = lx->src.ptr[to - 1] == '\n';
    lx->pos = to;
}

static bool at(const lexer *lx, size_t pos, const char *text) {
    return rf_str_starts(rf_str_sub(lx->src, pos, lx->src.len), rf_str_of(text));
}

static size_t skip_space(const lexer *lx, size_t pos) {
    return pos + rf_chars_space_prefix(rf_str_sub(lx->src, pos, lx->src.len));
}

static size_t find(const lexer *lx, size_t pos, const char *two) {
    for (; pos + 1 < lx->src.len; pos++)
        if (lx->src.ptr[pos] == two[0] && lx->src.ptr[pos + 1] == two[1])
            return pos;
    return SIZE_MAX;
}

/* Past "\n" if it follows: trim_blocks. */
static size_t trim_newline(const lexer *lx, size_t pos) {
    return at(lx, pos, "\n") ? pos + 1 : pos;
}

/* Emits text before a tag at `end`, stripped as its sign (or lstrip_blocks) says. */
static rf_status push_data(lexer *lx, size_t end, char sign, bool is_variable) {
    rf_str text = rf_str_sub(lx->src, lx->pos, end);
    if (sign == '-') {
        text.len = rf_chars_rstrip(text).len;
    } else if (sign != '+' && !is_variable) {
        size_t start = text.len;
        while (start > 0 && text.ptr[start - 1] != '\n')
            start--;
        rf_str rest = rf_str_sub(text, start, text.len);
        if ((start > 0 || lx->line_starting) && rf_chars_space_prefix(rest) == rest.len)
            text.len = start;
    }
    return text.len ? push(lx, RF_JT_DATA, text) : RF_OK;
}

static char sign_at(const lexer *lx, size_t pos) {
    return at(lx, pos, "-") ? '-' : at(lx, pos, "+") ? '+' : 0;
}

/* The end of "{% raw %}" when one begins at pos; else 0. */
static size_t raw_begin(const lexer *lx, size_t pos) {
    size_t p = pos + 2 + (sign_at(lx, pos + 2) != 0);
    p = skip_space(lx, p);
    if (!at(lx, p, "raw"))
        return 0;
    p = skip_space(lx, p + 3);
    if (at(lx, p, "-%}"))
        return skip_space(lx, p + 3);
    return at(lx, p, "%}") ? p + 2 : 0;
}

static rf_status lex_raw(lexer *lx) {
    for (size_t p = find(lx, lx->pos, "{%"); p != SIZE_MAX; p = find(lx, p + 1, "{%")) {
        char sign = sign_at(lx, p + 2);
        size_t q = skip_space(lx, p + 2 + (sign != 0));
        if (!at(lx, q, "endraw"))
            continue;
        q = skip_space(lx, q + 6);
        size_t end = at(lx, q, "-%}")   ? skip_space(lx, q + 3)
                     : at(lx, q, "+%}") ? q + 3
                     : at(lx, q, "%}")  ? trim_newline(lx, q + 2)
                                        : 0;
        if (!end)
            continue;
        RF_TRY(push_data(lx, p, sign, false));
        advance(lx, end);
        return RF_OK;
    }
    return lx->pos == lx->src.len ? RF_OK : fail(lx, "Missing end of raw directive");
}

static rf_status lex_comment(lexer *lx) {
    if (lx->pos == lx->src.len) /* "{#" as the very last characters is nothing */
        return RF_OK;
    size_t p = find(lx, lx->pos, "#}");
    if (p == SIZE_MAX)
        return fail(lx, "Missing end of comment tag");
    char before = p > lx->pos ? lx->src.ptr[p - 1] : 0;
    size_t end = before == '-'   ? skip_space(lx, p + 2)
                 : before == '+' ? p + 2
                                 : trim_newline(lx, p + 2);
    advance(lx, end);
    return RF_OK;
}

static bool digits(const lexer *lx, size_t *pos, const char *set) {
    size_t p = *pos, start = p;
    for (; p < lx->src.len; p++) {
        char c = lx->src.ptr[p];
        bool is_digit = c != 0 && strchr(set, c) != NULL;
        bool joins = c == '_' && p > start && p + 1 < lx->src.len && lx->src.ptr[p + 1] != 0 &&
                     strchr(set, lx->src.ptr[p + 1]) && lx->src.ptr[p - 1] != '_';
        if (!is_digit && !joins)
            break;
    }
    *pos = p;
    return p > start;
}

static const char decimal[] = "0123456789";

/* Length of a float literal at pos, 0 if there is none. */
static size_t float_length(const lexer *lx, size_t pos) {
    if (pos > 0 && lx->src.ptr[pos - 1] == '.')
        return 0;
    size_t p = pos;
    if (!digits(lx, &p, decimal))
        return 0;
    bool fraction = false;
    if (at(lx, p, ".")) {
        size_t q = p + 1;
        if (digits(lx, &q, decimal)) {
            p = q;
            fraction = true;
        }
    }
    if (at(lx, p, "e") || at(lx, p, "E")) {
        size_t q = p + 1;
        q += at(lx, q, "+") || at(lx, q, "-");
        if (digits(lx, &q, decimal))
            return q - pos;
    }
    return fraction ? p - pos : 0;
}

static size_t integer_length(const lexer *lx, size_t pos) {
    static const struct {
        const char *lower, *upper, *set;
    } bases[] = {
        {"0b", "0B", "01"}, {"0o", "0O", "01234567"}, {"0x", "0X", "0123456789abcdefABCDEF"}};
    for (size_t i = 0; i < sizeof bases / sizeof *bases; i++) {
        size_t p = pos + 2;
        if (!at(lx, pos, bases[i].lower) && !at(lx, pos, bases[i].upper))
            continue;
        p += at(lx, p, "_");
        if (digits(lx, &p, bases[i].set))
            return p - pos;
    }
    size_t p = pos;
    (void)digits(lx, &p, at(lx, pos, "0") ? "0" : decimal);
    return p - pos;
}

static rf_status push_number(lexer *lx, rf_jtoken_type type, size_t len) {
    char *copy = rf_arena_alloc(lx->arena, len + 1, 1);
    if (!copy)
        return rf_fail(lx->err, RF_ERR_LIMIT, "template: no memory for a number");
    size_t n = 0;
    for (size_t i = 0; i < len; i++)
        if (lx->src.ptr[lx->pos + i] != '_')
            copy[n++] = lx->src.ptr[lx->pos + i];
    copy[n] = 0;
    RF_TRY(push(lx, type, (rf_str){copy, n}));
    advance(lx, lx->pos + len);
    return RF_OK;
}

static rf_status lex_string(lexer *lx, bool *found) {
    char quote = lx->src.ptr[lx->pos];
    size_t p = lx->pos + 1;
    while (p < lx->src.len && lx->src.ptr[p] != quote)
        p += lx->src.ptr[p] == '\\' ? 2 : 1;
    *found = p < lx->src.len;
    if (!*found)
        return RF_OK;
    rf_str raw = rf_str_sub(lx->src, lx->pos + 1, p);
    char *text = rf_arena_alloc(lx->arena, raw.len * 3 + 1, 1);
    if (!text)
        return rf_fail(lx->err, RF_ERR_LIMIT, "template: no memory for a string");
    size_t n;
    const char *problem;
    if (!rf_jinja_unescape(raw, text, &n, &problem))
        return fail(lx, problem);
    RF_TRY(push(lx, RF_JT_STRING, (rf_str){text, n}));
    advance(lx, p + 1);
    return RF_OK;
}

static size_t name_length(const lexer *lx, size_t pos) {
    size_t p = pos;
    while (p < lx->src.len) {
        uint32_t code;
        size_t n = rf_utf8_decode(lx->src.ptr + p, lx->src.len - p, &code);
        if (n == 0 || !(code == '_' || rf_char_is_alnum(code)))
            break;
        p += n;
    }
    return p - pos;
}

static rf_status lex_operator(lexer *lx) {
    char c = lx->src.ptr[lx->pos];
    size_t len = 0;
    rf_jtoken_type type = RF_JT_EOF;
    for (int t = RF_JT_ADD; t < RF_JT_COUNT; t++) {
        size_t n = strlen(token_names[t]);
        if (n > len && at(lx, lx->pos, token_names[t])) {
            len = n;
            type = (rf_jtoken_type)t;
        }
    }
    if (len == 0)
        return rf_fail(lx->err, RF_ERR_INVALID, "line %u: unexpected char '%c' at %zu", lx->line, c,
                       lx->pos);
    if (c == '(' || c == '[' || c == '{') {
        lx->balance[lx->n_balance++] = c == '(' ? ')' : c == '[' ? ']' : '}';
    } else if (c == ')' || c == ']' || c == '}') {
        if (lx->n_balance == 0)
            return rf_fail(lx->err, RF_ERR_INVALID, "line %u: unexpected '%c'", lx->line, c);
        char due = lx->balance[--lx->n_balance];
        if (due != c)
            return rf_fail(lx->err, RF_ERR_INVALID, "line %u: unexpected '%c', expected '%c'",
                           lx->line, c, due);
    }
    RF_TRY(push(lx, type, (rf_str){lx->src.ptr + lx->pos, len}));
    advance(lx, lx->pos + len);
    return RF_OK;
}

/* The end tag at pos, as the position after it; 0 if none is there. */
static size_t tag_end(const lexer *lx, bool is_block) {
    if (lx->n_balance)
        return 0;
    size_t p = lx->pos;
    const char *end = is_block ? "%}" : "}}";
    if (is_block && at(lx, p, "+%}"))
        return p + 3;
    if (at(lx, p, "-") && at(lx, p + 1, end))
        return skip_space(lx, p + 3);
    if (!at(lx, p, end))
        return 0;
    return is_block ? trim_newline(lx, p + 2) : p + 2;
}

static rf_status lex_tag(lexer *lx, bool is_block) {
    while (lx->pos < lx->src.len) {
        size_t end = tag_end(lx, is_block);
        if (end) {
            RF_TRY(push(lx, is_block ? RF_JT_BLOCK_END : RF_JT_VARIABLE_END, RF_STR("")));
            advance(lx, end);
            return RF_OK;
        }
        size_t space = skip_space(lx, lx->pos), len;
        if (space > lx->pos) {
            advance(lx, space);
        } else if ((len = float_length(lx, lx->pos)) > 0) {
            RF_TRY(push_number(lx, RF_JT_FLOAT, len));
        } else if ((len = integer_length(lx, lx->pos)) > 0) {
            RF_TRY(push_number(lx, RF_JT_INTEGER, len));
        } else if ((len = name_length(lx, lx->pos)) > 0) {
            rf_str name = rf_str_sub(lx->src, lx->pos, lx->pos + len);
            if (!rf_chars_is_identifier(name))
                return fail(lx, "Invalid character in identifier");
            RF_TRY(push(lx, RF_JT_NAME, name));
            advance(lx, lx->pos + len);
        } else {
            bool found = false;
            if (at(lx, lx->pos, "'") || at(lx, lx->pos, "\""))
                RF_TRY(lex_string(lx, &found));
            if (!found)
                RF_TRY(lex_operator(lx));
        }
    }
    return RF_OK;
}

/* Text up to the next tag, and the tag. */
static rf_status lex_root(lexer *lx) {
    size_t p = lx->pos;
    while (p < lx->src.len &&
           !(lx->src.ptr[p] == '{' && p + 1 < lx->src.len && memchr("%{#", lx->src.ptr[p + 1], 3)))
        p++;
    if (p >= lx->src.len) {
        rf_str rest = rf_str_sub(lx->src, lx->pos, lx->src.len);
        RF_TRY(push(lx, RF_JT_DATA, rest));
        advance(lx, lx->src.len);
        return RF_OK;
    }
    char kind = lx->src.ptr[p + 1], sign = sign_at(lx, p + 2);
    size_t raw = kind == '%' ? raw_begin(lx, p) : 0;
    RF_TRY(push_data(lx, p, sign, kind == '{'));
    advance(lx, raw ? raw : p + 2 + (sign != 0));
    if (raw)
        return lex_raw(lx);
    if (kind == '#')
        return lex_comment(lx);
    RF_TRY(push(lx, kind == '%' ? RF_JT_BLOCK_BEGIN : RF_JT_VARIABLE_BEGIN, RF_STR("")));
    return lex_tag(lx, kind == '%');
}

/* Copies source with every line end as \n and one at the very end removed. */
static bool normalise(lexer *lx, rf_str source) {
    char *copy = rf_arena_alloc(lx->arena, source.len + 1, 1);
    if (!copy)
        return false;
    size_t n = 0;
    for (size_t i = 0; i < source.len; i++) {
        char c = source.ptr[i];
        if (c == '\r' && i + 1 < source.len && source.ptr[i + 1] == '\n')
            i++;
        copy[n++] = c == '\r' ? '\n' : c;
    }
    if (n && copy[n - 1] == '\n')
        n--;
    copy[n] = 0;
    lx->src = (rf_str){copy, n};
    return true;
}

rf_status rf_jinja_lex(rf_str source, rf_arena *arena, rf_jtoken **tokens, size_t *n_tokens,
                       rf_error *err) {
    lexer lx = {.arena = arena, .line = 1, .line_starting = true, .err = err};
    size_t valid = rf_utf8_valid_prefix(source.ptr, source.len);
    if (valid < source.len)
        return rf_fail(err, RF_ERR_INVALID, "template: invalid UTF-8 at byte %zu", valid);
    if (!normalise(&lx, source) || !(lx.balance = rf_arena_alloc(arena, source.len + 1, 1)))
        return rf_fail(err, RF_ERR_LIMIT, "template: %zu bytes exceed the memory limit",
                       source.len);
    while (lx.pos < lx.src.len)
        RF_TRY(lex_root(&lx));
    RF_TRY(push(&lx, RF_JT_EOF, RF_STR("")));
    *tokens = lx.tokens;
    *n_tokens = lx.n;
    return RF_OK;
}
