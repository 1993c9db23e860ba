/*
 * Words of one text that were encoded before: the ids are copied from where they already stand in
 * the output. Direct-mapped and of fixed size; scratch of one encode call. A cache without memory
 * works as an empty one.
 */
#ifndef RF_TOKENIZER_WORD_CACHE_H
#define RF_TOKENIZER_WORD_CACHE_H

#include "tokenizer/tokenizer.h"

typedef struct rf_cached_word {
    const char *text; /* in the text being encoded */
    size_t at;        /* of its ids in the output */
    uint32_t len, n_ids;
    uint32_t generation; /* of the text; other generations count as empty */
} rf_cached_word;

typedef struct rf_word_cache {
    rf_cached_word *entries; /* owned, or NULL */
    uint32_t generation;
    uint64_t seed;
} rf_word_cache;

/* A new text: what is cached of the one before is forgotten. */
void rf_word_cache_begin(rf_word_cache *cache, size_t text_bytes, uint64_t seed);
void rf_word_cache_deinit(rf_word_cache *cache);

/* Where the word is or would be cached; NULL when it is not worth it. */
rf_cached_word *rf_word_cache_slot(const rf_word_cache *cache, rf_str word);

static inline bool rf_word_cache_holds(const rf_word_cache *cache, const rf_cached_word *slot,
                                       rf_str word) {
    return slot && slot->generation == cache->generation && slot->len == word.len &&
           memcmp(slot->text, word.ptr, word.len) == 0;
}

/* The ids from out->ids[first] on are those of word. */
static inline void rf_word_cache_fill(const rf_word_cache *cache, rf_cached_word *slot, rf_str word,
                                      const rf_tokens *out, size_t first) {
    if (slot)
        *slot = (rf_cached_word){word.ptr, first, (uint32_t)word.len, (uint32_t)(out->n - first),
                                 cache->generation};
}

/* Appends the ids of the cached word; false: out of memory. */
RF_NODISCARD static inline bool rf_word_cache_copy(const rf_cached_word *slot, rf_tokens *out) {
    for (size_t i = 0; i < slot->n_ids; i++)
        if (!rf_tokens_push(out, out->ids[slot->at + i]))
            return false;
    return true;
}

#endif
