/*
 * What an answer may be, as the sampler asks for it: which tokens may come next. The mask of a
 * state is found once and kept; all memory is taken at creation. States are numbers, which may be
 * copied to fork an answer or to go back. One thread.
 */
#ifndef RF_GRAMMAR_CONSTRAINT_H
#define RF_GRAMMAR_CONSTRAINT_H

#include <stdbool.h>

#include "grammar/token_trie.h"

typedef struct rf_constraint rf_constraint;

/* bytes: a compiled constraint (an rf_automaton), copied and checked. trie: borrowed until destroy.
 * max_mask_bytes: memory for masks of states, of which at least four are kept. */
RF_NODISCARD rf_status rf_constraint_create(const void *bytes, size_t n_bytes,
                                            const rf_token_trie *trie, size_t max_mask_bytes,
                                            rf_constraint **out, rf_error *err);
void rf_constraint_destroy(rf_constraint *constraint); /* NULL is a no-op */
/* It was made from these bytes. */
bool rf_constraint_is(const rf_constraint *constraint, const void *bytes, size_t n_bytes);

uint32_t rf_constraint_begin(rf_constraint *constraint);
/* Bit id % 32 of word id / 32: the token may come next. Valid until the next call. *n_allowed of
 * them; tokens without bytes are never allowed. NULL: the text nests in so many ways that there is
 * no room for the states. */
const uint32_t *rf_constraint_mask(rf_constraint *constraint, uint32_t state, uint32_t *n_allowed);
/* The state after a token; false: it may not come. */
bool rf_constraint_accept(rf_constraint *constraint, uint32_t *state, int32_t token);
bool rf_constraint_may_end(const rf_constraint *constraint, uint32_t state); /* here */

/* The numbers of states are running out: before the next mask, forget all but those that are kept
 * right afterwards. Keep gives a state's new number; where there is no room for it it becomes
 * RF_AUTOMATON_DEAD. */
bool rf_constraint_is_crowded(const rf_constraint *constraint);
void rf_constraint_forget(rf_constraint *constraint);
uint32_t rf_constraint_keep(rf_constraint *constraint, uint32_t state);

#endif
