#include "tokenizer/word_cache.h"

#include "base/alloc.h"
#include "base/map.h"

enum { N_ENTRIES = 4096, MAX_WORD_BYTES = 64, MIN_TEXT_BYTES = 512 };

void rf_word_cache_begin(rf_word_cache *cache, size_t text_bytes, uint64_t seed) {
    cache->generation++;
    cache->seed = seed;
    if (!cache->entries && text_bytes >= MIN_TEXT_BYTES)
        cache->entries = rf_calloc(N_ENTRIES, sizeof *cache->entries);
}

void rf_word_cache_deinit(rf_word_cache *cache) {
    rf_free(cache->entries);
    *cache = (rf_word_cache){0};
}

rf_cached_word *rf_word_cache_slot(const rf_word_cache *cache, rf_str word) {
    if (!cache->entries || word.len > MAX_WORD_BYTES)
        return NULL;
    return &cache->entries[rf_hash(word.ptr, word.len, cache->seed) % N_ENTRIES];
}
