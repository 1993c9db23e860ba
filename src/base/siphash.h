/*
 * SipHash-2-4 (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012): under a key that
 * nobody outside knows, inputs cannot be made to collide; under a fixed one it is a checksum of 64
 * bits. The same on every machine. Pure; any thread.
 */
#ifndef RF_BASE_SIPHASH_H
#define RF_BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

typedef struct rf_hash_key {
    uint64_t k0, k1;
} rf_hash_key;

uint64_t rf_siphash(rf_hash_key key, const void *bytes, size_t n);

/* The same piece by piece: begin, words of 8 bytes, and end with what is left over (at most 7
 * bytes) below the length of everything in the highest byte. */
typedef struct rf_sip {
    uint64_t v0, v1, v2, v3;
} rf_sip;

rf_sip rf_sip_begin(rf_hash_key key);
uint64_t rf_sip_end(rf_sip *sip, uint64_t last);

/* In line: the cache hashes tokens in every step. */
static inline uint64_t rf_sip_turn(uint64_t x, int n) { return x << n | x >> (64 - n); }

static inline void rf_sip_round(rf_sip *s) {
    s->v0 += s->v1;
    s->v2 += s->v3;
    s->v1 = rf_sip_turn(s->v1, 13) ^ s->v0;
    s->v3 = rf_sip_turn(s->v3, 16) ^ s->v2;
    s->v0 = rf_sip_turn(s->v0, 32) + s->v3;
    s->v2 += s->v1;
    s->v3 = rf_sip_turn(s->v3, 21) ^ s->v0;
    s->v1 = rf_sip_turn(s->v1, 17) ^ s->v2;
    s->v2 = rf_sip_turn(s->v2, 32);
}

static inline void rf_sip_word(rf_sip *s, uint64_t word) {
    s->v3 ^= word;
    rf_sip_round(s);
    rf_sip_round(s);
    s->v0 ^= word;
}

#endif
