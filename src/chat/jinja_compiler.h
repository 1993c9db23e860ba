/*
 * Compiles a template in one pass: the grammar's rules are small functions that run on an explicit
 * stack and emit code as they go. One thread; everything lives in the arena given.
 */
#ifndef RF_CHAT_JINJA_COMPILER_H
#define RF_CHAT_JINJA_COMPILER_H

#include "base/map.h"
#include "chat/jinja_code.h"
#include "chat/jinja_lexer.h"
#include "chat/template.h"

typedef struct rf_jcompiler rf_jcompiler;

typedef enum rf_jrule_id {
#define X(id, fn) RF_JRULE_##id,
#include "chat/jinja_rules.def"
#undef X
    RF_JRULE_COUNT
} rf_jrule_id;

/* One rule at work. step counts its entries; the rest is the rule's own. */
typedef struct rf_jrule {
    struct rf_jrule *parent;
    uint8_t id, step, flags;
    uint16_t op;
    int32_t a, b, c, d;
    uint32_t line, n;
} rf_jrule;

typedef rf_status (*rf_jrule_fn)(rf_jcompiler *c, rf_jrule *f);
#define X(id, fn) rf_status fn(rf_jcompiler *c, rf_jrule *f);
#include "chat/jinja_rules.def"
#undef X

/* What encloses the code being emitted; break and continue unwind it. */
typedef enum rf_jnest_kind {
    RF_JNEST_SCOPE,
    RF_JNEST_CAPTURE,
    RF_JNEST_ESCAPE,
    RF_JNEST_LOOP,     /* a: list of jumps of break, b: address for continue */
    RF_JNEST_FUNCTION, /* a macro's or call block's body, a: macro */
    RF_JNEST_BLOCK,
    RF_JNEST_IF,  /* a branch: what is stored here may be not */
    RF_JNEST_FOR, /* lexically inside a for statement */
    RF_JNEST_END, /* a: end tokens that a body waits for */
} rf_jnest_kind;

typedef struct rf_jnest {
    rf_jnest_kind kind;
    int32_t a, b;
    uint8_t seen, hidden; /* FUNCTION: bits of caller, kwargs, varargs read and redefined */
} rf_jnest;

enum { RF_JSPECIAL_CALLER = 1, RF_JSPECIAL_KWARGS = 2, RF_JSPECIAL_VARARGS = 4 };

struct rf_jcompiler {
    rf_arena *arena;
    rf_jtoken *tokens;
    size_t pos;
    rf_error *err;
    rf_jcode code;
    uint32_t cap_code, cap_consts, cap_names, cap_shapes, cap_scopes, cap_macros, cap_blocks;
    rf_map names;
    rf_jrule *top, *spare;
    uint32_t depth, max_depth;
    rf_jnest *nest;
    uint32_t n_nest, cap_nest;
    int32_t scope;
    struct rf_jsymbol *symbols; /* hash table over (scope, name) */
    uint32_t n_symbols, cap_symbols;
    rf_str *kw_names; /* keyword names of the calls being parsed, a stack */
    uint32_t n_kw_names, cap_kw_names;
    int32_t *targets; /* assignment targets being parsed: name, attribute or -1; a stack */
    uint32_t n_targets, cap_targets;
    bool last_is_call; /* the expression just parsed is a call */
};

/* jinja_compiler.c */
rf_status rf_jinja_compile(rf_str source, rf_arena *arena, uint32_t max_depth, rf_jcode *out,
                           rf_error *err);
rf_status rf_jc_fail(rf_jcompiler *c, const char *fmt, ...) RF_PRINTF(2, 3);
rf_status rf_jc_no_memory(rf_jcompiler *c);
rf_status rf_jc_call(rf_jcompiler *c, rf_jrule_id rule, uint8_t flags); /* runs before f goes on */
rf_status rf_jc_done(rf_jcompiler *c);                                  /* ends the running rule */
bool rf_jc_grow(rf_jcompiler *c, void *array, uint32_t *cap, uint32_t n, size_t bytes);

