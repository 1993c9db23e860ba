#include "chat/jinja_vm.h"

#include "base/alloc.h"
#include "chat/jinja_object.h"

bool rf_vm_push(rf_vm *vm, rf_jv value) {
    if (vm->n_stack == vm->cap_stack) {
        uint32_t cap = (uint32_t)vm->cap_stack;
        if (!rf_vm_grow(vm, (void **)&vm->stack, &cap, (uint32_t)vm->n_stack + 1,
                        sizeof *vm->stack))
            return false;
        vm->cap_stack = cap;
    }
    vm->stack[vm->n_stack++] = value;
    return true;
}

static rf_jv pop(rf_vm *vm) { return vm->stack[--vm->n_stack]; }

static bool print(rf_vm *vm, rf_jv v) {
    size_t before = vm->out.len;
    rf_jv escaped;
    if (!vm->autoescape || rf_jv_is_markup(v)) {
        if (!rf_jv_append_str(vm, v, &vm->out))
            return false;
    } else {
        if (!rf_jv_escape(vm, v, &escaped))
            return false;
        rf_buf_append(&vm->out, escaped.u.s, escaped.len);
    }
    if (vm->out.failed)
        return rf_vm_fail(vm, RF_TEMPLATE_LIMIT, "the template writes more than %zu bytes",
                          vm->out.max_bytes);
    return rf_vm_charge(vm, (vm->out.len - before) / 64);
}

static bool unpack(rf_vm *vm, rf_jv v, size_t n) {
    rf_jseq items;
    if (!rf_jv_is_iterable(v))
        return rf_vm_fail(vm, RF_TEMPLATE_TYPE, "cannot unpack non-iterable %s object",
                          rf_jv_type_name(v));
    if (!rf_jv_items(vm, v, &items))
        return false;
    if (items.n != n)
        return items.n > n
                   ? rf_vm_fail(vm, RF_TEMPLATE_OTHER,
                                "ValueError: too many values to unpack (expected %zu)", n)
                   : rf_vm_fail(vm, RF_TEMPLATE_OTHER,
                                "ValueError: not enough values to unpack (expected %zu, got %zu)",
                                n, items.n);
    for (size_t i = n; i-- > 0;)
        if (!rf_vm_push(vm, items.items[i]))
            return false;
    return true;
}

static bool namespace_check(rf_vm *vm, int32_t name) {
    rf_jv v;
    if (!rf_scope_load(vm, name, &v))
        return false;
    return v.type == RF_J_NAMESPACE ||
           rf_vm_fail(vm, RF_TEMPLATE_OTHER,
                      "TemplateRuntimeError: cannot assign attribute on non-namespace object");
}

static bool namespace_set(rf_vm *vm, const rf_jinstr *in, rf_jv value) {
    rf_jv ns, attribute = vm->code->consts[in->b];
    if (!rf_scope_load(vm, in->a, &ns))
        return false;
    if (ns.type != RF_J_NAMESPACE)
        return rf_vm_fail(vm, RF_TEMPLATE_TYPE, "'%s' object does not support item assignment",
                          rf_jv_type_name(ns));
    if (attribute.len && attribute.u.s[0] == '_')
        return rf_vm_fail(vm, RF_TEMPLATE_SANDBOX,
                          "Chat templates cannot store underscore-prefixed attributes on a "
                          "namespace, but got '%.*s'. Please rename the attribute.",
                          RF_STR_ARG(rf_jv_view(attribute)));
    return rf_jdict_set(vm, ns.u.dict, attribute, value);
}

static bool make_dict(rf_vm *vm, size_t n) {
    rf_jdict *dict = rf_jdict_new(vm, (uint32_t)n);
    if (!dict)
        return false;
    const rf_jv *pairs = vm->stack + vm->n_stack - 2 * n;
    for (size_t i = 0; i < n; i++)
        if (!rf_jdict_set(vm, dict, pairs[2 * i], pairs[2 * i + 1]))
            return false;
    vm->n_stack -= 2 * n;
    return rf_vm_push(vm, rf_jv_dict(dict));
}

static bool capture_end(rf_vm *vm, bool keep) {
    size_t mark = vm->captures[--vm->n_captures];
    rf_jv text;
    if (!keep) {
        vm->out.len = mark;
        return true;
    }
    if (!rf_vm_copy(vm, rf_str_sub(rf_buf_view(&vm->out), mark, vm->out.len), &text))
        return false;
    vm->out.len = mark;
    text.flags = vm->autoescape ? RF_JF_MARKUP : 0;
    return rf_vm_charge(vm, text.len / 64) && rf_vm_push(vm, text);
}

static bool define_macro(rf_vm *vm, int32_t index) {
    rf_jmacro *macro = rf_vm_alloc(vm, 1, sizeof *macro);
    if (!macro)
        return false;
    *macro = (rf_jmacro){&vm->code->macros[index], vm->scope, vm->autoescape};
    rf_scope_capture(vm->scope);
    return rf_vm_push(vm, (rf_jv){.type = RF_J_MACRO, .u.macro = macro});
}

