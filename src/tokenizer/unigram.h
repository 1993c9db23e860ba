/*
 * SentencePiece's Unigram model: the segmentation of highest summed score, found by one pass over
 * the text (Viterbi). Immutable after loading; any thread.
 */
#ifndef RF_TOKENIZER_UNIGRAM_H
#define RF_TOKENIZER_UNIGRAM_H

#include "tokenizer/lexicon.h"

typedef struct rf_unigram {
    const rf_vocab *vocab; /* borrowed; with scores */
    rf_lexicon lexicon;
    double unknown_score;
} rf_unigram;

/* Scratch of one encode call: the best way to reach each byte. */
typedef struct rf_lattice {
    struct rf_lattice_node *nodes; /* owned */
    size_t cap;
} rf_lattice;
void rf_lattice_deinit(rf_lattice *lattice);

RF_NODISCARD rf_status rf_unigram_load(rf_unigram *unigram, const rf_vocab *vocab, rf_error *err);
void rf_unigram_deinit(rf_unigram *unigram);

/* Appends the ids of normalised text; false: out of memory. */
RF_NODISCARD bool rf_unigram_encode(const rf_unigram *unigram, rf_str text, rf_lattice *lattice,
                                    rf_tokens *out);

#endif
