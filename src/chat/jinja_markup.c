/* HTML: escaping and the filters that know of it. */
#include "base/utf8.h"
#include "chat/jinja_chars.h"
#include "chat/jinja_filter.h"

#define FILTER(name) \
    bool rf_jfilter_##name(rf_vm *vm, rf_jv v, const rf_jv *a, const rf_jargs *raw, rf_jv *out)

void rf_markup_escape(rf_str s, rf_buf *out) {
    size_t from = 0;
    for (size_t i = 0; i < s.len; i++) {
        const char *text = NULL;
        switch (s.ptr[i]) {
        case '&': text = "&amp;"; break;
        case '<': text = "&lt;"; break;
        case '>': text = "&gt;"; break;
        case '"': text = "&#34;"; break;
        case '\'': text = "&#39;"; break;
        default: continue;
        }
        rf_buf_append(out, s.ptr + from, i - from);
        rf_buf_text(out, text);
        from = i + 1;
    }
    rf_buf_append(out, s.ptr + from, s.len - from);
}

bool rf_jv_escape(rf_vm *vm, rf_jv v, rf_jv *out) {
    rf_jv text;
    *out = v;
    if (rf_jv_is_markup(v))
        return true;
    if (!rf_jv_str_of(vm, v, &text))
        return false;
    size_t mark = rf_vm_mark(vm);
    rf_markup_escape(rf_jv_view(text), &vm->scratch);
    if (!rf_vm_take(vm, mark, out))
        return false;
    out->flags = RF_JF_MARKUP;
    return true;
}

/* Removes <!-- … --> or <…>, whatever `open` says, from s into out. */
static void remove_tags(rf_str s, const char *open, const char *close, rf_buf *out) {
    size_t n_open = strlen(open), n_close = strlen(close), at = 0;
    while (at < s.len) {
        const char *start = memmem(s.ptr + at, s.len - at, open, n_open);
        const char *end =
            start ? memmem(start + n_open, (size_t)(s.ptr + s.len - start) - n_open, close, n_close)
                  : NULL;
        if (!end)
            break;
        rf_buf_append(out, s.ptr + at, (size_t)(start - s.ptr) - at);
        at = (size_t)(end - s.ptr) + n_close;
    }
    rf_buf_append(out, s.ptr + at, s.len - at);
}

static const struct {
    const char *name, *text;
} entities[] = {{"amp", "&"},         {"lt", "<"},         {"gt", ">"},         {"quot", "\""},
                {"apos", "'"},        {"nbsp", "\u00a0"},  {"copy", "\u00a9"},  {"reg", "\u00ae"},
                {"hellip", "\u2026"}, {"ndash", "\u2013"}, {"mdash", "\u2014"}, {"lsquo", "\u2018"},
                {"rsquo", "\u2019"},  {"ldquo", "\u201c"}, {"rdquo", "\u201d"}, {"laquo", "\u00ab"},
                {"raquo", "\u00bb"},  {"bull", "\u2022"},  {"euro", "\u20ac"},  {"times", "\u00d7"},
                {"eacute", "\u00e9"}};

/* The entity at s (behind "&"): bytes used with the ';', 0 if it is none. */
static size_t entity(rf_str s, rf_buf *out) {
    const char *end = memchr(s.ptr, ';', s.len < 12 ? s.len : 12);
    if (!end)
        return 0;
    rf_str name = rf_str_sub(s, 0, (size_t)(end - s.ptr));
    if (name.len > 1 && name.ptr[0] == '#') {
        bool hex = name.ptr[1] == 'x' || name.ptr[1] == 'X';
        uint32_t code = 0;
        for (size_t i = hex ? 2 : 1; i < name.len; i++) {
            char c = name.ptr[i];
            uint32_t digit = c >= '0' && c <= '9'          ? (uint32_t)(c - '0')
                             : hex && c >= 'a' && c <= 'f' ? (uint32_t)(c - 'a' + 10)
                             : hex && c >= 'A' && c <= 'F' ? (uint32_t)(c - 'A' + 10)
                                                           : 99;
            if (digit == 99)
                return 0;
            code = code * (hex ? 16 : 10) + digit;
        }
        char text[4];
        size_t n = rf_utf8_encode(code, text);
        rf_buf_append(out, n && code ? text : "\xef\xbf\xbd", n && code ? n : 3);
        return name.len + 1;
    }
    for (size_t i = 0; i < sizeof entities / sizeof *entities; i++)
        if (rf_str_is(name, entities[i].name)) {
            rf_buf_text(out, entities[i].text);
            return name.len + 1;
        }
    return 0;
}

