/* Filters of numbers and of any value. */
#include <math.h>
#include <stdio.h>

#include "chat/jinja_chars.h"
#include "chat/jinja_filter.h"
#include "chat/jinja_number.h"

#define FILTER(name) \
    bool rf_jfilter_##name(rf_vm *vm, rf_jv v, const rf_jv *a, const rf_jargs *raw, rf_jv *out)

FILTER(abs) {
    RF_JUNUSED(a), RF_JUNUSED(raw);
    if (v.type == RF_J_UNDEFINED || !rf_jv_is_number(v))
        return rf_vm_fail(vm, RF_TEMPLATE_TYPE, "bad operand type for abs(): '%s'",
                          rf_jv_type_name(v));
    *out = v.type == RF_J_BOOL ? rf_jv_int(v.u.b) : v;
    return !rf_number_is_negative(v) || rf_number_negate(vm, v, out);
}

FILTER(default) {
    bool boolean, truth = true;
    RF_JUNUSED(raw);
    if (!rf_jarg_bool(vm, a[1], false, &boolean) || (boolean && !rf_jv_truth(vm, v, &truth)))
        return false;
    rf_jv fallback = a[0].type == RF_J_MISSING ? rf_jv_text("") : a[0];
    *out = v.type == RF_J_UNDEFINED || !truth ? fallback : v;
    return true;
}

FILTER(attr) {
    bool found;
    RF_JUNUSED(raw);
    if (a[0].type != RF_J_STR)
        return rf_vm_fail(vm, RF_TEMPLATE_TYPE, "attribute name must be string, not '%s'",
                          rf_jv_type_name(a[0]));
    rf_jv ignored;
    rf_str name = rf_jv_view(a[0]);
    if (name.len && name.ptr[0] == '_') /* let the sandbox decide */
        return rf_jv_attr(vm, v, name, out);
    static const char *const mutators[] = {"append", "clear",      "pop",    "reverse",
                                           "insert", "sort",       "extend", "popitem",
                                           "remove", "setdefault", "update"};
    for (size_t i = 0; i < sizeof mutators / sizeof *mutators; i++)
        if (rf_str_is(name, mutators[i]) && (v.type == RF_J_LIST || v.type == RF_J_DICT))
            return rf_jv_attr(vm, v, name, out);
    if (!rf_jv_own_attr(vm, v, name, &ignored, &found))
        return false;
    return found ? rf_jv_attr(vm, v, name, out) : rf_vm_undefined(vm, v, a[0], out);
}

static rf_str strip(rf_jv v) {
    rf_str s = rf_chars_rstrip(rf_jv_view(v));
    return rf_str_sub(s, rf_chars_space_prefix(s), s.len);
}

/* int(float(value)); *ok false: neither works, the default counts. */
static bool int_of_float(rf_vm *vm, double f, rf_jv *out, bool *ok) {
    *ok = isfinite(f) != 0;
    return !*ok || rf_number_from_double(vm, f, out);
}

/* Python reads any decimal digits; *out: the same text in ASCII. */
static bool ascii_digits(rf_vm *vm, rf_str s, rf_str *out) {
    if (rf_chars_is_ascii(s)) {
        *out = s;
        return true;
    }
    size_t mark = rf_vm_mark(vm);
    uint32_t c;
    for (size_t i = 0, n; (n = rf_chars_at(s, i, &c)) > 0; i += n) {
        int digit = rf_char_digit(c);
        rf_buf_put(&vm->scratch, digit >= 0 ? (char)('0' + digit) : c < 0x80 ? (char)c : '?');
    }
    rf_jv text;
    if (!rf_vm_take(vm, mark, &text))
        return false;
    *out = rf_jv_view(text);
    return true;
}

