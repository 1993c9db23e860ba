/*
 * Compiled templates: flat code for the machine in jinja_vm.c, with constants, names and scopes.
 * Made by jinja_compiler.h, immutable afterwards. Everything lives in the template's arena.
 */
#ifndef RF_CHAT_JINJA_CODE_H
#define RF_CHAT_JINJA_CODE_H

#include <stdint.h>

#include "base/arena.h"
#include "chat/jinja_value.h"

typedef enum rf_jop {
#define X(id) RF_JOP_##id,
#include "chat/jinja_ops.def"
#undef X
    RF_JOP_COUNT
} rf_jop;

typedef struct rf_jinstr {
    uint16_t op; /* rf_jop */
    uint16_t n;  /* small count or flag */
    int32_t a;   /* jump target, constant, name … as jinja_ops.def says */
    int32_t b;
    uint32_t line;
} rf_jinstr;

enum { /* flags of a call: which of *args and **kwargs follow on the stack */
       RF_JCALL_STAR = 1,
       RF_JCALL_STAR2 = 2,
       RF_JCALL_CALLER = 4,     /* the caller of a call block lies under the callee */
       RF_JCALL_STAR_FIRST = 8, /* [*args] comes before the keyword values */
};

typedef struct rf_jcall_shape { /* stack: positional…, keyword values…, [*args], [**kwargs] */
    uint32_t n_pos, n_kw, flags;
    const rf_str *kw_names; /* n_kw */
} rf_jcall_shape;

typedef struct rf_jscope_info {
    int32_t parent;    /* lexical parent, -1 for the root */
    uint32_t n_hidden; /* names that start out missing and hide outer ones: Jinja resolves */
    int32_t *hidden;   /* them when the scope is entered (jinja2.idtracking) */
} rf_jscope_info;

typedef struct rf_jmacro_info {
    int32_t entry; /* address of the body */
    int32_t scope; /* index of its scope */
    rf_str name;   /* NULL: a call block */
    uint32_t n_args;
    const int32_t *args; /* name indices */
    bool uses_caller, uses_kwargs, uses_varargs, explicit_caller;
} rf_jmacro_info;

typedef struct rf_jblock_info {
    rf_str name;
    int32_t entry, scope;
} rf_jblock_info;

typedef struct rf_jcode {
    rf_jinstr *code;
    rf_jv *consts;
    rf_str *names; /* interned identifiers */
    rf_jcall_shape *shapes;
    rf_jscope_info *scopes;
    rf_jmacro_info *macros;
    rf_jblock_info *blocks;
    uint32_t n_code, n_consts, n_names, n_shapes, n_scopes, n_macros, n_blocks;
    int32_t name_loop, name_caller, name_kwargs, name_varargs; /* -1: not used */
} rf_jcode;

#endif
