/* str.format and str.format_map, with attributes resolved by the sandbox. */
#include "chat/jinja_chars.h"
#include "chat/jinja_method.h"

typedef struct formatter {
    rf_vm *vm;
    const rf_jargs *args;
    rf_jv map;    /* format_map's argument, or MISSING */
    int64_t next; /* number of the next automatic field, -1 after manual numbering */
    bool manual, markup;
} formatter;

static bool fail(formatter *f, const char *what) {
    return rf_vm_fail(f->vm, RF_TEMPLATE_OTHER, "ValueError: %s", what);
}

static bool to_number(rf_str s, int64_t *out) {
    *out = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] < '0' || s.ptr[i] > '9' || i > 9)
            return false;
        *out = *out * 10 + (s.ptr[i] - '0');
    }
    return s.len > 0;
}

static bool positional(formatter *f, int64_t i, rf_jv *out) {
    if (i >= (int64_t)f->args->n_pos)
        return rf_vm_fail(f->vm, RF_TEMPLATE_OTHER,
                          "IndexError: Replacement index %lld out of range for positional args "
                          "tuple",
                          (long long)i);
    *out = f->args->pos[i];
    return true;
}

static bool by_name(formatter *f, rf_str name, rf_jv *out) {
    bool found = false;
    for (size_t k = 0; k < f->args->n_kw; k++)
        if (rf_str_eq(f->args->kw_names[k], name)) {
            *out = f->args->kw_values[k];
            return true;
        }
    if (f->map.type == RF_J_DICT && !rf_jdict_get_str(f->vm, f->map.u.dict, name, out, &found))
        return false;
    return found || rf_vm_fail(f->vm, RF_TEMPLATE_OTHER, "KeyError: '%.*s'", RF_STR_ARG(name));
}

static bool first_part(formatter *f, rf_str name, rf_jv *out) {
    int64_t i;
    bool number = to_number(name, &i);
    if (name.len == 0 || number) {
        if (name.len == 0 ? f->manual : f->next > 0)
            return fail(f, name.len == 0
                               ? "cannot switch from manual field specification to automatic field "
                                 "numbering"
                               : "cannot switch from manual field specification to automatic field "
                                 "numbering");
        f->manual |= number;
        return positional(f, number ? i : f->next++, out);
    }
    return by_name(f, name, out);
}

/* first {"." attribute | "[" index "]"} */
static bool field(formatter *f, rf_str name, rf_jv *out) {
    size_t end = 0;
    while (end < name.len && name.ptr[end] != '.' && name.ptr[end] != '[')
        end++;
    if (!first_part(f, rf_str_sub(name, 0, end), out))
        return false;
    while (end < name.len) {
        bool attribute = name.ptr[end] == '.';
        size_t start = ++end;
        if (attribute) {
            while (end < name.len && name.ptr[end] != '.' && name.ptr[end] != '[')
                end++;
        } else {
            while (end < name.len && name.ptr[end] != ']')
                end++;
            if (end >= name.len)
                return fail(f, "Missing ']' in format string");
        }
        rf_str part = rf_str_sub(name, start, end);
        if (part.len == 0)
            return fail(f, "Empty attribute in format string");
        int64_t i;
        rf_jv key = to_number(part, &i) && !attribute ? rf_jv_int(i) : rf_jv_str(part);
        if (attribute ? !rf_jv_attr(f->vm, *out, part, out) : !rf_jv_item(f->vm, *out, key, out))
            return false;
        if (!attribute && ++end < name.len && name.ptr[end] != '.' && name.ptr[end] != '[')
            return fail(f, "Only '.' or '[' may follow ']' in format field specifier");
    }
    return true;
}

/* Splits "name!r:spec" (braces inside are balanced). */
static void split_field(rf_str body, rf_str *name, char *conversion, rf_str *spec) {
    size_t i = 0;
    for (bool in_index = false; i < body.len; i++) {
        in_index = body.ptr[i] == '[' || (in_index && body.ptr[i] != ']');
        if (!in_index && (body.ptr[i] == '!' || body.ptr[i] == ':'))
            break;
    }
    *name = rf_str_sub(body, 0, i);
    *conversion = 0;
    if (i + 1 < body.len && body.ptr[i] == '!') {
        *conversion = body.ptr[i + 1];
        i += 2;
    }
    *spec = i < body.len && body.ptr[i] == ':' ? rf_str_sub(body, i + 1, body.len) : (rf_str){0};
    if (i < body.len && body.ptr[i] != ':')
        *conversion = '?';
}

static bool convert(formatter *f, rf_jv *v, char conversion) {
    size_t mark = rf_vm_mark(f->vm);
    switch (conversion) {
    case 0: return true;
    case 's': return rf_jv_is_markup(*v) || rf_jv_str_of(f->vm, *v, v);
    case 'a':
        if (v->type == RF_J_STR) {
            rf_jv_append_quoted(rf_jv_view(*v), true, &f->vm->scratch);
            return rf_vm_take(f->vm, mark, v);
        }
        return rf_jv_repr_of(f->vm, *v, v);
    case 'r': return rf_jv_repr_of(f->vm, *v, v);
    default: return fail(f, "expected ':' after conversion specifier");
    }
}

