/*
 * Which prefixes the cache holds: a tree of blocks of tokens. A node is one block that follows its
 * parent; its place is found by a chained keyed hash and then compared, parent and tokens, so that
 * two prefixes are never taken for one another. The last block of a prefix may be short and grow;
 * only full ones have children. Knows block numbers, not pools. One thread at a time; no allocation
 * after creation.
 */
#ifndef RF_KV_PREFIX_TREE_H
#define RF_KV_PREFIX_TREE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "kv/token_hash.h"

enum { RF_KV_GROUPS = 4, RF_PREFIX_ROOT = 0 };

typedef struct rf_prefix_node {
    int32_t parent;               /* -1: the root, and nodes that are not in use */
    int32_t first_child;          /* the newest, or -1 */
    int32_t newer, older;         /* siblings, or -1 */
    int32_t next_in_slot;         /* full nodes of one slot of the hash table */
    uint32_t n_tokens, n_users;   /* users: sequences whose last token lies in this node */
    uint64_t hash;                /* of the prefix up to here; the salt's for the root's children */
    int32_t blocks[RF_KV_GROUPS]; /* where its keys and values lie, or -1 */
} rf_prefix_node;

typedef struct rf_prefix_tree rf_prefix_tree;

/* Room for n_nodes nodes, the root among them. */
RF_NODISCARD rf_status rf_prefix_tree_create(uint32_t n_nodes, uint32_t block_tokens,
                                             rf_hash_key key, rf_prefix_tree **out, rf_error *err);
void rf_prefix_tree_destroy(rf_prefix_tree *tree);

/* Valid until the node is removed. Callers change n_users and blocks alone. */
rf_prefix_node *rf_prefix_tree_at(const rf_prefix_tree *tree, int32_t node);
const int32_t *rf_prefix_tree_tokens(const rf_prefix_tree *tree, int32_t node);
uint32_t rf_prefix_tree_n_nodes(const rf_prefix_tree *tree); /* in use, the root among them */

/* The full child of parent with these block_tokens tokens, or -1. salt keeps apart those who shall
 * not share (a tenant, an adapter); it counts for children of the root. */
int32_t rf_prefix_tree_find(const rf_prefix_tree *tree, int32_t parent, uint64_t salt,
                            const int32_t *tokens);
/* Among the newest children of parent that have a block in each of n_groups groups, the one that
 * begins with most of the n tokens; *n_same says how many. -1: none with any. */
int32_t rf_prefix_tree_nearest(const rf_prefix_tree *tree, int32_t parent, uint64_t salt,
                               const int32_t *tokens, uint32_t n, uint32_t n_groups,
                               uint32_t *n_same);

/* A new child without tokens and blocks, or -1 when there is no room. */
int32_t rf_prefix_tree_add(rf_prefix_tree *tree, int32_t parent, uint64_t salt);
/* Further tokens, block_tokens in all at most. A node that becomes full must not be another's
 * equal: see find. */
void rf_prefix_tree_append(rf_prefix_tree *tree, int32_t node, const int32_t *tokens, uint32_t n);
/* A node that has no children and no users. */
void rf_prefix_tree_remove(rf_prefix_tree *tree, int32_t node);
/* Links and hashes agree. For tests and debugging. */
bool rf_prefix_tree_is_sound(const rf_prefix_tree *tree);

#endif
