/* json.dumps, as transformers' tojson filter calls it. */
#include <math.h>
#include <stdio.h>

#include "chat/jinja_chars.h"
#include "chat/jinja_number.h"
#include "chat/jinja_object.h"
#include "chat/jinja_walk.h"

static void append_string(rf_str s, bool ascii, rf_buf *out) {
    size_t from = 0, i = 0;
    rf_buf_put(out, '"');
    for (size_t n; i < s.len; i += n) {
        unsigned char b = (unsigned char)s.ptr[i];
        uint32_t c = b;
        n = 1;
        if (b >= 0x80 && ascii)
            n = rf_chars_at(s, i, &c);
        if (b >= 0x20 && b != '"' && b != '\\' && !(ascii && b >= 0x7f))
            continue;
        if (b == 0x7f && !ascii)
            continue;
        rf_buf_append(out, s.ptr + from, i - from);
        from = i + n;
        switch (c) {
        case '"': rf_buf_text(out, "\\\""); break;
        case '\\': rf_buf_text(out, "\\\\"); break;
        case '\n': rf_buf_text(out, "\\n"); break;
        case '\r': rf_buf_text(out, "\\r"); break;
        case '\t': rf_buf_text(out, "\\t"); break;
        case '\f': rf_buf_text(out, "\\f"); break;
        case '\b': rf_buf_text(out, "\\b"); break;
        default:
            if (c >= 0x10000)
                rf_buf_printf(out, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10),
                              0xdc00 + ((c - 0x10000) & 0x3ff));
            else
                rf_buf_printf(out, "\\u%04x", c);
        }
    }
    rf_buf_append(out, s.ptr + from, i - from);
    rf_buf_put(out, '"');
}

static bool append_number(rf_vm *vm, rf_jv v, rf_buf *out) {
    if (v.type == RF_J_FLOAT && !isfinite(v.u.f)) {
        rf_buf_text(out, isnan(v.u.f) ? "NaN" : v.u.f > 0 ? "Infinity" : "-Infinity");
        return true;
    }
    return rf_number_append(vm, v, out);
}

static bool append_leaf(rf_vm *vm, rf_jv v, const rf_json_style *style, rf_buf *out) {
    switch (v.type) {
    case RF_J_NONE: rf_buf_text(out, "null"); return true;
    case RF_J_BOOL: rf_buf_text(out, v.u.b ? "true" : "false"); return true;
    case RF_J_INT:
    case RF_J_BIG:
    case RF_J_FLOAT: return append_number(vm, v, out);
    case RF_J_STR:
        if (rf_jv_is_text(v)) {
            append_string(rf_jv_view(v), style->ascii, out);
            return true;
        }
        break;
    default: break;
    }
    return rf_vm_fail(vm, RF_TEMPLATE_TYPE, "Object of type %s is not JSON serializable",
                      rf_jv_type_name(v));
}

static bool append_key(rf_vm *vm, rf_jv key, const rf_json_style *style, rf_buf *out) {
    if (rf_jv_is_text(key))
        return append_leaf(vm, key, style, out);
    if (key.type != RF_J_NONE && !rf_jv_is_number(key))
        return rf_vm_fail(vm, RF_TEMPLATE_TYPE,
                          "keys must be str, int, float, bool or None, not %s",
                          rf_jv_type_name(key));
    rf_buf_put(out, '"');
    if (!append_leaf(vm, key, style, out))
        return false;
    rf_buf_put(out, '"');
    return true;
}

static void new_line(const rf_json_style *style, size_t depth, rf_buf *out) {
    if (!style->pretty)
        return;
    rf_buf_put(out, '\n');
    for (size_t i = 0; i < depth; i++)
        rf_buf_str(out, style->indent);
}

/* Entries in the order of their keys; equal keys cannot be. Insertion into runs, then merging. */
static bool sorted(rf_vm *vm, const rf_jdict *dict, rf_jv *out) {
    rf_jdict *copy = rf_vm_alloc(vm, 1, sizeof *copy);
    rf_jentry *a = rf_vm_alloc(vm, dict->n + 1, sizeof *a);
    rf_jentry *b = rf_vm_alloc(vm, dict->n + 1, sizeof *b);
    if (!copy || !a || !b)
        return false;
    if (dict->n)
        memcpy(a, dict->entries, dict->n * sizeof *a);
    for (size_t width = 1; width < dict->n; width *= 2) {
        for (size_t lo = 0; lo < dict->n; lo += 2 * width) {
            size_t mid = lo + width < dict->n ? lo + width : dict->n;
            size_t hi = mid + width < dict->n ? mid + width : dict->n;
            for (size_t i = lo, j = mid, k = lo; k < hi; k++) {
                bool right = i == mid, less;
                if (!right && j < hi) {
                    if (!rf_vm_charge(vm, 1) ||
                        !rf_jv_compare(vm, RF_JC_LT, a[j].key, a[i].key, &less))
                        return false;
                    right = less;
                }
                b[k] = right ? a[j++] : a[i++];
            }
        }
        rf_jentry *t = a;
        a = b;
        b = t;
    }
    *copy = (rf_jdict){.entries = a, .n = dict->n, .cap = dict->n};
    *out = rf_jv_dict(copy);
    return true;
}

static bool open_container(rf_vm *vm, rf_jwalk *w, rf_jv v, const rf_json_style *style,
                           rf_buf *out) {
    bool is_dict = v.type == RF_J_DICT;
    if (is_dict ? v.u.dict->n == 0 : v.u.seq->n == 0) {
        rf_buf_text(out, is_dict ? "{}" : "[]");
        return true;
    }
    if (is_dict && style->sort_keys && !sorted(vm, v.u.dict, &v))
        return false;
    rf_buf_put(out, is_dict ? '{' : '[');
    return rf_jwalk_push(vm, w, v, v);
}

static bool is_container(rf_jv v) {
    return v.type == RF_J_LIST || v.type == RF_J_TUPLE || v.type == RF_J_DICT;
}

bool rf_jv_append_json(rf_vm *vm, rf_jv v, const rf_json_style *style, rf_buf *out) {
    if (!is_container(v))
        return append_leaf(vm, v, style, out);
    rf_jwalk w;
    rf_jwalk_init(&w);
    if (!open_container(vm, &w, v, style, out))
        return false;
    while (w.n) {
        rf_jstep *s = &w.steps[w.n - 1];
        bool is_dict = s->v.type == RF_J_DICT;
        if (out->failed || !rf_vm_charge(vm, 1))
            return out->failed ? rf_vm_fail_memory(vm) : false;
        if (s->at == (is_dict ? s->v.u.dict->n : s->v.u.seq->n)) {
            w.n--;
            new_line(style, w.n, out);
            rf_buf_put(out, is_dict ? '}' : ']');
            continue;
        }
        if (s->at)
            rf_buf_str(out, style->item_separator);
        new_line(style, w.n, out);
        rf_jv item = is_dict ? s->v.u.dict->entries[s->at].value : s->v.u.seq->items[s->at];
        if (is_dict) {
            if (!append_key(vm, s->v.u.dict->entries[s->at].key, style, out))
                return false;
            rf_buf_str(out, style->key_separator);
        }
        s->at++;
        if (is_container(item) ? !open_container(vm, &w, item, style, out)
                               : !append_leaf(vm, item, style, out))
            return false;
    }
    return true;
}
