/* Calls: macros, blocks, recursive loops and built-in functions. */
#include "chat/jinja_object.h"

static bool enter(rf_vm *vm, rf_jframe frame, int32_t entry) {
    if (vm->n_frames >= vm->max_depth)
        return rf_vm_fail(vm, RF_TEMPLATE_OTHER,
                          "RecursionError: maximum recursion depth exceeded (%u calls)",
                          vm->max_depth);
    if (!rf_vm_grow(vm, (void **)&vm->frames, &vm->cap_frames, vm->n_frames + 1,
                    sizeof *vm->frames) ||
        !rf_vm_grow(vm, (void **)&vm->captures, &vm->cap_captures, vm->n_captures + 1,
                    sizeof *vm->captures))
        return false;
    frame.return_pc = vm->pc;
    frame.n_loops = vm->n_loops;
    frame.n_captures = vm->n_captures;
    frame.n_stack = vm->n_stack;
    frame.autoescape = vm->autoescape;
    vm->frames[vm->n_frames++] = frame;
    vm->captures[vm->n_captures++] = vm->out.len;
    vm->pc = entry;
    return true;
}

/* Ends a macro, block or recursive loop: its output becomes a string, pushed or printed. */
bool rf_call_return(rf_vm *vm) {
    rf_jframe frame = vm->frames[--vm->n_frames];
    vm->n_loops = frame.n_loops;
    vm->n_captures = frame.n_captures;
    vm->n_stack = frame.n_stack;
    vm->autoescape = frame.autoescape;
    if (frame.own)
        rf_scope_leave(vm, frame.own);
    vm->scope = frame.scope;
    vm->pc = frame.return_pc;
    size_t mark = vm->captures[frame.n_captures];
    if (frame.prints)
        return true;
    rf_jv text;
    if (!rf_vm_copy(vm, rf_str_sub(rf_buf_view(&vm->out), mark, vm->out.len), &text))
        return false;
    vm->out.len = mark;
    text.flags = vm->autoescape ? RF_JF_MARKUP : 0;
    return rf_vm_charge(vm, text.len / 64) && rf_vm_push(vm, text);
}

static bool take_keyword(const rf_jargs *args, bool *taken, rf_str name, rf_jv *out) {
    for (size_t k = 0; k < args->n_kw; k++)
        if (!taken[k] && rf_str_eq(args->kw_names[k], name)) {
            taken[k] = true;
            *out = args->kw_values[k];
            return true;
        }
    return false;
}

/* What is left of the keywords goes to kwargs, or is refused. */
static bool bind_rest(rf_vm *vm, const rf_jmacro_info *info, const rf_jargs *args,
                      const bool *taken, rf_jscope *scope) {
    rf_jdict *kwargs = info->uses_kwargs ? rf_jdict_new(vm, 0) : NULL;
    if (info->uses_kwargs && !kwargs)
        return false;
    for (size_t k = 0; k < args->n_kw; k++) {
        if (taken[k])
            continue;
        if (!kwargs && rf_str_is(args->kw_names[k], "caller"))
            return rf_vm_fail(vm, RF_TEMPLATE_TYPE,
                              "macro was invoked with two values for the special caller argument. "
                              "This is most likely a bug.");
        if (!kwargs)
            return rf_vm_fail(vm, RF_TEMPLATE_TYPE, "macro '%.*s' takes no keyword argument '%.*s'",
                              RF_STR_ARG(info->name), RF_STR_ARG(args->kw_names[k]));
        if (!rf_jdict_set(vm, kwargs, rf_jv_str(args->kw_names[k]), args->kw_values[k]))
            return false;
    }
    if (kwargs && !rf_scope_set(vm, scope, vm->code->name_kwargs, rf_jv_dict(kwargs)))
        return false;
    size_t used = args->n_pos < info->n_args ? args->n_pos : info->n_args;
    rf_jv varargs;
    if (info->uses_varargs)
        return rf_vm_list(vm, RF_J_TUPLE, args->pos + used, args->n_pos - used, &varargs) &&
               rf_scope_set(vm, scope, vm->code->name_varargs, varargs);
    if (args->n_pos > info->n_args)
        return rf_vm_fail(vm, RF_TEMPLATE_TYPE, "macro '%.*s' takes not more than %u argument(s)",
                          RF_STR_ARG(info->name), info->n_args);
    return true;
}

