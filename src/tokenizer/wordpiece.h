/*
 * BERT's WordPiece: text is cleaned, split at white space and punctuation, and each word is cut
 * into the longest tokens from its left. Immutable after loading; any thread.
 */
#ifndef RF_TOKENIZER_WORDPIECE_H
#define RF_TOKENIZER_WORDPIECE_H

#include "tokenizer/lexicon.h"

typedef struct rf_wordpiece {
    const rf_vocab *vocab; /* borrowed; words begin with U+2581, continuations do not */
    rf_lexicon lexicon;
    bool lowercase, strip_accents;
} rf_wordpiece;

RF_NODISCARD rf_status rf_wordpiece_load(rf_wordpiece *wordpiece, const rf_vocab *vocab,
                                         const rf_gguf *gguf, rf_error *err);
void rf_wordpiece_deinit(rf_wordpiece *wordpiece);

/* Appends the ids of text; false: out of memory. word is scratch. */
RF_NODISCARD bool rf_wordpiece_encode(const rf_wordpiece *wordpiece, rf_str text, rf_buf *word,
                                      rf_tokens *out);

#endif
