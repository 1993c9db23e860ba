#include "kv/block_pool.h"

#include "base/alloc.h"

typedef struct block {
    uint32_t refs;
    int32_t owner;      /* -1: none */
    int32_t prev, next; /* idle: neighbours in the list, -1 at its ends */
} block;

struct rf_block_pool {
    uint32_t n_blocks, n_free, n_idle;
    block *blocks;          /* [n_blocks] */
    int32_t *free;          /* [n_blocks], a stack of n_free: the block freed last is taken first */
    int32_t oldest, newest; /* ends of the list of idle blocks, or -1 */
};

rf_status rf_block_pool_create(uint32_t n_blocks, rf_block_pool **out, rf_error *err) {
    *out = NULL;
    if (n_blocks == 0 || n_blocks > INT32_MAX)
        return rf_fail(err, RF_ERR_INVALID, "a pool of %u blocks; expected 1 to %d", n_blocks,
                       INT32_MAX);
    rf_block_pool *pool = rf_calloc(1, sizeof *pool);
    if (pool) {
        pool->blocks = rf_calloc(n_blocks, sizeof *pool->blocks);
        pool->free = rf_calloc(n_blocks, sizeof *pool->free);
    }
    if (!pool || !pool->blocks || !pool->free) {
        rf_block_pool_destroy(pool);
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the tables of %u cache blocks",
                       n_blocks);
    }
    pool->n_blocks = pool->n_free = n_blocks;
    pool->oldest = pool->newest = -1;
    for (uint32_t i = 0; i < n_blocks; i++) {
        pool->free[i] = (int32_t)(n_blocks - 1 - i);
        pool->blocks[i] = (block){.owner = -1, .prev = -1, .next = -1};
    }
    *out = pool;
    return RF_OK;
}

void rf_block_pool_destroy(rf_block_pool *pool) {
    if (!pool)
        return;
    rf_free(pool->blocks);
    rf_free(pool->free);
    rf_free(pool);
}

/* The block, or NULL for a number outside the pool or a free one. */
static block *taken(const rf_block_pool *pool, int32_t i) {
    if (i < 0 || (uint32_t)i >= pool->n_blocks)
        return NULL;
    block *b = &pool->blocks[i];
    return b->refs > 0 || b->owner >= 0 ? b : NULL;
}

static void add_idle(rf_block_pool *pool, int32_t i) {
    block *b = &pool->blocks[i];
    b->prev = pool->newest;
    b->next = -1;
    if (pool->newest >= 0)
        pool->blocks[pool->newest].next = i;
    else
        pool->oldest = i;
    pool->newest = i;
    pool->n_idle++;
}

static void remove_idle(rf_block_pool *pool, int32_t i) {
    block *b = &pool->blocks[i];
    if (b->prev >= 0)
        pool->blocks[b->prev].next = b->next;
    else
        pool->oldest = b->next;
    if (b->next >= 0)
        pool->blocks[b->next].prev = b->prev;
    else
        pool->newest = b->prev;
    b->prev = b->next = -1;
    pool->n_idle--;
}

bool rf_block_pool_alloc(rf_block_pool *pool, int32_t *out_block) {
    if (pool->n_free == 0)
        return false;
    *out_block = pool->free[--pool->n_free];
    pool->blocks[*out_block].refs = 1;
    return true;
}

bool rf_block_pool_ref(rf_block_pool *pool, int32_t i) {
    block *b = taken(pool, i);
    if (!b || b->refs == UINT32_MAX)
        return false;
    if (b->refs == 0)
        remove_idle(pool, i);
    b->refs++;
    return true;
}

bool rf_block_pool_unref(rf_block_pool *pool, int32_t i) {
    block *b = taken(pool, i);
    if (!b || b->refs == 0)
        return false;
    if (--b->refs > 0)
        return true;
    if (b->owner >= 0)
        add_idle(pool, i);
    else
        pool->free[pool->n_free++] = i;
    return true;
}

bool rf_block_pool_set_owner(rf_block_pool *pool, int32_t i, int32_t owner) {
    block *b = taken(pool, i);
    if (!b)
        return false;
    if (b->refs == 0 && owner < 0) {
        remove_idle(pool, i);
        pool->free[pool->n_free++] = i;
    }
    b->owner = owner < 0 ? -1 : owner;
    return true;
}

int32_t rf_block_pool_owner(const rf_block_pool *pool, int32_t i) {
    const block *b = taken(pool, i);
    return b ? b->owner : -1;
}

int32_t rf_block_pool_oldest(const rf_block_pool *pool) { return pool->oldest; }

uint32_t rf_block_pool_n_blocks(const rf_block_pool *pool) { return pool->n_blocks; }

uint32_t rf_block_pool_n_free(const rf_block_pool *pool) { return pool->n_free; }

uint32_t rf_block_pool_n_idle(const rf_block_pool *pool) { return pool->n_idle; }

uint32_t rf_block_pool_refs(const rf_block_pool *pool, int32_t i) {
    const block *b = taken(pool, i);
    return b ? b->refs : 0;
}

/* The idle list holds exactly the owned blocks without references, linked both ways. */
static bool idle_is_sound(const rf_block_pool *pool) {
    uint32_t n = 0;
    int32_t prev = -1;
    for (int32_t i = pool->oldest; i >= 0; prev = i, i = pool->blocks[i].next) {
        const block *b = &pool->blocks[i];
        if (b->refs != 0 || b->owner < 0 || b->prev != prev || ++n > pool->n_idle)
            return false;
    }
    return n == pool->n_idle && pool->newest == prev;
}

bool rf_block_pool_is_sound(const rf_block_pool *pool) {
    uint64_t n_used = 0, sum = 0, squares = 0, want_sum = 0, want_squares = 0;
    for (uint32_t i = 0; i < pool->n_blocks; i++) {
        bool used = pool->blocks[i].refs > 0 || pool->blocks[i].owner >= 0;
        n_used += used;
        want_sum += used ? 0 : i;
        want_squares += used ? 0 : (uint64_t)i * i;
    }
    if (n_used + pool->n_free != pool->n_blocks)
        return false;
    for (uint32_t i = 0; i < pool->n_free; i++) {
        int32_t at = pool->free[i];
        if (at < 0 || (uint32_t)at >= pool->n_blocks || taken(pool, at))
            return false;
        sum += (uint64_t)at;
        squares += (uint64_t)at * (uint64_t)at;
    }
    /* One listed twice would shift both sums. */
    return sum == want_sum && squares == want_squares && idle_is_sound(pool);
}
