/*
 * Where one sequence's cache lies in one group of layers: the block of each run of block_tokens
 * positions. Blocks at the front that a window has passed may be given back before the rest. Holds
 * one reference to each block that it lists. One thread at a time.
 */
#ifndef RF_KV_BLOCK_TABLE_H
#define RF_KV_BLOCK_TABLE_H

#include "kv/block_pool.h"

typedef struct rf_block_table {
    int32_t *blocks;     /* [max_blocks], owned; -1 below n_passed */
    uint32_t max_blocks; /* the longest sequence's */
    uint32_t n_blocks;   /* entries in use, those passed included */
    uint32_t n_passed;   /* entries at the front whose blocks are given back */
} rf_block_table;

RF_NODISCARD rf_status rf_block_table_init(rf_block_table *table, uint32_t max_blocks,
                                           rf_error *err);
/* The blocks must have been given back (shrink to 0) or die with their pool; safe on a zeroed
 * table. */
void rf_block_table_deinit(rf_block_table *table);

/* Takes blocks until there are n_blocks entries. False, and nothing has changed, when the pool or
 * max_blocks does not suffice. */
bool rf_block_table_grow(rf_block_table *table, rf_block_pool *pool, uint32_t n_blocks);
/* Gives back the blocks from entry n_blocks on. */
void rf_block_table_shrink(rf_block_table *table, rf_block_pool *pool, uint32_t n_blocks);
/* Gives back the blocks before entry n_passed; returns how many. */
uint32_t rf_block_table_pass(rf_block_table *table, rf_block_pool *pool, uint32_t n_passed);

#endif
