/*
 * Words of one text that were encoded before, with their ids: direct-mapped, a cache line a word,
 * sized by the text. Scratch of one encode call. A cache without memory works as an empty one.
 */
#ifndef RF_TOKENIZER_WORD_CACHE_H
#define RF_TOKENIZER_WORD_CACHE_H

#include "tokenizer/tokenizer.h"

enum { RF_CACHED_WORD_BYTES = 32, RF_CACHED_WORD_IDS = 7 };

typedef struct rf_word_key {
    uint64_t words[RF_CACHED_WORD_BYTES / 8]; /* the bytes, then zeros */
} rf_word_key;

typedef struct rf_cached_word {
    rf_word_key key;
    int32_t ids[RF_CACHED_WORD_IDS];
    uint16_t len, n_ids; /* len 0: empty */
} rf_cached_word;

typedef struct rf_word_cache {
    rf_cached_word *entries; /* owned, [mask + 1], or NULL */
    uint32_t mask;
    uint64_t seed;
} rf_word_cache;

/* Memory comes here, and none for a short text. */
void rf_word_cache_init(rf_word_cache *cache, size_t text_bytes, uint64_t seed);
void rf_word_cache_deinit(rf_word_cache *cache);

/* Where the word of this key, which is set here, is or would be cached; NULL when it is not worth
 * it. Bytes up to `end`, which is at or after the word's end, are readable. */
rf_cached_word *rf_word_cache_slot(const rf_word_cache *cache, rf_str word, const char *end,
                                   rf_word_key *key);

static inline bool rf_word_cache_holds(const rf_cached_word *slot, const rf_word_key *key,
                                       rf_str word) {
    if (!slot || slot->len != word.len)
        return false;
    uint64_t differ = 0;
    for (size_t i = 0; i < RF_CACHED_WORD_BYTES / 8; i++)
        differ |= slot->key.words[i] ^ key->words[i];
    return differ == 0;
}

/* The ids from out->ids[first] on are those of word. */
void rf_word_cache_fill(rf_cached_word *slot, const rf_word_key *key, rf_str word,
                        const rf_tokens *out, size_t first);

/* Appends the ids of the cached word; false: out of memory. */
RF_NODISCARD static inline bool rf_word_cache_copy(const rf_cached_word *slot, rf_tokens *out) {
    if (!rf_tokens_reserve(out, RF_CACHED_WORD_IDS))
        return false;
    memcpy(out->ids + out->n, slot->ids, sizeof slot->ids);
    out->n += slot->n_ids;
    return true;
}

#endif
