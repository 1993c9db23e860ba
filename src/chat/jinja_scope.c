/* Scopes: names of one template function, loop body or block, searched outwards. */
#include "chat/jinja_vm.h"

rf_jscope *rf_scope_enter(rf_vm *vm, rf_jscope *parent, int32_t info) {
    rf_jscope *scope = vm->spare;
    if (scope) {
        vm->spare = scope->parent;
    } else {
        scope = rf_vm_alloc(vm, 1, sizeof *scope);
        if (!scope)
            return NULL;
        *scope = (rf_jscope){0};
    }
    scope->parent = parent;
    scope->info = info;
    scope->captured = false;
    return rf_scope_reset(vm, scope) ? scope : NULL;
}

bool rf_scope_reset(rf_vm *vm, rf_jscope *scope) {
    const rf_jscope_info *info = &vm->code->scopes[scope->info];
    scope->n = 0;
    for (uint32_t i = 0; i < info->n_hidden; i++)
        if (!rf_scope_set(vm, scope, info->hidden[i], rf_jv_of(RF_J_MISSING)))
            return false;
    return true;
}

void rf_scope_leave(rf_vm *vm, rf_jscope *scope) {
    if (scope->captured)
        return;
    scope->parent = vm->spare;
    vm->spare = scope;
}

const rf_jv *rf_scope_find(const rf_jscope *scope, int32_t name) {
    for (uint32_t i = 0; i < scope->n; i++)
        if (scope->items[i].name == name)
            return &scope->items[i].value;
    return NULL;
}

bool rf_scope_set(rf_vm *vm, rf_jscope *scope, int32_t name, rf_jv value) {
    for (uint32_t i = 0; i < scope->n; i++)
        if (scope->items[i].name == name) {
            scope->items[i].value = value;
            return true;
        }
    if (!rf_vm_grow(vm, (void **)&scope->items, &scope->cap, scope->n + 1, sizeof *scope->items))
        return false;
    scope->items[scope->n++] = (rf_jbinding){name, value};
    return rf_vm_charge(vm, scope->n / 16);
}

bool rf_scope_load(rf_vm *vm, int32_t name, rf_jv *out) {
    uint32_t looked = 0;
    for (const rf_jscope *s = vm->scope; s; s = s->parent) {
        const rf_jv *found = rf_scope_find(s, name);
        looked += 8 + s->n;
        if (found && found->type != RF_J_MISSING) {
            *out = *found;
            return rf_vm_charge(vm, looked / 64);
        }
        if (found)
            return rf_vm_undefined(vm, rf_jv_of(RF_J_MISSING), rf_jv_str(vm->code->names[name]),
                                   out);
    }
    *out = vm->context[name];
    if (out->type != RF_J_MISSING)
        return rf_vm_charge(vm, looked / 64);
    return rf_vm_undefined(vm, rf_jv_of(RF_J_MISSING), rf_jv_str(vm->code->names[name]), out);
}

void rf_scope_capture(rf_jscope *scope) {
    for (; scope && !scope->captured; scope = scope->parent)
        scope->captured = true;
}
