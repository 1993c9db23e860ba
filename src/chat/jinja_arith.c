/* Arithmetic between numbers. */
#include <math.h>

#include "chat/jinja_number.h"

static bool zero_division(rf_vm *vm, const char *what) {
    return rf_vm_fail(vm, RF_TEMPLATE_OTHER, "ZeroDivisionError: %s", what);
}

static bool overflow(rf_vm *vm, const char *what) {
    return rf_vm_fail(vm, RF_TEMPLATE_OTHER, "OverflowError: %s", what);
}

/* Floats: the rest has the divisor's sign, the quotient is the floor (CPython's float_divmod). */
static void float_divmod(double a, double b, double *quotient, double *rest) {
    double mod = fmod(a, b), div = (a - mod) / b;
    if (mod != 0) {
        if ((b < 0) != (mod < 0)) {
            mod += b;
            div -= 1;
        }
    } else {
        mod = copysign(0.0, b);
    }
    double whole = floor(div);
    if (div == 0)
        whole = copysign(0.0, a / b);
    else if (div - whole > 0.5)
        whole += 1;
    *quotient = whole;
    *rest = mod;
}

static bool float_pow(rf_vm *vm, double a, double b, rf_jv *out) {
    if (a == 0 && b < 0)
        return zero_division(vm, "0.0 cannot be raised to a negative power");
    if (a < 0 && isfinite(a) && isfinite(b) && floor(b) != b)
        return rf_vm_fail(vm, RF_TEMPLATE_OTHER, "complex numbers are not supported");
    double value = pow(a, b);
    if (isinf(value) && isfinite(a) && isfinite(b))
        return overflow(vm, "(34, 'Numerical result out of range')");
    *out = rf_jv_float(value);
    return true;
}

static bool float_binary(rf_vm *vm, rf_jbinary op, double a, double b, rf_jv *out) {
    double quotient = 0, rest = 0;
    if (b == 0 && (op == RF_JB_DIV || op == RF_JB_FLOORDIV || op == RF_JB_MOD))
        return zero_division(vm, op == RF_JB_DIV        ? "float division by zero"
                                 : op == RF_JB_FLOORDIV ? "float floor division by zero"
                                                        : "float modulo");
    switch (op) {
    case RF_JB_ADD: *out = rf_jv_float(a + b); return true;
    case RF_JB_SUB: *out = rf_jv_float(a - b); return true;
    case RF_JB_MUL: *out = rf_jv_float(a * b); return true;
    case RF_JB_DIV: *out = rf_jv_float(a / b); return true;
    case RF_JB_POW: return float_pow(vm, a, b, out);
    default:
        float_divmod(a, b, &quotient, &rest);
        *out = rf_jv_float(op == RF_JB_MOD ? rest : quotient);
        return true;
    }
}

static bool is_exact(rf_jv v) { /* does a double hold it? */
    return v.type != RF_J_BIG && rf_jv_small(v) >= -(INT64_C(1) << 53) &&
           rf_jv_small(v) <= INT64_C(1) << 53;
}

/* Correctly rounded quotient: 66 bits of it with a sticky bit, scaled. */
static bool true_divide(rf_vm *vm, rf_jv a, rf_jv b, rf_jv *out) {
    if (is_exact(a) && is_exact(b)) {
        *out = rf_jv_float((double)rf_jv_small(a) / (double)rf_jv_small(b));
        return true;
    }
    bool negative = rf_number_is_negative(a) != rf_number_is_negative(b);
    int shift = 66 - (int)rf_bigint_bits(a) + (int)rf_bigint_bits(b);
    rf_jv scale, q, rest, doubled;
    if ((rf_number_is_negative(a) && !rf_number_negate(vm, a, &a)) ||
        (rf_number_is_negative(b) && !rf_number_negate(vm, b, &b)) ||
        !rf_bigint_pow(vm, rf_jv_int(2), (uint64_t)(shift < 0 ? -shift : shift), &scale) ||
        !rf_bigint_mul(vm, shift < 0 ? b : a, scale, shift < 0 ? &b : &a) ||
        !rf_bigint_divmod(vm, a, b, &q, &rest) || !rf_bigint_add(vm, q, q, false, &doubled))
        return false;
    bool sticky = rest.type == RF_J_BIG || rf_jv_small(rest) != 0;
    if (!rf_bigint_add(vm, doubled, rf_jv_int(sticky), false, &q))
        return false;
    double value = ldexp(rf_number_double(q), -shift - 1);
    if (!isfinite(value))
        return overflow(vm, "integer division result too large for a float");
    *out = rf_jv_float(negative ? -value : value);
    return true;
}