static bool param(rf_vm *vm, const rf_jinstr *in) {
    const rf_jv *given = rf_scope_find(vm->scope, in->a);
    if (given && given->type != RF_J_MISSING)
        vm->pc = in->b;
    return true;
}

static bool param_undefined(rf_vm *vm, int32_t name) {
    rf_jv hint, v;
    rf_str text = vm->code->names[name];
    return rf_vm_string(vm, &hint, "parameter '%.*s' was not provided", RF_STR_ARG(text)) &&
           rf_vm_undefined_hint(vm, rf_jv_view(hint), rf_jv_str(text), &v) &&
           rf_scope_set(vm, vm->scope, name, v);
}

static bool push_scope(rf_vm *vm, int32_t info) {
    rf_jscope *scope = rf_scope_enter(vm, vm->scope, info);
    if (scope)
        vm->scope = scope;
    return scope != NULL;
}

static void pop_scope(rf_vm *vm) {
    rf_jscope *scope = vm->scope;
    vm->scope = scope->parent;
    rf_scope_leave(vm, scope);
}

static bool unknown(rf_vm *vm, const rf_jinstr *in, const char *what) {
    return rf_vm_fail(vm, RF_TEMPLATE_OTHER, "TemplateRuntimeError: No %s named '%.*s' found.",
                      what, RF_STR_ARG(rf_jv_view(vm->code->consts[in->a])));
}

static bool cond_undefined(rf_vm *vm) {
    rf_jv v;
    return rf_vm_undefined_hint(vm,
                                RF_STR("the inline if-expression evaluated to false and no else "
                                       "section was defined."),
                                rf_jv_of(RF_J_NONE), &v) &&
           rf_vm_push(vm, v);
}

/* Operations on values. */
static bool step_value(rf_vm *vm, const rf_jinstr *in) {
    const rf_jv *consts = vm->code->consts;
    rf_jv a, b, result;
    rf_jv part[3];
    bool verdict;
    switch (in->op) {
    case RF_JOP_CONST: return rf_vm_push(vm, consts[in->a]);
    case RF_JOP_LOAD: return rf_scope_load(vm, in->a, &result) && rf_vm_push(vm, result);
    case RF_JOP_STORE: return rf_scope_set(vm, vm->scope, in->a, pop(vm));
    case RF_JOP_POP: vm->n_stack--; return true;
    case RF_JOP_UNPACK: return unpack(vm, pop(vm), in->n);
    case RF_JOP_NS_CHECK: return namespace_check(vm, in->a);
    case RF_JOP_NS_SET: return namespace_set(vm, in, pop(vm));
    case RF_JOP_ATTR:
        a = pop(vm);
        return rf_jv_attr(vm, a, rf_jv_view(consts[in->a]), &result) && rf_vm_push(vm, result);
    case RF_JOP_ITEM:
        b = pop(vm);
        a = pop(vm);
        return rf_jv_item(vm, a, b, &result) && rf_vm_push(vm, result);
    case RF_JOP_SLICE:
        for (int i = 3; i-- > 0;)
            part[i] = pop(vm);
        a = pop(vm);
        return rf_jv_slice(vm, a, part, &result) && rf_vm_push(vm, result);
    case RF_JOP_MAKE_SLICE: vm->n_stack -= 3; return rf_vm_push(vm, rf_jv_of(RF_J_SLICE));
    case RF_JOP_LIST:
    case RF_JOP_TUPLE:
        vm->n_stack -= (size_t)in->a;
        return rf_vm_list(vm, in->op == RF_JOP_LIST ? RF_J_LIST : RF_J_TUPLE,
                          vm->stack + vm->n_stack, (size_t)in->a, &result) &&
               rf_vm_push(vm, result);
    case RF_JOP_DICT: return make_dict(vm, (size_t)in->a);
    case RF_JOP_BINARY:
        b = pop(vm);
        a = pop(vm);
        return rf_jv_binary(vm, (rf_jbinary)in->n, a, b, &result) && rf_vm_push(vm, result);
    case RF_JOP_NEG:
    case RF_JOP_POS:
        return rf_jv_negate(vm, pop(vm), in->op == RF_JOP_NEG, &result) && rf_vm_push(vm, result);
    case RF_JOP_NOT:
        return rf_jv_truth(vm, pop(vm), &verdict) && rf_vm_push(vm, rf_jv_bool(!verdict));
    case RF_JOP_COMPARE:
        b = pop(vm);
        a = pop(vm);
        return rf_jv_compare(vm, (rf_jcompare)in->n, a, b, &verdict) &&
               rf_vm_push(vm, rf_jv_bool(verdict));
    case RF_JOP_COMPARE_CHAIN:
        b = pop(vm);
        a = pop(vm);
        if (!rf_jv_compare(vm, (rf_jcompare)in->n, a, b, &verdict))
            return false;
        if (!verdict)
            vm->pc = in->a;
        return rf_vm_push(vm, verdict ? b : rf_jv_bool(false));
    case RF_JOP_COND_UNDEF: return cond_undefined(vm);
    case RF_JOP_CALL: return rf_vm_call(vm, in);
    case RF_JOP_FILTER: return rf_vm_apply(vm, in, true);
    case RF_JOP_TEST: return rf_vm_apply(vm, in, false);
    case RF_JOP_NO_FILTER: return unknown(vm, in, "filter");
    case RF_JOP_NO_TEST: return unknown(vm, in, "test");
    case RF_JOP_MACRO: return define_macro(vm, in->a);
    default: return rf_vm_fail(vm, RF_TEMPLATE_OTHER, "operation %u is unknown", in->op);
    }
}

