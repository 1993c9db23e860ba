#include "kv/token_hash.h"

#include <string.h>

typedef struct sip {
    uint64_t v0, v1, v2, v3;
} sip;

static inline uint64_t turn(uint64_t x, int n) { return x << n | x >> (64 - n); }

static inline void sip_round(sip *s) {
    s->v0 += s->v1;
    s->v2 += s->v3;
    s->v1 = turn(s->v1, 13) ^ s->v0;
    s->v3 = turn(s->v3, 16) ^ s->v2;
    s->v0 = turn(s->v0, 32) + s->v3;
    s->v2 += s->v1;
    s->v3 = turn(s->v3, 21) ^ s->v0;
    s->v1 = turn(s->v1, 17) ^ s->v2;
    s->v2 = turn(s->v2, 32);
}

static inline void sip_word(sip *s, uint64_t word) {
    s->v3 ^= word;
    sip_round(s);
    sip_round(s);
    s->v0 ^= word;
}

static inline sip sip_begin(rf_hash_key key) {
    return (sip){key.k0 ^ 0x736f6d6570736575u, key.k1 ^ 0x646f72616e646f6du,
                 key.k0 ^ 0x6c7967656e657261u, key.k1 ^ 0x7465646279746573u};
}

static inline uint64_t sip_end(sip *s, uint64_t last) {
    sip_word(s, last);
    s->v2 ^= 0xff;
    for (int i = 0; i < 4; i++)
        sip_round(s);
    return s->v0 ^ s->v1 ^ s->v2 ^ s->v3;
}

static inline uint64_t load(const uint8_t *bytes, size_t n) {
    uint64_t word = 0;
    for (size_t i = 0; i < n; i++)
        word |= (uint64_t)bytes[i] << (8 * i);
    return word;
}

uint64_t rf_siphash(rf_hash_key key, const void *bytes, size_t n) {
    const uint8_t *at = bytes;
    sip s = sip_begin(key);
    for (size_t i = 0; i + 8 <= n; i += 8)
        sip_word(&s, load(at + i, 8));
    return sip_end(&s, (uint64_t)n << 56 | load(at + n / 8 * 8, n % 8));
}

uint64_t rf_token_hash(rf_hash_key key, uint64_t before, const int32_t *tokens, uint32_t n) {
    sip s = sip_begin(key);
    sip_word(&s, before);
    for (uint32_t i = 0; i + 2 <= n; i += 2)
        sip_word(&s, (uint64_t)(uint32_t)tokens[i + 1] << 32 | (uint32_t)tokens[i]);
    return sip_end(&s, (uint64_t)n << 56 | (n % 2 ? (uint32_t)tokens[n - 1] : 0));
}
