/* Rules of expressions down to unary operators. */
#include "chat/jinja_compiler.h"
#include "chat/jinja_operator.h"

/* How tightly operators bind, as the chain of Jinja's grammar rules orders them. */
enum { P_OR = 1, P_AND, P_NOT, P_COMPARE, P_ADD, P_CONCAT, P_MUL, P_POW, P_UNARY };

typedef struct operator_row {
    rf_jtoken_type token;
    int level;
    int code; /* rf_jbinary or, at P_COMPARE, rf_jcompare */
} operator_row;

static const operator_row operators[] = {
    {RF_JT_EQ, P_COMPARE, RF_JC_EQ},       {RF_JT_NE, P_COMPARE, RF_JC_NE},
    {RF_JT_LT, P_COMPARE, RF_JC_LT},       {RF_JT_LE, P_COMPARE, RF_JC_LE},
    {RF_JT_GT, P_COMPARE, RF_JC_GT},       {RF_JT_GE, P_COMPARE, RF_JC_GE},
    {RF_JT_ADD, P_ADD, RF_JB_ADD},         {RF_JT_SUB, P_ADD, RF_JB_SUB},
    {RF_JT_TILDE, P_CONCAT, RF_JB_CONCAT}, {RF_JT_MUL, P_MUL, RF_JB_MUL},
    {RF_JT_DIV, P_MUL, RF_JB_DIV},         {RF_JT_FLOORDIV, P_MUL, RF_JB_FLOORDIV},
    {RF_JT_MOD, P_MUL, RF_JB_MOD},         {RF_JT_POW, P_POW, RF_JB_POW},
};

/* The operator at the current token: its level (0 = none), code and number of tokens. */
static int operator_at(const rf_jcompiler *c, int *code, int *n_tokens) {
    *n_tokens = 1;
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++)
        if (rf_jc_is(c, operators[i].token)) {
            *code = operators[i].code;
            return operators[i].level;
        }
    if (rf_jc_is_name(c, "or"))
        return P_OR;
    if (rf_jc_is_name(c, "and"))
        return P_AND;
    if (rf_jc_is_name(c, "in")) {
        *code = RF_JC_IN;
        return P_COMPARE;
    }
    if (rf_jc_is_name(c, "not") && rf_jc_next_is_name(c, "in")) {
        *code = RF_JC_NOT_IN;
        *n_tokens = 2;
        return P_COMPARE;
    }
    return 0;
}

static bool tuple_ends(const rf_jcompiler *c) {
    return rf_jc_is(c, RF_JT_VARIABLE_END) || rf_jc_is(c, RF_JT_BLOCK_END) ||
           rf_jc_is(c, RF_JT_RPAREN);
}

/* tuple: expression {"," expression} [","] */
rf_status rf_jrule_tuple(rf_jcompiler *c, rf_jrule *f) {
    enum { START, ITEM };
    bool is_tuple = f->a != 0;
    if (f->step == ITEM) {
        f->n++;
        if (rf_jc_accept(c, RF_JT_COMMA)) {
            is_tuple = true;
            f->a = 1;
        } else {
            f->b = 1; /* no further item */
        }
    }
    f->step = ITEM;
    if (!f->b && !tuple_ends(c))
        return (f->flags & RF_JX_NO_COND) ? rf_jc_call(c, RF_JRULE_BINARY, P_OR)
                                          : rf_jc_call(c, RF_JRULE_EXPRESSION, 0);
    if (!is_tuple && f->n == 0 && !(f->flags & RF_JX_PARENS))
        return rf_jc_unexpected(c, "an expression");
    if (is_tuple || f->n == 0) {
        RF_TRY(rf_jc_emit(c, RF_JOP_TUPLE, 0, (int32_t)f->n, 0));
        c->last_is_call = false;
    }
    return rf_jc_done(c);
}

/* expression: or ["if" or ["else" expression]]. The condition runs first: a jump stands in front
 * of the value's code for it. */
