/* Rules of operands: literals, subscripts, argument lists, filters and tests. */
#include "chat/jinja_compiler.h"
#include "chat/jinja_vm.h"

/* Adjacent strings are one. */
static rf_status emit_strings(rf_jcompiler *c) {
    size_t start = c->pos, len = 0;
    while (rf_jc_is(c, RF_JT_STRING)) {
        len += rf_jc_tok(c)->text.len;
        rf_jc_skip(c);
    }
    if (c->pos == start + 1)
        return rf_jc_emit_const(c, RF_JOP_CONST, rf_jv_str(c->tokens[start].text));
    char *joined = rf_arena_alloc(c->arena, len + 1, 1);
    if (!joined)
        return rf_jc_no_memory(c);
    size_t n = 0;
    for (size_t i = start; i < c->pos; i++) {
        rf_str s = c->tokens[i].text;
        if (s.len)
            memcpy(joined + n, s.ptr, s.len);
        n += s.len;
    }
    return rf_jc_emit_const(c, RF_JOP_CONST, rf_jv_str((rf_str){joined, n}));
}

static rf_status emit_name(rf_jcompiler *c, rf_str name) {
    if (rf_str_is(name, "true") || rf_str_is(name, "True"))
        return rf_jc_emit_const(c, RF_JOP_CONST, rf_jv_bool(true));
    if (rf_str_is(name, "false") || rf_str_is(name, "False"))
        return rf_jc_emit_const(c, RF_JOP_CONST, rf_jv_bool(false));
    if (rf_str_is(name, "none") || rf_str_is(name, "None"))
        return rf_jc_emit_const(c, RF_JOP_CONST, rf_jv_of(RF_J_NONE));
    return rf_jc_load(c, name);
}

rf_status rf_jrule_primary(rf_jcompiler *c, rf_jrule *f) {
    if (f->step == 1) { /* behind a parenthesis */
        RF_TRY(rf_jc_expect(c, RF_JT_RPAREN));
        return rf_jc_done(c);
    }
    c->last_is_call = false;
    const rf_jtoken *t = rf_jc_tok(c);
    rf_jv number;
    switch (t->type) {
    case RF_JT_NAME:
        rf_jc_skip(c);
        RF_TRY(emit_name(c, t->text));
        return rf_jc_done(c);
    case RF_JT_STRING: RF_TRY(emit_strings(c)); return rf_jc_done(c);
    case RF_JT_INTEGER:
    case RF_JT_FLOAT:
        RF_TRY(rf_jc_number(c, t, &number));
        rf_jc_skip(c);
        RF_TRY(rf_jc_emit_const(c, RF_JOP_CONST, number));
        return rf_jc_done(c);
    case RF_JT_LPAREN:
        rf_jc_skip(c);
        f->step = 1;
        return rf_jc_call(c, RF_JRULE_TUPLE, RF_JX_PARENS);
    case RF_JT_LBRACKET:
    case RF_JT_LBRACE:
        rf_jc_skip(c);
        (void)rf_jc_done(c);
        return rf_jc_call(c, t->type == RF_JT_LBRACE ? RF_JRULE_DICT : RF_JRULE_LIST, 0);
    default: return rf_jc_fail(c, "unexpected '%s'", rf_jtoken_name(t->type));
    }
}

/* list, behind "[": [expression {"," expression} [","]] "]" */
rf_status rf_jrule_list(rf_jcompiler *c, rf_jrule *f) {
    if (f->step == 1) {
        f->n++;
        if (!rf_jc_is(c, RF_JT_RBRACKET))
            RF_TRY(rf_jc_expect(c, RF_JT_COMMA));
    }
    f->step = 1;
    if (!rf_jc_is(c, RF_JT_RBRACKET))
        return rf_jc_call(c, RF_JRULE_EXPRESSION, 0);
    rf_jc_skip(c);
    c->last_is_call = false;
    RF_TRY(rf_jc_emit(c, RF_JOP_LIST, 0, (int32_t)f->n, 0));
    return rf_jc_done(c);
}

