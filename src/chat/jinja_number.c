#include "chat/jinja_number.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static int digit_value(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'Z' ? c - 'A' + 10 : 99;
}

static int prefix_base(rf_str s) {
    if (s.len < 2 || s.ptr[0] != '0')
        return 10;
    char c = (char)(s.ptr[1] | 0x20);
    return c == 'x' ? 16 : c == 'o' ? 8 : c == 'b' ? 2 : 10;
}

rf_number_parse rf_number_parse_int(rf_arena *arena, rf_str s, int base, rf_jv *out) {
    bool negative = s.len && s.ptr[0] == '-';
    if (negative || (s.len && s.ptr[0] == '+'))
        s = rf_str_sub(s, 1, s.len);
    int prefix = prefix_base(s);
    bool any_base = base == 0;
    if (base == 0)
        base = prefix;
    if (prefix != 10 && prefix == base) {
        s = rf_str_sub(s, 2, s.len);
        if (s.len && s.ptr[0] == '_')
            s = rf_str_sub(s, 1, s.len);
    } else if (any_base && s.len > 1 && s.ptr[0] == '0') {
        for (size_t i = 0; i < s.len; i++) /* 007 is no literal, 000 is */
            if (s.ptr[i] != '0' && s.ptr[i] != '_')
                return RF_NUMBER_BAD;
    }
    if (s.len == 0 || (s.len > RF_BIG_MAX_DIGITS && (base & (base - 1)) != 0) ||
        s.len > RF_BIG_MAX_BITS / 6)
        return RF_NUMBER_BAD;
    rf_big *big = rf_bigint_new(arena, (uint32_t)(s.len * 6 / 32 + 2));
    if (!big)
        return RF_NUMBER_NO_MEMORY;
    for (size_t i = 0; i < s.len; i++) {
        bool joins = s.ptr[i] == '_' && i > 0 && i + 1 < s.len && s.ptr[i - 1] != '_';
        if (joins)
            continue;
        int digit = digit_value(s.ptr[i]);
        if (digit >= base)
            return RF_NUMBER_BAD;
        uint64_t carry = (uint64_t)digit;
        for (uint32_t k = 0; k < big->n; k++) {
            carry += (uint64_t)big->limb[k] * (uint64_t)base;
            big->limb[k] = (uint32_t)carry;
            carry >>= 32;
        }
    }
    big->negative = negative;
    *out = rf_bigint_normal(big);
    return RF_NUMBER_OK;
}

static bool is_word(rf_str s, const char *word) {
    return s.len == strlen(word) && strncasecmp(s.ptr, word, s.len) == 0;
}

bool rf_number_parse_float(rf_str s, double *out) {
    char text[512];
    size_t n = 0;
    rf_str body = s;
    bool negative = s.len && s.ptr[0] == '-';
    if (s.len && (s.ptr[0] == '-' || s.ptr[0] == '+'))
        body = rf_str_sub(s, 1, s.len);
    if (is_word(body, "inf") || is_word(body, "infinity") || is_word(body, "nan")) {
        *out = is_word(body, "nan") ? (double)NAN : negative ? -(double)INFINITY : (double)INFINITY;
        return true;
    }
    if (body.len == 0 || body.len >= sizeof text)
        return false;
    bool digits = false;
    for (size_t i = 0; i < body.len; i++) {
        char c = body.ptr[i];
        bool near = i > 0 && i + 1 < body.len && digit_value(body.ptr[i - 1]) < 10 &&
                    digit_value(body.ptr[i + 1]) < 10;
        if (c == '_' && near)
            continue;
        if (!(digit_value(c) < 10 || c == '.' || c == 'e' || c == 'E' || c == '+' || c == '-'))
            return false;
        digits |= digit_value(c) < 10;
        text[n++] = c;
    }
    text[n] = 0;
    char *end;
    double value = strtod(text, &end);
    if (!digits || end != text + n || text[0] == '+' || text[0] == '-')
        return false;
    *out = negative ? -value : value;
    return true;
}