FILTER(int) {
    int64_t base;
    bool ok = false;
    double f;
    RF_JUNUSED(raw);
    rf_jv fallback = a[0].type == RF_J_MISSING ? rf_jv_int(0) : a[0];
    if (!rf_jarg_int(vm, a[1], 10, &base))
        return false;
    if (v.type == RF_J_UNDEFINED)
        return rf_vm_fail_undefined(vm, v);
    *out = fallback;
    if (rf_jv_is_int(v)) {
        *out = v.type == RF_J_BOOL ? rf_jv_int(v.u.b) : v;
        return true;
    }
    if (v.type == RF_J_FLOAT) {
        if (isinf(v.u.f))
            return rf_vm_fail(vm, RF_TEMPLATE_OTHER,
                              "OverflowError: cannot convert float infinity to integer");
        return int_of_float(vm, v.u.f, out, &ok);
    }
    if (v.type != RF_J_STR)
        return true;
    rf_str s;
    if (!ascii_digits(vm, strip(v), &s))
        return false;
    bool base_ok = base == 0 || (base >= 2 && base <= 36);
    rf_number_parse parsed =
        base_ok ? rf_number_parse_int(&vm->arena, s, (int)base, out) : RF_NUMBER_BAD;
    if (parsed == RF_NUMBER_NO_MEMORY)
        return rf_vm_fail_memory(vm);
    if (parsed == RF_NUMBER_OK)
        return true;
    *out = fallback;
    return !rf_number_parse_float(s, &f) || int_of_float(vm, f, out, &ok);
}

FILTER(float) {
    double f;
    RF_JUNUSED(raw);
    *out = a[0].type == RF_J_MISSING ? rf_jv_float(0) : a[0];
    if (v.type == RF_J_UNDEFINED)
        return rf_vm_fail_undefined(vm, v);
    if (rf_jv_is_number(v)) {
        *out = rf_jv_float(rf_number_double(v));
        if (v.type == RF_J_BIG && isinf(out->u.f))
            return rf_vm_fail(vm, RF_TEMPLATE_OTHER,
                              "OverflowError: int too large to convert to float");
        return true;
    }
    rf_str s;
    if (v.type != RF_J_STR)
        return true;
    if (!ascii_digits(vm, strip(v), &s))
        return false;
    if (rf_number_parse_float(s, &f))
        *out = rf_jv_float(f);
    return true;
}

/* Python's round(): correctly rounded decimals, halves to even. */
static bool round_common(rf_vm *vm, rf_jv v, int64_t precision, rf_jv *out) {
    char text[400];
    if (v.type != RF_J_FLOAT) {
        if (precision >= 0) {
            *out = v.type == RF_J_BOOL ? rf_jv_int(v.u.b) : v;
            return true;
        }
        rf_jv unit, rest, half, q;
        bool less;
        if (precision < -RF_BIG_MAX_DIGITS) {
            *out = rf_jv_int(0);
            return true;
        }
        if (!rf_number_binary(vm, RF_JB_POW, rf_jv_int(10), rf_jv_int(-precision), &unit) ||
            !rf_number_binary(vm, RF_JB_FLOORDIV, v, unit, &q) ||
            !rf_number_binary(vm, RF_JB_MOD, v, unit, &rest) ||
            !rf_number_binary(vm, RF_JB_MUL, rest, rf_jv_int(2), &half) ||
            !rf_jv_compare(vm, RF_JC_LT, unit, half, &less))
            return false;
        rf_jv odd;
        bool tie;
        if (!rf_jv_equal(vm, unit, half, &tie) ||
            !rf_number_binary(vm, RF_JB_MOD, q, rf_jv_int(2), &odd))
            return false;
        if ((less || (tie && rf_jv_small(odd))) &&
            !rf_number_binary(vm, RF_JB_ADD, q, rf_jv_int(1), &q))
            return false;
        return rf_number_binary(vm, RF_JB_MUL, q, unit, out);
    }
    *out = v;
    if (!isfinite(v.u.f) || precision > 323)
        return true;
    if (precision < -308) {
        *out = rf_jv_float(copysign(0.0, v.u.f));
        return true;
    }
    if (precision >= 0) {
        int n = snprintf(text, sizeof text, "%.*f", (int)precision, v.u.f);
        double f;
        if (n < 0 || (size_t)n >= sizeof text)
            return true;
        if (rf_number_parse_float((rf_str){text, (size_t)n}, &f))
            *out = rf_jv_float(f);
        return true;
    }
    double unit = pow(10, (double)-precision), scaled = v.u.f / unit, whole = nearbyint(scaled);
    *out = rf_jv_float(whole * unit);
    return true;
}

