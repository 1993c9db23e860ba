/*
 * Blocks of the paged cache as integers: which are free, and how many sequences hold each. Knows
 * no device and no model. One thread at a time; no allocation after creation.
 */
#ifndef RF_KV_BLOCK_POOL_H
#define RF_KV_BLOCK_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"

typedef struct rf_block_pool rf_block_pool;

/* Blocks 0 … n_blocks - 1, all free. n_blocks: 1 to INT32_MAX. *out is the caller's. */
RF_NODISCARD rf_status rf_block_pool_create(uint32_t n_blocks, rf_block_pool **out, rf_error *err);
void rf_block_pool_destroy(rf_block_pool *pool);

/* Takes a free block with one reference; false when there is none. */
bool rf_block_pool_alloc(rf_block_pool *pool, int32_t *out_block);
/* A further reference to a block in use; false (and nothing changes) for any other number. */
bool rf_block_pool_ref(rf_block_pool *pool, int32_t block);
/* Gives a reference back; the last one frees the block. False for a block that is not in use. */
bool rf_block_pool_unref(rf_block_pool *pool, int32_t block);

uint32_t rf_block_pool_n_blocks(const rf_block_pool *pool);
uint32_t rf_block_pool_n_free(const rf_block_pool *pool);
uint32_t rf_block_pool_refs(const rf_block_pool *pool, int32_t block); /* 0 when free */
/* Every block is either free once or referenced. For tests and debugging. */
bool rf_block_pool_is_sound(const rf_block_pool *pool);

#endif
