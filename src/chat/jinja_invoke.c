/* The operations CALL, FILTER and TEST: arguments from the stack, result onto it. */
#include "chat/jinja_object.h"

static bool spread_star(rf_vm *vm, rf_jargs *args, rf_jv star) {
    rf_jseq items;
    if (!rf_jv_is_iterable(star))
        return rf_vm_fail(vm, RF_TEMPLATE_TYPE, "argument after * must be an iterable, not %s",
                          rf_jv_type_name(star));
    if (!rf_jv_items(vm, star, &items))
        return false;
    rf_jv *all = rf_vm_alloc(vm, args->n_pos + items.n + 1, sizeof *all);
    if (!all)
        return false;
    if (args->n_pos)
        memcpy(all, args->pos, args->n_pos * sizeof *all);
    if (items.n)
        memcpy(all + args->n_pos, items.items, items.n * sizeof *all);
    args->pos = all;
    args->n_pos += items.n;
    return true;
}

/* Adds keywords: those of a **dict, or caller. */
static bool add_keywords(rf_vm *vm, rf_jargs *args, const rf_jdict *more) {
    size_t n = args->n_kw + more->n;
    rf_str *names = rf_vm_alloc(vm, n + 1, sizeof *names);
    rf_jv *values = rf_vm_alloc(vm, n + 1, sizeof *values);
    if (!names || !values)
        return false;
    if (args->n_kw) {
        memcpy(names, args->kw_names, args->n_kw * sizeof *names);
        memcpy(values, args->kw_values, args->n_kw * sizeof *values);
    }
    for (uint32_t i = 0; i < more->n; i++) {
        rf_jv key = more->entries[i].key;
        if (key.type != RF_J_STR)
            return rf_vm_fail(vm, RF_TEMPLATE_TYPE, "keywords must be strings");
        for (size_t k = 0; k < args->n_kw; k++)
            if (rf_str_eq(names[k], rf_jv_view(key)))
                return rf_vm_fail(vm, RF_TEMPLATE_TYPE,
                                  "got multiple values for keyword argument '%.*s'",
                                  RF_STR_ARG(names[k]));
        names[args->n_kw + i] = rf_jv_view(key);
        values[args->n_kw + i] = more->entries[i].value;
    }
    args->kw_names = names;
    args->kw_values = values;
    args->n_kw = n;
    return true;
}

/* Reads the arguments of a shape off the stack; *base: where they begin. extra: values that stand
 * in front as positional ones (the object of a filter or test). */
static bool gather(rf_vm *vm, const rf_jcall_shape *shape, size_t extra, rf_jargs *args,
                   size_t *base) {
    bool has_star = (shape->flags & RF_JCALL_STAR) != 0;
    bool has_star2 = (shape->flags & RF_JCALL_STAR2) != 0;
    bool star_first = (shape->flags & RF_JCALL_STAR_FIRST) != 0;
    size_t total = extra + shape->n_pos + shape->n_kw + has_star + has_star2;
    *base = vm->n_stack - total;
    rf_jv *first = vm->stack + *base, *at = first + extra + shape->n_pos;
    rf_jv star = rf_jv_of(RF_J_MISSING), star2 = star;
    if (has_star && star_first)
        star = *at++;
    *args = (rf_jargs){.pos = first,
                       .n_pos = extra + shape->n_pos,
                       .kw_names = shape->kw_names,
                       .kw_values = at,
                       .n_kw = shape->n_kw};
    at += shape->n_kw;
    if (has_star && !star_first)
        star = *at++;
    if (has_star2)
        star2 = *at;
    if (has_star && !spread_star(vm, args, star))
        return false;
    if (!has_star2)
        return true;
    if (star2.type != RF_J_DICT)
        return rf_vm_fail(vm, RF_TEMPLATE_TYPE, "argument after ** must be a mapping, not %s",
                          rf_jv_type_name(star2));
    return add_keywords(vm, args, star2.u.dict);
}

bool rf_vm_call(rf_vm *vm, const rf_jinstr *in) {
    const rf_jcall_shape *shape = &vm->code->shapes[in->a];
    rf_jargs args;
    size_t base;
    if (!gather(vm, shape, 0, &args, &base))
        return false;
    rf_jv callee = vm->stack[base - 1], result = rf_jv_of(RF_J_NONE);
    size_t keep = base - 1;
    if (shape->flags & RF_JCALL_CALLER) {
        rf_jdict *more = rf_jdict_new(vm, 1);
        if (!more || !rf_jdict_set(vm, more, rf_jv_text("caller"), vm->stack[base - 2]) ||
            !add_keywords(vm, &args, more))
            return false;
        keep--;
    }
    bool entered;
    size_t n_frames = vm->n_frames;
    if (!rf_call_value(vm, callee, &args, &result, &entered))
        return false;
    if (entered) { /* arguments are bound by now; the frame returns to a stack without them */
        vm->frames[n_frames].n_stack = keep;
        return true;
    }
    vm->n_stack = keep;
    return rf_vm_push(vm, result);
}

bool rf_vm_apply(rf_vm *vm, const rf_jinstr *in, bool is_filter) {
    rf_jargs args;
    size_t base;
    rf_jv result;
    bool verdict;
    if (!gather(vm, &vm->code->shapes[in->a], 1, &args, &base))
        return false;
    if (is_filter) {
        if (!rf_filter_apply(vm, in->b, &args, &result))
            return false;
    } else {
        if (!rf_test_apply(vm, in->b, &args, &verdict))
            return false;
        result = rf_jv_bool(verdict);
    }
    vm->n_stack = base;
    return rf_vm_push(vm, result);
}