FILTER(round) {
    int64_t precision;
    RF_JUNUSED(raw);
    rf_str method = a[1].type == RF_J_STR ? rf_jv_view(a[1]) : RF_STR("common");
    bool is_ceil = rf_str_is(method, "ceil"), is_floor = rf_str_is(method, "floor");
    if ((a[1].type != RF_J_MISSING && a[1].type != RF_J_STR) ||
        (!is_ceil && !is_floor && !rf_str_is(method, "common")))
        return rf_vm_fail(vm, RF_TEMPLATE_OTHER,
                          "FilterArgumentError: method must be common, ceil or floor");
    if (!rf_jarg_int(vm, a[0], 0, &precision))
        return false;
    if (v.type == RF_J_UNDEFINED && (is_ceil || is_floor))
        return rf_vm_fail_undefined(vm, v);
    if (!rf_jv_is_number(v))
        return rf_vm_fail(vm, RF_TEMPLATE_TYPE, "type %s doesn't define __round__ method",
                          rf_jv_type_name(v));
    if (!is_ceil && !is_floor)
        return round_common(vm, v, precision, out);
    rf_jv unit, scaled;
    if (!rf_number_binary(vm, RF_JB_POW, rf_jv_int(10), rf_jv_int(precision), &unit) ||
        !rf_number_binary(vm, RF_JB_MUL, v, unit, &scaled))
        return false;
    if (scaled.type == RF_J_FLOAT) {
        if (!isfinite(scaled.u.f))
            return rf_vm_fail(vm, RF_TEMPLATE_OTHER,
                              "OverflowError: cannot convert float to integer");
        if (!rf_number_from_double(vm, is_ceil ? ceil(scaled.u.f) : floor(scaled.u.f), &scaled))
            return false;
    }
    return rf_number_binary(vm, RF_JB_DIV, scaled, unit, out);
}

FILTER(filesizeformat) {
    static const char *const units[][2] = {{"kB", "KiB"}, {"MB", "MiB"}, {"GB", "GiB"},
                                           {"TB", "TiB"}, {"PB", "PiB"}, {"EB", "EiB"},
                                           {"ZB", "ZiB"}, {"YB", "YiB"}};
    bool binary;
    rf_jv number;
    if (!rf_jarg_bool(vm, a[0], false, &binary))
        return false;
    const rf_jv nothing[] = {rf_jv_of(RF_J_NONE)};
    if (!rf_jfilter_float(vm, v, nothing, raw, &number))
        return false;
    if (number.type != RF_J_FLOAT)
        return v.type == RF_J_STR
                   ? rf_vm_fail(vm, RF_TEMPLATE_OTHER,
                                "ValueError: could not convert string to float")
                   : rf_vm_fail(vm, RF_TEMPLATE_TYPE,
                                "float() argument must be a string or a real number, not '%s'",
                                rf_jv_type_name(v));
    double bytes = number.u.f, base = binary ? 1024 : 1000, unit = base;
    if (bytes == 1)
        return rf_vm_string(vm, out, "1 Byte");
    if (bytes < base)
        return rf_vm_string(vm, out, "%.0f Bytes", trunc(bytes) + 0.0);
    size_t i = 0;
    for (;; i++) {
        unit *= base;
        if (bytes < unit || i == 7)
            break;
    }
    return rf_vm_string(vm, out, "%.1f %s", base * bytes / unit, units[i][binary]);
}
