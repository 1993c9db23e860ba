/* text % values: printf-style formatting. */
#include "base/utf8.h"
#include "chat/jinja_chars.h"
#include "chat/jinja_number.h"
#include "chat/jinja_spec.h"

typedef struct percent {
    rf_vm *vm;
    rf_str s;
    size_t at;
    rf_jv args;
    size_t used; /* items of a tuple of arguments */
    bool markup;
} percent;

static bool incomplete(rf_vm *vm) {
    return rf_vm_fail(vm, RF_TEMPLATE_OTHER, "ValueError: incomplete format");
}

static bool next_arg(percent *p, rf_jv *out) {
    bool tuple = p->args.type == RF_J_TUPLE;
    if (p->used >= (tuple ? p->args.u.seq->n : 1))
        return rf_vm_fail(p->vm, RF_TEMPLATE_TYPE, "not enough arguments for format string");
    *out = tuple ? p->args.u.seq->items[p->used] : p->args;
    p->used++;
    return true;
}

/* (key): the value is taken from a mapping. */
static bool keyed_arg(percent *p, rf_jv *out) {
    size_t start = ++p->at, depth = 1;
    for (; p->at < p->s.len && depth; p->at++)
        depth += (size_t)(p->s.ptr[p->at] == '(') - (size_t)(p->s.ptr[p->at] == ')');
    if (depth)
        return rf_vm_fail(p->vm, RF_TEMPLATE_OTHER, "ValueError: incomplete format key");
    if (p->args.type != RF_J_DICT)
        return rf_vm_fail(p->vm, RF_TEMPLATE_TYPE, "format requires a mapping");
    rf_str key = rf_str_sub(p->s, start, p->at - 1);
    bool found;
    if (!rf_jdict_get_str(p->vm, p->args.u.dict, key, out, &found))
        return false;
    p->used = 1;
    return found || rf_vm_fail(p->vm, RF_TEMPLATE_OTHER, "KeyError: '%.*s'", RF_STR_ARG(key));
}

/* Width or precision: digits, or * for an argument. */
static bool size(percent *p, int64_t *out) {
    rf_jv v;
    if (p->at < p->s.len && p->s.ptr[p->at] == '*') {
        p->at++;
        if (!next_arg(p, &v))
            return false;
        if (v.type != RF_J_INT && v.type != RF_J_BOOL)
            return rf_vm_fail(p->vm, RF_TEMPLATE_TYPE, "* wants int");
        *out = rf_jv_small(v);
        return true;
    }
    for (; p->at < p->s.len && p->s.ptr[p->at] >= '0' && p->s.ptr[p->at] <= '9'; p->at++) {
        *out = *out < 0 ? 0 : *out;
        *out = *out < INT32_MAX ? *out * 10 + (p->s.ptr[p->at] - '0') : *out;
    }
    return true;
}

static bool text(percent *p, rf_jv v, char type, rf_jspec *spec, rf_buf *out) {
    rf_vm *vm = p->vm;
    size_t mark = rf_vm_mark(vm);
    rf_jv s;
    if (type == 's') {
        if (p->markup ? !rf_jv_escape(vm, v, &s) : !rf_jv_str_of(vm, v, &s))
            return false;
    } else if (type == 'a' && v.type == RF_J_STR) {
        rf_jv_append_quoted(rf_jv_view(v), true, &vm->scratch);
        if (!rf_vm_take(vm, mark, &s))
            return false;
    } else if (!rf_jv_repr_of(vm, v, &s)) {
        return false;
    }
    if (p->markup && type != 's' && !rf_jv_escape(vm, s, &s))
        return false;
    spec->align = spec->align == '<' ? '<' : '>';
    spec->fill[0] = ' ';
    return rf_jspec_text(vm, rf_jv_view(s), spec, out);
}

static bool character(percent *p, rf_jv v, rf_jspec *spec, rf_buf *out) {
    char buf[4];
    rf_str s = {0};
    if (v.type == RF_J_STR && rf_chars_count(rf_jv_view(v)) == 1) {
        s = rf_jv_view(v);
    } else if (v.type == RF_J_INT || v.type == RF_J_BOOL) {
        int64_t code = rf_jv_small(v);
        if (code < 0 || code > 0x10ffff)
            return rf_vm_fail(p->vm, RF_TEMPLATE_OTHER,
                              "OverflowError: %%c arg not in range(0x110000)");
        s = (rf_str){buf, rf_utf8_encode((uint32_t)code, buf)};
    } else {
        return rf_vm_fail(p->vm, RF_TEMPLATE_TYPE, "%%c requires int or char");
    }
    spec->align = spec->align == '<' ? '<' : '>';
    spec->fill[0] = ' ';
    spec->precision = -1;
    return rf_jspec_text(p->vm, s, spec, out);
}

