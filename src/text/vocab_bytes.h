/*
 * What each token of a vocabulary adds to a text, as the tables that constraints are run over. Any
 * thread.
 */
#ifndef RF_TEXT_VOCAB_BYTES_H
#define RF_TEXT_VOCAB_BYTES_H

#include "grammar/token_trie.h"
#include "tokenizer/tokenizer.h"

typedef struct rf_vocab_bytes {
    rf_token_bytes view; /* points into the two below */
    uint32_t *offsets;   /* owned */
    char *bytes;         /* owned */
} rf_vocab_bytes;

/* Control tokens have bytes that no text has, so that a constraint allows them where it names them
 * and nowhere else. Tokens that end answers, and those that are no text (unknown, unused), have
 * none. n_vocab: ids of the model, which may be more than the vocabulary's; the further ones have
 * none either. */
RF_NODISCARD rf_status rf_vocab_bytes_init(rf_vocab_bytes *vocab, const rf_tokenizer *tokenizer,
                                           uint32_t n_vocab, rf_error *err);
void rf_vocab_bytes_deinit(rf_vocab_bytes *vocab); /* safe on a zeroed one */

/* What stands for a control token: ff, which UTF-8 never has, and its id in bytes from 80 on. Text
 * tokens that hold ff have no bytes: nothing else spells it. The answer points into out. */
enum { RF_CONTROL_BYTES = 5 };
rf_str rf_control_bytes(int32_t id, char out[static RF_CONTROL_BYTES]);

#endif
