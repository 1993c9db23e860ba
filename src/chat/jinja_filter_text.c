/* Filters of text. Most call the string method of the same name. */
#include "base/utf8.h"
#include "chat/jinja_chars.h"
#include "chat/jinja_filter.h"

#define FILTER(name) \
    bool rf_jfilter_##name(rf_vm *vm, rf_jv v, const rf_jv *a, const rf_jargs *raw, rf_jv *out)

/* A method of the value taken as text, with one optional argument. */
static bool method(rf_vm *vm, rf_jv v, const char *name, rf_jv arg, rf_jv *out) {
    rf_jmethod m;
    if (!rf_jarg_text(vm, v, &m.self))
        return false;
    m.row = rf_method_find(RF_J_STR, rf_str_of(name));
    rf_jargs args = {.pos = &arg, .n_pos = arg.type != RF_J_MISSING};
    return rf_method_call(vm, &m, &args, out);
}

FILTER(upper) {
    RF_JUNUSED(a), RF_JUNUSED(raw);
    return method(vm, v, "upper", rf_jv_of(RF_J_MISSING), out);
}
FILTER(lower) {
    RF_JUNUSED(a), RF_JUNUSED(raw);
    return method(vm, v, "lower", rf_jv_of(RF_J_MISSING), out);
}
FILTER(capitalize) {
    RF_JUNUSED(a), RF_JUNUSED(raw);
    return method(vm, v, "capitalize", rf_jv_of(RF_J_MISSING), out);
}
FILTER(trim) {
    RF_JUNUSED(raw);
    return method(vm, v, "strip", a[0], out);
}
FILTER(center) {
    RF_JUNUSED(raw);
    return method(vm, v, "center", a[0].type == RF_J_MISSING ? rf_jv_int(80) : a[0], out);
}

FILTER(string) {
    RF_JUNUSED(a), RF_JUNUSED(raw);
    return rf_jarg_text(vm, v, out);
}

FILTER(safe) {
    RF_JUNUSED(a), RF_JUNUSED(raw);
    if (!rf_jv_str_of(vm, v, out))
        return false;
    out->flags = RF_JF_MARKUP;
    return true;
}

FILTER(escape) {
    RF_JUNUSED(a), RF_JUNUSED(raw);
    return rf_jv_escape(vm, v, out);
}

FILTER(forceescape) {
    rf_jv text;
    RF_JUNUSED(a), RF_JUNUSED(raw);
    return rf_jv_str_of(vm, v, &text) && rf_jv_escape(vm, text, out);
}

/* Words begin behind white space and -({[< */
FILTER(title) {
    rf_jv text;
    RF_JUNUSED(a), RF_JUNUSED(raw);
    if (!rf_jarg_text(vm, v, &text))
        return false;
    rf_str s = rf_jv_view(text);
    size_t mark = rf_vm_mark(vm);
    uint32_t c;
    bool split = true;
    for (size_t i = 0, n; (n = rf_chars_at(s, i, &c)) > 0;) {
        bool separates = rf_char_is_space(c) || (c < 0x80 && strchr("-({[<", (int)c) && c);
        size_t end = i + n;
        if (!separates && !split) { /* the rest of the word at once: final sigma looks around */
            while ((n = rf_chars_at(s, end, &c)) > 0 && !rf_char_is_space(c) &&
                   !(c < 0x80 && c && strchr("-({[<", (int)c)))
                end += n;
            rf_chars_lower(rf_str_sub(s, i, end), &vm->scratch);
        } else {
            rf_chars_upper(rf_str_sub(s, i, end), &vm->scratch);
        }
        split = separates;
        i = end;
    }
    if (!rf_vm_take(vm, mark, out))
        return false;
    return true;
}

FILTER(replace) {
    rf_jv args[3];
    size_t n = 2;
    RF_JUNUSED(raw);
    bool markup =
        vm->autoescape && (rf_jv_is_markup(v) || rf_jv_is_markup(a[0]) || rf_jv_is_markup(a[1]));
    rf_jmethod m = {.row = rf_method_find(RF_J_STR, RF_STR("replace"))};
    if (!rf_jv_str_of(vm, v, &m.self) || !rf_jv_str_of(vm, a[0], &args[0]) ||
        !rf_jv_str_of(vm, a[1], &args[1]))
        return false;
    if (markup) {
        args[1].flags = a[1].flags;
        if ((!rf_jv_is_markup(v) && !rf_jv_escape(vm, m.self, &m.self)))
            return false;
        m.self.flags = RF_JF_MARKUP;
    }
    if (a[2].type != RF_J_MISSING && a[2].type != RF_J_NONE)
        args[n++] = a[2];
    return rf_method_call(vm, &m, &(rf_jargs){.pos = args, .n_pos = n}, out);
}

