/* Macros, call blocks and the generation tag: bodies that run as functions. */
#include "chat/jinja_compiler.h"

/* A new macro with a scope of its own; its parameters are added by rule SIGNATURE. */
static rf_status open_function(rf_jcompiler *c, rf_str name, int32_t *macro) {
    rf_jcode *code = &c->code;
    int32_t scope;
    if (!rf_jc_grow(c, &code->macros, &c->cap_macros, code->n_macros + 1, sizeof *code->macros))
        return rf_jc_no_memory(c);
    *macro = (int32_t)code->n_macros;
    code->macros[code->n_macros++] = (rf_jmacro_info){.entry = rf_jc_here(c), .name = name};
    RF_TRY(rf_jc_nest_push(c, RF_JNEST_FUNCTION, *macro, 0));
    RF_TRY(rf_jc_scope_open(c, &scope));
    code->macros[*macro].scope = scope;
    return RF_OK;
}

static bool has_arg(const rf_jcompiler *c, const rf_jmacro_info *info, const char *name) {
    for (uint32_t i = 0; i < info->n_args; i++)
        if (rf_str_is(c->code.names[info->args[i]], name))
            return true;
    return false;
}

static rf_status close_function(rf_jcompiler *c, int32_t macro) {
    rf_jmacro_info *info = &c->code.macros[macro];
    rf_jc_scope_close(c);
    rf_jnest function = rf_jc_nest_pop(c);
    uint8_t seen = function.seen;
    if ((seen & RF_JSPECIAL_CALLER) && function.b)
        return rf_jc_fail(c,
                          "the special \"caller\" argument must be omitted or be given a default");
    info->explicit_caller = has_arg(c, info, "caller");
    info->uses_caller = (seen & RF_JSPECIAL_CALLER) && !info->explicit_caller;
    info->uses_kwargs = (seen & RF_JSPECIAL_KWARGS) && !has_arg(c, info, "kwargs");
    info->uses_varargs = (seen & RF_JSPECIAL_VARARGS) && !has_arg(c, info, "varargs");
    return rf_jc_emit(c, RF_JOP_RETURN, 0, 0, 0);
}

/* signature (a: macro): "(" [name ["=" expression] {"," …}] ")". f->c: the PARAM being filled. */
rf_status rf_jrule_signature(rf_jcompiler *c, rf_jrule *f) {
    enum { START, DEFAULT };
    if (f->step == START) {
        RF_TRY(rf_jc_expect(c, RF_JT_LPAREN));
        f->b = (int32_t)c->n_targets;
    } else {
        RF_TRY(rf_jc_emit(c, RF_JOP_STORE, 0, f->d, 0));
        c->code.code[f->c].b = rf_jc_here(c);
    }
    f->step = DEFAULT;
    while (!rf_jc_is(c, RF_JT_RPAREN)) {
        rf_str name;
        if (f->n)
            RF_TRY(rf_jc_expect(c, RF_JT_COMMA));
        RF_TRY(rf_jc_expect_name(c, &name));
        RF_TRY(rf_jc_name(c, name, &f->d));
        RF_TRY(rf_jc_touch(c, f->d, RF_JTOUCH_PARAM));
        f->n++;
        if (!rf_jc_grow(c, &c->targets, &c->cap_targets, c->n_targets + 1, sizeof *c->targets))
            return rf_jc_no_memory(c);
        c->targets[c->n_targets++] = f->d;
        f->c = rf_jc_here(c);
        RF_TRY(rf_jc_emit(c, RF_JOP_PARAM, 0, f->d, 0));
        if (rf_jc_accept(c, RF_JT_ASSIGN)) {
            f->op = 1;
            return rf_jc_call(c, RF_JRULE_EXPRESSION, 0);
        }
        if (f->op)
            return rf_jc_fail(c, "non-default argument follows default argument");
        RF_TRY(rf_jc_emit(c, RF_JOP_PARAM_UNDEF, 0, f->d, 0));
        if (rf_str_is(name, "caller"))
            c->nest[c->n_nest - 2].b = 1; /* FUNCTION, below its scope */
        c->code.code[f->c].b = rf_jc_here(c);
    }
    rf_jc_skip(c);
    rf_jmacro_info *info = &c->code.macros[f->a];
    int32_t *args = RF_ARENA_ARRAY(c->arena, int32_t, f->n);
    if (!args)
        return rf_jc_no_memory(c);
    if (f->n)
        memcpy(args, c->targets + f->b, f->n * sizeof *args);
    info->args = args;
    info->n_args = f->n;
    c->n_targets = (uint32_t)f->b;
    /* the parameters' own names do not count as redefined: only the body's do */
    return rf_jc_done(c);
}

static rf_status call_signature(rf_jcompiler *c, int32_t macro) {
    RF_TRY(rf_jc_call(c, RF_JRULE_SIGNATURE, 0));
    c->top->a = macro;
    return RF_OK;
}

/* Forgets what the signature read and redefined: only the body decides on caller and kwargs. */
static void reset_specials(rf_jcompiler *c) {
    for (uint32_t i = c->n_nest; i-- > 0;)
        if (c->nest[i].kind == RF_JNEST_FUNCTION) {
            c->nest[i].seen = c->nest[i].hidden = 0;
            return;
        }
}

