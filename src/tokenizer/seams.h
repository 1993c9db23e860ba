/*
 * Where a text can be cut without changing what its characters merge to: between two bytes that
 * stand side by side, at a boundary of characters, in no token. Immutable after building; any
 * thread.
 */
#ifndef RF_TOKENIZER_SEAMS_H
#define RF_TOKENIZER_SEAMS_H

#include "tokenizer/vocab.h"

typedef struct rf_seams {
    /* Bit (right) of row (left): some token has these two. U+2581 counts as the space it stands
     * for, on either side. */
    uint32_t joined[256][8];
} rf_seams;

void rf_seams_build(rf_seams *seams, const rf_vocab *vocab, unsigned types);

/* Length of the part of text (not empty) up to the first seam. */
size_t rf_seams_part(const rf_seams *seams, rf_str text);

#endif
