/* Slices of strings, lists, tuples and ranges. */
#include "chat/jinja_chars.h"
#include "chat/jinja_object.h"

/* A slice bound: none takes its default, big integers are cut to what no length reaches. */
static bool bound(rf_vm *vm, rf_jv v, int64_t none, int64_t *out) {
    *out = none;
    if (v.type == RF_J_NONE)
        return true;
    if (v.type == RF_J_BIG) {
        *out = INT64_MAX / 2;
        return true;
    }
    if (v.type != RF_J_INT && v.type != RF_J_BOOL)
        return rf_vm_fail(vm, RF_TEMPLATE_TYPE,
                          "slice indices must be integers or None or have an __index__ method");
    *out = rf_jv_small(v);
    return true;
}

static int64_t clamp(int64_t i, int64_t length, int64_t low, int64_t high) {
    if (i < 0)
        i += length;
    return i < low ? low : i > high ? high : i;
}

static bool slice_text(rf_vm *vm, rf_jv obj, int64_t start, int64_t step, int64_t n, rf_jv *out) {
    rf_str s = rf_jv_view(obj);
    bool bytes = rf_chars_is_ascii(s) || (obj.flags & RF_JF_BYTES);
    if (step == 1) {
        size_t from = bytes ? (size_t)start : rf_chars_offset(s, (size_t)start);
        rf_str rest = rf_str_sub(s, from, s.len);
        size_t len = bytes ? (size_t)n : rf_chars_offset(rest, (size_t)n);
        *out = rf_jv_str(rf_str_sub(rest, 0, len));
        out->flags = obj.flags;
        return rf_vm_charge(vm, s.len / 256);
    }
    char *text = rf_vm_alloc(vm, s.len * (step < 0 || step > 0) + 1, 1);
    if (!text)
        return false;
    size_t len = 0, at = bytes ? (size_t)start : rf_chars_offset(s, (size_t)start);
    uint32_t code;
    for (int64_t i = 0; i < n; i++) {
        size_t one = bytes ? 1 : rf_chars_at(s, at, &code);
        memcpy(text + len, s.ptr + at, one);
        len += one;
        if (i + 1 == n)
            break;
        for (int64_t k = 0; k < (step < 0 ? -step : step); k++)
            at = bytes      ? (step < 0 ? at - 1 : at + 1)
                 : step < 0 ? at - rf_chars_before(s, at, &code)
                            : at + rf_chars_at(s, at, &code);
    }
    *out = rf_jv_str((rf_str){text, len});
    out->flags = obj.flags;
    return rf_vm_charge(vm, s.len / 64);
}

static bool slice_range(rf_vm *vm, const rf_jrange *r, int64_t start, int64_t stop, int64_t step,
                        int64_t n, rf_jv *out) {
    rf_jrange *cut = rf_vm_alloc(vm, 1, sizeof *cut);
    if (!cut)
        return false;
    *cut = (rf_jrange){.start = r->start + start * r->step,
                       .stop = r->start + stop * r->step,
                       .step = r->step * step,
                       .n = n};
    *out = (rf_jv){.type = RF_J_RANGE, .u.range = cut};
    return true;
}

bool rf_jv_slice(rf_vm *vm, rf_jv obj, const rf_jv part[3], rf_jv *out) {
    int64_t length, step, start, stop;
    if (obj.type == RF_J_UNDEFINED)
        return rf_vm_fail_undefined(vm, obj);
    if (obj.type == RF_J_DICT)
        return rf_vm_fail(vm, RF_TEMPLATE_TYPE, "unhashable type: 'slice'");
    if (obj.type != RF_J_STR && obj.type != RF_J_LIST && obj.type != RF_J_TUPLE &&
        obj.type != RF_J_RANGE)
        return rf_vm_fail(vm, RF_TEMPLATE_TYPE, "'%s' object is not subscriptable",
                          rf_jv_type_name(obj));
    if (!rf_jv_length(vm, obj, &length) || !bound(vm, part[2], 1, &step))
        return false;
    if (step == 0)
        return rf_vm_fail(vm, RF_TEMPLATE_OTHER, "ValueError: slice step cannot be zero");
    if (step > INT32_MAX || step < -INT32_MAX)
        step = step < 0 ? -INT32_MAX : INT32_MAX;
    int64_t low = step < 0 ? -1 : 0, high = step < 0 ? length - 1 : length;
    if (!bound(vm, part[0], step < 0 ? INT64_MAX / 2 : 0, &start) ||
        !bound(vm, part[1], INT64_MAX / 2, &stop))
        return false;
    start = clamp(start, length, low, high);
    stop = part[1].type == RF_J_NONE && step < 0 ? -1 : clamp(stop, length, low, high);
    int64_t span = step < 0 ? start - stop : stop - start, size = step < 0 ? -step : step;
    int64_t n = span > 0 ? (span + size - 1) / size : 0;
    if (obj.type == RF_J_STR)
        return slice_text(vm, obj, n ? start : 0, step, n, out);
    if (obj.type == RF_J_RANGE)
        return slice_range(vm, obj.u.range, start, stop, step, n, out);
    rf_jv *items = rf_vm_alloc(vm, (size_t)n + 1, sizeof *items);
    if (!items || !rf_vm_charge(vm, (uint64_t)n / 8))
        return false;
    for (int64_t i = 0; i < n; i++)
        items[i] = obj.u.seq->items[start + i * step];
    rf_jseq *seq = rf_vm_alloc(vm, 1, sizeof *seq);
    if (!seq)
        return false;
    *seq = (rf_jseq){items, (size_t)n};
    *out = rf_jv_seq((rf_jtype)obj.type, seq);
    return true;
}