/* dict, behind "{": [expression ":" expression {"," …} [","]] "}" */
rf_status rf_jrule_dict(rf_jcompiler *c, rf_jrule *f) {
    enum { START, KEY, VALUE };
    if (f->step == KEY) {
        RF_TRY(rf_jc_expect(c, RF_JT_COLON));
        f->step = VALUE;
        return rf_jc_call(c, RF_JRULE_EXPRESSION, 0);
    }
    if (f->step == VALUE) {
        f->n++;
        if (!rf_jc_is(c, RF_JT_RBRACE))
            RF_TRY(rf_jc_expect(c, RF_JT_COMMA));
    }
    f->step = KEY;
    if (!rf_jc_is(c, RF_JT_RBRACE))
        return rf_jc_call(c, RF_JRULE_EXPRESSION, 0);
    rf_jc_skip(c);
    c->last_is_call = false;
    RF_TRY(rf_jc_emit(c, RF_JOP_DICT, 0, (int32_t)f->n, 0));
    return rf_jc_done(c);
}

static bool part_ends(const rf_jcompiler *c) {
    return rf_jc_is(c, RF_JT_COLON) || rf_jc_is(c, RF_JT_RBRACKET) || rf_jc_is(c, RF_JT_COMMA);
}

/* subscript: "[" part {"," part} "]", part: expression | [a] ":" [b] [":" [c]].
 * f->a: parts of the current slice done so far, 0 when it is none yet; f->b: slices seen. */
rf_status rf_jrule_subscript(rf_jcompiler *c, rf_jrule *f) {
    enum { START, PART, NEXT };
    if (f->step == START) {
        rf_jc_skip(c);
        f->step = NEXT;
        f->a = -1;
    }
    if (f->step == NEXT) {
        if (f->a == 0) { /* an expression behind which no colon came */
            f->n++;
            f->a = -1;
        } else if (f->a > 0) {
            while (f->a++ < 3)
                RF_TRY(rf_jc_emit_const(c, RF_JOP_CONST, rf_jv_of(RF_J_NONE)));
            bool alone = f->n == 0 && rf_jc_is(c, RF_JT_RBRACKET);
            RF_TRY(rf_jc_emit(c, alone ? RF_JOP_SLICE : RF_JOP_MAKE_SLICE, 0, 0, 0));
            if (alone) {
                rf_jc_skip(c);
                c->last_is_call = false;
                return rf_jc_done(c);
            }
            f->n++;
            f->a = -1;
        }
        if (!rf_jc_is(c, RF_JT_RBRACKET)) {
            if (f->n)
                RF_TRY(rf_jc_expect(c, RF_JT_COMMA));
            f->step = PART;
            f->a = 0;
            return part_ends(c) && rf_jc_is(c, RF_JT_COLON)
                       ? rf_jc_emit_const(c, RF_JOP_CONST, rf_jv_of(RF_J_NONE))
                       : rf_jc_call(c, RF_JRULE_EXPRESSION, 0);
        }
        rf_jc_skip(c);
        c->last_is_call = false;
        if (f->n != 1)
            RF_TRY(rf_jc_emit(c, RF_JOP_TUPLE, 0, (int32_t)f->n, 0));
        RF_TRY(rf_jc_emit(c, RF_JOP_ITEM, 0, 0, 0));
        return rf_jc_done(c);
    }
    /* PART: one of at most three parts is on the stack */
    if (f->a >= 2 || !rf_jc_accept(c, RF_JT_COLON)) {
        if (f->a > 0)
            f->a++;
        f->step = NEXT;
        return RF_OK;
    }
    f->a++;
    if (part_ends(c))
        return rf_jc_emit_const(c, RF_JOP_CONST, rf_jv_of(RF_J_NONE));
    return rf_jc_call(c, RF_JRULE_EXPRESSION, 0);
}

