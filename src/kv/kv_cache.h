/*
 * The paged cache as integers: where the keys and values of every sequence lie, which prefixes are
 * kept for later, and which blocks must be copied before a step. Sequences take blocks as they
 * grow, share those of a common prefix, copy one before they write to it if others hold it too, and
 * leave theirs behind for later requests; the oldest of those that nobody holds are taken when room
 * is short. Layers with a window (a group each) keep what it can see. Knows no tensors. One thread
 * at a time; no allocation after creation.
 *
 * A sequence's life in a step: reserve (room for its new rows, copies noted), run, commit.
 */
#ifndef RF_KV_KV_CACHE_H
#define RF_KV_KV_CACHE_H

#include "kv/prefix_tree.h"

typedef struct rf_kv_config {
    uint32_t n_groups;               /* 1 to RF_KV_GROUPS */
    uint32_t windows[RF_KV_GROUPS];  /* positions that a row sees, 0 = all */
    uint32_t n_blocks[RF_KV_GROUPS]; /* of each pool */
    uint32_t block_tokens;
    uint32_t max_seqs;
    uint32_t max_context; /* of a sequence, tokens */
    rf_hash_key key;      /* of the prefixes' hashes: random, one a process */
} rf_kv_config;

typedef struct rf_kv_cache rf_kv_cache;

RF_NODISCARD rf_status rf_kv_cache_create(const rf_kv_config *config, rf_kv_cache **out,
                                          rf_error *err);
void rf_kv_cache_destroy(rf_kv_cache *cache);

/* A prefix that the cache holds; valid until the next call that changes the cache. */
typedef struct rf_kv_match {
    uint32_t n_tokens; /* of the prefix */
    uint32_t n_full;   /* blocks that are shared as they are */
    int32_t node;      /* of the last of these */
    int32_t tail;      /* node whose first n_tail tokens follow, or -1 */
    uint32_t n_tail;
} rf_kv_match;

/* The longest prefix of at most n tokens that can be had. Changes nothing. */
rf_kv_match rf_kv_cache_lookup(const rf_kv_cache *cache, uint64_t salt, const int32_t *tokens,
                               uint32_t n);
/* Sequence seq (0 … max_seqs - 1, not open) begins with a prefix; returns its tokens, fewer than
 * match->n_tokens where there is no block for a copy of the tail. match NULL: it begins empty.
 * shares false: its blocks are found by nobody. */
uint32_t rf_kv_cache_open(rf_kv_cache *cache, int32_t seq, uint64_t salt, const rf_kv_match *match,
                          bool shares);
/* `to` (not open) becomes a copy of `from` as far as it is committed. */
void rf_kv_cache_fork(rf_kv_cache *cache, int32_t from, int32_t to);
/* Gives every reference back; what is committed stays for later requests until room is short. */
void rf_kv_cache_close(rf_kv_cache *cache, int32_t seq);
uint32_t rf_kv_cache_length(const rf_kv_cache *cache, int32_t seq); /* tokens committed */

/* Blocks of a group that open would take from those that are free or idle, and reserve then for
 * the tokens up to n_tokens. For admission. */
uint32_t rf_kv_cache_need(const rf_kv_cache *cache, uint32_t group, const rf_kv_match *match,
                          uint32_t n_tokens);
uint32_t rf_kv_cache_available(const rf_kv_cache *cache, uint32_t group); /* free or idle */
/* Most rows that reserve would grant with `spare` blocks of each group left for others. */
uint32_t rf_kv_cache_room(const rf_kv_cache *cache, int32_t seq, uint32_t spare);
/* Makes n positions after the committed ones writable. False, and nothing has changed, when blocks
 * are short. Blocks that the window has passed are given back first. */
bool rf_kv_cache_reserve(rf_kv_cache *cache, int32_t seq, uint32_t n);
/* n of the reserved positions hold the keys and values of tokens[length … length + n - 1]; tokens
 * are the sequence's, from its first. What lies in those beyond is nobody's: blocks that hold
 * nothing else are given back, the rest is written over. */
void rf_kv_cache_commit(rf_kv_cache *cache, int32_t seq, const int32_t *tokens, uint32_t n);

/* Blocks of a sequence in a group, -1 where its window has passed; valid until the cache changes.
 * *n: entries. */
const int32_t *rf_kv_cache_table(const rf_kv_cache *cache, int32_t seq, uint32_t group,
                                 uint32_t *n);

/* Contents that are moved out and in again (saved sequences), between steps. A span is some blocks
 * of a prefix: those that hold its tokens from … to - 1. In a group with a window those before
 * first[group] are absent: whoever goes on after the prefix does not look at them. */
typedef struct rf_kv_span {
    uint32_t from, to;            /* tokens; from lies at the beginning of a block */
    uint32_t first[RF_KV_GROUPS]; /* block numbers in the prefix */
} rf_kv_span;

/* Blocks of a prefix that lookup has found: the span is its whole, or less from the front on where
 * a window has lost more than must be there. */
rf_kv_span rf_kv_cache_span(const rf_kv_cache *cache, const rf_kv_match *match);
/* Where n blocks of such a prefix lie, from number first on: blocks[i * n_groups + group], -1 where
 * there is none. */
void rf_kv_cache_places(const rf_kv_cache *cache, const rf_kv_match *match, uint32_t first,
                        uint32_t n, int32_t *blocks);

typedef enum rf_kv_import {
    RF_KV_IMPORT_READY,
    RF_KV_IMPORT_GONE, /* tokens before the span are not in the cache */
    RF_KV_IMPORT_FULL  /* there are not so many blocks that nobody holds */
} rf_kv_import;

/* Takes blocks for a span that follows tokens[0 … from - 1], whose blocks are kept from eviction;
 * READY: to be written, and ended before anything else. */
rf_kv_import rf_kv_cache_import_begin(rf_kv_cache *cache, uint64_t salt, const int32_t *tokens,
                                      const rf_kv_span *span);
/* The block to write number i to, or -1: it is absent. */
int32_t rf_kv_cache_import_block(const rf_kv_cache *cache, uint32_t group, uint32_t i);
/* keep: all were written; lookup finds them, and nobody holds them. Else they are given back. */
void rf_kv_cache_import_end(rf_kv_cache *cache, const int32_t *tokens, const rf_kv_span *span,
                            bool keep);

typedef struct rf_kv_copy {
    uint32_t group;
    int32_t from, to;
} rf_kv_copy;

/* Copies to make, in this order, before the rows of the step that is being built are run. */
const rf_kv_copy *rf_kv_cache_copies(const rf_kv_cache *cache, uint32_t *n);
void rf_kv_cache_copies_done(rf_kv_cache *cache);

typedef struct rf_kv_counters {
    uint64_t n_evicted;  /* idle blocks taken for new tokens */
    uint64_t n_copied;   /* blocks */
    uint64_t n_released; /* blocks that became free or idle */
} rf_kv_counters;
rf_kv_counters rf_kv_cache_counters(const rf_kv_cache *cache);

/* Every reference is a sequence's, every idle block a node's, every node reachable. For tests. */
bool rf_kv_cache_is_sound(const rf_kv_cache *cache);

#endif
