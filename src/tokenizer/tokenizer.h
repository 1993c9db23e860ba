/*
 * Tokenizers from GGUF metadata alone: byte-level BPE, SentencePiece BPE, Unigram, WordPiece.
 * A tokenizer is immutable after loading: any number of threads may encode and decode at once.
 * Encoding is linear (or n log n) in the text, without recursion or backtracking.
 */
#ifndef RF_TOKENIZER_TOKENIZER_H
#define RF_TOKENIZER_TOKENIZER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"
#include "base/str.h"
#include "gguf/gguf.h"

typedef struct rf_tokenizer rf_tokenizer;

/* GGUF's token types (tokenizer.ggml.token_type). */
typedef enum rf_token_type {
    RF_TOKEN_UNDEFINED = 0,
    RF_TOKEN_NORMAL = 1,
    RF_TOKEN_UNKNOWN = 2,
    RF_TOKEN_CONTROL = 3,
    RF_TOKEN_USER_DEFINED = 4,
    RF_TOKEN_UNUSED = 5,
    RF_TOKEN_BYTE = 6
} rf_token_type;

/* Roles that a token can have; ids are -1 when the vocabulary has none. */
typedef struct rf_token_roles {
    int32_t bos, eos, eot, eom, unk, sep, pad, mask, cls;
    int32_t fim_pre, fim_suf, fim_mid;
    bool add_bos, add_eos; /* what add_special does */
} rf_token_roles;

/* Builds a tokenizer from the keys tokenizer.ggml.*; gguf stays borrowed until destroy (strings
 * point into it). Warnings (unknown tokenizer.ggml.pre) go to the log under "tokenizer". */
RF_NODISCARD rf_status rf_tokenizer_create(const rf_gguf *gguf, rf_tokenizer **out, rf_error *err);
void rf_tokenizer_destroy(rf_tokenizer *tokenizer);

const char *rf_tokenizer_model(const rf_tokenizer *tokenizer); /* "gpt2", "llama", "t5", "bert" */
const char *rf_tokenizer_pre(const rf_tokenizer *tokenizer);   /* the pre-tokeniser in use */
uint32_t rf_tokenizer_n_tokens(const rf_tokenizer *tokenizer);
const rf_token_roles *rf_tokenizer_roles(const rf_tokenizer *tokenizer);
/* True for tokens that end generation: eos, eot, eom and the known end-of-turn texts. */
bool rf_tokenizer_is_eog(const rf_tokenizer *tokenizer, int32_t id);
/* All of them: [*n]. */
const int32_t *rf_tokenizer_eog(const rf_tokenizer *tokenizer, size_t *n);
rf_token_type rf_tokenizer_type(const rf_tokenizer *tokenizer, int32_t id);
rf_str rf_tokenizer_text(const rf_tokenizer *tokenizer, int32_t id);   /* as in the file */
int32_t rf_tokenizer_find(const rf_tokenizer *tokenizer, rf_str text); /* -1 if absent */
/* What the token alone decodes to: bytes, not always whole characters; a leading space stays. */
rf_str rf_tokenizer_piece(const rf_tokenizer *tokenizer, int32_t id);

typedef struct rf_tokens {
    int32_t *ids; /* owned */
    size_t n, cap;
} rf_tokens;
void rf_tokens_deinit(rf_tokens *tokens);
RF_NODISCARD bool rf_tokens_grow(rf_tokens *tokens, size_t extra);
/* Room for `extra` more; false: out of memory. */
RF_NODISCARD static inline bool rf_tokens_reserve(rf_tokens *tokens, size_t extra) {
    return tokens->cap - tokens->n >= extra || rf_tokens_grow(tokens, extra);
}
RF_NODISCARD bool rf_tokens_push(rf_tokens *tokens, int32_t id); /* false: out of memory */

typedef struct rf_encode_options {
    bool add_special;   /* BOS, EOS, CLS, SEP as the vocabulary says */
    bool parse_special; /* texts of control and unknown tokens become those tokens */
} rf_encode_options;

/* Appends the ids of text. Invalid UTF-8: RF_ERR_INVALID with the byte offset. */
RF_NODISCARD rf_status rf_tokenizer_encode(const rf_tokenizer *tokenizer, rf_str text,
                                           rf_encode_options options, rf_tokens *out,
                                           rf_error *err);
/* Appends the bytes of ids (special tokens written out). An id out of range: RF_ERR_INVALID. */
RF_NODISCARD rf_status rf_tokenizer_decode(const rf_tokenizer *tokenizer, const int32_t *ids,
                                           size_t n, rf_buf *out, rf_error *err);

/* A text's first token may carry a space that decoding drops. */
bool rf_tokenizer_drops_space(const rf_tokenizer *tokenizer);

/*
 * Streaming decode: feeds one token at a time and appends only whole UTF-8 characters; bytes that
 * can never become valid are replaced by U+FFFD. One thread a stream. Zero-initialise.
 */
typedef struct rf_detokenizer {
    char held[8]; /* an unfinished character */
    uint8_t n_held;
    bool started;            /* the leading space of a space-prefix vocabulary was handled */
    bool keep_leading_space; /* set when the stream continues earlier text */
    bool skip_special;       /* control tokens produce no text */
} rf_detokenizer;
RF_NODISCARD rf_status rf_detokenizer_push(rf_detokenizer *stream, const rf_tokenizer *tokenizer,
                                           int32_t id, rf_buf *out, rf_error *err);
/* What is still held becomes U+FFFD. */
void rf_detokenizer_finish(rf_detokenizer *stream, rf_buf *out);

#endif
