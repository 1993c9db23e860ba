/* Binary and unary operators on any values. */
#include "chat/jinja_number.h"
#include "chat/jinja_object.h"

static const char *const symbols[] = {"+", "-", "*", "/", "//", "%", "** or pow()", "~"};

static bool unsupported(rf_vm *vm, rf_jbinary op, rf_jv a, rf_jv b) {
    return rf_vm_fail(vm, RF_TEMPLATE_TYPE, "unsupported operand type(s) for %s: '%s' and '%s'",
                      symbols[op], rf_jv_type_name(a), rf_jv_type_name(b));
}

static bool add_text(rf_vm *vm, rf_jv a, rf_jv b, rf_jv *out) {
    if (rf_jv_is_markup(a) && !rf_jv_is_markup(b) && !rf_jv_escape(vm, b, &b))
        return false;
    if (rf_jv_is_markup(b) && !rf_jv_is_markup(a) && !rf_jv_escape(vm, a, &a))
        return false;
    return rf_jv_concat(vm, a, b, out);
}

static bool add_seq(rf_vm *vm, rf_jv a, rf_jv b, rf_jv *out) {
    size_t n = a.u.seq->n + b.u.seq->n;
    rf_jv *items = rf_vm_alloc(vm, n + 1, sizeof *items);
    rf_jseq *seq = rf_vm_alloc(vm, 1, sizeof *seq);
    if (!items || !seq || !rf_vm_charge(vm, n / 8))
        return false;
    if (a.u.seq->n)
        memcpy(items, a.u.seq->items, a.u.seq->n * sizeof *items);
    if (b.u.seq->n)
        memcpy(items + a.u.seq->n, b.u.seq->items, b.u.seq->n * sizeof *items);
    *seq = (rf_jseq){items, n};
    *out = rf_jv_seq((rf_jtype)a.type, seq);
    return true;
}

static bool add(rf_vm *vm, rf_jv a, rf_jv b, rf_jv *out) {
    if (a.type == RF_J_STR && b.type == RF_J_STR && ((a.flags ^ b.flags) & RF_JF_BYTES) == 0)
        return add_text(vm, a, b, out);
    if (a.type == b.type && (a.type == RF_J_LIST || a.type == RF_J_TUPLE))
        return add_seq(vm, a, b, out);
    if (a.type == RF_J_STR || a.type == RF_J_LIST || a.type == RF_J_TUPLE)
        return rf_vm_fail(vm, RF_TEMPLATE_TYPE, "can only concatenate %s (not \"%s\") to %s",
                          rf_jv_type_name(a), rf_jv_type_name(b), rf_jv_type_name(a));
    return unsupported(vm, RF_JB_ADD, a, b);
}

/* A string, list or tuple n times; the size is known before the memory is taken. */
static bool repeat(rf_vm *vm, rf_jv v, rf_jv times, rf_jv *out) {
    int64_t n;
    if (!rf_jv_index(vm, times, &n))
        return false;
    if (n < 0)
        n = 0;
    size_t unit = v.type == RF_J_STR ? v.len : v.u.seq->n * sizeof(rf_jv), total;
    if (__builtin_mul_overflow(unit, (size_t)n, &total) || total > UINT32_MAX)
        return rf_vm_fail_memory(vm);
    char *bytes = rf_vm_alloc(vm, total + 1, 1);
    if (!bytes || !rf_vm_charge(vm, total / 64))
        return false;
    const void *from = v.type == RF_J_STR ? (const void *)v.u.s : v.u.seq->items;
    for (int64_t i = 0; unit && i < n; i++)
        memcpy(bytes + (size_t)i * unit, from, unit);
    if (v.type == RF_J_STR) {
        *out = rf_jv_str((rf_str){bytes, total});
        out->flags = v.flags;
        return true;
    }
    rf_jseq *seq = rf_vm_alloc(vm, 1, sizeof *seq);
    if (!seq)
        return false;
    *seq = (rf_jseq){(rf_jv *)(void *)bytes, v.u.seq->n * (size_t)n};
    *out = rf_jv_seq((rf_jtype)v.type, seq);
    return true;
}

static bool repeats(rf_jv v) {
    return v.type == RF_J_STR || v.type == RF_J_LIST || v.type == RF_J_TUPLE;
}

/* a ~ b: str() of both, escaped where autoescape wants it */
static bool tilde(rf_vm *vm, rf_jv a, rf_jv b, rf_jv *out) {
    bool markup = vm->autoescape && (rf_jv_is_markup(a) || rf_jv_is_markup(b));
    if (markup)
        return rf_jv_escape(vm, a, &a) && rf_jv_escape(vm, b, &b) && rf_jv_concat(vm, a, b, out);
    return rf_jv_str_of(vm, a, &a) && rf_jv_str_of(vm, b, &b) && rf_jv_concat(vm, a, b, out);
}

bool rf_jv_binary(rf_vm *vm, rf_jbinary op, rf_jv a, rf_jv b, rf_jv *out) {
    if (op == RF_JB_CONCAT)
        return tilde(vm, a, b, out);
    if (rf_jv_is_number(a) && rf_jv_is_number(b))
        return rf_number_binary(vm, op, a, b, out);
    if (op == RF_JB_MOD && rf_jv_is_text(a))
        return rf_jv_percent(vm, a, b, out);
    if (a.type == RF_J_UNDEFINED || b.type == RF_J_UNDEFINED)
        return rf_vm_fail_undefined(vm, a.type == RF_J_UNDEFINED ? a : b);
    if (op == RF_JB_ADD)
        return add(vm, a, b, out);
    if (op == RF_JB_MUL && (repeats(a) || repeats(b))) {
        rf_jv v = repeats(a) ? a : b, times = repeats(a) ? b : a;
        if (!rf_jv_is_int(times))
            return rf_vm_fail(vm, RF_TEMPLATE_TYPE,
                              "can't multiply sequence by non-int of type '%s'",
                              rf_jv_type_name(times));
        return repeat(vm, v, times, out);
    }
    return unsupported(vm, op, a, b);
}

bool rf_jv_negate(rf_vm *vm, rf_jv v, bool minus, rf_jv *out) {
    if (v.type == RF_J_UNDEFINED)
        return rf_vm_fail_undefined(vm, v);
    if (!rf_jv_is_number(v))
        return rf_vm_fail(vm, RF_TEMPLATE_TYPE, "bad operand type for unary %c: '%s'",
                          minus ? '-' : '+', rf_jv_type_name(v));
    *out = v.type == RF_J_BOOL ? rf_jv_int(v.u.b) : v;
    return !minus || rf_number_negate(vm, *out, out);
}