static bool number(percent *p, rf_jv v, char type, rf_jspec *spec, rf_buf *out) {
    rf_vm *vm = p->vm;
    bool is_float = strchr("eEfFgG", type) != NULL, is_hex = strchr("xXo", type) != NULL;
    if (v.type == RF_J_UNDEFINED)
        return rf_vm_fail_undefined(vm, v);
    if (is_float && v.type == RF_J_STR)
        return rf_vm_fail(vm, RF_TEMPLATE_TYPE, "must be real number, not str");
    if (is_hex && !rf_jv_is_int(v))
        return rf_vm_fail(vm, RF_TEMPLATE_TYPE, "%%%c format: an integer is required, not %s", type,
                          rf_jv_type_name(v));
    if (!rf_jv_is_number(v))
        return rf_vm_fail(vm, RF_TEMPLATE_TYPE, "%%%c format: a real number is required, not %s",
                          type, rf_jv_type_name(v));
    if (!is_float && v.type == RF_J_FLOAT) {
        if (!(v.u.f - v.u.f == 0))
            return rf_vm_fail(vm, RF_TEMPLATE_OTHER,
                              "OverflowError: cannot convert float to integer");
        if (!rf_number_from_double(vm, v.u.f, &v))
            return false;
    }
    spec->type = type == 'i' || type == 'u' ? 'd' : type;
    if (!is_float && spec->precision >= 0) { /* at least so many digits */
        rf_jspec inner = *spec;
        inner.width = spec->precision + rf_number_is_negative(v) + (spec->sign != 0);
        inner.width += spec->alternate && is_hex ? 2 : 0;
        inner.precision = -1;
        inner.align = '=';
        inner.fill[0] = '0';
        size_t mark = rf_vm_mark(vm);
        rf_jv whole;
        if (!rf_jspec_number(vm, v, &inner, &vm->scratch) || !rf_vm_take(vm, mark, &whole))
            return false;
        spec->align = spec->align == '<' ? '<' : '>';
        spec->precision = -1;
        spec->fill[0] = ' ';
        return rf_jspec_text(vm, rf_jv_view(whole), spec, out);
    }
    return rf_jspec_number(vm, v, spec, out);
}

static bool directive(percent *p, rf_buf *out) {
    rf_vm *vm = p->vm;
    rf_jspec spec = {.fill = " ", .n_fill = 1, .width = -1, .precision = -1, .align = '>'};
    rf_jv v = rf_jv_of(RF_J_MISSING);
    size_t start = p->at;
    if (p->at < p->s.len && p->s.ptr[p->at] == '(' && !keyed_arg(p, &v))
        return false;
    for (; p->at < p->s.len && p->s.ptr[p->at] && strchr("-+ #0", p->s.ptr[p->at]); p->at++) {
        char c = p->s.ptr[p->at];
        if (c == '-')
            spec.align = '<';
        else if (c == '+' || (c == ' ' && spec.sign != '+'))
            spec.sign = c;
        else if (c == '#')
            spec.alternate = true;
        else if (c == '0' && spec.align != '<')
            spec.align = '=';
    }
    if (!size(p, &spec.width))
        return false;
    if (spec.width < -1) {
        spec.align = '<';
        spec.width = -spec.width;
    }
    if (p->at < p->s.len && p->s.ptr[p->at] == '.') {
        p->at++;
        spec.precision = 0;
        if (!size(p, &spec.precision))
            return false;
        if (spec.precision < 0)
            spec.precision = 0;
    }
    if (spec.align == '=')
        spec.fill[0] = '0';
    while (p->at < p->s.len && p->s.ptr[p->at] && strchr("hlL", p->s.ptr[p->at]))
        p->at++;
    if (p->at >= p->s.len)
        return incomplete(vm);
    char type = p->s.ptr[p->at++];
    if (type == '%' && p->at == start + 1) {
        rf_buf_put(out, '%');
        return true;
    }
    if (!strchr("diouxXeEfFgGcrsa", type) || !type)
        return rf_vm_fail(vm, RF_TEMPLATE_OTHER,
                          "ValueError: unsupported format character '%c' (0x%x) at index %zu", type,
                          (unsigned char)type, p->at - 1);
    if (v.type == RF_J_MISSING && !next_arg(p, &v))
        return false;
    if (type == 's' || type == 'r' || type == 'a')
        return text(p, v, type, &spec, out);
    return type == 'c' ? character(p, v, &spec, out) : number(p, v, type, &spec, out);
}

bool rf_jv_percent(rf_vm *vm, rf_jv format, rf_jv args, rf_jv *out) {
    percent p = {.vm = vm, .s = rf_jv_view(format), .args = args};
    p.markup = rf_jv_is_markup(format);
    rf_buf built;
    rf_buf_init(&built, vm->scratch.max_bytes);
    bool ok = true;
    while (ok && p.at < p.s.len) {
        const char *next = memchr(p.s.ptr + p.at, '%', p.s.len - p.at);
        size_t end = next ? (size_t)(next - p.s.ptr) : p.s.len;
        rf_buf_append(&built, p.s.ptr + p.at, end - p.at);
        p.at = end + 1;
        ok = !next || directive(&p, &built);
        if (ok && built.failed)
            ok = rf_vm_fail_memory(vm);
    }
    /* arguments that nothing used are an error, but for mappings */
    bool tuple = args.type == RF_J_TUPLE;
    bool mapping = args.type == RF_J_DICT || args.type == RF_J_LIST ||
                   args.type == RF_J_UNDEFINED || args.type == RF_J_RANGE;
    if (ok && (tuple ? p.used < args.u.seq->n : p.used == 0 && !mapping))
        ok = rf_vm_fail(vm, RF_TEMPLATE_TYPE,
                        "not all arguments converted during string formatting");
    ok = ok && rf_vm_charge(vm, built.len / 64) && rf_vm_copy(vm, rf_buf_view(&built), out);
    if (ok)
        out->flags = p.markup ? RF_JF_MARKUP : 0;
    rf_buf_deinit(&built);
    return ok;
}