/* macro: "macro" name signature body "endmacro" */
rf_status rf_jrule_macro(rf_jcompiler *c, rf_jrule *f) {
    enum { START, BODY, END };
    rf_str name;
    switch (f->step) {
    case START:
        rf_jc_skip(c);
        RF_TRY(rf_jc_expect_name(c, &name));
        RF_TRY(rf_jc_name(c, name, &f->d));
        RF_TRY(rf_jc_touch(c, f->d, RF_JTOUCH_STORE));
        f->b = rf_jc_here(c);
        RF_TRY(rf_jc_emit(c, RF_JOP_JUMP, 0, 0, 0));
        RF_TRY(open_function(c, name, &f->c));
        f->step = BODY;
        return call_signature(c, f->c);
    case BODY:
        reset_specials(c);
        f->step = END;
        return rf_jc_body(c, RF_JEND_MACRO);
    default:
        rf_jc_skip(c);
        RF_TRY(close_function(c, f->c));
        rf_jc_patch(c, f->b, rf_jc_here(c));
        RF_TRY(rf_jc_emit(c, RF_JOP_MACRO, 0, f->c, 0));
        RF_TRY(rf_jc_emit(c, RF_JOP_STORE, 0, f->d, 0));
        return rf_jc_done(c);
    }
}

/* call: "call" [signature] call-expression body "endcall". In code: the caller's parameters, the
 * call, the caller's body, and at last its definition, which jumps back to the call. */
rf_status rf_jrule_call(rf_jcompiler *c, rf_jrule *f) {
    enum { START, CALL, BODY, END };
    switch (f->step) {
    case START:
        rf_jc_skip(c);
        f->b = rf_jc_here(c);
        RF_TRY(rf_jc_emit(c, RF_JOP_JUMP, 0, 0, 0)); /* to the definition */
        RF_TRY(open_function(c, (rf_str){0}, &f->c));
        f->step = CALL;
        return rf_jc_is(c, RF_JT_LPAREN) ? call_signature(c, f->c) : RF_OK;
    case CALL: {
        RF_TRY(rf_jc_emit(c, RF_JOP_JUMP, 0, 0, 0)); /* to the body */
        f->d = rf_jc_here(c);
        /* the call belongs to the scope outside */
        f->a = c->scope;
        c->scope = c->code.scopes[c->scope].parent;
        rf_jnest scope = rf_jc_nest_pop(c), function = rf_jc_nest_pop(c);
        (void)scope;
        (void)function;
        f->step = BODY;
        return rf_jc_call(c, RF_JRULE_EXPRESSION, 0);
    }
    case BODY: {
        if (!c->last_is_call)
            return rf_jc_fail(c, "expected call");
        const rf_jinstr *call = &c->code.code[c->code.n_code - 1];
        c->code.shapes[call->a].flags |= RF_JCALL_CALLER;
        RF_TRY(rf_jc_emit(c, RF_JOP_PRINT, 0, 0, 0));
        f->n = c->code.n_code;
        RF_TRY(rf_jc_emit(c, RF_JOP_JUMP, 0, 0, 0)); /* past everything */
        rf_jc_patch(c, f->d - 1, rf_jc_here(c));
        RF_TRY(rf_jc_nest_push(c, RF_JNEST_FUNCTION, f->c, 0));
        RF_TRY(rf_jc_nest_push(c, RF_JNEST_SCOPE, f->a, 0));
        c->scope = f->a;
        f->step = END;
        return rf_jc_body(c, RF_JEND_CALL);
    }
    default:
        rf_jc_skip(c);
        RF_TRY(close_function(c, f->c));
        rf_jc_patch(c, f->b, rf_jc_here(c));
        RF_TRY(rf_jc_emit(c, RF_JOP_MACRO, 0, f->c, 0));
        RF_TRY(rf_jc_emit(c, RF_JOP_JUMP, 0, f->d, 0));
        rf_jc_patch(c, (int32_t)f->n, rf_jc_here(c));
        return rf_jc_done(c);
    }
}

/* generation: body "endgeneration"; a call block whose callee returns the body's text */
rf_status rf_jrule_generation(rf_jcompiler *c, rf_jrule *f) {
    if (f->step++ == 0) {
        rf_jc_skip(c);
        f->b = rf_jc_here(c);
        RF_TRY(rf_jc_emit(c, RF_JOP_JUMP, 0, 0, 0));
        RF_TRY(open_function(c, (rf_str){0}, &f->c));
        return rf_jc_body(c, RF_JEND_GENERATION);
    }
    int32_t shape;
    rf_jc_skip(c);
    RF_TRY(close_function(c, f->c));
    rf_jc_patch(c, f->b, rf_jc_here(c));
    RF_TRY(rf_jc_emit(c, RF_JOP_MACRO, 0, f->c, 0));
    RF_TRY(rf_jc_shape(c, (rf_jcall_shape){0}, &shape));
    RF_TRY(rf_jc_emit(c, RF_JOP_CALL, 0, shape, 0));
    RF_TRY(rf_jc_emit(c, RF_JOP_PRINT, 0, 0, 0));
    return rf_jc_done(c);
}
