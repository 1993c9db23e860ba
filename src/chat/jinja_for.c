/* The for statement.
 *
 *     iterable
 *     [RECURSE after]              recursive loops run as a function that returns text
 * L:  FOR_ITER
 * F:  [FILTER_NEXT; store; test; FILTER_DECIDE]
 * N:  FOR_NEXT end; store; body; FOR_MARK; JUMP F or N
 * end: FOR_END after-else; [else]
 *     [RECURSE_RET]
 * after: [PRINT]
 */
#include "chat/jinja_compiler.h"
#include "chat/jinja_vm.h"

enum { START, ITERABLE, TEST, BODY, ELSE };

static bool body_uses_loop(const rf_jcompiler *c, int32_t from) {
    for (uint32_t i = (uint32_t)from; i < c->code.n_code; i++) {
        const rf_jinstr *in = &c->code.code[i];
        if (in->op == RF_JOP_LOAD && rf_str_is(c->code.names[in->a], "loop"))
            return true;
    }
    return false;
}

static rf_status begin_body(rf_jcompiler *c, rf_jrule *f) {
    int32_t scope;
    if (rf_jc_accept_name(c, "recursive"))
        return rf_jc_fail(c, "recursive stands before the test");
    RF_TRY(rf_jc_scope_open(c, &scope));
    c->code.code[f->a].a = scope;
    RF_TRY(rf_jc_emit(c, RF_JOP_FOR_NEXT, 0, 0, 0));
    RF_TRY(rf_jc_store_targets(c, (uint32_t)f->b, f->n, true));
    c->n_targets = (uint32_t)f->b;
    RF_TRY(rf_jc_nest_push(c, RF_JNEST_LOOP, -1, f->c));
    f->step = BODY;
    return rf_jc_body(c, RF_JEND_FOR | RF_JEND_ELSE);
}

/* f->a: address of FOR_ITER; f->c: where a round goes on; f->d: FOR_NEXT, later FOR_END. */
static rf_status end_body(rf_jcompiler *c, rf_jrule *f) {
    bool has_else = rf_jc_is_name(c, "else");
    rf_jc_skip(c);
    RF_TRY(rf_jc_emit(c, RF_JOP_FOR_MARK, 0, 0, 0));
    RF_TRY(rf_jc_emit(c, RF_JOP_JUMP, 0, f->c, 0));
    if (body_uses_loop(c, f->d))
        c->code.code[f->a].n |= RF_JFOR_EXTENDED;
    rf_jc_patch(c, f->d, rf_jc_here(c));
    for (int32_t jump = rf_jc_nest_pop(c).a; jump >= 0;) {
        int32_t next = c->code.code[jump].a;
        rf_jc_patch(c, jump, rf_jc_here(c));
        jump = next;
    }
    rf_jc_scope_close(c);
    f->d = rf_jc_here(c);
    RF_TRY(rf_jc_emit(c, RF_JOP_FOR_END, 0, f->d + 1, 0));
    f->step = ELSE;
    if (!has_else)
        return RF_OK;
    int32_t scope;
    RF_TRY(rf_jc_scope_open(c, &scope));
    RF_TRY(rf_jc_emit(c, RF_JOP_SCOPE_PUSH, 0, scope, 0));
    f->flags = 1;
    return rf_jc_body(c, RF_JEND_FOR);
}

/* for: "for" targets "in" tuple ["if" expression] ["recursive"] body ["else" body] "endfor" */
rf_status rf_jrule_for(rf_jcompiler *c, rf_jrule *f) {
    uint32_t n;
    int32_t scope;
    switch (f->step) {
    case START:
        rf_jc_skip(c);
        f->b = (int32_t)c->n_targets;
        RF_TRY(rf_jc_targets(c, false, &n));
        f->n = n;
        for (uint32_t i = (uint32_t)f->b; i < c->n_targets; i += RF_JTARGET_FIELDS)
            if (c->targets[i] >= 0 && rf_str_is(c->code.names[c->targets[i]], "loop"))
                return rf_jc_fail(c, "Can't assign to special loop variable in for-loop target");
        if (!rf_jc_accept_name(c, "in"))
            return rf_jc_unexpected(c, "token 'in'");
        RF_TRY(rf_jc_nest_push(c, RF_JNEST_FOR, 0, 0));
        f->step = ITERABLE;
        return rf_jc_call(c, RF_JRULE_TUPLE, RF_JX_NO_COND);
    case ITERABLE: {
        bool has_test = rf_jc_is_name(c, "if");
        f->d = rf_jc_here(c);
        RF_TRY(rf_jc_emit(c, RF_JOP_NOP, 0, 0, 0)); /* RECURSE, once `recursive` is seen */
        f->a = f->c = rf_jc_here(c);
        RF_TRY(rf_jc_emit(c, RF_JOP_FOR_ITER, has_test ? RF_JFOR_FILTERED : 0, 0, 0));
        f->c = rf_jc_here(c);
        if (!has_test)
            goto body;
        rf_jc_skip(c);
        RF_TRY(rf_jc_scope_open(c, &scope));
        RF_TRY(rf_jc_emit(c, RF_JOP_FILTER_NEXT, 0, 0, scope));
        RF_TRY(rf_jc_store_targets(c, (uint32_t)f->b, f->n, true));
        f->step = TEST;
        return rf_jc_call(c, RF_JRULE_EXPRESSION, 0);
    }
    case TEST:
        rf_jc_scope_close(c);
        RF_TRY(rf_jc_emit(c, RF_JOP_FILTER_DECIDE, 0, f->c, rf_jc_here(c) + 1));
        rf_jc_patch(c, f->c, rf_jc_here(c));
    body:
        if (rf_jc_accept_name(c, "recursive")) {
            f->op |= 2;
            c->code.code[f->d].op = RF_JOP_RECURSE;
            c->code.code[f->d].b = f->a;
            c->code.code[f->a].n |= RF_JFOR_RECURSIVE | RF_JFOR_EXTENDED;
            c->code.code[f->a].b = f->a;
        } else {
            c->code.code[f->a].b = -1;
        }
        f->line = (uint32_t)f->d; /* address of RECURSE, needed at the end */
        f->d = rf_jc_here(c);
        return begin_body(c, f);
    case BODY: return end_body(c, f);
    default:
        if (f->flags) {
            rf_jc_skip(c);
            rf_jc_scope_close(c);
            RF_TRY(rf_jc_emit(c, RF_JOP_SCOPE_POP, 0, 0, 0));
        }
        rf_jc_patch(c, f->d, rf_jc_here(c));
        if (f->op & 2) {
            RF_TRY(rf_jc_emit(c, RF_JOP_RECURSE_RET, 0, 0, 0));
            rf_jc_patch(c, (int32_t)f->line, rf_jc_here(c));
            RF_TRY(rf_jc_emit(c, RF_JOP_PRINT, 0, 0, 0));
        }
        (void)rf_jc_nest_pop(c); /* FOR */
        return rf_jc_done(c);
    }
}