static bool int_divide(rf_vm *vm, rf_jbinary op, rf_jv a, rf_jv b, rf_jv *out) {
    if (b.type != RF_J_BIG && rf_jv_small(b) == 0)
        return zero_division(vm, op == RF_JB_DIV   ? "division by zero"
                                 : op == RF_JB_MOD ? "integer modulo by zero"
                                                   : "integer division or modulo by zero");
    if (op == RF_JB_DIV)
        return true_divide(vm, a, b, out);
    if (a.type != RF_J_BIG && b.type != RF_J_BIG && rf_jv_small(a) != INT64_MIN) {
        int64_t x = rf_jv_small(a), y = rf_jv_small(b), rest = x % y, quotient = x / y;
        if (rest != 0 && (rest < 0) != (y < 0)) {
            rest += y;
            quotient--;
        }
        *out = rf_jv_int(op == RF_JB_MOD ? rest : quotient);
        return true;
    }
    rf_jv quotient, rest;
    if (!rf_bigint_divmod(vm, a, b, &quotient, &rest))
        return false;
    *out = op == RF_JB_MOD ? rest : quotient;
    return true;
}

static bool int_pow(rf_vm *vm, rf_jv a, rf_jv b, rf_jv *out) {
    if (rf_number_is_negative(b))
        return float_pow(vm, rf_number_double(a), rf_number_double(b), out);
    if (b.type == RF_J_BIG) {
        if (a.type != RF_J_BIG && rf_jv_small(a) >= -1 && rf_jv_small(a) <= 1)
            return rf_bigint_pow(vm, a, 2 + (b.u.big->limb[0] & 1), out);
        return rf_vm_fail(vm, RF_TEMPLATE_LIMIT, "integer of more than %d bits", RF_BIG_MAX_BITS);
    }
    return rf_bigint_pow(vm, a, (uint64_t)rf_jv_small(b), out);
}

static bool int_binary(rf_vm *vm, rf_jbinary op, rf_jv a, rf_jv b, rf_jv *out) {
    bool small = a.type != RF_J_BIG && b.type != RF_J_BIG;
    int64_t x = small ? rf_jv_small(a) : 0, y = small ? rf_jv_small(b) : 0, value = 0;
    switch (op) {
    case RF_JB_ADD:
        if (!small || __builtin_add_overflow(x, y, &value))
            return rf_bigint_add(vm, a, b, false, out);
        break;
    case RF_JB_SUB:
        if (!small || __builtin_sub_overflow(x, y, &value))
            return rf_bigint_add(vm, a, b, true, out);
        break;
    case RF_JB_MUL:
        if (!small || __builtin_mul_overflow(x, y, &value))
            return rf_bigint_mul(vm, a, b, out);
        break;
    case RF_JB_POW: return int_pow(vm, a, b, out);
    default: return int_divide(vm, op, a, b, out);
    }
    *out = rf_jv_int(value);
    return true;
}

bool rf_number_binary(rf_vm *vm, rf_jbinary op, rf_jv a, rf_jv b, rf_jv *out) {
    if (a.type != RF_J_FLOAT && b.type != RF_J_FLOAT)
        return int_binary(vm, op, a, b, out);
    double x = rf_number_double(a), y = rf_number_double(b);
    bool too_large = (a.type == RF_J_BIG && isinf(x)) || (b.type == RF_J_BIG && isinf(y));
    if (too_large)
        return overflow(vm, "int too large to convert to float");
    return float_binary(vm, op, x, y, out);
}
