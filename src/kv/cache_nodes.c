/* How the prefix tree follows what sequences commit, and how idle blocks are taken from it. */
#include "kv/cache_state.h"

static bool holds_nothing(const rf_kv_cache *cache, const rf_prefix_node *node) {
    for (uint32_t g = 0; g < cache->config.n_groups; g++)
        if (node->blocks[g] >= 0)
            return false;
    return node->n_users == 0 && node->first_child < 0;
}

/* Removes a node that nobody needs, and those above it that were needed by it alone. */
static void prune(rf_kv_cache *cache, int32_t node) {
    while (node > RF_PREFIX_ROOT) {
        const rf_prefix_node *n = rf_prefix_tree_at(cache->tree, node);
        int32_t parent = n->parent;
        if (!holds_nothing(cache, n))
            return;
        rf_prefix_tree_remove(cache->tree, node);
        node = parent;
    }
}

void rf_kv_move_to(rf_kv_cache *cache, kv_seq *seq, int32_t node, uint32_t n_known) {
    int32_t before = seq->node;
    if (node >= 0)
        rf_prefix_tree_at(cache->tree, node)->n_users++;
    seq->node = node;
    seq->n_known = n_known;
    if (before < 0)
        return;
    rf_prefix_tree_at(cache->tree, before)->n_users--;
    prune(cache, before);
}

static void disown(rf_kv_cache *cache, uint32_t group, rf_prefix_node *node) {
    if (node->blocks[group] < 0)
        return;
    (void)rf_block_pool_set_owner(cache->pools[group], node->blocks[group], -1);
    node->blocks[group] = -1;
}

void rf_kv_evict(rf_kv_cache *cache, uint32_t group) {
    int32_t block = rf_block_pool_oldest(cache->pools[group]);
    if (block < 0)
        return;
    int32_t i = rf_block_pool_owner(cache->pools[group], block);
    rf_prefix_node *node = rf_prefix_tree_at(cache->tree, i);
    disown(cache, group, node);
    /* Without its block in a group that sees everything a prefix is lost, and the rest of the node
     * with it. Sequences that still see a later block hold this one, so none is looking. */
    for (uint32_t g = 0; cache->config.windows[group] == 0 && g < cache->config.n_groups; g++)
        disown(cache, g, node);
    cache->counters.n_evicted++;
    prune(cache, i);
}

/* The sequence's block i becomes that of an equal node, its own is given back. Where the node has
 * lost its block to a window's eviction, it takes the sequence's. */
static void adopt(rf_kv_cache *cache, int32_t seq, uint32_t i, int32_t equal, int32_t own) {
    rf_prefix_node *node = rf_prefix_tree_at(cache->tree, equal);
    for (uint32_t g = 0; g < cache->config.n_groups; g++) {
        int32_t *entry = rf_kv_row(cache, seq, g) + i;
        if (*entry < 0 || *entry == node->blocks[g])
            continue;
        if (own >= 0)
            disown(cache, g, rf_prefix_tree_at(cache->tree, own));
        if (node->blocks[g] < 0) {
            node->blocks[g] = *entry;
            (void)rf_block_pool_set_owner(cache->pools[g], *entry, equal);
            continue;
        }
        (void)rf_block_pool_ref(cache->pools[g], node->blocks[g]);
        rf_kv_give(cache, g, *entry);
        *entry = node->blocks[g];
    }
    rf_kv_move_to(cache, &cache->seqs[seq], equal, i + 1);
}

/* A node of the sequence's own for its block i, or -1: the tree has no room. */
static int32_t add_node(rf_kv_cache *cache, int32_t seq, uint32_t i, int32_t parent) {
    kv_seq *s = &cache->seqs[seq];
    int32_t own = rf_prefix_tree_add(cache->tree, parent, s->salt);
    if (own < 0)
        return -1;
    rf_prefix_node *node = rf_prefix_tree_at(cache->tree, own);
    for (uint32_t g = 0; g < cache->config.n_groups; g++) {
        node->blocks[g] = rf_kv_row(cache, seq, g)[i];
        if (node->blocks[g] >= 0)
            (void)rf_block_pool_set_owner(cache->pools[g], node->blocks[g], own);
    }
    return own;
}

void rf_kv_learn(rf_kv_cache *cache, int32_t seq, const int32_t *tokens, uint32_t i, uint32_t n) {
    kv_seq *s = &cache->seqs[seq];
    uint32_t size = cache->config.block_tokens;
    const int32_t *from = tokens + (size_t)i * size;
    int32_t last = s->n_known == i + 1 ? s->node : -1; /* the node that knew the block so far */
    int32_t parent = last >= 0 ? rf_prefix_tree_at(cache->tree, last)->parent : s->node;
    /* After a fork that node may be the other sequence's. */
    const int32_t *entry = rf_kv_row(cache, seq, 0) + i;
    bool mine = s->owns_tail || rf_block_pool_owner(cache->pools[0], *entry) == last;
    int32_t own = last >= 0 && mine ? last : -1;
    if (n == size) {
        int32_t equal = rf_prefix_tree_find(cache->tree, parent, s->salt, from);
        if (equal >= 0 && equal != own) {
            adopt(cache, seq, i, equal, own);
            return;
        }
    }
    if (own < 0)
        own = add_node(cache, seq, i, parent);
    if (own < 0) {
        rf_kv_move_to(cache, s, -1, 0);
        return;
    }
    uint32_t had = rf_prefix_tree_at(cache->tree, own)->n_tokens;
    rf_prefix_tree_append(cache->tree, own, from + had, n - had);
    if (own != s->node)
        rf_kv_move_to(cache, s, own, i + 1);
}
