/*
 * SentencePiece's byte-pair encoding: pairs merge by the score of the token that they make, then
 * what is no token falls back to bytes. Immutable after loading; any thread.
 */
#ifndef RF_TOKENIZER_SPM_H
#define RF_TOKENIZER_SPM_H

#include "tokenizer/merger.h"
#include "tokenizer/vocab.h"
#include "tokenizer/word_cache.h"

typedef struct rf_spm {
    const rf_vocab *vocab; /* borrowed; with scores */
    bool joins[256];       /* bytes that some token has right before an inner U+2581 */
} rf_spm;

void rf_spm_load(rf_spm *spm, const rf_vocab *vocab);

/* Appends the ids of text, in which U+2581 stands for spaces; false: out of memory. */
RF_NODISCARD bool rf_spm_encode(const rf_spm *spm, rf_str text, rf_merger *merger,
                                rf_word_cache *cache, rf_tokens *out);

#endif
