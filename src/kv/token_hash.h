/*
 * Keyed hash of a block of tokens that follows another: SipHash-2-4 (Aumasson and Bernstein,
 * "SipHash: a fast short-input PRF", 2012). Under a key that nobody outside knows, requests cannot
 * be made to collide. Pure; any thread.
 */
#ifndef RF_KV_TOKEN_HASH_H
#define RF_KV_TOKEN_HASH_H

#include <stddef.h>
#include <stdint.h>

typedef struct rf_hash_key {
    uint64_t k0, k1;
} rf_hash_key;

uint64_t rf_siphash(rf_hash_key key, const void *bytes, size_t n);
/* Of n tokens that follow a prefix whose hash is `before`. */
uint64_t rf_token_hash(rf_hash_key key, uint64_t before, const int32_t *tokens, uint32_t n);

#endif
