/*
 * Runs an automaton that calls: what stands behind the calls that are open is a stack. A state is a
 * set of places, each with its stack, found once and numbered; steps between states are kept. All
 * memory is taken at creation; when it is nearly used up, the states that are still needed are kept
 * and all others forgotten. One thread.
 */
#ifndef RF_GRAMMAR_PUSHDOWN_H
#define RF_GRAMMAR_PUSHDOWN_H

#include <stdbool.h>

#include "grammar/automaton.h"

enum {
    RF_PUSHDOWN_DEAD = 0,
    RF_PUSHDOWN_MAX_DEPTH = 256, /* calls that are open; deeper ones may not come */
    RF_PUSHDOWN_LOCALS = 16
};
#define RF_PUSHDOWN_FULL UINT32_MAX /* no room for another state */

typedef struct rf_pushdown rf_pushdown;

/* automaton: borrowed until destroy. NULL: out of memory. */
rf_pushdown *rf_pushdown_create(const rf_automaton *automaton, size_t max_bytes);
void rf_pushdown_destroy(rf_pushdown *p); /* NULL is a no-op */
uint32_t rf_pushdown_max_states(const rf_pushdown *p);

uint32_t rf_pushdown_begin(rf_pushdown *p); /* or FULL */
/* The state after a byte, DEAD or FULL. */
uint32_t rf_pushdown_step(rf_pushdown *p, uint32_t state, uint8_t byte);
bool rf_pushdown_may_end(const rf_pushdown *p, uint32_t state);
bool rf_pushdown_goes_on(const rf_pushdown *p, uint32_t state); /* some byte may follow */

/* The state's places, each group that shares a stack as a state whose stack is unknown: what it
 * allows is the same below any stack. Returns their number; 0: more than RF_PUSHDOWN_LOCALS, or no
 * room. */
uint32_t rf_pushdown_locals(rf_pushdown *p, uint32_t state,
                            uint32_t out[static RF_PUSHDOWN_LOCALS]);
/* Below an unknown stack: what follows depends on it. */
bool rf_pushdown_escapes(const rf_pushdown *p, uint32_t state);

bool rf_pushdown_is_crowded(const rf_pushdown *p);
/* Forgets all states but those that are kept before the next step; keep gives the new number, DEAD
 * where there is no room. */
void rf_pushdown_forget(rf_pushdown *p);
uint32_t rf_pushdown_keep(rf_pushdown *p, uint32_t state);

#endif
