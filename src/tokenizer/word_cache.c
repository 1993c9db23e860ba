#include "tokenizer/word_cache.h"

#include "base/alloc.h"

enum { MIN_TEXT_BYTES = 256, TEXT_BYTES_AN_ENTRY = 16, MAX_ENTRIES = 1 << 13 };

void rf_word_cache_init(rf_word_cache *cache, size_t text_bytes, uint64_t seed) {
    *cache = (rf_word_cache){.seed = seed};
    if (text_bytes < MIN_TEXT_BYTES)
        return;
    uint32_t n = 16;
    while (n < MAX_ENTRIES && n < text_bytes / TEXT_BYTES_AN_ENTRY)
        n *= 2;
    cache->entries = rf_calloc(n, sizeof *cache->entries);
    cache->mask = n - 1;
}

void rf_word_cache_deinit(rf_word_cache *cache) {
    rf_free(cache->entries);
    *cache = (rf_word_cache){0};
}

/* The low n bytes of a word in memory, zeros above. */
static inline uint64_t low_bytes(uint64_t bytes, size_t n) {
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    return n >= 8 ? bytes : bytes & ~(~(uint64_t)0 << 8 * n);
#else
    return n >= 8 ? bytes : n == 0 ? 0 : bytes & ~(uint64_t)0 << (64 - 8 * n);
#endif
}

static uint64_t fold(uint64_t a, uint64_t b) {
    __extension__ typedef unsigned __int128 wide;
    wide product = (wide)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

rf_cached_word *rf_word_cache_slot(const rf_word_cache *cache, rf_str word, const char *end,
                                   rf_word_key *key) {
    if (!cache->entries || word.len > RF_CACHED_WORD_BYTES)
        return NULL;
    *key = (rf_word_key){0};
    if (word.len <= 8 && end - word.ptr >= 8) {
        memcpy(&key->words[0], word.ptr, 8);
        key->words[0] = low_bytes(key->words[0], word.len);
    } else if (word.len <= 16 && end - word.ptr >= 16) {
        memcpy(key->words, word.ptr, 16);
        key->words[1] = low_bytes(key->words[1], word.len - 8);
    } else {
        memcpy(key->words, word.ptr, word.len);
    }
    const uint64_t k0 = 0xa0761d6478bd642fu, k1 = 0xe7037ed1a0b428dbu;
    uint64_t h = fold(key->words[0] ^ k0 ^ cache->seed, key->words[1] ^ k1 ^ word.len);
    if (word.len > 16)
        h = fold(key->words[2] ^ h, key->words[3] ^ k1);
    return &cache->entries[(uint32_t)(h >> 32) & cache->mask];
}

void rf_word_cache_fill(rf_cached_word *slot, const rf_word_key *key, rf_str word,
                        const rf_tokens *out, size_t first) {
    size_t n = out->n - first;
    if (!slot || n > RF_CACHED_WORD_IDS)
        return;
    slot->key = *key;
    slot->len = (uint16_t)word.len;
    slot->n_ids = (uint16_t)n;
    if (n > 0)
        memcpy(slot->ids, out->ids + first, n * sizeof *slot->ids);
}
