#include "chat/jinja_object.h"

#include "chat/jinja_chars.h"

static const char *const type_names[] = {
#define X(id, python_name) python_name,
#include "chat/jinja_types.def"
#undef X
};

const char *rf_jv_type_name(rf_jv v) {
    static const char *const views[] = {"dict_keys", "dict_values", "dict_items"};
    switch (v.type) {
    case RF_J_VIEW: return views[v.aux];
    case RF_J_STR:
        return v.flags & RF_JF_BYTES ? "bytes" : v.flags & RF_JF_MARKUP ? "Markup" : "str";
    case RF_J_ITER: return v.u.iter->python_name;
    case RF_J_TUPLE: return v.flags & RF_JF_GROUP ? "_GroupTuple" : "tuple";
    default: return type_names[v.type];
    }
}

bool rf_jv_truth(rf_vm *vm, rf_jv v, bool *out) {
    int64_t length;
    switch (v.type) {
    case RF_J_MISSING:
    case RF_J_UNDEFINED:
    case RF_J_NONE: *out = false; return true;
    case RF_J_BOOL: *out = v.u.b; return true;
    case RF_J_INT: *out = v.u.i != 0; return true;
    case RF_J_FLOAT: *out = v.u.f != 0; return true;
    case RF_J_STR: *out = v.len != 0; return true;
    case RF_J_LIST:
    case RF_J_TUPLE: *out = v.u.seq->n != 0; return true;
    case RF_J_DICT:
    case RF_J_VIEW: *out = v.u.dict->n != 0; return true;
    case RF_J_RANGE: *out = v.u.range->n != 0; return true;
    case RF_J_LOOP:
        if (!rf_loop_length(vm, v.u.loop, &length))
            return false;
        *out = length != 0;
        return true;
    default: *out = true; return true;
    }
}

bool rf_jv_length(rf_vm *vm, rf_jv v, int64_t *out) {
    switch (v.type) {
    case RF_J_UNDEFINED: *out = 0; return true;
    case RF_J_STR:
        *out = (int64_t)(v.flags & RF_JF_BYTES ? v.len : rf_chars_count(rf_jv_view(v)));
        return rf_vm_charge(vm, v.len / 256);
    case RF_J_LIST:
    case RF_J_TUPLE: *out = (int64_t)v.u.seq->n; return true;
    case RF_J_DICT:
    case RF_J_VIEW: *out = v.u.dict->n; return true;
    case RF_J_RANGE: *out = v.u.range->n; return true;
    case RF_J_LOOP: return rf_loop_length(vm, v.u.loop, out);
    default:
        return rf_vm_fail(vm, RF_TEMPLATE_TYPE, "object of type '%s' has no len()",
                          rf_jv_type_name(v));
    }
}

bool rf_jv_is_callable(rf_jv v) {
    switch (v.type) {
    case RF_J_MACRO:
    case RF_J_FUNCTION:
    case RF_J_METHOD:
    case RF_J_LOOP:
    case RF_J_JOINER:
    case RF_J_UNDEFINED:
    case RF_J_BLOCK: return true;
    default: return false;
    }
}

bool rf_jv_index(rf_vm *vm, rf_jv v, int64_t *out) {
    if (v.type == RF_J_INT || v.type == RF_J_BOOL) {
        *out = rf_jv_small(v);
        return true;
    }
    if (v.type == RF_J_UNDEFINED)
        return rf_vm_fail_undefined(vm, v);
    if (v.type == RF_J_BIG)
        return rf_vm_fail(vm, RF_TEMPLATE_OTHER,
                          "OverflowError: Python int too large to convert to C ssize_t");
    return rf_vm_fail(vm, RF_TEMPLATE_TYPE, "'%s' object cannot be interpreted as an integer",
                      rf_jv_type_name(v));
}
