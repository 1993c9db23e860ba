/* An explicit stack of containers being walked, for values that nest. Memory of the arena. */
#ifndef RF_CHAT_JINJA_WALK_H
#define RF_CHAT_JINJA_WALK_H

#include "chat/jinja_vm.h"

typedef struct rf_jstep {
    rf_jv v, other; /* other: the second operand when two values are walked together */
    size_t at;
} rf_jstep;

typedef struct rf_jwalk {
    rf_jstep first[16]; /* most values nest less than this */
    rf_jstep *steps;
    uint32_t n, cap;
} rf_jwalk;

static inline void rf_jwalk_init(rf_jwalk *w) {
    w->steps = w->first;
    w->n = 0;
    w->cap = sizeof w->first / sizeof *w->first;
}

/* false: nested deeper than the limit, or no memory. */
static inline bool rf_jwalk_push(rf_vm *vm, rf_jwalk *w, rf_jv v, rf_jv other) {
    if (w->n >= vm->max_depth)
        return rf_vm_fail(vm, RF_TEMPLATE_OTHER,
                          "RecursionError: maximum recursion depth exceeded");
    if (w->n == w->cap) {
        rf_jstep *grown = rf_vm_alloc(vm, (size_t)w->cap * 2, sizeof *grown);
        if (!grown)
            return false;
        memcpy(grown, w->steps, w->n * sizeof *grown);
        w->steps = grown;
        w->cap *= 2;
    }
    w->steps[w->n++] = (rf_jstep){v, other, 0};
    return true;
}

#endif