static bool call_macro(rf_vm *vm, const rf_jmacro *macro, const rf_jargs *args) {
    const rf_jmacro_info *info = macro->info;
    rf_jscope *scope = rf_scope_enter(vm, macro->scope, info->scope);
    bool *taken = rf_vm_alloc(vm, args->n_kw + 1, sizeof *taken);
    if (!scope || !taken)
        return false;
    memset(taken, 0, args->n_kw + 1);
    for (uint32_t i = 0; i < info->n_args; i++) {
        rf_jv value = rf_jv_of(RF_J_MISSING);
        if (i < args->n_pos)
            value = args->pos[i];
        else
            (void)take_keyword(args, taken, vm->code->names[info->args[i]], &value);
        if (!rf_scope_set(vm, scope, info->args[i], value))
            return false;
    }
    if (info->uses_caller) {
        rf_jv caller = rf_jv_of(RF_J_NONE);
        (void)take_keyword(args, taken, RF_STR("caller"), &caller);
        if (caller.type == RF_J_NONE &&
            !rf_vm_undefined_hint(vm, RF_STR("No caller defined"), rf_jv_text("caller"), &caller))
            return false;
        if (!rf_scope_set(vm, scope, vm->code->name_caller, caller))
            return false;
    }
    if (!bind_rest(vm, info, args, taken, scope) ||
        !enter(vm, (rf_jframe){.scope = vm->scope, .own = scope}, info->entry))
        return false;
    vm->autoescape = macro->autoescape;
    vm->scope = scope;
    return true;
}

bool rf_call_block(rf_vm *vm, int32_t block, rf_jscope *parent, bool prints) {
    const rf_jblock_info *info = &vm->code->blocks[block];
    rf_jscope *scope = rf_scope_enter(vm, parent, info->scope);
    if (!scope ||
        !enter(vm, (rf_jframe){.scope = vm->scope, .own = scope, .prints = prints}, info->entry))
        return false;
    vm->scope = scope;
    return true;
}

/* Runs a recursive loop over iterable; loop: the one that called it, NULL for the first. */
bool rf_call_recurse(rf_vm *vm, rf_jloop *loop, rf_jv iterable, int32_t loop_pc, int64_t depth0) {
    rf_jscope *scope = loop ? loop->outer : vm->scope;
    const rf_jinstr *in = &vm->code->code[loop_pc];
    /* the loop's scope lies between: a frame of its own keeps rf_call_return simple */
    if (!enter(vm, (rf_jframe){.scope = vm->scope}, loop_pc + 1))
        return false;
    vm->scope = scope;
    return rf_loop_start(vm, iterable, in, depth0);
}

static bool call_loop(rf_vm *vm, rf_jloop *loop, const rf_jargs *args) {
    rf_jv arg[RF_JARGS_MAX];
    if (!rf_args_bind(vm, "__call__", "iterable", args, arg))
        return false;
    if (!(loop->flags & RF_JFOR_RECURSIVE))
        return rf_vm_fail(vm, RF_TEMPLATE_TYPE,
                          "The loop must have the 'recursive' marker to be called recursively.");
    return rf_call_recurse(vm, loop, arg[0], loop->recurse_pc, loop->depth0 + 1);
}

bool rf_call_value(rf_vm *vm, rf_jv callee, const rf_jargs *args, rf_jv *out, bool *entered) {
    *entered = true;
    switch (callee.type) {
    case RF_J_MACRO: return call_macro(vm, callee.u.macro, args);
    case RF_J_LOOP: return call_loop(vm, callee.u.loop, args);
    case RF_J_BLOCK: return rf_call_block(vm, (int32_t)callee.aux, vm->root, false);
    default: break;
    }
    *entered = false;
    switch (callee.type) {
    case RF_J_UNDEFINED: return rf_vm_fail_undefined(vm, callee);
    case RF_J_FUNCTION: return rf_global_call(vm, callee.aux, args, out);
    case RF_J_METHOD: return rf_method_call(vm, callee.u.method, args, out);
    case RF_J_JOINER: {
        rf_jcycler *joiner = callee.u.cycler;
        *out = joiner->pos++ ? joiner->items.items[0] : rf_jv_text("");
        return true;
    }
    default:
        return rf_vm_fail(vm, RF_TEMPLATE_TYPE, "'%s' object is not callable",
                          rf_jv_type_name(callee));
    }
}
