/*
 * Scopes at compile time. Jinja resolves a name when the scope that it is first stored in is
 * entered (jinja2.idtracking): a name that a scope stores unconditionally, before it reads it and
 * without an enclosing scope that knows it, is missing until then and hides the context's value
 * from nested scopes. Those are the hidden names that this file finds.
 */
#include "chat/jinja_compiler.h"

typedef struct rf_jsymbol {
    int32_t scope, name;
    bool used, hides;
} rf_jsymbol;

static rf_jsymbol *slot(rf_jsymbol *table, uint32_t cap, int32_t scope, int32_t name) {
    uint64_t key = (uint64_t)(uint32_t)scope << 32 | (uint32_t)name;
    uint32_t i = (uint32_t)((key * 0x9e3779b97f4a7c15u) >> 32) & (cap - 1);
    while (table[i].used && (table[i].scope != scope || table[i].name != name))
        i = (i + 1) & (cap - 1);
    return &table[i];
}

static bool reserve(rf_jcompiler *c) {
    if (c->n_symbols * 2 < c->cap_symbols)
        return true;
    uint32_t cap = c->cap_symbols ? c->cap_symbols * 2 : 64;
    rf_jsymbol *grown = RF_ARENA_ARRAY(c->arena, rf_jsymbol, cap);
    if (!grown)
        return false;
    for (uint32_t i = 0; i < c->cap_symbols; i++)
        if (c->symbols[i].used)
            *slot(grown, cap, c->symbols[i].scope, c->symbols[i].name) = c->symbols[i];
    c->symbols = grown;
    c->cap_symbols = cap;
    return true;
}

rf_status rf_jc_scope_open(rf_jcompiler *c, int32_t *index) {
    rf_jcode *code = &c->code;
    if (!rf_jc_grow(c, &code->scopes, &c->cap_scopes, code->n_scopes + 1, sizeof *code->scopes))
        return rf_jc_no_memory(c);
    *index = (int32_t)code->n_scopes;
    code->scopes[code->n_scopes++] = (rf_jscope_info){.parent = c->scope};
    c->scope = *index;
    return rf_jc_nest_push(c, RF_JNEST_SCOPE, *index, 0);
}

void rf_jc_scope_close(rf_jcompiler *c) {
    (void)rf_jc_nest_pop(c);
    c->scope = c->code.scopes[c->scope].parent;
}

bool rf_jc_conditional(const rf_jcompiler *c) {
    for (uint32_t i = c->n_nest; i-- > 0;) {
        if (c->nest[i].kind == RF_JNEST_IF)
            return true;
        if (c->nest[i].kind == RF_JNEST_SCOPE)
            return false;
    }
    return false;
}

static uint8_t special_bit(rf_str name) {
    return rf_str_is(name, "caller")    ? RF_JSPECIAL_CALLER
           : rf_str_is(name, "kwargs")  ? RF_JSPECIAL_KWARGS
           : rf_str_is(name, "varargs") ? RF_JSPECIAL_VARARGS
                                        : 0;
}

/* Tells the enclosing macros that caller, kwargs or varargs is read or redefined. */
static void note_special(rf_jcompiler *c, rf_str name, rf_jtouch how) {
    uint8_t bit = special_bit(name);
    for (uint32_t i = c->n_nest; bit && i-- > 0;) {
        rf_jnest *nest = &c->nest[i];
        if (nest->kind == RF_JNEST_BLOCK)
            return;
        if (nest->kind != RF_JNEST_FUNCTION)
            continue;
        if (how != RF_JTOUCH_LOAD)
            nest->hidden |= bit;
        else if (!(nest->hidden & bit))
            nest->seen |= bit;
    }
}

