/*
 * The machine that renders a compiled template: value stack, frames, scopes, output and limits of
 * one render. One thread. Functions that can fail return false after rf_vm_fail.
 */
#ifndef RF_CHAT_JINJA_VM_H
#define RF_CHAT_JINJA_VM_H

#include "base/arena.h"
#include "chat/jinja_code.h"
#include "chat/template.h"

typedef struct rf_jbinding {
    int32_t name;
    rf_jv value;
} rf_jbinding;

typedef struct rf_jscope {
    struct rf_jscope *parent;
    rf_jbinding *items;
    uint32_t n, cap;
    int32_t info;  /* row of rf_jcode.scopes */
    bool captured; /* a macro refers to it: it must not be used again */
} rf_jscope;

typedef struct rf_jmacro {
    const rf_jmacro_info *info;
    rf_jscope *scope; /* where it was defined */
    bool autoescape;  /* as it was there */
} rf_jmacro;

typedef struct rf_jmethod { /* a method bound to its object */
    rf_jv self;
    int row; /* of methods.def */
} rf_jmethod;

typedef struct rf_jiter { /* walks over a value; lives on the C stack or in a loop */
    rf_jv src;
    size_t pos;
} rf_jiter;

enum { RF_JFOR_FILTERED = 1, RF_JFOR_EXTENDED = 2, RF_JFOR_RECURSIVE = 4 };

typedef struct rf_jloop {
    rf_jiter it;
    rf_jv source;            /* what is iterated */
    rf_jv current, previous; /* MISSING before the first */
    rf_jv peeked, changed;   /* MISSING when absent */
    rf_jv *kept;             /* items that passed the test of an extended loop */
    size_t n_kept, cap_kept;
    int64_t index0, depth0;
    int32_t recurse_pc, next_pc; /* recursive loops: address of FOR_ITER, or -1 */
    rf_jscope *scope, *outer;
    uint16_t flags;
    bool iterated, collecting, exhausted;
} rf_jloop;

typedef struct rf_jframe { /* where a macro, block or recursive loop returns to */
    int32_t return_pc;
    uint32_t n_loops, n_captures;
    size_t n_stack;
    rf_jscope *scope, *own;  /* own: the scope that ends with the frame, or NULL */
    bool autoescape, prints; /* prints: emit the result instead of pushing it */
} rf_jframe;

typedef struct rf_jargs { /* the arguments of one call, borrowed from the stack */
    rf_jv *pos;
    const rf_str *kw_names;
    const rf_jv *kw_values;
    size_t n_pos, n_kw;
} rf_jargs;

typedef struct rf_vm {
    const rf_jcode *code;
    rf_arena arena;
    rf_buf out, scratch; /* scratch is used in a nested, last-in first-out manner */
    rf_jv *context;      /* by name index; MISSING where absent */
    rf_jv *stack;
    rf_jframe *frames;
    rf_jloop **loops;
    size_t *captures;
    size_t n_stack, cap_stack;
    uint32_t n_frames, cap_frames, n_loops, cap_loops, n_captures, cap_captures;
    rf_jscope *root, *scope, *spare;
    int32_t pc;
    uint64_t steps, max_steps;
    uint32_t max_depth, filter_depth;
    bool autoescape;
    int64_t clock;
    uint64_t hash_seed;
    rf_template_error_kind error_kind;
    rf_buf error_text;
    bool no_memory; /* the heap, not a limit, failed */
} rf_vm;

/* Records the first failure; always false. */
bool rf_vm_fail(rf_vm *vm, rf_template_error_kind kind, const char *fmt, ...) RF_PRINTF(3, 4);
bool rf_vm_fail_text(rf_vm *vm, rf_template_error_kind kind, rf_str text);
bool rf_vm_fail_undefined(rf_vm *vm, rf_jv undefined);
bool rf_vm_fail_memory(rf_vm *vm);

void *rf_vm_alloc(rf_vm *vm, size_t count, size_t bytes); /* uninitialised; NULL after failing */
/* Counts work of n bytes or items against the step limit. */
bool rf_vm_charge(rf_vm *vm, uint64_t n);
/* Grows *array (arena memory) to hold n items of the given size. */
bool rf_vm_grow(rf_vm *vm, void **array, uint32_t *cap, uint32_t n, size_t bytes);

