/* Assignment targets: names, tuples of names and ns.attribute. They are parsed before the value's
 * code exists, so they wait on a stack: three integers each. */
#include "chat/jinja_compiler.h"

enum { NAME, ATTRIBUTE, LINE, FIELDS = RF_JTARGET_FIELDS };

static rf_status push_target(rf_jcompiler *c, int32_t name, int32_t attribute) {
    if (!rf_jc_grow(c, &c->targets, &c->cap_targets, c->n_targets + FIELDS, sizeof *c->targets))
        return rf_jc_no_memory(c);
    c->targets[c->n_targets + NAME] = name;
    c->targets[c->n_targets + ATTRIBUTE] = attribute;
    c->targets[c->n_targets + LINE] = (int32_t)rf_jc_tok(c)->line;
    c->n_targets += FIELDS;
    return RF_OK;
}

static bool is_constant_name(rf_str name) {
    static const char *const words[] = {"true", "false", "none", "True", "False", "None"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (rf_str_is(name, words[i]))
            return true;
    return false;
}

static rf_status one(rf_jcompiler *c, bool with_namespace) {
    if (!rf_jc_is(c, RF_JT_NAME))
        return rf_jc_fail(c, "can't assign to '%s'", rf_jtoken_name(rf_jc_tok(c)->type));
    rf_str name, attribute;
    int32_t name_index, attribute_index = -1;
    RF_TRY(rf_jc_expect_name(c, &name));
    if (is_constant_name(name))
        return rf_jc_fail(c, "can't assign to 'const'");
    RF_TRY(rf_jc_name(c, name, &name_index));
    if (with_namespace && rf_jc_accept(c, RF_JT_DOT)) {
        RF_TRY(rf_jc_expect_name(c, &attribute));
        RF_TRY(rf_jc_const(c, rf_jv_str(attribute), &attribute_index));
    }
    return push_target(c, name_index, attribute_index);
}

/* Entries in the order of the text; one for a group stands before its members. */
enum { GROUP_TUPLE = -2, GROUP_PLAIN = -3 }; /* NAME of a group; ATTRIBUTE then counts members */

static rf_status open_group(rf_jcompiler *c, int32_t parent, int32_t *group) {
    *group = (int32_t)c->n_targets;
    RF_TRY(push_target(c, GROUP_PLAIN, 0));
    c->targets[*group + LINE] = parent;
    return RF_OK;
}

/* targets: target {"," target} [","], target: name | name "." name | "(" targets ")" */
rf_status rf_jc_targets(rf_jcompiler *c, bool with_namespace, uint32_t *n) {
    int32_t root, group;
    RF_TRY(open_group(c, -1, &root));
    group = root;
    for (;;) {
        if (rf_jc_accept(c, RF_JT_LPAREN)) {
            c->targets[group + ATTRIBUTE]++;
            RF_TRY(open_group(c, group, &group));
            continue;
        }
        bool ends = rf_jc_is(c, RF_JT_BLOCK_END) || rf_jc_is(c, RF_JT_RPAREN);
        bool behind_comma = c->targets[group + NAME] == GROUP_TUPLE;
        if (!ends || (!behind_comma && group == root)) {
            RF_TRY(one(c, with_namespace && group == root));
            c->targets[group + ATTRIBUTE]++;
        } else if (!behind_comma) {
            c->targets[group + NAME] = GROUP_TUPLE; /* () */
        }
        while (group != root && rf_jc_accept(c, RF_JT_RPAREN))
            group = c->targets[group + LINE];
        if (!rf_jc_accept(c, RF_JT_COMMA)) {
            if (group != root)
                return rf_jc_unexpected(c, "token ')'");
            break;
        }
        c->targets[group + NAME] = GROUP_TUPLE;
        if (group == root && rf_jc_is(c, RF_JT_BLOCK_END))
            break;
    }
    *n = (c->n_targets - (uint32_t)root) / RF_JTARGET_FIELDS;
    return RF_OK;
}

rf_status rf_jc_store_targets(rf_jcompiler *c, uint32_t first, uint32_t n, bool is_param) {
    for (uint32_t i = 0; i < n; i++) {
        const int32_t *t = c->targets + first + (size_t)i * FIELDS;
        if (t[NAME] < 0) {
            if (t[ATTRIBUTE] > UINT16_MAX)
                return rf_jc_fail(c, "more than %d targets", UINT16_MAX);
            if (t[NAME] == GROUP_TUPLE)
                RF_TRY(rf_jc_emit(c, RF_JOP_UNPACK, (uint16_t)t[ATTRIBUTE], 0, 0));
        } else if (t[ATTRIBUTE] >= 0) {
            RF_TRY(rf_jc_emit(c, RF_JOP_NS_SET, 0, t[NAME], t[ATTRIBUTE]));
        } else {
            RF_TRY(rf_jc_touch(c, t[NAME], is_param ? RF_JTOUCH_PARAM : RF_JTOUCH_STORE));
            RF_TRY(rf_jc_emit(c, RF_JOP_STORE, 0, t[NAME], 0));
        }
    }
    return RF_OK;
}

/* set: "set" targets "=" tuple | "set" targets {filter} body "endset" */
rf_status rf_jrule_set(rf_jcompiler *c, rf_jrule *f) {
    enum { START, VALUE, FILTERS, BODY };
    uint32_t n;
    switch (f->step) {
    case START:
        rf_jc_skip(c);
        f->b = (int32_t)c->n_targets;
        RF_TRY(rf_jc_targets(c, true, &n));
        f->n = n;
        if (rf_jc_accept(c, RF_JT_ASSIGN)) {
            for (uint32_t i = 0; i < n; i++) { /* namespaces are checked before the value */
                const int32_t *t = c->targets + f->b + (size_t)i * FIELDS;
                if (t[NAME] >= 0 && t[ATTRIBUTE] >= 0) {
                    RF_TRY(rf_jc_touch(c, t[NAME], RF_JTOUCH_LOAD));
                    RF_TRY(rf_jc_emit(c, RF_JOP_NS_CHECK, 0, t[NAME], 0));
                }
            }
            f->step = VALUE;
            return rf_jc_call(c, RF_JRULE_TUPLE, 0);
        }
        for (uint32_t i = 0; i < n; i++) {
            const int32_t *t = c->targets + f->b + (size_t)i * FIELDS;
            if (t[NAME] >= 0)
                RF_TRY(
                    rf_jc_touch(c, t[NAME], t[ATTRIBUTE] >= 0 ? RF_JTOUCH_LOAD : RF_JTOUCH_STORE));
        }
        f->a = rf_jc_here(c); /* the filters' code comes after the body's */
        RF_TRY(rf_jc_emit(c, RF_JOP_JUMP, 0, 0, 0));
        f->c = rf_jc_here(c);
        f->step = FILTERS;
        return RF_OK;
    case FILTERS:
        if (rf_jc_accept(c, RF_JT_PIPE)) {
            return rf_jc_call(c, RF_JRULE_FILTER, 0);
        }
        f->d = rf_jc_here(c);
        RF_TRY(rf_jc_emit(c, RF_JOP_JUMP, 0, 0, 0)); /* to the stores */
        rf_jc_patch(c, f->a, rf_jc_here(c));
        int32_t scope;
        RF_TRY(rf_jc_scope_open(c, &scope));
        RF_TRY(rf_jc_emit(c, RF_JOP_SCOPE_PUSH, 0, scope, 0));
        RF_TRY(rf_jc_emit(c, RF_JOP_CAPTURE, 0, 0, 0));
        RF_TRY(rf_jc_nest_push(c, RF_JNEST_CAPTURE, 0, 0));
        f->step = BODY;
        return rf_jc_body(c, RF_JEND_SET);
    case BODY:
        rf_jc_skip(c);
        (void)rf_jc_nest_pop(c);
        RF_TRY(rf_jc_emit(c, RF_JOP_CAPTURE_END, 0, 0, 0));
        rf_jc_scope_close(c);
        RF_TRY(rf_jc_emit(c, RF_JOP_SCOPE_POP, 0, 0, 0));
        RF_TRY(rf_jc_emit(c, RF_JOP_JUMP, 0, f->c, 0));
        rf_jc_patch(c, f->d, rf_jc_here(c));
        break;
    default: break;
    }
    RF_TRY(rf_jc_store_targets(c, (uint32_t)f->b, f->n, false));
    c->n_targets = (uint32_t)f->b;
    return rf_jc_done(c);
}

/* with: "with" [target "=" expression {"," …}] body "endwith". Values see the outer scope. */
rf_status rf_jrule_with(rf_jcompiler *c, rf_jrule *f) {
    enum { START, VALUE, BODY };
    uint32_t n;
    int32_t scope;
    if (f->step == START) {
        rf_jc_skip(c);
        f->b = (int32_t)c->n_targets;
    }
    if (f->step == BODY) {
        rf_jc_skip(c);
        rf_jc_scope_close(c);
        RF_TRY(rf_jc_emit(c, RF_JOP_SCOPE_POP, 0, 0, 0));
        return rf_jc_done(c);
    }
    if (!rf_jc_is(c, RF_JT_BLOCK_END)) {
        if (f->n)
            RF_TRY(rf_jc_expect(c, RF_JT_COMMA));
        RF_TRY(rf_jc_targets(c, false, &n));
        RF_TRY(push_target(c, (int32_t)n, 0));
        RF_TRY(rf_jc_expect(c, RF_JT_ASSIGN));
        f->n++;
        f->step = VALUE;
        return rf_jc_call(c, RF_JRULE_EXPRESSION, 0);
    }
    RF_TRY(rf_jc_scope_open(c, &scope));
    RF_TRY(rf_jc_emit(c, RF_JOP_SCOPE_PUSH, 0, scope, 0));
    while (f->n-- > 0) { /* the last value lies on top */
        c->n_targets -= FIELDS;
        n = (uint32_t)c->targets[c->n_targets + NAME];
        c->n_targets -= n * FIELDS;
        RF_TRY(rf_jc_store_targets(c, c->n_targets, n, true));
    }
    f->step = BODY;
    return rf_jc_body(c, RF_JEND_WITH);
}
