#include "chat/jinja_filter.h"

#include "chat/jinja_chars.h"

typedef bool (*filter_fn)(rf_vm *, rf_jv, const rf_jv *, const rf_jargs *, rf_jv *);

static const struct {
    const char *name;
    filter_fn fn;
    const char *spec;
} filters[] = {
#define X(name, fn, spec) {name, rf_j##fn, spec},
#include "chat/jinja_filters.def"
#undef X
};

enum { MAX_NESTED = 16 }; /* map('map', 'map', …) */

int rf_filter_find(rf_str name) {
    for (size_t i = 0; i < sizeof filters / sizeof *filters; i++)
        if (rf_str_is(name, filters[i].name))
            return (int)i;
    return -1;
}

bool rf_filter_apply(rf_vm *vm, int row, const rf_jargs *args, rf_jv *out) {
    rf_jv bound[RF_JARGS_MAX];
    rf_jargs raw = *args;
    if (args->n_pos == 0)
        return rf_vm_fail(vm, RF_TEMPLATE_TYPE, "%s() is missing its value", filters[row].name);
    raw.pos++;
    raw.n_pos--;
    if (filters[row].spec[0] != '*' &&
        !rf_args_bind(vm, filters[row].name, filters[row].spec, &raw, bound))
        return false;
    if (vm->filter_depth >= MAX_NESTED)
        return rf_vm_fail(vm, RF_TEMPLATE_LIMIT, "filters nest deeper than %d", MAX_NESTED);
    vm->filter_depth++;
    bool ok = filters[row].fn(vm, args->pos[0], bound, &raw, out);
    vm->filter_depth--;
    return ok;
}

bool rf_jarg_int(rf_vm *vm, rf_jv a, int64_t fallback, int64_t *out) {
    *out = fallback;
    return a.type == RF_J_MISSING || rf_jv_index(vm, a, out);
}

bool rf_jarg_bool(rf_vm *vm, rf_jv a, bool fallback, bool *out) {
    *out = fallback;
    return a.type == RF_J_MISSING || rf_jv_truth(vm, a, out);
}

bool rf_jarg_text(rf_vm *vm, rf_jv v, rf_jv *out) {
    *out = v;
    return rf_jv_is_text(v) || rf_jv_str_of(vm, v, out);
}

bool rf_jkey_fold(rf_vm *vm, rf_jv *key) {
    if (!rf_jv_is_text(*key))
        return true;
    size_t mark = rf_vm_mark(vm);
    rf_chars_lower(rf_jv_view(*key), &vm->scratch);
    return rf_vm_take(vm, mark, key);
}
