/* Rules of bodies and of the plain statements. */
#include "chat/jinja_compiler.h"

static const char *const end_tags[] = {
#define X(id, text) text,
#include "chat/jinja_end_tags.def"
#undef X
};

static const struct {
    const char *tag;
    rf_jrule_id rule;
} statements[] = {
#define X(tag, rule) {tag, RF_JRULE_##rule},
#include "chat/jinja_statements.def"
#undef X
};

rf_status rf_jc_body(rf_jcompiler *c, int32_t ends) {
    (void)rf_jc_accept(c, RF_JT_COLON);
    RF_TRY(rf_jc_expect(c, RF_JT_BLOCK_END));
    RF_TRY(rf_jc_call(c, RF_JRULE_BODY, 0));
    c->top->a = ends;
    return RF_OK;
}

static bool is_end(const rf_jcompiler *c, int32_t ends) {
    for (size_t i = 0; i < sizeof end_tags / sizeof *end_tags; i++)
        if ((ends & (1 << i)) && rf_jc_is_name(c, end_tags[i]))
            return true;
    return false;
}

static const char *first_end(int32_t ends) {
    for (size_t i = 0; i < sizeof end_tags / sizeof *end_tags; i++)
        if (ends & (1 << i))
            return end_tags[i];
    return "end of template";
}

static rf_status statement(rf_jcompiler *c, const rf_jrule *f) {
    if (!rf_jc_is(c, RF_JT_NAME))
        return rf_jc_fail(c, "tag name expected");
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++)
        if (rf_jc_is_name(c, statements[i].tag))
            return rf_jc_call(c, statements[i].rule, 0);
    if (f->a)
        return rf_jc_fail(c, "Encountered unknown tag '%.*s'; '%s' is due",
                          RF_STR_ARG(rf_jc_tok(c)->text), first_end(f->a));
    return rf_jc_fail(c, "Encountered unknown tag '%.*s'", RF_STR_ARG(rf_jc_tok(c)->text));
}

/* body (a: the tags that end it): {data | "{{" tuple "}}" | "{%" statement "%}"} */
rf_status rf_jrule_body(rf_jcompiler *c, rf_jrule *f) {
    enum { START, PRINTED, STATEMENT };
    if (f->step == PRINTED) {
        RF_TRY(rf_jc_expect(c, RF_JT_VARIABLE_END));
        RF_TRY(rf_jc_emit(c, RF_JOP_PRINT, 0, 0, 0));
    } else if (f->step == STATEMENT) {
        RF_TRY(rf_jc_expect(c, RF_JT_BLOCK_END));
    }
    f->step = START;
    switch (rf_jc_tok(c)->type) {
    case RF_JT_DATA:
        RF_TRY(rf_jc_emit_const(c, RF_JOP_DATA, rf_jv_str(rf_jc_tok(c)->text)));
        rf_jc_skip(c);
        return RF_OK;
    case RF_JT_VARIABLE_BEGIN:
        rf_jc_skip(c);
        f->step = PRINTED;
        return rf_jc_call(c, RF_JRULE_TUPLE, 0);
    case RF_JT_BLOCK_BEGIN:
        rf_jc_skip(c);
        if (is_end(c, f->a))
            return rf_jc_done(c);
        f->step = STATEMENT;
        return statement(c, f);
    default:
        if (f->a)
            return rf_jc_fail(c, "Unexpected end of template; '%s' is due", first_end(f->a));
        return rf_jc_done(c);
    }
}