rf_status rf_jrule_expression(rf_jcompiler *c, rf_jrule *f) {
    enum { START, VALUE, CONDITION, ELSE };
    switch (f->step) {
    case START:
        f->a = rf_jc_here(c);
        RF_TRY(rf_jc_emit(c, RF_JOP_NOP, 0, 0, 0));
        f->step = VALUE;
        return rf_jc_call(c, RF_JRULE_BINARY, P_OR);
    case VALUE:
        if (!rf_jc_accept_name(c, "if"))
            return rf_jc_done(c);
        f->b = rf_jc_here(c);
        RF_TRY(rf_jc_emit(c, RF_JOP_JUMP, 0, 0, 0));
        if (f->c == 0) {
            c->code.code[f->a].op = RF_JOP_JUMP;
            rf_jc_patch(c, f->a, rf_jc_here(c));
        } else { /* `a if b if c`: the value so far is on the stack already */
            c->code.code[f->b].op = RF_JOP_NOP;
        }
        f->step = CONDITION;
        return rf_jc_call(c, RF_JRULE_BINARY, P_OR);
    case CONDITION:
        c->last_is_call = false;
        if (f->c == 0) {
            RF_TRY(rf_jc_emit(c, RF_JOP_JUMP_TRUE, 0, f->a + 1, 0));
        } else {
            f->b = rf_jc_here(c);
            RF_TRY(rf_jc_emit(c, RF_JOP_JUMP_TRUE, 0, 0, 0));
            RF_TRY(rf_jc_emit(c, RF_JOP_POP, 0, 0, 0));
        }
        f->step = ELSE;
        if (rf_jc_accept_name(c, "else"))
            return rf_jc_call(c, RF_JRULE_EXPRESSION, 0);
        RF_TRY(rf_jc_emit(c, RF_JOP_COND_UNDEF, 0, 0, 0));
        return RF_OK;
    default:
        c->last_is_call = false;
        rf_jc_patch(c, f->b, rf_jc_here(c));
        f->c = 1;
        f->step = VALUE;
        return RF_OK;
    }
}

/* A comparison was parsed; another may follow: a < b < c. */
static rf_status emit_compare(rf_jcompiler *c, rf_jrule *f) {
    int code, n_tokens;
    if (operator_at(c, &code, &n_tokens) == P_COMPARE && f->flags <= P_COMPARE) {
        int32_t previous = f->c; /* chain links form a list through their targets */
        f->c = rf_jc_here(c);
        return rf_jc_emit(c, RF_JOP_COMPARE_CHAIN, f->op, previous, 0);
    }
    RF_TRY(rf_jc_emit(c, RF_JOP_COMPARE, f->op, 0, 0));
    while (f->c > 0) {
        int32_t link = f->c;
        f->c = c->code.code[link].a;
        rf_jc_patch(c, link, rf_jc_here(c));
    }
    return RF_OK;
}

/* Code after the right operand of the operator at level f->b. */
static rf_status combine(rf_jcompiler *c, rf_jrule *f) {
    c->last_is_call = false;
    switch (f->b) {
    case P_OR:
    case P_AND: rf_jc_patch(c, f->a, rf_jc_here(c)); return RF_OK;
    case P_NOT: return rf_jc_emit(c, RF_JOP_NOT, 0, 0, 0);
    case P_COMPARE: return emit_compare(c, f);
    default: return rf_jc_emit(c, RF_JOP_BINARY, f->op, 0, 0);
    }
}

/* binary (flags: the lowest level taken): precedence climbing, all operators to the left. */
rf_status rf_jrule_binary(rf_jcompiler *c, rf_jrule *f) {
    enum { START, OPERAND, COMBINE };
    if (f->step == START) {
        f->step = OPERAND;
        if (f->flags <= P_NOT && rf_jc_accept_name(c, "not")) {
            f->b = P_NOT;
            f->step = COMBINE;
            return rf_jc_call(c, RF_JRULE_BINARY, P_NOT);
        }
        return rf_jc_call(c, RF_JRULE_UNARY, 0);
    }
    if (f->step == COMBINE)
        RF_TRY(combine(c, f));
    int code = 0, n_tokens, level = operator_at(c, &code, &n_tokens);
    if (level == 0 || level < f->flags)
        return rf_jc_done(c);
    for (int i = 0; i < n_tokens; i++)
        rf_jc_skip(c);
    f->b = level;
    f->op = (uint16_t)code;
    f->step = COMBINE;
    if (level <= P_AND) {
        f->a = rf_jc_here(c);
        RF_TRY(rf_jc_emit(c, level == P_OR ? RF_JOP_TRUE_OR_POP : RF_JOP_FALSE_OR_POP, 0, 0, 0));
    }
    return rf_jc_call(c, RF_JRULE_BINARY, (uint8_t)(level + 1));
}

