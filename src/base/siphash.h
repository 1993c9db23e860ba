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
void rf_sip_word(rf_sip *sip, uint64_t word);
uint64_t rf_sip_end(rf_sip *sip, uint64_t last);

#endif