FILTER(format) {
    rf_jv text, values;
    RF_JUNUSED(a);
    if (raw->n_pos && raw->n_kw)
        return rf_vm_fail(vm, RF_TEMPLATE_OTHER,
                          "FilterArgumentError: can't handle positional and keyword arguments at "
                          "the same time");
    if (!rf_jarg_text(vm, v, &text))
        return false;
    if (raw->n_kw) {
        rf_jdict *dict;
        if (!rf_jdict_make(vm, raw, &dict))
            return false;
        values = rf_jv_dict(dict);
    } else if (!rf_vm_list(vm, RF_J_TUPLE, raw->pos, raw->n_pos, &values)) {
        return false;
    }
    return rf_jv_percent(vm, text, values, out);
}

static size_t line_length(rf_str s, size_t at, size_t *end) {
    uint32_t c = 0;
    size_t i = at, n;
    while ((n = rf_chars_at(s, i, &c)) > 0 && !rf_char_is_line_end(c))
        i += n;
    *end = i + n;
    if (c == '\r' && *end < s.len && s.ptr[*end] == '\n')
        ++*end;
    return i - at;
}

FILTER(indent) {
    bool first, blank;
    int64_t width = 4;
    RF_JUNUSED(raw);
    if (v.type == RF_J_UNDEFINED)
        return rf_vm_fail_undefined(vm, v);
    if (!rf_jv_is_text(v))
        return rf_vm_fail(vm, RF_TEMPLATE_TYPE,
                          "unsupported operand type(s) for +=: '%s' and 'str'", rf_jv_type_name(v));
    if (!rf_jarg_bool(vm, a[1], false, &first) || !rf_jarg_bool(vm, a[2], false, &blank))
        return false;
    rf_jv indention;
    if (a[0].type == RF_J_STR) {
        indention = a[0];
    } else {
        if (!rf_jarg_int(vm, a[0], 4, &width) ||
            !rf_jv_binary(vm, RF_JB_MUL, rf_jv_text(" "), rf_jv_int(width), &indention))
            return false;
    }
    rf_str s = rf_jv_view(v), in = rf_jv_view(indention);
    size_t mark = rf_vm_mark(vm), at = 0, end;
    if (first)
        rf_buf_str(&vm->scratch, in);
    for (bool more = true; more; at = end) { /* the text with a line end put behind it */
        size_t len = line_length(s, at, &end);
        if (at && (blank || len)) {
            rf_buf_put(&vm->scratch, '\n');
            rf_buf_str(&vm->scratch, in);
        } else if (at) {
            rf_buf_put(&vm->scratch, '\n');
        }
        rf_buf_str(&vm->scratch, rf_str_sub(s, at, at + len));
        if (!rf_vm_charge(vm, 1) || vm->scratch.failed)
            return vm->scratch.failed ? rf_vm_fail_memory(vm) : false;
        more = end > at + len;
    }
    if (!rf_vm_take(vm, mark, out))
        return false;
    out->flags = v.flags;
    return true;
}

FILTER(truncate) {
    int64_t length, leeway = 5, size;
    bool killwords;
    RF_JUNUSED(raw);
    rf_jv end = a[2].type == RF_J_MISSING ? rf_jv_text("...") : a[2];
    if (!rf_jarg_int(vm, a[0], 255, &length) || !rf_jarg_bool(vm, a[1], false, &killwords) ||
        (a[3].type != RF_J_NONE && !rf_jarg_int(vm, a[3], 5, &leeway)))
        return false;
    if (end.type != RF_J_STR)
        return rf_vm_fail(vm, RF_TEMPLATE_TYPE, "object of type '%s' has no len()",
                          rf_jv_type_name(end));
    int64_t end_len = (int64_t)rf_chars_count(rf_jv_view(end));
    if (length < end_len || leeway < 0)
        return rf_vm_fail(vm, RF_TEMPLATE_OTHER,
                          "AssertionError: expected length >= %lld, got %lld", (long long)end_len,
                          (long long)length);
    if (!rf_jv_length(vm, v, &size))
        return false;
    *out = v;
    if (size <= length + leeway)
        return true;
    if (v.type != RF_J_STR)
        return rf_vm_fail(vm, RF_TEMPLATE_TYPE, "only text can be truncated");
    rf_str s = rf_jv_view(v);
    s.len = rf_chars_offset(s, (size_t)(length - end_len));
    const char *space = killwords || !s.len ? NULL : memrchr(s.ptr, ' ', s.len);
    if (space)
        s.len = (size_t)(space - s.ptr);
    rf_jv cut = rf_jv_str(s);
    cut.flags = v.flags;
    return rf_jv_binary(vm, RF_JB_ADD, cut, end, out);
}