static bool append_value(formatter *f, rf_jv v, rf_str spec, rf_buf *out) {
    if (!f->markup)
        return rf_jv_format_spec(f->vm, v, spec, out);
    size_t mark = rf_vm_mark(f->vm);
    rf_jv s;
    if (rf_jv_is_markup(v)) {
        if (spec.len)
            return fail(f, "Format specifier given to a value that escapes itself");
        s = v;
    } else if (!rf_jv_format_spec(f->vm, v, spec, &f->vm->scratch) ||
               !rf_vm_take(f->vm, mark, &s) || !rf_jv_escape(f->vm, s, &s)) {
        return false;
    }
    rf_buf_str(out, rf_jv_view(s));
    return true;
}

/* End of a replacement field that starts behind '{'. */
static bool field_end(formatter *f, rf_str s, size_t start, size_t *end) {
    size_t depth = 1, i = start;
    for (bool in_index = false; i < s.len; i++) {
        in_index = s.ptr[i] == '[' || (in_index && s.ptr[i] != ']');
        if (in_index)
            continue;
        depth += s.ptr[i] == '{';
        depth -= s.ptr[i] == '}';
        if (depth == 0)
            break;
    }
    *end = i;
    return i < s.len || fail(f, "expected '}' before end of string");
}

static bool literal_brace(formatter *f, rf_str s, size_t *i, rf_buf *out) {
    char c = s.ptr[*i];
    if (*i + 1 < s.len && s.ptr[*i + 1] == c) {
        rf_buf_put(out, c);
        *i += 2;
        return true;
    }
    return c == '{' || fail(f, "Single '}' encountered in format string");
}

/* A spec may hold fields of its own, one level deep. */
static bool expand_spec(formatter *f, rf_str spec, rf_buf *out) {
    for (size_t i = 0; i < spec.len;) {
        if (spec.ptr[i] != '{' && spec.ptr[i] != '}') {
            rf_buf_put(out, spec.ptr[i++]);
            continue;
        }
        size_t end, before = i;
        if (!literal_brace(f, spec, &i, out))
            return false;
        if (i != before)
            continue;
        rf_str name, inner;
        char conversion;
        rf_jv v;
        if (!field_end(f, spec, i + 1, &end))
            return false;
        split_field(rf_str_sub(spec, i + 1, end), &name, &conversion, &inner);
        if (memchr(inner.ptr ? inner.ptr : "", '{', inner.len))
            return fail(f, "Max string recursion exceeded");
        if (!field(f, name, &v) || !convert(f, &v, conversion) ||
            !rf_jv_format_spec(f->vm, v, inner, out))
            return false;
        i = end + 1;
    }
    return true;
}

static bool run(formatter *f, rf_str s, rf_buf *out, rf_buf *spec_text) {
    for (size_t i = 0; i < s.len;) {
        if (out->failed || spec_text->failed)
            return rf_vm_fail_memory(f->vm);
        size_t start = i;
        while (i < s.len && s.ptr[i] != '{' && s.ptr[i] != '}')
            i++;
        rf_buf_append(out, s.ptr + start, i - start);
        if (i >= s.len)
            break;
        start = i;
        if (!literal_brace(f, s, &i, out))
            return false;
        if (i != start)
            continue;
        if (i + 1 >= s.len)
            return fail(f, "Single '{' encountered in format string");
        size_t end;
        rf_str name, spec;
        char conversion;
        rf_jv v;
        if (!field_end(f, s, i + 1, &end))
            return false;
        split_field(rf_str_sub(s, i + 1, end), &name, &conversion, &spec);
        rf_buf_clear(spec_text);
        if (!field(f, name, &v) || !convert(f, &v, conversion) ||
            !expand_spec(f, spec, spec_text) || !append_value(f, v, rf_buf_view(spec_text), out) ||
            !rf_vm_charge(f->vm, 1))
            return false;
        i = end + 1;
    }
    return true;
}

bool rf_jv_format(rf_vm *vm, rf_jv format, const rf_jargs *args, rf_jv map, rf_jv *out) {
    formatter f = {.vm = vm, .args = args, .map = map, .markup = rf_jv_is_markup(format)};
    rf_buf built, spec_text;
    rf_buf_init(&built, vm->scratch.max_bytes);
    rf_buf_init(&spec_text, vm->scratch.max_bytes);
    bool ok = run(&f, rf_jv_view(format), &built, &spec_text);
    if (ok && built.failed)
        ok = rf_vm_fail_memory(vm);
    ok = ok && rf_vm_charge(vm, built.len / 64) && rf_vm_copy(vm, rf_buf_view(&built), out);
    if (ok)
        out->flags = format.flags;
    rf_buf_deinit(&built);
    rf_buf_deinit(&spec_text);
    return ok;
}

RF_JMETHOD(str_format) {
    RF_JIGNORE(a);
    return rf_jv_format(vm, self, raw, rf_jv_of(RF_J_MISSING), out);
}

RF_JMETHOD(str_format_map) {
    RF_JIGNORE(a);
    if (raw->n_kw || raw->n_pos != 1)
        return rf_vm_fail(vm, RF_TEMPLATE_TYPE,
                          "format_map() takes exactly one argument (%zu given)", raw->n_pos);
    return rf_jv_format(vm, self, &(rf_jargs){0}, raw->pos[0], out);
}
