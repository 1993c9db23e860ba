/*
 * SentencePiece's byte-pair encoding: pairs merge by the score of the token that they make, then
 * what is no token falls back to bytes. Immutable after loading; any thread.
 */
#ifndef RF_TOKENIZER_SPM_H
#define RF_TOKENIZER_SPM_H

#include "tokenizer/merger.h"
#include "tokenizer/normalizer.h"
#include "tokenizer/seams.h"
#include "tokenizer/vocab.h"
#include "tokenizer/word_cache.h"

typedef struct rf_spm {
    const rf_vocab *vocab; /* borrowed; with scores */
    rf_seams seams;
    int32_t ascii_id[128]; /* the token that is this character alone, or -1 */
} rf_spm;

void rf_spm_load(rf_spm *spm, const rf_vocab *vocab);

/* What a pair of tokens merges to, met before in the same text. */
typedef struct rf_spm_pair {
    uint64_t key; /* 0: empty */
    int32_t merged_id;
    uint32_t order;
} rf_spm_pair;

typedef struct rf_spm_scratch {
    rf_merger *merger;
    rf_word_cache *cache;
    rf_spm_pair *pairs; /* as many as the cache has entries, or NULL */
    rf_buf *word;
} rf_spm_scratch;

/* Appends the ids of text, in which a space or U+2581 stands for a space, and of one more space
 * before it on request; false: out of memory. */
RF_NODISCARD bool rf_spm_encode(const rf_spm *spm, rf_str text, bool space_prefix,
                                rf_spm_scratch scratch, rf_tokens *out);

#endif
