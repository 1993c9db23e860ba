#include "kv/block_pool.h"

#include "base/alloc.h"

struct rf_block_pool {
    uint32_t n_blocks, n_free;
    uint32_t *refs; /* [n_blocks] */
    int32_t *free;  /* [n_blocks], a stack of n_free: the block freed last is taken first */
};

rf_status rf_block_pool_create(uint32_t n_blocks, rf_block_pool **out, rf_error *err) {
    *out = NULL;
    if (n_blocks == 0 || n_blocks > INT32_MAX)
        return rf_fail(err, RF_ERR_INVALID, "a pool of %u blocks; expected 1 to %d", n_blocks,
                       INT32_MAX);
    rf_block_pool *pool = rf_calloc(1, sizeof *pool);
    if (pool) {
        pool->refs = rf_calloc(n_blocks, sizeof *pool->refs);
        pool->free = rf_calloc(n_blocks, sizeof *pool->free);
    }
    if (!pool || !pool->refs || !pool->free) {
        rf_block_pool_destroy(pool);
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the tables of %u cache blocks",
                       n_blocks);
    }
    pool->n_blocks = pool->n_free = n_blocks;
    for (uint32_t i = 0; i < n_blocks; i++)
        pool->free[i] = (int32_t)(n_blocks - 1 - i);
    *out = pool;
    return RF_OK;
}

void rf_block_pool_destroy(rf_block_pool *pool) {
    if (!pool)
        return;
    rf_free(pool->refs);
    rf_free(pool->free);
    rf_free(pool);
}

static bool in_use(const rf_block_pool *pool, int32_t block) {
    return block >= 0 && (uint32_t)block < pool->n_blocks && pool->refs[block] > 0;
}

bool rf_block_pool_alloc(rf_block_pool *pool, int32_t *out_block) {
    if (pool->n_free == 0)
        return false;
    *out_block = pool->free[--pool->n_free];
    pool->refs[*out_block] = 1;
    return true;
}

bool rf_block_pool_ref(rf_block_pool *pool, int32_t block) {
    if (!in_use(pool, block) || pool->refs[block] == UINT32_MAX)
        return false;
    pool->refs[block]++;
    return true;
}

bool rf_block_pool_unref(rf_block_pool *pool, int32_t block) {
    if (!in_use(pool, block))
        return false;
    if (--pool->refs[block] == 0)
        pool->free[pool->n_free++] = block;
    return true;
}

uint32_t rf_block_pool_n_blocks(const rf_block_pool *pool) { return pool->n_blocks; }

uint32_t rf_block_pool_n_free(const rf_block_pool *pool) { return pool->n_free; }

uint32_t rf_block_pool_refs(const rf_block_pool *pool, int32_t block) {
    return in_use(pool, block) ? pool->refs[block] : 0;
}

bool rf_block_pool_is_sound(const rf_block_pool *pool) {
    uint64_t n_used = 0, sum = 0, squares = 0, want_sum = 0, want_squares = 0;
    for (uint32_t i = 0; i < pool->n_blocks; i++) {
        n_used += pool->refs[i] > 0;
        want_sum += pool->refs[i] ? 0 : i;
        want_squares += pool->refs[i] ? 0 : (uint64_t)i * i;
    }
    if (n_used + pool->n_free != pool->n_blocks)
        return false;
    for (uint32_t i = 0; i < pool->n_free; i++) {
        int32_t block = pool->free[i];
        if (block < 0 || (uint32_t)block >= pool->n_blocks || pool->refs[block] != 0)
            return false;
        sum += (uint64_t)block;
        squares += (uint64_t)block * (uint64_t)block;
    }
    return sum == want_sum && squares == want_squares; /* one listed twice would shift both */
}
