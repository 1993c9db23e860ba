/* str() and repr(). */
#include <stdio.h>

#include "chat/jinja_chars.h"
#include "chat/jinja_number.h"
#include "chat/jinja_object.h"
#include "chat/jinja_walk.h"

static void append_escaped(uint32_t code, rf_buf *out) {
    char text[12];
    const char *format = code < 0x100 ? "\\x%02x" : code < 0x10000 ? "\\u%04x" : "\\U%08x";
    rf_buf_append(out, text, (size_t)snprintf(text, sizeof text, format, code));
}

void rf_jv_append_quoted(rf_str s, bool ascii_only, rf_buf *out) {
    bool single = s.len && memchr(s.ptr, '\'', s.len), both = s.len && memchr(s.ptr, '"', s.len);
    char quote = single && !both ? '"' : '\'';
    rf_buf_put(out, quote);
    uint32_t c;
    for (size_t i = 0, n; (n = rf_chars_at(s, i, &c)) > 0; i += n) {
        if (c == (uint32_t)quote || c == '\\') {
            rf_buf_put(out, '\\');
            rf_buf_put(out, (char)c);
        } else if (c == '\n' || c == '\r' || c == '\t') {
            rf_buf_text(out, c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t");
        } else if (c < 0x80 ? c >= 0x20 && c < 0x7f : !ascii_only && rf_char_is_printable(c)) {
            rf_buf_append(out, s.ptr + i, n);
        } else {
            append_escaped(c, out);
        }
    }
    rf_buf_put(out, quote);
}

static void append_bytes(rf_str s, rf_buf *out) {
    bool single = s.len && memchr(s.ptr, '\'', s.len), both = s.len && memchr(s.ptr, '"', s.len);
    char quote = single && !both ? '"' : '\'';
    rf_buf_put(out, 'b');
    rf_buf_put(out, quote);
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        if (c == (unsigned char)quote || c == '\\') {
            rf_buf_put(out, '\\');
            rf_buf_put(out, (char)c);
        } else if (c == '\n' || c == '\r' || c == '\t') {
            rf_buf_text(out, c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t");
        } else if (c >= 0x20 && c < 0x7f) {
            rf_buf_put(out, (char)c);
        } else {
            append_escaped(c, out);
        }
    }
    rf_buf_put(out, quote);
}

static bool append_loop(rf_vm *vm, rf_jloop *loop, rf_buf *out) {
    int64_t length;
    if (!rf_loop_length(vm, loop, &length))
        return false;
    rf_buf_printf(out, "<LoopContext %lld/%lld>", (long long)loop->index0 + 1, (long long)length);
    return true;
}

static void append_range(const rf_jrange *r, rf_buf *out) {
    rf_buf_printf(out, "range(%lld, %lld", (long long)r->start, (long long)r->stop);
    if (r->step != 1)
        rf_buf_printf(out, ", %lld", (long long)r->step);
    rf_buf_put(out, ')');
}

/* Values without parts. */
static bool append_leaf(rf_vm *vm, rf_jv v, rf_buf *out) {
    switch (v.type) {
    case RF_J_UNDEFINED: rf_buf_text(out, "Undefined"); return true;
    case RF_J_NONE: rf_buf_text(out, "None"); return true;
    case RF_J_BOOL: rf_buf_text(out, v.u.b ? "True" : "False"); return true;
    case RF_J_INT:
    case RF_J_BIG:
    case RF_J_FLOAT: return rf_number_append(vm, v, out);
    case RF_J_STR:
        if (v.flags & RF_JF_BYTES) {
            append_bytes(rf_jv_view(v), out);
            return true;
        }
        if (v.flags & RF_JF_MARKUP)
            rf_buf_text(out, "Markup(");
        rf_jv_append_quoted(rf_jv_view(v), false, out);
        if (v.flags & RF_JF_MARKUP)
            rf_buf_put(out, ')');
        return true;
    case RF_J_RANGE: append_range(v.u.range, out); return true;
    case RF_J_MACRO:
        rf_buf_text(out, "<Macro ");
        if (v.u.macro->info->name.ptr)
            rf_jv_append_quoted(v.u.macro->info->name, false, out);
        else
            rf_buf_text(out, "anonymous");
        rf_buf_put(out, '>');
        return true;
    case RF_J_LOOP: return append_loop(vm, v.u.loop, out);
    case RF_J_SELF: rf_buf_text(out, "<TemplateReference None>"); return true;
    default: /* Python shows an address here, which is no text to rely on */
        rf_buf_printf(out, "<%s object>", rf_jv_type_name(v));
        return true;
    }
}

static bool has_parts(rf_jv v) {
    return v.type == RF_J_LIST || v.type == RF_J_TUPLE || v.type == RF_J_DICT ||
           v.type == RF_J_VIEW || v.type == RF_J_NAMESPACE;
}

static const char *opening(rf_jv v) {
    static const char *const views[] = {"dict_keys([", "dict_values([", "dict_items(["};
    switch (v.type) {
    case RF_J_LIST: return "[";
    case RF_J_TUPLE: return "(";
    case RF_J_VIEW: return views[v.aux];
    case RF_J_NAMESPACE: return "<Namespace {";
    default: return "{";
    }
}

static const char *closing(rf_jv v) {
    switch (v.type) {
    case RF_J_LIST: return "]";
    case RF_J_TUPLE: return v.u.seq->n == 1 ? ",)" : ")";
    case RF_J_VIEW: return "])";
    case RF_J_NAMESPACE: return "}>";
    default: return "}";
    }
}

/* Part `at` of a container: dicts count keys and values. false: there is none. */
static bool part(const rf_jstep *s, rf_jv *out) {
    rf_jv v = s->v;
    if (v.type == RF_J_LIST || v.type == RF_J_TUPLE) {
        if (s->at >= v.u.seq->n)
            return false;
        *out = v.u.seq->items[s->at];
        return true;
    }
    bool pairs = v.type != RF_J_VIEW || v.aux == RF_JVIEW_ITEMS;
    size_t i = pairs ? s->at / 2 : s->at;
    if (i >= v.u.dict->n)
        return false;
    bool value = pairs ? s->at % 2 : v.aux == RF_JVIEW_VALUES;
    *out = value ? v.u.dict->entries[i].value : v.u.dict->entries[i].key;
    return true;
}

static void separate(const rf_jstep *s, rf_buf *out) {
    bool items = s->v.type == RF_J_VIEW && s->v.aux == RF_JVIEW_ITEMS;
    bool dict = s->v.type == RF_J_DICT || s->v.type == RF_J_NAMESPACE;
    if (items)
        rf_buf_text(out, s->at % 2 ? ", " : s->at ? "), (" : "(");
    else if (dict && s->at % 2)
        rf_buf_text(out, ": ");
    else if (s->at)
        rf_buf_text(out, ", ");
}

bool rf_jv_append_repr(rf_vm *vm, rf_jv v, rf_buf *out) {
    if (!has_parts(v))
        return append_leaf(vm, v, out);
    rf_jwalk w;
    rf_jwalk_init(&w);
    rf_buf_text(out, opening(v));
    if (!rf_jwalk_push(vm, &w, v, v))
        return false;
    while (w.n) {
        rf_jstep *s = &w.steps[w.n - 1];
        rf_jv item;
        if (out->failed || !rf_vm_charge(vm, 1))
            return out->failed ? rf_vm_fail_memory(vm) : false;
        if (!part(s, &item)) {
            if (s->v.type == RF_J_VIEW && s->v.aux == RF_JVIEW_ITEMS && s->at)
                rf_buf_put(out, ')');
            rf_buf_text(out, closing(s->v));
            w.n--;
            continue;
        }
        separate(s, out);
        s->at++;
        if (!has_parts(item)) {
            if (!append_leaf(vm, item, out))
                return false;
            continue;
        }
        for (uint32_t i = 0; i < w.n; i++)
            if (w.steps[i].v.type == RF_J_NAMESPACE && item.type == RF_J_NAMESPACE &&
                w.steps[i].v.u.p == item.u.p)
                return rf_vm_fail(vm, RF_TEMPLATE_OTHER,
                                  "RecursionError: maximum recursion depth exceeded");
        rf_buf_text(out, opening(item));
        if (!rf_jwalk_push(vm, &w, item, item))
            return false;
    }
    return true;
}

bool rf_jv_append_str(rf_vm *vm, rf_jv v, rf_buf *out) {
    if (v.type == RF_J_STR && !(v.flags & RF_JF_BYTES)) {
        rf_buf_append(out, v.u.s, v.len);
        return true;
    }
    return v.type == RF_J_UNDEFINED || rf_jv_append_repr(vm, v, out);
}

bool rf_jv_str_of(rf_vm *vm, rf_jv v, rf_jv *out) {
    if (rf_jv_is_text(v)) {
        *out = v;
        out->flags = 0;
        return true;
    }
    size_t mark = rf_vm_mark(vm);
    return rf_jv_append_str(vm, v, &vm->scratch) && rf_vm_take(vm, mark, out);
}

bool rf_jv_repr_of(rf_vm *vm, rf_jv v, rf_jv *out) {
    size_t mark = rf_vm_mark(vm);
    return rf_jv_append_repr(vm, v, &vm->scratch) && rf_vm_take(vm, mark, out);
}
