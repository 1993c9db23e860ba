/*
 * The rules that cut text into words before byte-pair merging, written by hand after the regular
 * expressions of the models' own tokenizers (quoted at each rule). A rule finds the first match at
 * or after byte `at`; what lies between matches is a piece of its own ("isolated" splitting). All
 * take time linear in the text. Any thread.
 */
#ifndef RF_TOKENIZER_SPLITTERS_H
#define RF_TOKENIZER_SPLITTERS_H

#include <stddef.h>

typedef struct rf_match {
    size_t start, end; /* bytes; both are the region's end when nothing matches */
} rf_match;

/* s[at … end) is valid UTF-8 and at < end, except for the byte rules below. */
typedef rf_match (*rf_split_rule)(const char *s, size_t at, size_t end);

#define X(name) rf_match rf_split_##name(const char *s, size_t at, size_t end);
#include "tokenizer/splitters.def"
#undef X

#endif