FILTER(wordcount) {
    rf_jv text;
    int64_t words = 0;
    uint32_t c;
    bool inside = false;
    RF_JUNUSED(a), RF_JUNUSED(raw);
    if (!rf_jarg_text(vm, v, &text))
        return false;
    rf_str s = rf_jv_view(text);
    for (size_t i = 0, n; (n = rf_chars_at(s, i, &c)) > 0; i += n) {
        bool word = c == '_' || rf_char_is_alnum(c);
        words += word && !inside;
        inside = word;
    }
    *out = rf_jv_int(words);
    return rf_vm_charge(vm, s.len / 64);
}

FILTER(pprint) {
    RF_JUNUSED(a), RF_JUNUSED(raw);
    return rf_jv_repr_of(vm, v, out);
}

static void quote(rf_str s, bool query, rf_buf *out) {
    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.ptr[i];
        bool plain =
            (c < 0x80 && rf_char_is_alnum(c)) || (c && strchr("_.-~", c)) || (c == '/' && !query);
        if (plain)
            rf_buf_put(out, (char)c);
        else if (c == ' ' && query)
            rf_buf_put(out, '+');
        else
            rf_buf_printf(out, "%%%02X", c);
    }
}

static bool quote_value(rf_vm *vm, rf_jv v, bool query) {
    rf_jv text;
    if (!rf_jv_str_of(vm, v, &text))
        return false;
    quote(rf_jv_view(text), query, &vm->scratch);
    return true;
}

FILTER(urlencode) {
    rf_jseq pairs, two;
    RF_JUNUSED(a), RF_JUNUSED(raw);
    size_t mark = rf_vm_mark(vm);
    if (v.type == RF_J_STR || !rf_jv_is_iterable(v))
        return quote_value(vm, v, false) && rf_vm_take(vm, mark, out);
    if (v.type == RF_J_DICT)
        v = (rf_jv){.type = RF_J_VIEW, .aux = RF_JVIEW_ITEMS, .u.dict = v.u.dict};
    if (!rf_jv_items(vm, v, &pairs))
        return false;
    for (size_t i = 0; i < pairs.n; i++) {
        if (!rf_jv_items(vm, pairs.items[i], &two))
            return false;
        if (two.n != 2)
            return rf_vm_fail(vm, RF_TEMPLATE_OTHER,
                              "ValueError: wrong number of values to unpack (expected 2, got %zu)",
                              two.n);
        if (i)
            rf_buf_put(&vm->scratch, '&');
        if (!quote_value(vm, two.items[0], true))
            return false;
        rf_buf_put(&vm->scratch, '=');
        if (!quote_value(vm, two.items[1], true))
            return false;
    }
    return rf_vm_take(vm, mark, out);
}

static bool tojson_style(rf_vm *vm, const rf_jv *a, rf_json_style *style) {
    *style = (rf_json_style){.item_separator = RF_STR(", "), .key_separator = RF_STR(": ")};
    if (!rf_jarg_bool(vm, a[0], false, &style->ascii) ||
        !rf_jarg_bool(vm, a[3], false, &style->sort_keys))
        return false;
    if (a[1].type != RF_J_MISSING && a[1].type != RF_J_NONE) {
        rf_jv indent = a[1];
        style->pretty = true;
        style->item_separator = RF_STR(",");
        if (indent.type != RF_J_STR &&
            !rf_jv_binary(vm, RF_JB_MUL, rf_jv_text(" "), indent, &indent))
            return false;
        style->indent = rf_jv_view(indent);
    }
    if (a[2].type == RF_J_MISSING || a[2].type == RF_J_NONE)
        return true;
    rf_jseq two;
    if (!rf_jv_items(vm, a[2], &two))
        return false;
    if (two.n != 2)
        return rf_vm_fail(vm, RF_TEMPLATE_OTHER,
                          "ValueError: wrong number of values to unpack (expected 2, got %zu)",
                          two.n);
    if (!rf_jv_is_text(two.items[0]) || !rf_jv_is_text(two.items[1]))
        return rf_vm_fail(vm, RF_TEMPLATE_TYPE, "separators must be str");
    style->item_separator = rf_jv_view(two.items[0]);
    style->key_separator = rf_jv_view(two.items[1]);
    return true;
}

FILTER(tojson) {
    rf_json_style style;
    RF_JUNUSED(raw);
    size_t mark = rf_vm_mark(vm);
    return tojson_style(vm, a, &style) && rf_jv_append_json(vm, v, &style, &vm->scratch) &&
           rf_vm_take(vm, mark, out);
}