double rf_number_double(rf_jv v) {
    if (v.type == RF_J_FLOAT)
        return v.u.f;
    if (v.type != RF_J_BIG)
        return (double)rf_jv_small(v);
    const rf_big *big = v.u.big;
    /* the top 64 bits with a sticky bit for the rest round as the whole would */
    uint32_t bits = rf_bigint_bits(v), shift = bits - 64;
    uint64_t top = 0;
    bool sticky = false;
    for (uint32_t i = 0; i < bits; i++) {
        bool set = big->limb[i / 32] >> (i % 32) & 1;
        if (i < shift)
            sticky |= set;
        else
            top |= (uint64_t)set << (i - shift);
    }
    double value = ldexp((double)(top | sticky), (int)shift);
    return big->negative ? -value : value;
}

bool rf_number_from_double(rf_vm *vm, double value, rf_jv *out) {
    value = trunc(value);
    if (fabs(value) < 9.2e18) {
        *out = rf_jv_int((int64_t)value);
        return true;
    }
    int exponent;
    double fraction = frexp(fabs(value), &exponent); /* value = fraction * 2^exponent */
    rf_big *big = rf_bigint_new(&vm->arena, (uint32_t)exponent / 32 + 2);
    if (!big)
        return rf_vm_fail_memory(vm);
    uint64_t mantissa = (uint64_t)ldexp(fraction, 53);
    for (int i = 0; i < 53; i++) {
        uint32_t at = (uint32_t)(exponent - 53 + i);
        big->limb[at / 32] |= (uint32_t)(mantissa >> i & 1) << (at % 32);
    }
    big->negative = value < 0;
    *out = rf_bigint_normal(big);
    return true;
}

bool rf_number_is_negative(rf_jv a) {
    if (a.type == RF_J_FLOAT)
        return signbit(a.u.f) != 0;
    return a.type == RF_J_BIG ? a.u.big->negative : rf_jv_small(a) < 0;
}

bool rf_number_negate(rf_vm *vm, rf_jv a, rf_jv *out) {
    if (a.type == RF_J_FLOAT) {
        *out = rf_jv_float(-a.u.f);
        return true;
    }
    return rf_bigint_add(vm, rf_jv_int(0), a, true, out);
}

/* By sign, then bits, then the top 53 bits, then what lies below them. */
static int compare_big(rf_jv a, double f) {
    const rf_big *big = a.u.big;
    int exponent, sign = big->negative ? -1 : 1;
    if (f == 0 || (f < 0) != big->negative)
        return sign;
    double fraction = frexp(fabs(f), &exponent);
    int bits = (int)rf_bigint_bits(a);
    if (bits != exponent)
        return bits < exponent ? -sign : sign;
    uint64_t mantissa = (uint64_t)ldexp(fraction, 53), top = 0;
    bool below = false;
    for (int i = 0; i < bits; i++) {
        uint64_t bit = big->limb[i / 32] >> (i % 32) & 1;
        if (i < bits - 53)
            below |= bit != 0;
        else
            top |= bit << (i - (bits - 53));
    }
    if (top != mantissa)
        return top < mantissa ? -sign : sign;
    return below ? sign : 0;
}

/* An integer against a float, exactly: the float is split into its floor and a fraction. */
static int compare_mixed(rf_jv a, double f) {
    if (isinf(f))
        return f > 0 ? -1 : 1;
    if (a.type == RF_J_BIG)
        return compare_big(a, f);
    int64_t i = rf_jv_small(a);
    if (f >= 9223372036854775808.0)
        return -1;
    if (f < -9223372036854775808.0)
        return 1;
    double whole = floor(f);
    int64_t w = (int64_t)whole;
    if (i != w)
        return i < w ? -1 : 1;
    return f > whole ? -1 : 0;
}

int rf_number_compare(rf_jv a, rf_jv b) {
    if (a.type == RF_J_FLOAT || b.type == RF_J_FLOAT) {
        double x = rf_number_double(a), y = rf_number_double(b);
        if (isnan(x) || isnan(y))
            return 2;
        if (a.type != RF_J_FLOAT)
            return compare_mixed(a, y);
        if (b.type != RF_J_FLOAT)
            return -compare_mixed(b, x);
        return x < y ? -1 : x > y ? 1 : 0;
    }
    return rf_bigint_compare(a, b);
}

