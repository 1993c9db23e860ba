/*
 * Masks of an automaton that calls: what a place allows is found once for all stacks below it, as
 * a mask and the list of nodes of the vocabulary's tree where the place's part of the text may be
 * over, from which the stack decides. All memory is taken at creation. One thread.
 */
#ifndef RF_GRAMMAR_LOCAL_MASKS_H
#define RF_GRAMMAR_LOCAL_MASKS_H

#include "grammar/pushdown.h"
#include "grammar/token_trie.h"

typedef struct rf_local_masks rf_local_masks;

/* Both borrowed until destroy. NULL: out of memory. */
rf_local_masks *rf_local_masks_create(rf_pushdown *pushdown, const rf_token_trie *trie,
                                      size_t max_bytes);
void rf_local_masks_destroy(rf_local_masks *masks); /* NULL is a no-op */
/* Writes the mask of a state, [(n_tokens + 31) / 32]. False: there is no room for the states that
 * it takes to find it. */
bool rf_local_masks_fill(rf_local_masks *masks, uint32_t state, uint32_t *mask);
void rf_local_masks_forget(rf_local_masks *masks); /* the states' numbers have changed */

#endif