static bool step_text(rf_vm *vm, rf_jv *text, int step) {
    rf_str s = rf_jv_view(*text);
    size_t mark = rf_vm_mark(vm);
    uint32_t c;
    bool gap = false;
    if (step < 2) {
        remove_tags(s, step ? "<" : "<!--", step ? ">" : "-->", &vm->scratch);
        return rf_vm_take(vm, mark, text);
    }
    for (size_t i = 0, n; (n = rf_chars_at(s, i, &c)) > 0; i += n) {
        if (step == 2 && rf_char_is_space(c)) { /* white space becomes single spaces */
            gap = vm->scratch.len > mark;
            continue;
        }
        if (gap)
            rf_buf_put(&vm->scratch, ' ');
        gap = false;
        size_t used = step == 3 && c == '&' ? entity(rf_str_sub(s, i + 1, s.len), &vm->scratch) : 0;
        if (used)
            i += used;
        else
            rf_buf_append(&vm->scratch, s.ptr + i, n);
    }
    return rf_vm_take(vm, mark, text);
}

FILTER(striptags) {
    RF_JUNUSED(a), RF_JUNUSED(raw);
    if (!rf_jv_str_of(vm, v, out))
        return false;
    for (int step = 0; step < 4; step++)
        if (!step_text(vm, out, step))
            return false;
    return true;
}

FILTER(xmlattr) {
    bool autospace;
    rf_jv key, value;
    RF_JUNUSED(raw);
    if (!rf_jarg_bool(vm, a[0], true, &autospace))
        return false;
    if (v.type == RF_J_UNDEFINED)
        return rf_vm_fail_undefined(vm, v);
    if (v.type != RF_J_DICT)
        return rf_vm_fail(vm, RF_TEMPLATE_OTHER,
                          "AttributeError: '%s' object has no attribute 'items'",
                          rf_jv_type_name(v));
    size_t mark = rf_vm_mark(vm);
    for (uint32_t i = 0; i < v.u.dict->n; i++) {
        const rf_jentry *e = &v.u.dict->entries[i];
        if (e->value.type == RF_J_NONE || e->value.type == RF_J_UNDEFINED)
            continue;
        if (e->key.type != RF_J_STR)
            return rf_vm_fail(vm, RF_TEMPLATE_TYPE,
                              "expected string or bytes-like object, got '%s'",
                              rf_jv_type_name(e->key));
        for (size_t k = 0; k < e->key.len; k++)
            if (e->key.u.s[k] && strchr(" \t\n\r\f\v/>=", e->key.u.s[k]))
                return rf_vm_fail(vm, RF_TEMPLATE_OTHER,
                                  "ValueError: Invalid character in attribute name: '%.*s'",
                                  RF_STR_ARG(rf_jv_view(e->key)));
        if (!rf_jv_escape(vm, e->key, &key) || !rf_jv_escape(vm, e->value, &value))
            return false;
        if (vm->scratch.len > mark || autospace)
            rf_buf_put(&vm->scratch, ' ');
        rf_buf_str(&vm->scratch, rf_jv_view(key));
        rf_buf_text(&vm->scratch, "=\"");
        rf_buf_str(&vm->scratch, rf_jv_view(value));
        rf_buf_put(&vm->scratch, '"');
    }
    if (!rf_vm_take(vm, mark, out))
        return false;
    out->flags = vm->autoescape ? RF_JF_MARKUP : 0;
    return true;
}
