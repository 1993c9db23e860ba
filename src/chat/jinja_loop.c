/* Running loops and what `loop` offers. */
#include "chat/jinja_object.h"

bool rf_loop_start(rf_vm *vm, rf_jv iterable, const rf_jinstr *in, int64_t depth0) {
    rf_jloop *loop = rf_vm_alloc(vm, 1, sizeof *loop);
    if (!loop)
        return false;
    *loop = (rf_jloop){.source = iterable,
                       .index0 = -1,
                       .depth0 = depth0,
                       .recurse_pc = in->b,
                       .outer = vm->scope,
                       .flags = in->n};
    if (!rf_iter_start(vm, iterable, &loop->it))
        return false;
    loop->collecting = (in->n & RF_JFOR_FILTERED) && (in->n & RF_JFOR_EXTENDED);
    loop->scope = rf_scope_enter(vm, vm->scope, in->a);
    if (!loop->scope ||
        !rf_vm_grow(vm, (void **)&vm->loops, &vm->cap_loops, vm->n_loops + 1, sizeof *vm->loops))
        return false;
    vm->loops[vm->n_loops++] = loop;
    return true;
}

static rf_jloop *innermost(rf_vm *vm) { return vm->loops[vm->n_loops - 1]; }

/* Takes the next unfiltered item and opens the scope of the test. */
bool rf_loop_filter_next(rf_vm *vm, const rf_jinstr *in) {
    rf_jloop *loop = innermost(vm);
    bool more = false;
    rf_jv item;
    vm->scope = loop->outer;
    bool filters = (loop->flags & RF_JFOR_EXTENDED) == 0 || loop->collecting;
    if (filters && !rf_iter_next(vm, &loop->it, &item, &more))
        return false;
    if (!more) {
        if (loop->collecting) {
            if (!rf_vm_list(vm, RF_J_LIST, loop->kept, loop->n_kept, &loop->source))
                return false;
            loop->it = (rf_jiter){.src = loop->source};
        }
        loop->exhausted = !loop->collecting && filters;
        loop->collecting = false;
        vm->pc = in->a;
        return true;
    }
    rf_jscope *scope = rf_scope_enter(vm, loop->outer, in->b);
    if (!scope)
        return false;
    vm->scope = scope;
    loop->peeked = item;
    return rf_vm_push(vm, item);
}

bool rf_loop_filter_decide(rf_vm *vm, const rf_jinstr *in, bool keep) {
    rf_jloop *loop = innermost(vm);
    rf_jscope *scope = vm->scope;
    vm->scope = scope->parent;
    rf_scope_leave(vm, scope);
    vm->pc = keep && !loop->collecting ? in->b : in->a;
    if (!keep)
        loop->peeked = rf_jv_of(RF_J_MISSING);
    if (!keep || !loop->collecting)
        return true;
    uint32_t cap = (uint32_t)loop->cap_kept;
    if (!rf_vm_grow(vm, (void **)&loop->kept, &cap, (uint32_t)loop->n_kept + 1, sizeof *loop->kept))
        return false;
    loop->cap_kept = cap;
    loop->kept[loop->n_kept++] = loop->peeked;
    loop->peeked = rf_jv_of(RF_J_MISSING);
    return true;
}

/* The next item that the body sees: one peeked at before, or from the iterator. */
static bool take(rf_vm *vm, rf_jloop *loop, rf_jv *item, bool *more) {
    *more = true;
    if (loop->peeked.type != RF_J_MISSING) {
        *item = loop->peeked;
        loop->peeked = rf_jv_of(RF_J_MISSING);
        return true;
    }
    *more = !loop->exhausted;
    return !*more || rf_iter_next(vm, &loop->it, item, more);
}

bool rf_loop_next(rf_vm *vm, const rf_jinstr *in) {
    rf_jloop *loop = innermost(vm);
    rf_jv item;
    bool more;
    if (!take(vm, loop, &item, &more))
        return false;
    if (!more) {
        vm->pc = in->a;
        return true;
    }
    loop->index0++;
    loop->previous = loop->current;
    loop->current = item;
    vm->scope = loop->scope;
    if (!rf_scope_reset(vm, loop->scope))
        return false;
    if ((loop->flags & RF_JFOR_EXTENDED) &&
        !rf_scope_set(vm, loop->scope, vm->code->name_loop,
                      (rf_jv){.type = RF_J_LOOP, .u.loop = loop}))
        return false;
    return rf_vm_push(vm, item);
}

void rf_loop_end(rf_vm *vm, const rf_jinstr *in) {
    rf_jloop *loop = vm->loops[--vm->n_loops];
    vm->scope = loop->outer;
    rf_scope_leave(vm, loop->scope);
    if (loop->iterated)
        vm->pc = in->a;
}

bool rf_loop_length(rf_vm *vm, rf_jloop *loop, int64_t *out) {
    if (loop->source.type != RF_J_ITER)
        return rf_jv_length(vm, loop->source, out);
    const rf_jlist_iter *iter = loop->source.u.iter;
    *out = (int64_t)iter->seq.n;
    return true;
}

static bool peek(rf_vm *vm, rf_jloop *loop, bool *more) {
    *more = true;
    if (loop->peeked.type != RF_J_MISSING)
        return true;
    rf_jv item = rf_jv_of(RF_J_MISSING);
    if (!take(vm, loop, &item, more))
        return false;
    if (*more)
        loop->peeked = item;
    return true;
}

static bool next_or_previous(rf_vm *vm, rf_jloop *loop, bool next, rf_jv *out) {
    bool more = loop->index0 > 0;
    if (next && !peek(vm, loop, &more))
        return false;
    if (!more)
        return rf_vm_undefined_hint(
            vm, next ? RF_STR("there is no next item") : RF_STR("there is no previous item"),
            rf_jv_of(RF_J_NONE), out);
    *out = next ? loop->peeked : loop->previous;
    return true;
}

bool rf_loop_attr(rf_vm *vm, rf_jloop *loop, rf_str name, rf_jv *out, bool *found) {
    int64_t length;
    bool more;
    *found = true;
    if (rf_str_is(name, "index") || rf_str_is(name, "index0")) {
        *out = rf_jv_int(loop->index0 + (name.len == 5));
    } else if (rf_str_is(name, "first")) {
        *out = rf_jv_bool(loop->index0 == 0);
    } else if (rf_str_is(name, "last")) {
        if (!peek(vm, loop, &more))
            return false;
        *out = rf_jv_bool(!more);
    } else if (rf_str_is(name, "length") || rf_str_is(name, "revindex") ||
               rf_str_is(name, "revindex0")) {
        if (!rf_loop_length(vm, loop, &length))
            return false;
        *out = rf_jv_int(name.len == 6   ? length
                         : name.len == 8 ? length - loop->index0
                                         : length - loop->index0 - 1);
    } else if (rf_str_is(name, "depth") || rf_str_is(name, "depth0")) {
        *out = rf_jv_int(loop->depth0 + (name.len == 5));
    } else if (rf_str_is(name, "nextitem") || rf_str_is(name, "previtem")) {
        return next_or_previous(vm, loop, name.ptr[0] == 'n', out);
    } else {
        *found = false;
    }
    return true;
}
