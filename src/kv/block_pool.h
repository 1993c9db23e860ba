/*
 * Blocks of the paged cache as integers: which are free, how many sequences hold each, and which
 * are kept for later though nobody holds them. Knows no device and no model. One thread at a time;
 * no allocation after creation.
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
/* A further reference to a block in use or idle; false (and nothing changes) for any other. */
bool rf_block_pool_ref(rf_block_pool *pool, int32_t block);
/* Gives a reference back; the last one frees the block, or makes it idle if it has an owner. False
 * for a block that is not in use. */
bool rf_block_pool_unref(rf_block_pool *pool, int32_t block);

/* A block's owner (a number >= 0: the node of the prefix tree that its contents belong to) keeps it
 * when its last reference goes: it is then idle, neither free nor in use, until someone refers to
 * it again or the owner gives it up (-1). False for a free block. */
bool rf_block_pool_set_owner(rf_block_pool *pool, int32_t block, int32_t owner);
int32_t rf_block_pool_owner(const rf_block_pool *pool, int32_t block); /* -1: none */
int32_t rf_block_pool_oldest(const rf_block_pool *pool);               /* idle for longest, or -1 */

uint32_t rf_block_pool_n_blocks(const rf_block_pool *pool);
uint32_t rf_block_pool_n_free(const rf_block_pool *pool);
uint32_t rf_block_pool_n_idle(const rf_block_pool *pool);
uint32_t rf_block_pool_refs(const rf_block_pool *pool, int32_t block); /* 0 when free or idle */
/* Every block is free once, idle once or referenced. For tests and debugging. */
bool rf_block_pool_is_sound(const rf_block_pool *pool);

#endif
