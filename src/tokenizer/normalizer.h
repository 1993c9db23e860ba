/*
 * SentencePiece's view of a text: characters mapped, spaces merged on request and written as
 * U+2581. Immutable after loading; any thread.
 */
#ifndef RF_TOKENIZER_NORMALIZER_H
#define RF_TOKENIZER_NORMALIZER_H

#include "base/buf.h"
#include "tokenizer/charsmap.h"

typedef struct rf_normalizer {
    rf_charsmap charsmap;
    bool space_prefix; /* a space stands before the text */
    bool merge_spaces; /* runs of spaces count as one, at the ends as none */
} rf_normalizer;

/* space_prefix is set before: the default where the file has no key. */
RF_NODISCARD rf_status rf_normalizer_load(rf_normalizer *normalizer, const rf_gguf *gguf,
                                          rf_error *err);
/* Text changes in its spaces alone, which are written as U+2581 one by one. */
static inline bool rf_normalizer_is_plain(const rf_normalizer *normalizer) {
    return !normalizer->merge_spaces && normalizer->charsmap.n_units == 0;
}
void rf_normalizer_escape(rf_str text, rf_buf *out); /* does that */
/* Appends the normalised text (valid UTF-8, not empty); a failure is left in out->failed. */
void rf_normalizer_append(const rf_normalizer *normalizer, rf_str text, rf_buf *out);

#endif
