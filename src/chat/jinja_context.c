#include "chat/jinja_context.h"

#include "base/utf8.h"
#include "chat/jinja_number.h"
#include "chat/jinja_object.h"

typedef struct container { /* being read: items gathered on a stack, from `first` on */
    bool is_dict;
    uint32_t first;
} container;

typedef struct reader {
    rf_vm *vm;
    rf_str s;
    size_t at;
    const char *problem;
    rf_jv *items;
    container *open;
    uint32_t n_items, cap_items, n_open, cap_open;
} reader;

static bool bad(reader *r, const char *problem) {
    if (!r->problem)
        r->problem = problem;
    return false;
}

static void skip_space(reader *r) {
    while (r->at < r->s.len && memchr(" \t\n\r", r->s.ptr[r->at], 4))
        r->at++;
}

static char peek(const reader *r) { return r->at < r->s.len ? r->s.ptr[r->at] : 0; }

static bool word(reader *r, const char *text, rf_jv value, rf_jv *out) {
    if (!rf_str_starts(rf_str_sub(r->s, r->at, r->s.len), rf_str_of(text)))
        return bad(r, "unexpected character");
    r->at += strlen(text);
    *out = value;
    return true;
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

static bool number(reader *r, rf_jv *out) {
    size_t start = r->at;
    bool is_float = false;
    r->at += peek(r) == '-';
    if (peek(r) == '0')
        r->at++;
    else
        while (is_digit(peek(r)))
            r->at++;
    if (!is_digit(r->s.ptr[r->at - 1]))
        return bad(r, "bad number");
    if (peek(r) == '.') {
        is_float = true;
        r->at++;
        if (!is_digit(peek(r)))
            return bad(r, "bad number");
        while (is_digit(peek(r)))
            r->at++;
    }
    if (peek(r) == 'e' || peek(r) == 'E') {
        is_float = true;
        r->at++;
        r->at += peek(r) == '+' || peek(r) == '-';
        if (!is_digit(peek(r)))
            return bad(r, "bad number");
        while (is_digit(peek(r)))
            r->at++;
    }
    rf_str text = rf_str_sub(r->s, start, r->at);
    double value;
    if (is_float) {
        if (!rf_number_parse_float(text, &value))
            return bad(r, "number too long");
        *out = rf_jv_float(value);
        return true;
    }
    rf_number_parse parsed = rf_number_parse_int(&r->vm->arena, text, 10, out);
    if (parsed == RF_NUMBER_NO_MEMORY)
        return rf_vm_fail_memory(r->vm);
    return parsed == RF_NUMBER_OK || bad(r, "integer too long");
}

static bool hex4(reader *r, uint32_t *code) {
    *code = 0;
    for (int i = 0; i < 4; i++, r->at++) {
        char c = peek(r);
        uint32_t digit = is_digit(c)            ? (uint32_t)(c - '0')
                         : c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
                         : c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
                                                : 16;
        if (digit > 15)
            return bad(r, "bad \\u escape");
        *code = *code << 4 | digit;
    }
    return true;
}

/* One escape, behind its backslash. Lone surrogates become the replacement character. */
static bool escape(reader *r, char *out, size_t *n) {
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    char c = peek(r);
    const char *simple = c ? strchr(from, c) : NULL;
    r->at++;
    if (simple) {
        out[(*n)++] = to[simple - from];
        return true;
    }
    uint32_t code, low;
    if (c != 'u' || !hex4(r, &code))
        return bad(r, "bad escape");
    if (code >= 0xd800 && code < 0xdc00 && peek(r) == '\\' && r->at + 1 < r->s.len &&
        r->s.ptr[r->at + 1] == 'u') {
        size_t back = r->at;
        r->at += 2;
        if (!hex4(r, &low))
            return false;
        if (low >= 0xdc00 && low < 0xe000)
            code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        else
            r->at = back;
    }
    size_t len = rf_utf8_encode(code, out + *n);
    *n += len ? len : rf_utf8_encode(0xfffd, out + *n);
    return true;
}

static bool string(reader *r, rf_jv *out) {
    size_t start = ++r->at, end = start;
    bool plain = true;
    while (end < r->s.len && r->s.ptr[end] != '"') {
        if ((unsigned char)r->s.ptr[end] < 0x20)
            return bad(r, "control character in a string");
        plain &= r->s.ptr[end] != '\\';
        end += r->s.ptr[end] == '\\' ? 2 : 1;
    }
    if (end >= r->s.len)
        return bad(r, "unterminated string");
    rf_str raw = rf_str_sub(r->s, start, end);
    if (plain) {
        *out = rf_jv_str(raw);
        r->at = end + 1;
        return true;
    }
    char *text = rf_vm_alloc(r->vm, raw.len + 4, 1);
    if (!text)
        return false;
    size_t n = 0;
    while (r->at < end) {
        char c = r->s.ptr[r->at++];
        if (c != '\\')
            text[n++] = c;
        else if (!escape(r, text, &n))
            return false;
    }
    *out = rf_jv_str((rf_str){text, n});
    r->at = end + 1;
    return true;
}

static bool push(reader *r, rf_jv v) {
    if (!rf_vm_grow(r->vm, (void **)&r->items, &r->cap_items, r->n_items + 1, sizeof *r->items))
        return false;
    r->items[r->n_items++] = v;
    return true;
}

static bool close_container(reader *r, rf_jv *out) {
    container c = r->open[--r->n_open];
    const rf_jv *items = r->items ? r->items + c.first : NULL;
    size_t n = r->n_items - c.first;
    r->at++;
    r->n_items = c.first;
    if (!c.is_dict)
        return rf_vm_list(r->vm, RF_J_LIST, items, n, out);
    rf_jdict *dict = rf_jdict_new(r->vm, (uint32_t)n / 2);
    if (!dict)
        return false;
    for (size_t i = 0; i < n; i += 2)
        if (!rf_jdict_set(r->vm, dict, items[i], items[i + 1]))
            return false;
    *out = rf_jv_dict(dict);
    return true;
}

static bool open_container(reader *r) {
    if (r->n_open >= r->vm->max_depth)
        return rf_vm_fail(r->vm, RF_TEMPLATE_LIMIT, "context nests deeper than %u levels",
                          r->vm->max_depth);
    if (!rf_vm_grow(r->vm, (void **)&r->open, &r->cap_open, r->n_open + 1, sizeof *r->open))
        return false;
    r->open[r->n_open++] = (container){peek(r) == '{', r->n_items};
    r->at++;
    return true;
}

/* A dict's key with its colon. */
static bool key(reader *r) {
    rf_jv k;
    skip_space(r);
    if (peek(r) != '"')
        return bad(r, "expected a key");
    if (!string(r, &k) || !push(r, k))
        return false;
    skip_space(r);
    if (peek(r) != ':')
        return bad(r, "expected ':'");
    r->at++;
    return true;
}

/* A scalar, or the start of a container (*opened). */
static bool value(reader *r, rf_jv *out, bool *opened) {
    *opened = false;
    skip_space(r);
    switch (peek(r)) {
    case '{':
    case '[': *opened = true; return open_container(r);
    case '"': return string(r, out);
    case 't': return word(r, "true", rf_jv_bool(true), out);
    case 'f': return word(r, "false", rf_jv_bool(false), out);
    case 'n': return word(r, "null", rf_jv_of(RF_J_NONE), out);
    default:
        return peek(r) == '-' || is_digit(peek(r)) ? number(r, out) : bad(r, "expected a value");
    }
}

static bool read_all(reader *r, rf_jv *out) {
    bool opened;
    if (!value(r, out, &opened))
        return false;
    bool first = opened;
    while (r->n_open) {
        container *c = &r->open[r->n_open - 1];
        skip_space(r);
        if (peek(r) == (c->is_dict ? '}' : ']')) {
            if (!close_container(r, out))
                return false;
            first = false;
            if (r->n_open && !push(r, *out))
                return false;
            continue;
        }
        if (!first && r->n_items > c->first) {
            if (peek(r) != ',')
                return bad(r, "expected ',' or the end of a list or object");
            r->at++;
        }
        if (c->is_dict && !key(r))
            return false;
        skip_space(r);
        if (!value(r, out, &opened))
            return false;
        first = opened;
        if (!opened && !push(r, *out))
            return false;
    }
    skip_space(r);
    return r->at == r->s.len || bad(r, "text behind the value");
}

bool rf_jv_from_json(rf_vm *vm, rf_str text, rf_jv *out, const char **problem, size_t *at) {
    reader r = {.vm = vm, .s = text};
    size_t valid = rf_utf8_valid_prefix(text.ptr, text.len);
    bool ok = valid == text.len && read_all(&r, out);
    *problem = valid < text.len ? "invalid UTF-8" : r.problem;
    *at = valid < text.len ? valid : r.at;
    return ok;
}
