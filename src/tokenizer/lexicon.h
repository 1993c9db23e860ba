/*
 * Token texts in byte order, walked one byte at a time: which tokens begin here? Immutable after
 * building; any thread.
 */
#ifndef RF_TOKENIZER_LEXICON_H
#define RF_TOKENIZER_LEXICON_H

#include "tokenizer/vocab.h"

typedef struct rf_lexicon {
    const rf_vocab *vocab; /* borrowed */
    uint32_t *ids;         /* owned, sorted by text, then id */
    uint32_t first[257];   /* ids[first[b] … first[b + 1]) begin with byte b */
} rf_lexicon;

/* Tokens of the given types whose text has 1 to max_bytes bytes. False: out of memory. */
RF_NODISCARD bool rf_lexicon_build(rf_lexicon *lexicon, const rf_vocab *vocab, unsigned types,
                                   size_t max_bytes);
void rf_lexicon_deinit(rf_lexicon *lexicon);

/* The tokens that begin with the first depth bytes walked. */
typedef struct rf_lexicon_walk {
    uint32_t lo, hi;
    size_t depth;
} rf_lexicon_walk;

static inline rf_lexicon_walk rf_lexicon_start(const rf_lexicon *lexicon, char c) {
    unsigned char b = (unsigned char)c;
    return (rf_lexicon_walk){lexicon->first[b], lexicon->first[b + 1], 1};
}
/* False when no token goes on with c. */
bool rf_lexicon_step(const rf_lexicon *lexicon, rf_lexicon_walk *walk, char c);
/* The token that is exactly what was walked, or -1. */
int32_t rf_lexicon_exact(const rf_lexicon *lexicon, const rf_lexicon_walk *walk);

#endif
