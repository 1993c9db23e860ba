/* Whether a draft model speaks a model's tokens. Any thread. */
#ifndef RF_TOKENIZER_VOCABULARY_COMPARE_H
#define RF_TOKENIZER_VOCABULARY_COMPARE_H

#include "gguf/gguf.h"

/* RF_ERR_INVALID names the first token that differs, or the sizes. */
RF_NODISCARD rf_status rf_vocabulary_compare(const rf_gguf *model, const rf_gguf *draft,
                                             rf_error *err);

#endif
