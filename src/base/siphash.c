#include "base/siphash.h"

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

uint64_t rf_sip_end(rf_sip *sip, uint64_t last) {
    rf_sip_word(sip, last);
    sip->v2 ^= 0xff;
    for (int i = 0; i < 4; i++)
        rf_sip_round(sip);
    return sip->v0 ^ sip->v1 ^ sip->v2 ^ sip->v3;
}

uint64_t rf_siphash(rf_hash_key key, const void *bytes, size_t n) {
    const uint8_t *at = bytes;
    rf_sip s = rf_sip_begin(key);
    for (size_t i = 0; i + 8 <= n; i += 8)
        rf_sip_word(&s, load(at + i, 8));
    return rf_sip_end(&s, (uint64_t)n << 56 | load(at + n / 8 * 8, n % 8));
}
