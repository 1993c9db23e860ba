/*
 * The bytes of all tokens of a vocabulary as a tree, laid out in the order in which it is walked,
 * so that one pass finds every token that an automaton allows. Immutable after creation; any
 * thread.
 */
#ifndef RF_GRAMMAR_TOKEN_TRIE_H
#define RF_GRAMMAR_TOKEN_TRIE_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

/* What each token adds to the text: bytes[offsets[id]] … bytes[offsets[id + 1] - 1]; none for
 * tokens that are no text (control tokens). Plain arrays, borrowed. */
typedef struct rf_token_bytes {
    const uint32_t *offsets; /* [n_tokens + 1], rising */
    const char *bytes;
    uint32_t n_tokens;
} rf_token_bytes;

/* Node i stands for a byte behind its parent's bytes; its descendants are the nodes i + 1 …
 * ends[i] - 1. The tokens that are whole there are tokens[firsts[i]] … tokens[firsts[i + 1] - 1].
 */
typedef struct rf_token_trie {
    uint32_t n_tokens, n_nodes, max_depth;
    uint8_t *bytes;   /* [n_nodes], owned, as the others */
    uint16_t *depths; /* [n_nodes]: 0 for a token's first byte */
    uint32_t *ends;   /* [n_nodes] */
    uint32_t *firsts; /* [n_nodes + 1] */
    int32_t *tokens;
    /* Each token's own bytes. */
    uint32_t *offsets; /* [n_tokens + 1] */
    char *text;
} rf_token_trie;

RF_NODISCARD rf_status rf_token_trie_create(const rf_token_bytes *vocab, rf_token_trie **out,
                                            rf_error *err);
void rf_token_trie_destroy(rf_token_trie *trie); /* NULL is a no-op */

#endif
