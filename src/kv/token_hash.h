/*
 * Keyed hash of a block of tokens that follows another (SipHash, base/siphash.h): under a key that
 * nobody outside knows, requests cannot be made to collide. Pure; any thread.
 */
#ifndef RF_KV_TOKEN_HASH_H
#define RF_KV_TOKEN_HASH_H

#include "base/siphash.h"

/* Of n tokens that follow a prefix whose hash is `before`. */
uint64_t rf_token_hash(rf_hash_key key, uint64_t before, const int32_t *tokens, uint32_t n);

#endif
