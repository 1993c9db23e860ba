#include "chat/jinja_spec.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/utf8.h"
#include "chat/jinja_chars.h"
#include "chat/jinja_number.h"

enum { MAX_FIELD = 1 << 20, MAX_PRECISION = 4096 };

static bool fill(rf_vm *vm, const rf_jspec *spec, int64_t n, rf_buf *out) {
    if (n > 0 && !rf_vm_charge(vm, (uint64_t)n / 16))
        return false;
    for (int64_t i = 0; i < n && !out->failed; i++)
        rf_buf_append(out, spec->fill, spec->n_fill);
    return true;
}

static bool check_width(rf_vm *vm, const rf_jspec *spec) {
    if (spec->width > MAX_FIELD || spec->precision > MAX_FIELD)
        return rf_vm_fail(vm, RF_TEMPLATE_LIMIT, "field of more than %d characters", MAX_FIELD);
    return true;
}

bool rf_jspec_text(rf_vm *vm, rf_str s, const rf_jspec *spec, rf_buf *out) {
    if (!check_width(vm, spec))
        return false;
    if (spec->precision >= 0)
        s = rf_str_sub(s, 0, rf_chars_offset(s, (size_t)spec->precision));
    int64_t missing = spec->width - (int64_t)rf_chars_count(s);
    missing = missing > 0 ? missing : 0;
    int64_t left = spec->align == '>' ? missing : spec->align == '^' ? missing / 2 : 0;
    if (!fill(vm, spec, left, out))
        return false;
    rf_buf_str(out, s);
    return fill(vm, spec, missing - left, out);
}

/* Puts sign, prefix and digits (with grouping and zero filling) into the field. */
static bool place(rf_vm *vm, const rf_jspec *spec, const char *sign, const char *prefix,
                  rf_str digits, rf_str tail, rf_buf *out) {
    int64_t group = spec->grouping == 0                                                  ? 0
                    : spec->grouping == '_' && spec->type && strchr("bBoxX", spec->type) ? 4
                                                                                         : 3;
    int64_t n = (int64_t)digits.len, extra = (int64_t)(strlen(sign) + strlen(prefix) + tail.len);
    bool zero_filled = spec->align == '=' && spec->n_fill == 1 && spec->fill[0] == '0';
    int64_t zeros = 0;
    int64_t size = n + (group && n ? (n - 1) / group : 0);
    while (zero_filled && size + extra < spec->width && zeros < MAX_FIELD) {
        zeros++;
        int64_t all = n + zeros;
        size = all + (group ? (all - 1) / group : 0);
    }
    int64_t missing = spec->width - size - extra;
    missing = missing > 0 ? missing : 0;
    char align = spec->align ? spec->align : '>';
    int64_t left = align == '>' ? missing : align == '^' ? missing / 2 : 0;
    if (!fill(vm, spec, left, out))
        return false;
    rf_buf_text(out, sign);
    rf_buf_text(out, prefix);
    if (align == '=' && !fill(vm, spec, missing, out))
        return false;
    for (int64_t i = 0; i < n + zeros; i++) {
        if (group && i && (n + zeros - i) % group == 0)
            rf_buf_put(out, spec->grouping);
        rf_buf_put(out, i < zeros ? '0' : digits.ptr[i - zeros]);
    }
    rf_buf_str(out, tail);
    return align == '=' || fill(vm, spec, missing - left, out);
}

static const char *sign_of(bool negative, const rf_jspec *spec) {
    return negative ? "-" : spec->sign == '+' ? "+" : spec->sign == ' ' ? " " : "";
}

static bool integer(rf_vm *vm, rf_jv v, const rf_jspec *spec, rf_buf *out) {
    unsigned base = spec->type == 'x' || spec->type == 'X' ? 16
                    : spec->type == 'o'                    ? 8
                    : spec->type == 'b'                    ? 2
                                                           : 10;
    const char *prefix = !spec->alternate    ? ""
                         : spec->type == 'x' ? "0x"
                         : spec->type == 'X' ? "0X"
                         : spec->type == 'o' ? "0o"
                         : spec->type == 'b' ? "0b"
                                             : "";
    size_t mark = rf_vm_mark(vm);
    rf_jv digits;
    if (!rf_number_digits(vm, v, base, spec->type == 'X', &vm->scratch) ||
        !rf_vm_take(vm, mark, &digits))
        return false;
    return place(vm, spec, sign_of(rf_number_is_negative(v), spec), prefix, rf_jv_view(digits),
                 (rf_str){0}, out);
}

/* Drops the zeros behind the point that g does not show. */
static void strip_zeros(char *text) {
    char *end = strpbrk(text, "eE"), *last = end ? end : text + strlen(text);
    if (!memchr(text, '.', (size_t)(last - text)))
        return;
    char *to = last;
    while (to[-1] == '0')
        to--;
    if (to[-1] == '.')
        to--;
    memmove(to, last, strlen(last) + 1);
}

