/* The paged cache as its own files see it; private to kv/. One thread at a time. */
#ifndef RF_KV_CACHE_STATE_H
#define RF_KV_CACHE_STATE_H

#include "kv/block_pool.h"
#include "kv/kv_cache.h"

typedef struct kv_seq {
    bool open;
    uint64_t salt;
    uint32_t length;                 /* tokens committed */
    uint32_t n_blocks;               /* entries in each group's table */
    uint32_t n_passed[RF_KV_GROUPS]; /* entries at the front that are given back */
    int32_t node;                    /* where the prefix tree knows its committed blocks, or -1 */
    uint32_t n_known;                /* blocks that node and its ancestors are */
    bool owns_tail;                  /* it wrote the last block, and nobody shares that since */
} kv_seq;

struct rf_kv_cache {
    rf_kv_config config;
    uint32_t max_blocks; /* of a sequence */
    uint32_t row_stride; /* entries from one table to the next: an odd number of cache lines, so
                            that the same entry of many tables does not fall into few sets */
    bool all_windowed;   /* no group keeps everything */
    bool any_windowed;
    rf_block_pool *pools[RF_KV_GROUPS];
    rf_prefix_tree *tree;
    uint32_t n_seqs;    /* max_seqs and one more, for what is moved in */
    kv_seq *seqs;       /* [n_seqs] */
    int32_t *tables;    /* [n_seqs][n_groups][row_stride] */
    rf_kv_copy *copies; /* [max_copies] */
    uint32_t n_copies, max_copies;
    rf_kv_counters counters;
};

static inline int32_t *rf_kv_row(const rf_kv_cache *cache, int32_t seq, uint32_t group) {
    return cache->tables +
           ((size_t)seq * cache->config.n_groups + group) * (size_t)cache->row_stride;
}

/* First block that a row at `position` sees in a group. */
static inline uint32_t rf_kv_first_seen(const rf_kv_cache *cache, uint32_t group,
                                        uint32_t position) {
    uint32_t window = cache->config.windows[group];
    return window == 0 || position < window ? 0
                                            : (position + 1 - window) / cache->config.block_tokens;
}

/* A block with one reference, an idle one if none is free; -1 when there is neither. */
int32_t rf_kv_take(rf_kv_cache *cache, uint32_t group);
void rf_kv_give(rf_kv_cache *cache, uint32_t group, int32_t block);
bool rf_kv_note_copy(rf_kv_cache *cache, uint32_t group, int32_t from, int32_t to);

/* Where the tree knows a sequence: moves its use from one node to another (-1: nowhere). */
void rf_kv_move_to(rf_kv_cache *cache, kv_seq *seq, int32_t node, uint32_t n_known);
/* Block number i of the sequence now holds n tokens: the tree learns it. */
void rf_kv_learn(rf_kv_cache *cache, int32_t seq, const int32_t *tokens, uint32_t i, uint32_t n);
/* Takes the oldest idle block of a group from its node. */
void rf_kv_evict(rf_kv_cache *cache, uint32_t group);

#endif
