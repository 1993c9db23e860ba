#include "chat/jinja_compiler.h"

#include <stdarg.h>
#include <stdio.h>

static const rf_jrule_fn rules[] = {
#define X(id, fn) fn,
#include "chat/jinja_rules.def"
#undef X
};

enum { FRAMES_PER_LEVEL = 8 }; /* rules that one level of nesting keeps at work, at most */

rf_status rf_jc_fail(rf_jcompiler *c, const char *fmt, ...) {
    char text[RF_ERROR_TEXT_BYTES / 2];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return rf_fail(c->err, RF_ERR_INVALID, "line %u: %s", rf_jc_tok(c)->line, text);
}

rf_status rf_jc_no_memory(rf_jcompiler *c) {
    return rf_fail(c->err, RF_ERR_LIMIT, "template: compiled form exceeds %zu bytes of memory",
                   c->arena->max_bytes);
}

bool rf_jc_grow(rf_jcompiler *c, void *array, uint32_t *cap, uint32_t n, size_t bytes) {
    if (n <= *cap)
        return true;
    uint32_t grown_cap = *cap ? *cap : 16;
    while (grown_cap < n) {
        if (grown_cap > UINT32_MAX / 2)
            return false;
        grown_cap *= 2;
    }
    void *grown = rf_arena_calloc(c->arena, grown_cap, bytes), *old;
    if (!grown)
        return false;
    memcpy(&old, array, sizeof old);
    if (*cap)
        memcpy(grown, old, *cap * bytes);
    memcpy(array, &grown, sizeof grown);
    *cap = grown_cap;
    return true;
}

rf_status rf_jc_call(rf_jcompiler *c, rf_jrule_id rule, uint8_t flags) {
    if (c->depth / FRAMES_PER_LEVEL >= c->max_depth)
        return rf_fail(c->err, RF_ERR_LIMIT, "line %u: nested deeper than %u levels",
                       rf_jc_tok(c)->line, c->max_depth);
    rf_jrule *f = c->spare;
    if (f)
        c->spare = f->parent;
    else if (!(f = RF_ARENA_NEW(c->arena, rf_jrule)))
        return rf_jc_no_memory(c);
    *f = (rf_jrule){
        .parent = c->top, .id = (uint8_t)rule, .flags = flags, .line = rf_jc_tok(c)->line};
    c->top = f;
    c->depth++;
    return RF_OK;
}

rf_status rf_jc_done(rf_jcompiler *c) {
    rf_jrule *f = c->top;
    c->top = f->parent;
    c->depth--;
    f->parent = c->spare;
    c->spare = f;
    return RF_OK;
}

bool rf_jc_is_name(const rf_jcompiler *c, const char *name) {
    return rf_jc_is(c, RF_JT_NAME) && rf_str_is(rf_jc_tok(c)->text, name);
}

bool rf_jc_next_is_name(const rf_jcompiler *c, const char *name) {
    const rf_jtoken *next = &c->tokens[c->pos + 1];
    return !rf_jc_is(c, RF_JT_EOF) && next->type == RF_JT_NAME && rf_str_is(next->text, name);
}

void rf_jc_skip(rf_jcompiler *c) {
    if (!rf_jc_is(c, RF_JT_EOF))
        c->pos++;
}

bool rf_jc_accept(rf_jcompiler *c, rf_jtoken_type type) {
    if (!rf_jc_is(c, type))
        return false;
    rf_jc_skip(c);
    return true;
}

bool rf_jc_accept_name(rf_jcompiler *c, const char *name) {
    if (!rf_jc_is_name(c, name))
        return false;
    rf_jc_skip(c);
    return true;
}

rf_status rf_jc_unexpected(rf_jcompiler *c, const char *expected) {
    const rf_jtoken *t = rf_jc_tok(c);
    const char *kind = rf_jtoken_name(t->type);
    if (t->type == RF_JT_NAME)
        return rf_jc_fail(c, "expected %s, got '%.*s'", expected, RF_STR_ARG(t->text));
    return rf_jc_fail(c, "expected %s, got '%s'", expected, kind);
}

rf_status rf_jc_expect(rf_jcompiler *c, rf_jtoken_type type) {
    if (rf_jc_accept(c, type))
        return RF_OK;
    char expected[64];
    (void)snprintf(expected, sizeof expected, "token '%s'", rf_jtoken_name(type));
    return rf_jc_unexpected(c, expected);
}

rf_status rf_jc_expect_name(rf_jcompiler *c, rf_str *name) {
    if (!rf_jc_is(c, RF_JT_NAME))
        return rf_jc_unexpected(c, "token 'name'");
    *name = rf_jc_tok(c)->text;
    rf_jc_skip(c);
    return RF_OK;
}

static rf_status run(rf_jcompiler *c) {
    int32_t root;
    RF_TRY(rf_jc_scope_open(c, &root));
    RF_TRY(rf_jc_call(c, RF_JRULE_TEMPLATE, 0));
    while (c->top)
        RF_TRY(rules[c->top->id](c, c->top));
    return rf_jc_hide_names(c);
}

static int32_t find_name(rf_jcompiler *c, const char *name) {
    uint32_t index;
    return rf_map_get(&c->names, rf_str_of(name), &index) ? (int32_t)index : -1;
}

rf_status rf_jinja_compile(rf_str source, rf_arena *arena, uint32_t max_depth, rf_jcode *out,
                           rf_error *err) {
    rf_jcompiler c = {.arena = arena, .err = err, .max_depth = max_depth, .scope = -1};
    size_t n_tokens;
    RF_TRY(rf_jinja_lex(source, arena, &c.tokens, &n_tokens, err));
    rf_map_init(&c.names);
    rf_status status = run(&c);
    c.code.name_loop = find_name(&c, "loop");
    c.code.name_caller = find_name(&c, "caller");
    c.code.name_kwargs = find_name(&c, "kwargs");
    c.code.name_varargs = find_name(&c, "varargs");
    rf_map_deinit(&c.names);
    *out = c.code;
    return status;
}

/* template: body END */
rf_status rf_jrule_template(rf_jcompiler *c, rf_jrule *f) {
    if (f->step++ == 0)
        return rf_jc_call(c, RF_JRULE_BODY, 0);
    RF_TRY(rf_jc_emit(c, RF_JOP_END, 0, 0, 0));
    return rf_jc_done(c);
}