/* One postfix: .name, .1, [subscript], (arguments). *found: a rule was called or code emitted. */
static rf_status postfix(rf_jcompiler *c, bool *found) {
    *found = true;
    if (rf_jc_is(c, RF_JT_LBRACKET))
        return rf_jc_call(c, RF_JRULE_SUBSCRIPT, 0);
    if (rf_jc_is(c, RF_JT_LPAREN))
        return rf_jc_call(c, RF_JRULE_ARGUMENTS, 0);
    if (!rf_jc_accept(c, RF_JT_DOT)) {
        *found = false;
        return RF_OK;
    }
    c->last_is_call = false;
    const rf_jtoken *t = rf_jc_tok(c);
    if (t->type != RF_JT_NAME && t->type != RF_JT_INTEGER)
        return rf_jc_fail(c, "expected name or number");
    rf_jc_skip(c);
    if (t->type == RF_JT_NAME)
        return rf_jc_emit_const(c, RF_JOP_ATTR, rf_jv_str(t->text));
    rf_jv index;
    RF_TRY(rf_jc_number(c, t, &index));
    RF_TRY(rf_jc_emit_const(c, RF_JOP_CONST, index));
    return rf_jc_emit(c, RF_JOP_ITEM, 0, 0, 0);
}

/* The call that rule ARGUMENTS has parsed. */
static rf_status emit_call(rf_jcompiler *c, int32_t shape) {
    c->last_is_call = true;
    return rf_jc_emit(c, RF_JOP_CALL, 0, shape, 0);
}

/* unary: ("-" | "+") unary | primary, then postfixes, then filters and tests */
rf_status rf_jrule_unary(rf_jcompiler *c, rf_jrule *f) {
    enum { START, SIGN, POSTFIX, FILTERS };
    bool found;
    switch (f->step) {
    case START:
        if (rf_jc_is(c, RF_JT_SUB) || rf_jc_is(c, RF_JT_ADD)) {
            f->op = rf_jc_is(c, RF_JT_SUB) ? RF_JOP_NEG : RF_JOP_POS;
            rf_jc_skip(c);
            f->step = SIGN;
            return rf_jc_call(c, RF_JRULE_UNARY, RF_JX_NO_FILTER);
        }
        f->step = POSTFIX;
        f->a = -1;
        return rf_jc_call(c, RF_JRULE_PRIMARY, 0);
    case SIGN:
        c->last_is_call = false;
        f->a = -1;
        f->step = POSTFIX;
        return rf_jc_emit(c, (rf_jop)f->op, 0, 0, 0);
    case POSTFIX:
        if (f->a >= 0)
            RF_TRY(emit_call(c, f->a));
        f->a = -1;
        RF_TRY(postfix(c, &found));
        if (!found)
            f->step = FILTERS;
        return (found || !(f->flags & RF_JX_NO_FILTER)) ? RF_OK : rf_jc_done(c);
    default:
        if (f->a >= 0)
            RF_TRY(emit_call(c, f->a));
        f->a = -1;
        if (rf_jc_accept(c, RF_JT_PIPE))
            return rf_jc_call(c, RF_JRULE_FILTER, 0);
        if (rf_jc_accept_name(c, "is"))
            return rf_jc_call(c, RF_JRULE_TEST, 0);
        if (rf_jc_is(c, RF_JT_LPAREN))
            return rf_jc_call(c, RF_JRULE_ARGUMENTS, 0);
        return rf_jc_done(c);
    }
}
