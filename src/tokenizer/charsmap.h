/*
 * SentencePiece's precompiled character map: a double-array trie from byte sequences to their
 * replacements. Borrowed from the file, which may lie: every index is checked. Any thread.
 */
#ifndef RF_TOKENIZER_CHARSMAP_H
#define RF_TOKENIZER_CHARSMAP_H

#include "base/status.h"
#include "base/str.h"
#include "gguf/gguf.h"

typedef struct rf_charsmap {
    const uint8_t *units; /* unaligned little-endian u32 */
    size_t n_units;
    rf_str replacements; /* NUL-terminated one after the other */
} rf_charsmap;

/* From tokenizer.ggml.precompiled_charsmap; empty (everything stands for itself) without it. */
RF_NODISCARD rf_status rf_charsmap_load(rf_charsmap *map, const rf_gguf *gguf, rf_error *err);

/* What the longest mapped sequence at the start of text becomes, or its first character itself;
 * *used is what it replaces. text is valid UTF-8 and not empty. */
rf_str rf_charsmap_apply(const rf_charsmap *map, rf_str text, size_t *used);

#endif