static bool jump_if(rf_vm *vm, const rf_jinstr *in, bool when, bool keep) {
    bool verdict;
    if (!rf_jv_truth(vm, vm->stack[vm->n_stack - 1], &verdict))
        return false;
    if (verdict == when)
        vm->pc = in->a;
    if (!keep || verdict != when)
        vm->n_stack--;
    return true;
}

/* autoescape: the old state is kept as a capture mark would be, on the value stack */
static bool escape(rf_vm *vm) {
    bool on;
    if (!rf_jv_truth(vm, pop(vm), &on))
        return false;
    rf_jv before = rf_jv_bool(vm->autoescape);
    vm->autoescape = on;
    return rf_vm_push(vm, before);
}

static bool capture(rf_vm *vm) {
    if (!rf_vm_grow(vm, (void **)&vm->captures, &vm->cap_captures, vm->n_captures + 1,
                    sizeof *vm->captures))
        return false;
    vm->captures[vm->n_captures++] = vm->out.len;
    return true;
}

/* Operations on control flow, scopes and output. */
static bool step(rf_vm *vm, const rf_jinstr *in) {
    const rf_jv *consts = vm->code->consts;
    bool verdict;
    switch (in->op) {
    case RF_JOP_NOP: return true;
    case RF_JOP_DATA: {
        rf_jv data = consts[in->a];
        data.flags = RF_JF_MARKUP;
        return print(vm, data);
    }
    case RF_JOP_PRINT: return print(vm, pop(vm));
    case RF_JOP_JUMP: vm->pc = in->a; return true;
    case RF_JOP_JUMP_TRUE: return jump_if(vm, in, true, false);
    case RF_JOP_JUMP_FALSE: return jump_if(vm, in, false, false);
    case RF_JOP_TRUE_OR_POP: return jump_if(vm, in, true, true);
    case RF_JOP_FALSE_OR_POP: return jump_if(vm, in, false, true);
    case RF_JOP_FOR_ITER: return rf_loop_start(vm, pop(vm), in, 0);
    case RF_JOP_FILTER_NEXT: return rf_loop_filter_next(vm, in);
    case RF_JOP_FILTER_DECIDE:
        return rf_jv_truth(vm, pop(vm), &verdict) && rf_loop_filter_decide(vm, in, verdict);
    case RF_JOP_FOR_NEXT: return rf_loop_next(vm, in);
    case RF_JOP_FOR_MARK: vm->loops[vm->n_loops - 1]->iterated = true; return true;
    case RF_JOP_FOR_END: rf_loop_end(vm, in); return true;
    case RF_JOP_RECURSE: vm->pc = in->a; return rf_call_recurse(vm, NULL, pop(vm), in->b, 0);
    case RF_JOP_RECURSE_RET:
    case RF_JOP_RETURN: return rf_call_return(vm);
    case RF_JOP_SCOPE_PUSH: return push_scope(vm, in->a);
    case RF_JOP_SCOPE_POP: pop_scope(vm); return true;
    case RF_JOP_CAPTURE: return capture(vm);
    case RF_JOP_CAPTURE_END: return capture_end(vm, true);
    case RF_JOP_CAPTURE_DROP: return capture_end(vm, false);
    case RF_JOP_PARAM: return param(vm, in);
    case RF_JOP_PARAM_UNDEF: return param_undefined(vm, in->a);
    case RF_JOP_BLOCK: return rf_call_block(vm, in->a, in->n ? vm->scope : vm->root, true);
    case RF_JOP_ESCAPE: return escape(vm);
    case RF_JOP_ESCAPE_END: vm->autoescape = pop(vm).u.b; return true;
    case RF_JOP_FAIL:
        return rf_vm_fail_text(vm, (rf_template_error_kind)in->n, rf_jv_view(consts[in->a]));
    default: return step_value(vm, in);
    }
}

bool rf_vm_run(rf_vm *vm) {
    for (;;) {
        const rf_jinstr *in = &vm->code->code[vm->pc++];
        if (in->op == RF_JOP_END)
            return true;
        if (++vm->steps > vm->max_steps)
            return rf_vm_charge(vm, 0);
        if (!step(vm, in))
            return false;
    }
}
