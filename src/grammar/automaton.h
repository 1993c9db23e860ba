/*
 * What a text may be, compiled: an automaton over bytes as one flat block of integers without
 * pointers, so that it can be sent to another process. It is deterministic; or, where the text
 * nests, a state may also call another part of it, which begins at `start` and, where it may end,
 * goes on in `to` (grammar/pushdown.h runs that). Made by rf_rules_compile; checked before it is
 * trusted. Every state but the dead one can still reach an end. Immutable; any thread.
 */
#ifndef RF_GRAMMAR_AUTOMATON_H
#define RF_GRAMMAR_AUTOMATON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum {
    RF_AUTOMATON_MAGIC = 0x41464452, /* "RDFA" */
    RF_AUTOMATON_VERSION = 2,
    RF_AUTOMATON_DEAD = 0,  /* the state after a byte that may not come */
    RF_AUTOMATON_START = 1, /* before the first byte */
    RF_AUTOMATON_MAX_STATES = 32768,
    RF_AUTOMATON_MAX_BYTES = 16 << 20
};

typedef struct rf_automaton_call {
    uint16_t start, to;
} rf_automaton_call;

/* Behind it: next[n_states][n_classes] of uint16_t, then ends: bit s % 32 of word s / 32 tells
 * whether the text may end in state s (the words are aligned to 4 bytes). Where n_calls > 0 then
 * firsts[n_states + 1] of uint32_t and the calls: those of state s are firsts[s] … firsts[s + 1].
 */
typedef struct rf_automaton {
    uint32_t magic, version;
    uint32_t n_bytes; /* of all of it */
    uint32_t n_states, n_classes;
    uint32_t n_calls;
    uint32_t ends_at, firsts_at, calls_at; /* offsets */
    uint8_t class_of[256];
} rf_automaton;

/* n_bytes that came from somewhere: RF_ERR_INVALID says what is wrong with them. */
RF_NODISCARD rf_status rf_automaton_check(const void *bytes, size_t n_bytes, rf_error *err);

static inline const uint16_t *rf_automaton_next(const rf_automaton *a) {
    return (const uint16_t *)(const void *)(a + 1);
}
static inline uint32_t rf_automaton_step(const rf_automaton *a, uint32_t state, uint8_t byte) {
    return rf_automaton_next(a)[state * a->n_classes + a->class_of[byte]];
}
static inline bool rf_automaton_may_end(const rf_automaton *a, uint32_t state) {
    const uint32_t *ends = (const uint32_t *)(const void *)((const char *)a + a->ends_at);
    return (ends[state / 32] >> state % 32 & 1u) != 0;
}
static inline const uint32_t *rf_automaton_firsts(const rf_automaton *a) {
    return (const uint32_t *)(const void *)((const char *)a + a->firsts_at);
}
static inline const rf_automaton_call *rf_automaton_calls(const rf_automaton *a) {
    return (const rf_automaton_call *)(const void *)((const char *)a + a->calls_at);
}
/* Bytes of a block with so many parts, and where they lie; the fields n_states, n_classes and
 * n_calls are read. 0: too large. */
size_t rf_automaton_lay_out(rf_automaton *a);
/* Of those without calls: the text is whole and nothing may follow. */
bool rf_automaton_is_over(const rf_automaton *a, uint32_t state);
/* All of a text, from the start; likewise. */
bool rf_automaton_matches(const rf_automaton *a, const char *text, size_t n);

#endif
