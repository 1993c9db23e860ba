/*
 * What a tokenizer is made of, for the files of this room: the vocabulary, the tokens read before
 * splitting, and one of the models. Immutable after creation; any thread.
 */
#ifndef RF_TOKENIZER_TOKEN_MODEL_H
#define RF_TOKENIZER_TOKEN_MODEL_H

#include "tokenizer/bpe.h"
#include "tokenizer/normalizer.h"
#include "tokenizer/special_tokens.h"
#include "tokenizer/spm.h"
#include "tokenizer/unigram.h"
#include "tokenizer/word_cache.h"
#include "tokenizer/wordpiece.h"

/* Scratch of one encode call. */
typedef struct rf_encode_scratch {
    rf_buf text; /* the fragment as the model sees it */
    rf_buf word;
    rf_merger merger;
    rf_word_cache cache;
    rf_spm_pair *pairs; /* owned; see rf_spm_scratch */
    rf_lattice lattice;
} rf_encode_scratch;

typedef struct rf_token_model {
    const char *name; /* tokenizer.ggml.model */
    rf_status (*load)(rf_tokenizer *tokenizer, const rf_gguf *gguf, rf_error *err);
    void (*unload)(rf_tokenizer *tokenizer); /* after any load */
    /* Appends the ids of a fragment that holds no special token; false: out of memory. */
    bool (*encode)(const rf_tokenizer *tokenizer, rf_str fragment, rf_encode_scratch *scratch,
                   rf_tokens *out);
} rf_token_model;

struct rf_tokenizer {
    const rf_token_model *model;
    const rf_pretokenizer *pre; /* NULL where the model splits by itself */
    rf_vocab vocab;
    rf_special_tokens special;
    bool nfc;                 /* text is normalised first */
    rf_normalizer normalizer; /* of the SentencePiece models and of raw BPE */
    bool strip_leading_space; /* decoding drops one space at the start */
    rf_bpe bpe;
    rf_spm spm;
    rf_unigram unigram;
    rf_wordpiece wordpiece;
};

const rf_token_model *rf_token_model_find(rf_str name); /* NULL if unknown */

#endif
