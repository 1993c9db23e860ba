#include "base/siphash.h"

static inline uint64_t turn(uint64_t x, int n) { return x << n | x >> (64 - n); }

static inline void mix(rf_sip *s) {
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

static inline void add(rf_sip *s, uint64_t word) {
    s->v3 ^= word;
    mix(s);
    mix(s);
    s->v0 ^= word;
}

static inline uint64_t load(const uint8_t *bytes, size_t n) {
    uint64_t word = 0;
    for (size_t i = 0; i < n; i++)
        word |= (uint64_t)bytes[i] << (8 * i);
    return word;
}

rf_sip rf_sip_begin(rf_hash_key key) {
    return (rf_sip){key.k0 ^ 0x736f6d6570736575u, key.k1 ^ 0x646f72616e646f6du,
                    key.k0 ^ 0x6c7967656e657261u, key.k1 ^ 0x7465646279746573u};
}

void rf_sip_word(rf_sip *sip, uint64_t word) { add(sip, word); }

uint64_t rf_sip_end(rf_sip *sip, uint64_t last) {
    add(sip, last);
    sip->v2 ^= 0xff;
    for (int i = 0; i < 4; i++)
        mix(sip);
    return sip->v0 ^ sip->v1 ^ sip->v2 ^ sip->v3;
}

uint64_t rf_siphash(rf_hash_key key, const void *bytes, size_t n) {
    const uint8_t *at = bytes;
    rf_sip s = rf_sip_begin(key);
    for (size_t i = 0; i + 8 <= n; i += 8)
        add(&s, load(at + i, 8));
    return rf_sip_end(&s, (uint64_t)n << 56 | load(at + n / 8 * 8, n % 8));
}
