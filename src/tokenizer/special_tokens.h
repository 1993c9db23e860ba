/*
 * Finds the tokens that are read from a text before it is split into words: user-defined tokens
 * always, control and unknown tokens on request. The leftmost and there the longest match wins.
 * Immutable after loading; any thread.
 */
#ifndef RF_TOKENIZER_SPECIAL_TOKENS_H
#define RF_TOKENIZER_SPECIAL_TOKENS_H

#include "tokenizer/lexicon.h"

enum { RF_SPECIAL_MAX_BYTES = 1024 }; /* longer texts are never read as such tokens */

typedef struct rf_special_tokens {
    rf_lexicon lexicon;
    bool swallow_blanks;     /* white space after a token is dropped (Phi-3) … */
    int32_t keeps_blanks[3]; /* … except after these; -1 for none */
} rf_special_tokens;

RF_NODISCARD rf_status rf_special_tokens_load(rf_special_tokens *special, const rf_vocab *vocab,
                                              const rf_gguf *gguf, rf_error *err);
void rf_special_tokens_deinit(rf_special_tokens *special);

typedef struct rf_special_match {
    size_t start, end; /* bytes of the text; end includes swallowed blanks */
    int32_t id;        /* -1: none before the end of the text, where start lies */
} rf_special_match;
rf_special_match rf_special_tokens_next(const rf_special_tokens *special, rf_str text, size_t from,
                                        bool parse_special);

#endif