rf_status rf_jc_touch(rf_jcompiler *c, int32_t name, rf_jtouch how) {
    if (!reserve(c))
        return rf_jc_no_memory(c);
    note_special(c, c->code.names[name], how);
    if (how == RF_JTOUCH_STORE && rf_str_is(c->code.names[name], "loop") &&
        rf_jc_inside(c, RF_JNEST_FOR))
        return rf_jc_fail(c, "Can't assign to special loop variable in for-loop target");
    rf_jsymbol *s = slot(c->symbols, c->cap_symbols, c->scope, name);
    if (s->used)
        return RF_OK;
    *s = (rf_jsymbol){c->scope, name, true, how == RF_JTOUCH_STORE && !rf_jc_conditional(c)};
    c->n_symbols++;
    return RF_OK;
}

rf_status rf_jc_nest_push(rf_jcompiler *c, rf_jnest_kind kind, int32_t a, int32_t b) {
    if (!rf_jc_grow(c, &c->nest, &c->cap_nest, c->n_nest + 1, sizeof *c->nest))
        return rf_jc_no_memory(c);
    c->nest[c->n_nest++] = (rf_jnest){.kind = kind, .a = a, .b = b};
    return RF_OK;
}

rf_jnest rf_jc_nest_pop(rf_jcompiler *c) { return c->nest[--c->n_nest]; }

bool rf_jc_inside(const rf_jcompiler *c, rf_jnest_kind kind) {
    for (uint32_t i = c->n_nest; i-- > 0;)
        if (c->nest[i].kind == kind)
            return true;
    return false;
}

rf_status rf_jc_leave_loop(rf_jcompiler *c, bool is_break) {
    uint32_t i = c->n_nest;
    while (i-- > 0 && c->nest[i].kind != RF_JNEST_LOOP)
        if (c->nest[i].kind == RF_JNEST_FUNCTION || c->nest[i].kind == RF_JNEST_BLOCK)
            i = 0;
    if (i >= c->n_nest)
        return rf_jc_fail(c, "'%s' outside loop", is_break ? "break" : "continue");
    for (uint32_t k = c->n_nest; k-- > i + 1;) {
        rf_jnest_kind kind = c->nest[k].kind;
        if (kind == RF_JNEST_SCOPE)
            RF_TRY(rf_jc_emit(c, RF_JOP_SCOPE_POP, 0, 0, 0));
        else if (kind == RF_JNEST_CAPTURE)
            RF_TRY(rf_jc_emit(c, RF_JOP_CAPTURE_DROP, 0, 0, 0));
        else if (kind == RF_JNEST_ESCAPE)
            RF_TRY(rf_jc_emit(c, RF_JOP_ESCAPE_END, 0, 0, 0));
    }
    if (!is_break)
        return rf_jc_emit(c, RF_JOP_JUMP, 0, c->nest[i].b, 0);
    int32_t previous = c->nest[i].a; /* jumps of break form a list through their targets */
    c->nest[i].a = rf_jc_here(c);
    return rf_jc_emit(c, RF_JOP_JUMP, 0, previous, 0);
}

static bool outer_knows(const rf_jcompiler *c, int32_t scope, int32_t name) {
    for (int32_t p = c->code.scopes[scope].parent; p >= 0; p = c->code.scopes[p].parent)
        if (slot(c->symbols, c->cap_symbols, p, name)->used)
            return true;
    return false;
}

rf_status rf_jc_hide_names(rf_jcompiler *c) {
    rf_jscope_info *scopes = c->code.scopes;
    for (uint32_t i = 0; i < c->cap_symbols; i++) {
        rf_jsymbol *s = &c->symbols[i];
        s->hides = s->used && s->hides && !outer_knows(c, s->scope, s->name);
        scopes[s->scope].n_hidden += s->hides;
    }
    for (uint32_t i = 0; i < c->cap_symbols; i++) {
        const rf_jsymbol *s = &c->symbols[i];
        if (!s->hides)
            continue;
        rf_jscope_info *info = &scopes[s->scope];
        if (!info->hidden) {
            info->hidden = RF_ARENA_ARRAY(c->arena, int32_t, info->n_hidden);
            if (!info->hidden)
                return rf_jc_no_memory(c);
            info->n_hidden = 0;
        }
        info->hidden[info->n_hidden++] = s->name;
    }
    return RF_OK;
}