/* if: "if" tuple body {"elif" tuple body} ["else" body] "endif". f->b: jumps to the end. */
rf_status rf_jrule_if(rf_jcompiler *c, rf_jrule *f) {
    enum { START, TEST, BODY, ELSE };
    switch (f->step) {
    case START:
        rf_jc_skip(c);
        f->step = TEST;
        f->b = -1;
        return rf_jc_call(c, RF_JRULE_TUPLE, RF_JX_NO_COND);
    case TEST:
        if (f->n++ == 0)
            RF_TRY(rf_jc_nest_push(c, RF_JNEST_IF, 0, 0));
        f->a = rf_jc_here(c);
        RF_TRY(rf_jc_emit(c, RF_JOP_JUMP_FALSE, 0, 0, 0));
        f->step = BODY;
        return rf_jc_body(c, RF_JEND_IF | RF_JEND_ELSE | RF_JEND_ELIF);
    case BODY: {
        bool is_elif = rf_jc_is_name(c, "elif"), is_else = rf_jc_is_name(c, "else");
        rf_jc_skip(c);
        if (is_elif || is_else) {
            int32_t previous = f->b;
            f->b = rf_jc_here(c);
            RF_TRY(rf_jc_emit(c, RF_JOP_JUMP, 0, previous, 0));
        }
        rf_jc_patch(c, f->a, rf_jc_here(c));
        if (is_elif) {
            f->step = TEST;
            return rf_jc_call(c, RF_JRULE_TUPLE, RF_JX_NO_COND);
        }
        f->step = ELSE;
        f->op = !is_else;
        return is_else ? rf_jc_body(c, RF_JEND_IF) : RF_OK;
    }
    default:
        if (!f->op)
            rf_jc_skip(c);
        (void)rf_jc_nest_pop(c);
        while (f->b >= 0) {
            int32_t jump = f->b;
            f->b = c->code.code[jump].a;
            rf_jc_patch(c, jump, rf_jc_here(c));
        }
        return rf_jc_done(c);
    }
}

/* filter: "filter" name [arguments] {"|" …} body "endfilter". The filters' code follows the
 * body's. */
rf_status rf_jrule_filter_block(rf_jcompiler *c, rf_jrule *f) {
    enum { START, FILTERS, BODY };
    int32_t scope;
    if (f->step == START) {
        rf_jc_skip(c);
        f->d = rf_jc_here(c);
        RF_TRY(rf_jc_emit(c, RF_JOP_JUMP, 0, 0, 0));
        f->step = FILTERS;
        return rf_jc_call(c, RF_JRULE_FILTER, 0);
    }
    if (f->step == FILTERS) {
        if (rf_jc_accept(c, RF_JT_PIPE))
            return rf_jc_call(c, RF_JRULE_FILTER, 0);
        RF_TRY(rf_jc_emit(c, RF_JOP_PRINT, 0, 0, 0));
        f->b = rf_jc_here(c);
        RF_TRY(rf_jc_emit(c, RF_JOP_JUMP, 0, 0, 0));
        rf_jc_patch(c, f->d, rf_jc_here(c));
        RF_TRY(rf_jc_scope_open(c, &scope));
        RF_TRY(rf_jc_emit(c, RF_JOP_SCOPE_PUSH, 0, scope, 0));
        RF_TRY(rf_jc_emit(c, RF_JOP_CAPTURE, 0, 0, 0));
        RF_TRY(rf_jc_nest_push(c, RF_JNEST_CAPTURE, 0, 0));
        f->step = BODY;
        return rf_jc_body(c, RF_JEND_FILTER);
    }
    rf_jc_skip(c);
    (void)rf_jc_nest_pop(c);
    RF_TRY(rf_jc_emit(c, RF_JOP_CAPTURE_END, 0, 0, 0));
    rf_jc_scope_close(c);
    RF_TRY(rf_jc_emit(c, RF_JOP_SCOPE_POP, 0, 0, 0));
    RF_TRY(rf_jc_emit(c, RF_JOP_JUMP, 0, f->d + 1, 0));
    rf_jc_patch(c, f->b, rf_jc_here(c));
    return rf_jc_done(c);
}

/* autoescape: "autoescape" expression body "endautoescape" */
rf_status rf_jrule_autoescape(rf_jcompiler *c, rf_jrule *f) {
    enum { START, BODY, END };
    int32_t scope;
    if (f->step == START) {
        rf_jc_skip(c);
        f->step = BODY;
        return rf_jc_call(c, RF_JRULE_EXPRESSION, 0);
    }
    if (f->step == BODY) {
        RF_TRY(rf_jc_emit(c, RF_JOP_ESCAPE, 0, 0, 0));
        RF_TRY(rf_jc_nest_push(c, RF_JNEST_ESCAPE, 0, 0));
        RF_TRY(rf_jc_scope_open(c, &scope));
        RF_TRY(rf_jc_emit(c, RF_JOP_SCOPE_PUSH, 0, scope, 0));
        f->step = END;
        return rf_jc_body(c, RF_JEND_AUTOESCAPE);
    }
    rf_jc_skip(c);
    rf_jc_scope_close(c);
    RF_TRY(rf_jc_emit(c, RF_JOP_SCOPE_POP, 0, 0, 0));
    (void)rf_jc_nest_pop(c);
    RF_TRY(rf_jc_emit(c, RF_JOP_ESCAPE_END, 0, 0, 0));
    return rf_jc_done(c);
}

