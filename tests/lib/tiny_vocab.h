/*
 * Small vocabularies as GGUF files in memory, key by key. For tests; one thread at a time. What a
 * key says is written as it stands: lies are welcome.
 */
#ifndef RF_TESTS_TINY_VOCAB_H
#define RF_TESTS_TINY_VOCAB_H

#include "base/buf.h"
#include "gguf/gguf.h"
#include "tokenizer/tokenizer.h"

typedef struct tiny_vocab {
    rf_buf keys; /* encoded */
    uint64_t n_keys;
} tiny_vocab;

void tiny_vocab_init(tiny_vocab *vocab);
void tiny_vocab_deinit(tiny_vocab *vocab);
/* key without "tokenizer.ggml.", unless it begins with "general." */
void tiny_vocab_str(tiny_vocab *vocab, const char *key, const char *value);
void tiny_vocab_u32(tiny_vocab *vocab, const char *key, uint32_t value);
void tiny_vocab_bool(tiny_vocab *vocab, const char *key, bool value);
void tiny_vocab_strings(tiny_vocab *vocab, const char *key, const char *const *items, size_t n);
void tiny_vocab_i32s(tiny_vocab *vocab, const char *key, const int32_t *items, size_t n);
void tiny_vocab_f32s(tiny_vocab *vocab, const char *key, const float *items, size_t n);

/* Ready-made ones; more keys may be added. */
enum { TINY_BPE_BYTES = 256 }; /* ids 0 … 255 are the bytes */
void tiny_vocab_bpe(tiny_vocab *vocab, const char *pre);
void tiny_vocab_spm(tiny_vocab *vocab);
void tiny_vocab_unigram(tiny_vocab *vocab);
void tiny_vocab_bert(tiny_vocab *vocab);
void tiny_vocab_raw(tiny_vocab *vocab);

/* Opened; tiny_open_close frees all of it. */
typedef struct tiny_open {
    rf_buf file;
    rf_gguf *gguf;
    rf_tokenizer *tokenizer; /* NULL where err says why */
    rf_error err;
} tiny_open;
/* Takes the vocab over. */
tiny_open tiny_vocab_open(tiny_vocab *vocab);
void tiny_open_close(tiny_open *open);

#endif