uint64_t rf_number_hash(rf_jv a) {
    double d = rf_number_double(a);
    uint64_t bits;
    if (d == 0)
        d = 0; /* -0.0 equals 0 */
    memcpy(&bits, &d, sizeof bits);
    return (bits ^ bits >> 29) * 0xbf58476d1ce4e5b9u;
}

size_t rf_float_text(double value, char out[RF_FLOAT_TEXT_BYTES]) {
    if (!isfinite(value))
        return (size_t)snprintf(out, RF_FLOAT_TEXT_BYTES, "%s",
                                isnan(value) ? "nan"
                                : value > 0  ? "inf"
                                             : "-inf");
    char text[RF_FLOAT_TEXT_BYTES];
    for (int precision = 0; precision < 17; precision++) {
        (void)snprintf(text, sizeof text, "%.*e", precision, value);
        if (strtod(text, NULL) == value)
            break;
    }
    /* d.ddde±xx: digits and exponent */
    char digits[24];
    size_t n = 0;
    const char *p = text + (text[0] == '-');
    for (; *p && *p != 'e'; p++)
        if (*p != '.')
            digits[n++] = *p;
    digits[n] = 0;
    int exponent = (int)strtol(p + 1, NULL, 10);
    const char *sign = text[0] == '-' ? "-" : "";
    int len;
    if (exponent < -4 || exponent >= 16)
        len = snprintf(out, RF_FLOAT_TEXT_BYTES, "%s%c%s%se%c%02d", sign, digits[0],
                       n > 1 ? "." : "", digits + 1, exponent < 0 ? '-' : '+', abs(exponent));
    else if (exponent < 0)
        len = snprintf(out, RF_FLOAT_TEXT_BYTES, "%s0.%.*s%s", sign, -exponent - 1, "000", digits);
    else if ((size_t)exponent + 1 >= n)
        len = snprintf(out, RF_FLOAT_TEXT_BYTES, "%s%s%.*s.0", sign, digits, exponent + 1 - (int)n,
                       "0000000000000000");
    else
        len = snprintf(out, RF_FLOAT_TEXT_BYTES, "%s%.*s.%s", sign, exponent + 1, digits,
                       digits + exponent + 1);
    return (size_t)len;
}

static bool big_digits(rf_vm *vm, const rf_big *big, unsigned base, const char *set, rf_buf *out) {
    rf_big *work = rf_bigint_new(&vm->arena, big->n);
    if (!work)
        return rf_vm_fail_memory(vm);
    memcpy(work->limb, big->limb, big->n * sizeof big->limb[0]);
    size_t start = out->len;
    while (work->n) {
        rf_buf_put(out, set[rf_limbs_div_small(work->limb, &work->n, base)]);
        if (base == 10 && out->len - start > RF_BIG_MAX_DIGITS)
            return rf_vm_fail(vm, RF_TEMPLATE_OTHER,
                              "ValueError: Exceeds the limit (%d digits) for integer string "
                              "conversion",
                              RF_BIG_MAX_DIGITS);
    }
    for (size_t i = start, k = out->len; !out->failed && i + 1 < k; i++) {
        char c = out->data[i];
        out->data[i] = out->data[--k];
        out->data[k] = c;
    }
    return rf_vm_charge(vm, (uint64_t)big->n * big->n / 4);
}

bool rf_number_digits(rf_vm *vm, rf_jv a, unsigned base, bool upper, rf_buf *out) {
    const char *set = upper ? "0123456789ABCDEF" : "0123456789abcdef";
    if (a.type == RF_J_BIG)
        return big_digits(vm, a.u.big, base, set, out);
    int64_t value = rf_jv_small(a);
    uint64_t magnitude = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    char text[65];
    size_t n = sizeof text;
    do
        text[--n] = set[magnitude % base];
    while (magnitude /= base);
    rf_buf_append(out, text + n, sizeof text - n);
    return true;
}

bool rf_number_append(rf_vm *vm, rf_jv a, rf_buf *out) {
    if (a.type == RF_J_FLOAT) {
        char text[RF_FLOAT_TEXT_BYTES];
        rf_buf_append(out, text, rf_float_text(a.u.f, text));
        return true;
    }
    if (rf_number_is_negative(a))
        rf_buf_put(out, '-');
    return rf_number_digits(vm, a, 10, false, out);
}