/* A float without type: repr, or g with at least one decimal. */
static void float_general(double f, int64_t precision, bool alternate, char *text, size_t size) {
    if (precision < 0) {
        char shortest[RF_FLOAT_TEXT_BYTES];
        (void)rf_float_text(f, shortest);
        (void)snprintf(text, size, "%s", shortest);
        return;
    }
    int p = precision == 0 ? 1 : (int)precision;
    (void)snprintf(text, size, "%.*e", p - 1, f);
    const char *e = strchr(text, 'e');
    int exponent = e ? (int)strtol(e + 1, NULL, 10) : 0;
    if (exponent < -4 || exponent >= p - 1) {
        if (!alternate)
            strip_zeros(text);
        return;
    }
    (void)snprintf(text, size, "%.*f", p - 1 - exponent > 0 ? p - 1 - exponent : 0, f);
    if (!alternate)
        strip_zeros(text);
    if (!strchr(text, '.'))
        (void)snprintf(text + strlen(text), size - strlen(text), ".0");
}

static void format_float(char *text, size_t size, char type, bool alternate, int precision,
                         double f) {
    static const struct {
        char type;
        const char *plain, *alternate;
    } formats[] = {{'e', "%.*e", "%#.*e"}, {'E', "%.*E", "%#.*E"}, {'f', "%.*f", "%#.*f"},
                   {'F', "%.*F", "%#.*F"}, {'g', "%.*g", "%#.*g"}, {'G', "%.*G", "%#.*G"}};
    size_t i = 0;
    while (i + 1 < sizeof formats / sizeof *formats && formats[i].type != type)
        i++;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)snprintf(text, size, alternate ? formats[i].alternate : formats[i].plain, precision, f);
#pragma GCC diagnostic pop
}

static bool floating(rf_vm *vm, double f, const rf_jspec *spec, rf_buf *out) {
    char type = spec->type, *text;
    int64_t precision = spec->precision;
    if (precision > MAX_PRECISION)
        return rf_vm_fail(vm, RF_TEMPLATE_LIMIT, "precision of more than %d digits", MAX_PRECISION);
    size_t size = (size_t)MAX_PRECISION + 400;
    text = rf_vm_alloc(vm, size, 1);
    if (!text)
        return false;
    if (type == '%')
        f *= 100;
    bool negative = signbit(f) != 0 && !isnan(f);
    double magnitude = fabs(f);
    int p = precision < 0 ? 6 : (int)precision;
    if (!isfinite(f)) {
        bool upper = type == 'F' || type == 'E' || type == 'G';
        (void)snprintf(text, size, "%s%s",
                       isnan(f) ? (upper ? "NAN" : "nan") : (upper ? "INF" : "inf"),
                       type == '%' ? "%" : "");
        return place(vm, spec, sign_of(negative, spec), "", (rf_str){0}, rf_str_of(text), out);
    }
    if (type == 0) {
        float_general(magnitude, precision, spec->alternate, text, size);
    } else {
        format_float(text, size,
                     type == '%'   ? 'f'
                     : type == 'n' ? 'g'
                                   : type,
                     spec->alternate, p, magnitude);
        if (type == '%')
            (void)snprintf(text + strlen(text), size - strlen(text), "%%");
    }
    if (spec->no_negative_zero && negative && strspn(text, "0.%") == strlen(text))
        negative = false;
    size_t whole = strspn(text, "0123456789");
    return place(vm, spec, sign_of(negative, spec), "", (rf_str){text, whole},
                 rf_str_of(text + whole), out);
}

bool rf_jspec_number(rf_vm *vm, rf_jv v, const rf_jspec *spec, rf_buf *out) {
    if (!check_width(vm, spec))
        return false;
    if (v.type != RF_J_FLOAT && (spec->type == 0 || strchr("bdnoxX", spec->type)))
        return integer(vm, v, spec, out);
    double f = rf_number_double(v);
    if (v.type == RF_J_BIG && isinf(f))
        return rf_vm_fail(vm, RF_TEMPLATE_OTHER,
                          "OverflowError: int too large to convert to float");
    return floating(vm, f, spec, out);
}

static int64_t digits(rf_str s, size_t *i) {
    int64_t n = 0;
    for (; *i < s.len && s.ptr[*i] >= '0' && s.ptr[*i] <= '9'; ++*i)
        n = n < INT32_MAX ? n * 10 + (s.ptr[*i] - '0') : n;
    return n;
}

static bool bad_spec(rf_vm *vm, rf_jv v) {
    return rf_vm_fail(vm, RF_TEMPLATE_OTHER,
                      "ValueError: Invalid format specifier for object of type '%s'",
                      rf_jv_type_name(v));
}