/* What kind of argument begins here; keyword names go to c->kw_names. */
static rf_status argument(rf_jcompiler *c, rf_jrule *f) {
    bool star = (f->op & RF_JCALL_STAR) != 0, star2 = (f->op & RF_JCALL_STAR2) != 0, ok;
    if (rf_jc_accept(c, RF_JT_MUL)) {
        ok = !star && !star2;
        f->op |= RF_JCALL_STAR;
    } else if (rf_jc_accept(c, RF_JT_POW)) {
        ok = !star2;
        f->op |= RF_JCALL_STAR2;
    } else if (rf_jc_is(c, RF_JT_NAME) && c->tokens[c->pos + 1].type == RF_JT_ASSIGN) {
        ok = !star2;
        for (int32_t i = 0; i < f->b; i++)
            if (rf_str_eq(c->kw_names[c->n_kw_names - 1 - (uint32_t)i], rf_jc_tok(c)->text))
                return rf_jc_fail(c, "keyword argument repeated: %.*s",
                                  RF_STR_ARG(rf_jc_tok(c)->text));
        if (!rf_jc_grow(c, &c->kw_names, &c->cap_kw_names, c->n_kw_names + 1, sizeof *c->kw_names))
            return rf_jc_no_memory(c);
        c->kw_names[c->n_kw_names++] = rf_jc_tok(c)->text;
        c->pos += 2;
        f->b++;
        if (star) /* f(*a, k=v): the keyword comes behind the list on the stack */
            f->c++;
    } else {
        ok = !star && !star2 && f->b == 0;
        f->a++;
    }
    if (!ok)
        return rf_jc_fail(c, "invalid syntax for function call expression");
    return rf_jc_call(c, RF_JRULE_EXPRESSION, 0);
}

/* arguments: "(" … ")". Leaves the shape in the parent's field a. */
rf_status rf_jrule_arguments(rf_jcompiler *c, rf_jrule *f) {
    if (f->step == 0)
        rf_jc_skip(c);
    else if (!rf_jc_is(c, RF_JT_RPAREN))
        RF_TRY(rf_jc_expect(c, RF_JT_COMMA));
    f->step = 1;
    if (!rf_jc_is(c, RF_JT_RPAREN))
        return argument(c, f);
    rf_jc_skip(c);
    if (f->c && f->c < f->b)
        return rf_jc_fail(c, "keyword arguments stand both before and behind *args");
    if (f->c)
        f->op |= RF_JCALL_STAR_FIRST;
    rf_jcall_shape shape = {(uint32_t)f->a, (uint32_t)f->b, f->op, NULL};
    RF_TRY(rf_jc_shape(c, shape, &f->parent->a));
    return rf_jc_done(c);
}

/* a.b.c, joined; most names have one part */
static rf_status dotted_name(rf_jcompiler *c, rf_str *name) {
    RF_TRY(rf_jc_expect_name(c, name));
    while (rf_jc_accept(c, RF_JT_DOT)) {
        rf_str part;
        RF_TRY(rf_jc_expect_name(c, &part));
        name->len = (size_t)(part.ptr + part.len - name->ptr); /* spaces stay: no such name */
    }
    return RF_OK;
}

/* Inside an if statement, or a tag with an inline if, the code may never be reached. */
static bool may_skip(const rf_jcompiler *c) {
    if (rf_jc_conditional(c))
        return true;
    size_t i = c->pos;
    while (i > 0 && c->tokens[i - 1].type != RF_JT_BLOCK_BEGIN &&
           c->tokens[i - 1].type != RF_JT_VARIABLE_BEGIN)
        i--;
    for (; c->tokens[i].type != RF_JT_BLOCK_END && c->tokens[i].type != RF_JT_VARIABLE_END &&
           c->tokens[i].type != RF_JT_EOF;
         i++)
        if (c->tokens[i].type == RF_JT_NAME && rf_str_is(c->tokens[i].text, "if"))
            return true;
    return false;
}

