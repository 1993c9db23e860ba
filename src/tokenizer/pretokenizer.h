/*
 * Pre-tokenisers by their GGUF name, and the walk over the words that one cuts a text into. The
 * table is constant; a walk belongs to one thread and borrows its text.
 */
#ifndef RF_TOKENIZER_PRETOKENIZER_H
#define RF_TOKENIZER_PRETOKENIZER_H

#include <stdbool.h>

#include "base/str.h"
#include "tokenizer/splitters.h"

enum { RF_PRETOKENIZER_MAX_RULES = 6 };

enum {
    RF_PRETOKENIZER_BOS = 1 << 0,
    RF_PRETOKENIZER_WHOLE = 1 << 1,
    RF_PRETOKENIZER_NFC = 1 << 2,
    RF_PRETOKENIZER_RAW = 1 << 3
};

typedef struct rf_pretokenizer {
    const char *name;
    unsigned flags;
    rf_split_rule rules[RF_PRETOKENIZER_MAX_RULES + 1]; /* ends with NULL; each splits the pieces
                                                           of the one before */
} rf_pretokenizer;

const rf_pretokenizer *rf_pretokenizer_find(rf_str name); /* NULL if unknown */
const rf_pretokenizer *rf_pretokenizer_fallback(void);
const rf_pretokenizer *rf_pretokenizer_at(size_t i); /* NULL past the last; for tests */

typedef struct rf_word_walk {
    const rf_pretokenizer *pre;
    const char *text;
    size_t at;
    size_t n_rules;
    size_t end[RF_PRETOKENIZER_MAX_RULES + 1];     /* of the piece that rule k works on */
    rf_match found[RF_PRETOKENIZER_MAX_RULES + 1]; /* what rule k found ahead, if end > at */
} rf_word_walk;

/* text is valid UTF-8. */
rf_word_walk rf_word_walk_begin(const rf_pretokenizer *pre, rf_str text);
bool rf_word_walk_next(rf_word_walk *walk, rf_str *word); /* false at the end */

#endif