/* Text built in vm->scratch from mark on: taken as a string of the arena. */
static inline size_t rf_vm_mark(rf_vm *vm) { return vm->scratch.len; }
bool rf_vm_take(rf_vm *vm, size_t mark, rf_jv *out);
bool rf_vm_copy(rf_vm *vm, rf_str text, rf_jv *out);
bool rf_vm_string(rf_vm *vm, rf_jv *out, const char *fmt, ...) RF_PRINTF(3, 4);

bool rf_vm_list(rf_vm *vm, rf_jtype type, const rf_jv *items, size_t n, rf_jv *out);
bool rf_vm_undefined(rf_vm *vm, rf_jv obj, rf_jv name, rf_jv *out);
bool rf_vm_undefined_hint(rf_vm *vm, rf_str hint, rf_jv name, rf_jv *out);

bool rf_vm_push(rf_vm *vm, rf_jv value);
bool rf_vm_run(rf_vm *vm);

/* jinja_scope.c */
rf_jscope *rf_scope_enter(rf_vm *vm, rf_jscope *parent, int32_t info);
void rf_scope_leave(rf_vm *vm, rf_jscope *scope);
bool rf_scope_reset(rf_vm *vm, rf_jscope *scope);
bool rf_scope_set(rf_vm *vm, rf_jscope *scope, int32_t name, rf_jv value);
const rf_jv *rf_scope_find(const rf_jscope *scope, int32_t name);
bool rf_scope_load(rf_vm *vm, int32_t name, rf_jv *out);
void rf_scope_capture(rf_jscope *scope);

/* jinja_loop.c */
bool rf_loop_start(rf_vm *vm, rf_jv iterable, const rf_jinstr *in, int64_t depth0);
bool rf_loop_filter_next(rf_vm *vm, const rf_jinstr *in);
bool rf_loop_filter_decide(rf_vm *vm, const rf_jinstr *in, bool keep);
bool rf_loop_next(rf_vm *vm, const rf_jinstr *in);
void rf_loop_end(rf_vm *vm, const rf_jinstr *in);
bool rf_loop_attr(rf_vm *vm, rf_jloop *loop, rf_str name, rf_jv *out, bool *found);
bool rf_loop_length(rf_vm *vm, rf_jloop *loop, int64_t *out);

/* jinja_invoke.c: operations */
bool rf_vm_call(rf_vm *vm, const rf_jinstr *in);
bool rf_vm_apply(rf_vm *vm, const rf_jinstr *in, bool is_filter);

/* jinja_call.c */
bool rf_call_value(rf_vm *vm, rf_jv callee, const rf_jargs *args, rf_jv *out, bool *entered);
bool rf_call_block(rf_vm *vm, int32_t block, rf_jscope *scope, bool prints);
bool rf_call_recurse(rf_vm *vm, rf_jloop *loop, rf_jv iterable, int32_t loop_pc, int64_t depth0);
bool rf_call_return(rf_vm *vm);
/* Binds arguments to the parameters that spec names (see jinja_bind.c). */
bool rf_args_bind(rf_vm *vm, const char *who, const char *spec, const rf_jargs *args, rf_jv *out);
enum { RF_JARGS_MAX = 8 };

/* jinja_filter.c, jinja_test.c */
int rf_filter_find(rf_str name);
bool rf_filter_apply(rf_vm *vm, int row, const rf_jargs *args, rf_jv *out);
int rf_test_find(rf_str name);
bool rf_test_apply(rf_vm *vm, int row, const rf_jargs *args, bool *out);

/* jinja_global.c */
int rf_global_find(rf_str name);
bool rf_global_call(rf_vm *vm, int row, const rf_jargs *args, rf_jv *out);
const char *rf_global_name(int row);

/* jinja_method.c */
int rf_method_find(rf_jtype type, rf_str name);
bool rf_method_call(rf_vm *vm, const rf_jmethod *method, const rf_jargs *args, rf_jv *out);

#endif
