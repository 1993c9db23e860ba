/*
 * DRY's sequence breakers: texts become every way in which tokens can spell the end of a
 * repetition. Owns its lists. One thread.
 */
#ifndef RF_TEXT_BREAKERS_H
#define RF_TEXT_BREAKERS_H

#include "sample/sample_params.h"
#include "tokenizer/tokenizer.h"

typedef struct rf_breakers {
    rf_token_span *spans; /* owned, [n]; their tokens lie in ids */
    uint32_t n;
    rf_tokens ids;
} rf_breakers;

/* n == 0: llama.cpp's. The text "none" stands for no breaker. */
RF_NODISCARD rf_status rf_breakers_init(rf_breakers *breakers, const char *const *texts, size_t n,
                                        const rf_tokenizer *tokenizer, rf_error *err);
void rf_breakers_deinit(rf_breakers *breakers); /* safe on a zeroed one */

#endif