static bool parse(rf_vm *vm, rf_jv v, rf_str s, rf_jspec *spec) {
    static const char aligns[] = "<>=^";
    *spec = (rf_jspec){.fill = " ", .n_fill = 1, .width = -1, .precision = -1};
    size_t i = 0;
    uint32_t code;
    size_t first = rf_chars_at(s, 0, &code);
    if (first && first < s.len && strchr(aligns, s.ptr[first]) && s.ptr[first]) {
        memcpy(spec->fill, s.ptr, first);
        spec->n_fill = (uint8_t)first;
        spec->align = s.ptr[first];
        i = first + 1;
    } else if (s.len && s.ptr[0] && strchr(aligns, s.ptr[0])) {
        spec->align = s.ptr[0];
        i = 1;
    }
    bool own_fill = first && i == first + 1;
    if (i < s.len && s.ptr[i] && strchr("+- ", s.ptr[i]))
        spec->sign = s.ptr[i++];
    if (i < s.len && s.ptr[i] == 'z')
        spec->no_negative_zero = true, i++;
    if (i < s.len && s.ptr[i] == '#')
        spec->alternate = true, i++;
    if (!own_fill && i < s.len && s.ptr[i] == '0') {
        spec->fill[0] = '0';
        if (!spec->align)
            spec->align = v.type == RF_J_STR ? '<' : '=';
        i++;
    }
    if (i < s.len && s.ptr[i] >= '0' && s.ptr[i] <= '9')
        spec->width = digits(s, &i);
    if (i < s.len && (s.ptr[i] == ',' || s.ptr[i] == '_'))
        spec->grouping = s.ptr[i++];
    if (i < s.len && s.ptr[i] == '.') {
        size_t start = ++i;
        spec->precision = digits(s, &i);
        if (i == start)
            return rf_vm_fail(vm, RF_TEMPLATE_OTHER,
                              "ValueError: Format specifier missing precision");
    }
    if (i < s.len)
        spec->type = s.ptr[i++];
    return i == s.len || bad_spec(vm, v);
}

static bool unknown_code(rf_vm *vm, char type, rf_jv v) {
    return rf_vm_fail(vm, RF_TEMPLATE_OTHER,
                      "ValueError: Unknown format code '%c' for object of type '%s'", type,
                      rf_jv_type_name(v));
}

static bool format_int(rf_vm *vm, rf_jv v, const rf_jspec *spec, rf_buf *out) {
    if (spec->type == 'c') {
        char text[4];
        int64_t code = v.type == RF_J_BIG ? -1 : rf_jv_small(v);
        if (code < 0 || code > 0x10ffff)
            return rf_vm_fail(vm, RF_TEMPLATE_OTHER,
                              "OverflowError: %%c arg not in range(0x110000)");
        return rf_jspec_text(vm, (rf_str){text, rf_utf8_encode((uint32_t)code, text)}, spec, out);
    }
    if (spec->type && !strchr("bdnoxXeEfFgG%", spec->type))
        return unknown_code(vm, spec->type, v);
    bool whole = spec->type == 0 || strchr("bdnoxX", spec->type);
    if (whole && spec->precision >= 0)
        return rf_vm_fail(vm, RF_TEMPLATE_OTHER,
                          "ValueError: Precision not allowed in integer format specifier");
    if (spec->grouping == ',' && spec->type && strchr("boxXn", spec->type))
        return rf_vm_fail(vm, RF_TEMPLATE_OTHER, "ValueError: Cannot specify ',' with '%c'.",
                          spec->type);
    return rf_jspec_number(vm, v, spec, out);
}

bool rf_jv_format_spec(rf_vm *vm, rf_jv v, rf_str s, rf_buf *out) {
    rf_jspec spec;
    if (s.len == 0)
        return rf_jv_append_str(vm, v, out);
    bool is_text = rf_jv_is_text(v);
    if (!is_text && !rf_jv_is_number(v))
        return rf_vm_fail(vm, RF_TEMPLATE_TYPE, "unsupported format string passed to %s.__format__",
                          rf_jv_type_name(v));
    if (!parse(vm, v, s, &spec))
        return false;
    if (is_text) {
        if (spec.type && spec.type != 's')
            return unknown_code(vm, spec.type, v);
        if (spec.sign || spec.alternate || spec.align == '=' || spec.grouping)
            return rf_vm_fail(vm, RF_TEMPLATE_OTHER,
                              "ValueError: not allowed in string format specifier");
        return rf_jspec_text(vm, rf_jv_view(v), &spec, out);
    }
    if (v.type == RF_J_FLOAT) {
        if (spec.type && !strchr("eEfFgGn%", spec.type))
            return unknown_code(vm, spec.type, v);
        return rf_jspec_number(vm, v, &spec, out);
    }
    return format_int(vm, v, &spec, out);
}
