/*
 * The vocabulary of a GGUF file: texts (borrowed from the mapping, UTF-8 without NUL), types,
 * scores, what each token decodes to, roles, and the lookup from text to id. Immutable after
 * loading; any thread. Ids fit in 21 bits.
 */
#ifndef RF_TOKENIZER_VOCAB_H
#define RF_TOKENIZER_VOCAB_H

#include "tokenizer/tokenizer.h"

enum { RF_VOCAB_ID_BITS = 21, RF_VOCAB_MAX_TOKENS = (1 << RF_VOCAB_ID_BITS) - 1 };

/* Bits of rf_token_type, for sets of types. */
#define RF_TOKEN_TYPE_BIT(type) (1u << (type))
#define RF_TOKEN_TYPES_ALL      0x7fu

/* Open addressing from text (or decoded piece) to id; of equal keys the lowest id is found. */
typedef struct rf_token_index {
    uint32_t *slots; /* owned; id and 11 bits of the hash, or UINT32_MAX */
    uint32_t mask;
    bool pieces;
} rf_token_index;

/* How texts become bytes. */
typedef enum rf_piece_kind {
    RF_PIECES_BYTE_LEVEL, /* GPT-2's characters stand for bytes */
    RF_PIECES_SPACES,     /* U+2581 stands for a space, <0xXX> for a byte */
    RF_PIECES_WORDS       /* as above; tokens that are no continuation begin with a space */
} rf_piece_kind;

typedef struct rf_vocab {
    const rf_gguf_key *tokens; /* borrowed */
    uint32_t n;
    uint32_t *text_at;  /* owned, [n]: offset of the text's length in tokens->data */
    uint8_t *type;      /* owned, [n]: rf_token_type, 0 where the file says so */
    float *score;       /* owned, [n], or NULL where the model has none */
    uint32_t *piece_at; /* owned, [n + 1] */
    char *pieces;       /* owned */
    rf_token_index by_text;
    uint64_t seed;
    size_t max_text_bytes;
    int32_t byte_id[256]; /* the token that stands for a byte, or -1 */
    rf_token_roles roles;
    int32_t begin_id, end_id; /* what add_special adds, or -1 */
    int32_t *eog;             /* owned, [n_eog] */
    size_t n_eog;
} rf_vocab;

/* Texts, types and the index; vocab is zeroed before. On failure the caller still deinits. */
RF_NODISCARD rf_status rf_vocab_load(rf_vocab *vocab, const rf_gguf *gguf, rf_error *err);
RF_NODISCARD rf_status rf_vocab_load_scores(rf_vocab *vocab, const rf_gguf *gguf, rf_error *err);
RF_NODISCARD rf_status rf_vocab_make_pieces(rf_vocab *vocab, rf_piece_kind kind, rf_error *err);
void rf_vocab_deinit(rf_vocab *vocab);

/* What a role is when its key is absent, and what add_special adds by default. */
typedef struct rf_role_defaults {
    int32_t bos, eos, unk;
    bool add_bos, add_eos;
    bool classifier; /* CLS and SEP stand in for BOS and EOS */
} rf_role_defaults;
RF_NODISCARD rf_status rf_vocab_load_roles(rf_vocab *vocab, const rf_gguf *gguf,
                                           rf_role_defaults defaults, rf_error *err);

RF_NODISCARD bool rf_token_index_build(rf_token_index *index, const rf_vocab *vocab, bool pieces,
                                       unsigned types);
void rf_token_index_deinit(rf_token_index *index);
int32_t rf_token_index_find(const rf_token_index *index, const rf_vocab *vocab, rf_str key);

static inline rf_str rf_vocab_text(const rf_vocab *vocab, uint32_t id) {
    const uint8_t *at = vocab->tokens->data + vocab->text_at[id];
    uint64_t len;
    memcpy(&len, at, sizeof len);
    return (rf_str){(const char *)at + sizeof len, (size_t)len};
}

static inline rf_str rf_vocab_piece(const rf_vocab *vocab, uint32_t id) {
    uint32_t from = vocab->piece_at[id];
    return (rf_str){vocab->pieces + from, vocab->piece_at[id + 1] - from};
}

static inline int32_t rf_vocab_find(const rf_vocab *vocab, rf_str text) {
    return rf_token_index_find(&vocab->by_text, vocab, text);
}

static inline bool rf_vocab_is(const rf_vocab *vocab, uint32_t id, unsigned types) {
    return (RF_TOKEN_TYPE_BIT(vocab->type[id]) & types) != 0;
}

/* The character (as UTF-8) that stands for a byte in GPT-2's alphabet; returns its length. */
size_t rf_byte_level_char(uint8_t byte, char out[4]);
/* The byte that a code point of that alphabet stands for, or -1. */
int rf_byte_level_byte(uint32_t code);

#endif