/* block: "block" name ["scoped"] ["required"] body "endblock" [name] */
rf_status rf_jrule_block(rf_jcompiler *c, rf_jrule *f) {
    rf_jcode *code = &c->code;
    int32_t scope;
    if (f->step++ == 0) {
        rf_str name;
        rf_jc_skip(c);
        RF_TRY(rf_jc_expect_name(c, &name));
        for (uint32_t i = 0; i < code->n_blocks; i++)
            if (rf_str_eq(code->blocks[i].name, name))
                return rf_jc_fail(c, "block '%.*s' defined twice", RF_STR_ARG(name));
        bool scoped = rf_jc_accept_name(c, "scoped");
        bool required = rf_jc_accept_name(c, "required");
        if (required)
            return rf_jc_fail(c, "Required block '%.*s' not found", RF_STR_ARG(name));
        if (!rf_jc_grow(c, &code->blocks, &c->cap_blocks, code->n_blocks + 1, sizeof *code->blocks))
            return rf_jc_no_memory(c);
        RF_TRY(rf_jc_emit(c, RF_JOP_BLOCK, scoped, (int32_t)code->n_blocks, 0));
        f->a = rf_jc_here(c);
        RF_TRY(rf_jc_emit(c, RF_JOP_JUMP, 0, 0, 0));
        f->c = c->scope;
        if (!scoped)
            c->scope = 0;
        RF_TRY(rf_jc_nest_push(c, RF_JNEST_BLOCK, 0, 0));
        RF_TRY(rf_jc_scope_open(c, &scope));
        code->blocks[code->n_blocks++] = (rf_jblock_info){name, rf_jc_here(c), scope};
        return rf_jc_body(c, RF_JEND_BLOCK);
    }
    rf_jc_skip(c);
    if (rf_jc_is(c, RF_JT_NAME))
        rf_jc_skip(c);
    rf_jc_scope_close(c);
    c->scope = f->c;
    (void)rf_jc_nest_pop(c);
    RF_TRY(rf_jc_emit(c, RF_JOP_RETURN, 0, 0, 0));
    rf_jc_patch(c, f->a, rf_jc_here(c));
    return rf_jc_done(c);
}

/* print: "print" expression {"," expression} */
rf_status rf_jrule_print(rf_jcompiler *c, rf_jrule *f) {
    if (f->step == 0)
        rf_jc_skip(c);
    else
        RF_TRY(rf_jc_emit(c, RF_JOP_PRINT, 0, 0, 0));
    if (rf_jc_is(c, RF_JT_BLOCK_END))
        return rf_jc_done(c);
    if (f->step)
        RF_TRY(rf_jc_expect(c, RF_JT_COMMA));
    f->step = 1;
    return rf_jc_call(c, RF_JRULE_EXPRESSION, 0);
}

/* include, import, from, extends: there is no loader, so they fail when they are reached. */
rf_status rf_jrule_load_template(rf_jcompiler *c, rf_jrule *f) {
    if (f->step++ == 0) {
        rf_jc_skip(c);
        return rf_jc_call(c, RF_JRULE_EXPRESSION, 0);
    }
    RF_TRY(rf_jc_emit(c, RF_JOP_POP, 0, 0, 0));
    while (rf_jc_is(c, RF_JT_NAME) || rf_jc_is(c, RF_JT_COMMA))
        rf_jc_skip(c);
    RF_TRY(
        rf_jc_emit_const(c, RF_JOP_FAIL, rf_jv_text("no loader for this environment specified")));
    c->code.code[c->code.n_code - 1].n = RF_TEMPLATE_TYPE;
    return rf_jc_done(c);
}

rf_status rf_jrule_break(rf_jcompiler *c, rf_jrule *f) {
    (void)f;
    bool is_break = rf_jc_is_name(c, "break");
    rf_jc_skip(c);
    RF_TRY(rf_jc_leave_loop(c, is_break));
    return rf_jc_done(c);
}
