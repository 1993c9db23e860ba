/*
 * A nondeterministic automaton over bytes while it is built, and the subset construction that makes
 * it deterministic (Thompson 1968; Rabin and Scott 1959). Bounded in states. One thread.
 */
#ifndef RF_GRAMMAR_NFA_H
#define RF_GRAMMAR_NFA_H

#include <stddef.h>

#include "grammar/automaton.h"

enum { RF_NFA_MAX_STATES = 1 << 19 };

typedef enum rf_nfa_kind { RF_NFA_BYTES, RF_NFA_SPLIT, RF_NFA_CALL, RF_NFA_END } rf_nfa_kind;

typedef struct rf_nfa_state {
    rf_nfa_kind kind;
    uint8_t low, high; /* BYTES: low … high lead to out */
    /* SPLIT: both without a byte; other -1: none. CALL: the rule `other`, then out. */
    int32_t out, other;
} rf_nfa_state;

typedef struct rf_nfa {
    rf_nfa_state *states; /* owned */
    int32_t n, room;
    bool no_memory, too_many;
} rf_nfa;

void rf_nfa_deinit(rf_nfa *nfa);
/* The new state's number, or -1 with one of the flags set. */
int32_t rf_nfa_add(rf_nfa *nfa, rf_nfa_state state);
/* A state from which one code point of low … high, as UTF-8, leads to out. */
int32_t rf_nfa_add_chars(rf_nfa *nfa, uint32_t low, uint32_t high, int32_t out);

/* starts: [n_starts], where each rule begins; rule 0 is the whole. *out is the caller's (rf_free):
 * see grammar/automaton.h. Texts that nothing matches, rules that call themselves before they read
 * anything, and more states than there may be, are RF_ERR_INVALID and RF_ERR_LIMIT. */
RF_NODISCARD rf_status rf_nfa_determinise(const rf_nfa *nfa, const int32_t *starts,
                                          uint32_t n_starts, rf_automaton **out, rf_error *err);

#endif
