/*
 * Byte-pair encoding by rank of merges: over bytes (GPT-2's alphabet) or, for raw vocabularies,
 * over characters with byte fallback. Immutable after loading; any thread.
 */
#ifndef RF_TOKENIZER_BPE_H
#define RF_TOKENIZER_BPE_H

#include "tokenizer/merger.h"
#include "tokenizer/pretokenizer.h"
#include "tokenizer/vocab.h"

typedef struct rf_bpe {
    const rf_vocab *vocab; /* borrowed */
    const rf_pretokenizer *pre;
    uint64_t *pairs; /* owned, open addressing: left, right and rank in 21, 21 and 22 bits */
    uint32_t pair_mask;
    uint32_t *results;    /* owned, [n_merges]: the token that a merge makes */
    rf_token_index words; /* decoded pieces, where whole words come first (WHOLE) */
} rf_bpe;

/* The vocabulary's byte_id is set here for byte-level models. */
RF_NODISCARD rf_status rf_bpe_load(rf_bpe *bpe, rf_vocab *vocab, const rf_gguf *gguf,
                                   const rf_pretokenizer *pre, rf_error *err);
void rf_bpe_deinit(rf_bpe *bpe);

/* Appends the ids of one word; false: out of memory. */
RF_NODISCARD bool rf_bpe_encode_word(const rf_bpe *bpe, rf_str word, rf_merger *merger,
                                     rf_tokens *out);

#endif