/* Filters and tests: unknown ones fail at compile time, in a branch when they are reached. */
static rf_status emit_applied(rf_jcompiler *c, bool is_filter, rf_str name, int32_t shape) {
    int row = is_filter ? rf_filter_find(name) : rf_test_find(name);
    c->last_is_call = false;
    if (row >= 0)
        return rf_jc_emit(c, is_filter ? RF_JOP_FILTER : RF_JOP_TEST, 0, shape, row);
    if (!may_skip(c))
        return rf_jc_fail(c, "No %s named '%.*s'", is_filter ? "filter" : "test", RF_STR_ARG(name));
    return rf_jc_emit_const(c, is_filter ? RF_JOP_NO_FILTER : RF_JOP_NO_TEST, rf_jv_str(name));
}

static rf_status empty_shape(rf_jcompiler *c, int32_t *shape) {
    return rf_jc_shape(c, (rf_jcall_shape){0}, shape);
}

/* filter, behind "|": name {"." name} [arguments] */
rf_status rf_jrule_filter(rf_jcompiler *c, rf_jrule *f) {
    rf_str name;
    if (f->step == 0) {
        f->step = 1;
        f->b = (int32_t)c->pos;
        RF_TRY(dotted_name(c, &name));
        if (rf_jc_is(c, RF_JT_LPAREN))
            return rf_jc_call(c, RF_JRULE_ARGUMENTS, 0);
        RF_TRY(empty_shape(c, &f->a));
    }
    size_t end = c->pos;
    c->pos = (size_t)f->b;
    RF_TRY(dotted_name(c, &name));
    c->pos = end;
    RF_TRY(emit_applied(c, true, name, f->a));
    return rf_jc_done(c);
}

static bool test_argument_follows(const rf_jcompiler *c) {
    switch (rf_jc_tok(c)->type) {
    case RF_JT_STRING:
    case RF_JT_INTEGER:
    case RF_JT_FLOAT:
    case RF_JT_LBRACKET:
    case RF_JT_LBRACE: return true;
    case RF_JT_NAME:
        return !rf_jc_is_name(c, "else") && !rf_jc_is_name(c, "or") && !rf_jc_is_name(c, "and");
    default: return false;
    }
}

/* test, behind "is": ["not"] name [arguments | primary postfixes] */
rf_status rf_jrule_test(rf_jcompiler *c, rf_jrule *f) {
    enum { START, ARGUMENTS, OPERAND };
    rf_str name;
    if (f->step == START) {
        f->op = rf_jc_accept_name(c, "not");
        f->b = (int32_t)c->pos;
        RF_TRY(dotted_name(c, &name));
        f->step = ARGUMENTS;
        if (rf_jc_is(c, RF_JT_LPAREN))
            return rf_jc_call(c, RF_JRULE_ARGUMENTS, 0);
        if (test_argument_follows(c)) {
            if (rf_jc_is_name(c, "is"))
                return rf_jc_fail(c, "You cannot chain multiple tests with is");
            f->step = OPERAND;
            return rf_jc_call(c, RF_JRULE_UNARY, RF_JX_NO_FILTER);
        }
        RF_TRY(empty_shape(c, &f->a));
    }
    if (f->step == OPERAND)
        RF_TRY(rf_jc_shape(c, (rf_jcall_shape){.n_pos = 1}, &f->a));
    size_t end = c->pos;
    c->pos = (size_t)f->b;
    RF_TRY(dotted_name(c, &name));
    c->pos = end;
    RF_TRY(emit_applied(c, false, name, f->a));
    if (f->op)
        RF_TRY(rf_jc_emit(c, RF_JOP_NOT, 0, 0, 0));
    return rf_jc_done(c);
}