static inline const rf_jtoken *rf_jc_tok(const rf_jcompiler *c) { return &c->tokens[c->pos]; }
static inline bool rf_jc_is(const rf_jcompiler *c, rf_jtoken_type type) {
    return c->tokens[c->pos].type == type;
}
bool rf_jc_is_name(const rf_jcompiler *c, const char *name);
bool rf_jc_next_is_name(const rf_jcompiler *c, const char *name); /* the token after this one */
void rf_jc_skip(rf_jcompiler *c);
bool rf_jc_accept(rf_jcompiler *c, rf_jtoken_type type);
bool rf_jc_accept_name(rf_jcompiler *c, const char *name);
rf_status rf_jc_expect(rf_jcompiler *c, rf_jtoken_type type);
rf_status rf_jc_expect_name(rf_jcompiler *c, rf_str *name);
rf_status rf_jc_unexpected(rf_jcompiler *c, const char *expected);

/* jinja_emit.c */
rf_status rf_jc_emit(rf_jcompiler *c, rf_jop op, uint16_t n, int32_t a, int32_t b);
int32_t rf_jc_here(const rf_jcompiler *c);
void rf_jc_patch(rf_jcompiler *c, int32_t at, int32_t target); /* sets field a of instruction at */
rf_status rf_jc_const(rf_jcompiler *c, rf_jv value, int32_t *index);
rf_status rf_jc_emit_const(rf_jcompiler *c, rf_jop op, rf_jv value);
rf_status rf_jc_name(rf_jcompiler *c, rf_str name, int32_t *index);
rf_status rf_jc_shape(rf_jcompiler *c, rf_jcall_shape shape, int32_t *index);
rf_status rf_jc_load(rf_jcompiler *c, rf_str name);
rf_status rf_jc_number(rf_jcompiler *c, const rf_jtoken *token, rf_jv *out);

/* jinja_symbols.c */
rf_status rf_jc_scope_open(rf_jcompiler *c, int32_t *index); /* a new scope becomes the current */
void rf_jc_scope_close(rf_jcompiler *c);
typedef enum rf_jtouch { RF_JTOUCH_LOAD, RF_JTOUCH_STORE, RF_JTOUCH_PARAM } rf_jtouch;
rf_status rf_jc_touch(rf_jcompiler *c, int32_t name, rf_jtouch how);
rf_status rf_jc_nest_push(rf_jcompiler *c, rf_jnest_kind kind, int32_t a, int32_t b);
rf_jnest rf_jc_nest_pop(rf_jcompiler *c);
bool rf_jc_inside(const rf_jcompiler *c, rf_jnest_kind kind);
rf_status rf_jc_leave_loop(rf_jcompiler *c, bool is_break); /* break and continue */
bool rf_jc_conditional(const rf_jcompiler *c);              /* in a branch of the current scope? */
rf_status rf_jc_hide_names(rf_jcompiler *c);                /* fills the scopes' hidden names */

/* jinja_assign.c: targets parsed onto c->targets, n entries of RF_JTARGET_FIELDS */
enum { RF_JTARGET_FIELDS = 3 };
rf_status rf_jc_targets(rf_jcompiler *c, bool with_namespace, uint32_t *n);
/* Emits stores from the value on the stack; is_param: a loop's or with's own names. */
rf_status rf_jc_store_targets(rf_jcompiler *c, uint32_t first, uint32_t n, bool is_param);

/* Flags of expression rules. */
enum {
    RF_JX_NO_COND = 1,   /* TUPLE: items without inline if */
    RF_JX_PARENS = 2,    /* TUPLE: () is one */
    RF_JX_NO_FILTER = 1, /* UNARY */
};

/* Tags that end a body, as bits. */
enum {
#define X(id, text) RF_JEND_BIT_##id,
#include "chat/jinja_end_tags.def"
#undef X
};
enum {
#define X(id, text) RF_JEND_##id = 1 << RF_JEND_BIT_##id,
#include "chat/jinja_end_tags.def"
#undef X
};
/* Runs a body up to one of the end tags, which stays the current token. Skips a colon and expects
 * the end of the opening tag first. */
rf_status rf_jc_body(rf_jcompiler *c, int32_t ends);

#endif
