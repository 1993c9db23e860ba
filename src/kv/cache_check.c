/* Whether the cache's tables, pools and tree agree: what tests ask after every step. */
#include "base/alloc.h"
#include "kv/cache_state.h"

static bool node_is_known(const rf_kv_cache *cache, const kv_seq *s, int32_t seq) {
    int32_t node = s->node;
    for (uint32_t i = s->n_known; i-- > 0;) {
        const rf_prefix_node *at = rf_prefix_tree_at(cache->tree, node);
        if (node <= RF_PREFIX_ROOT || at->parent < 0)
            return false;
        for (uint32_t g = 0; g < cache->config.n_groups && i + 1 < s->n_known; g++) {
            int32_t entry = rf_kv_row(cache, seq, g)[i];
            if (entry >= 0 && entry != at->blocks[g])
                return false;
        }
        node = at->parent;
    }
    return node == RF_PREFIX_ROOT;
}

static bool seq_is_sound(const rf_kv_cache *cache, int32_t seq, uint32_t *refs[RF_KV_GROUPS],
                         uint32_t *users) {
    const kv_seq *s = &cache->seqs[seq];
    if (!s->open)
        return s->n_blocks == 0;
    if ((uint64_t)s->n_blocks * cache->config.block_tokens < s->length)
        return false;
    for (uint32_t g = 0; g < cache->config.n_groups; g++) {
        const int32_t *entries = rf_kv_row(cache, seq, g);
        for (uint32_t i = 0; i < s->n_blocks; i++) {
            if (i < s->n_passed[g] ? entries[i] != -1 : entries[i] < 0)
                return false;
            if (entries[i] >= 0)
                refs[g][entries[i]]++;
        }
    }
    *users += s->node >= 0;
    return s->node < 0 || node_is_known(cache, s, seq);
}

static bool pool_is_sound(const rf_kv_cache *cache, uint32_t group, const uint32_t *refs,
                          uint32_t *n_owned) {
    const rf_block_pool *pool = cache->pools[group];
    if (!rf_block_pool_is_sound(pool))
        return false;
    for (uint32_t b = 0; b < cache->config.n_blocks[group]; b++) {
        int32_t owner = rf_block_pool_owner(pool, (int32_t)b);
        if (rf_block_pool_refs(pool, (int32_t)b) != refs[b])
            return false;
        if (owner < 0)
            continue;
        const rf_prefix_node *node = rf_prefix_tree_at(cache->tree, owner);
        if (node->parent < 0 || node->blocks[group] != (int32_t)b)
            return false;
        ++*n_owned;
    }
    return true;
}

/* Users add up, and no node is kept for nothing. */
static bool nodes_are_sound(const rf_kv_cache *cache, uint32_t n_users, uint32_t n_owned) {
    uint32_t users = 0, owned = 0, seen = 1;
    uint32_t n_nodes = rf_prefix_tree_n_nodes(cache->tree);
    if (!rf_prefix_tree_is_sound(cache->tree))
        return false;
    users += rf_prefix_tree_at(cache->tree, RF_PREFIX_ROOT)->n_users;
    for (int32_t i = 1; seen < n_nodes; i++) {
        const rf_prefix_node *node = rf_prefix_tree_at(cache->tree, i);
        if (node->parent < 0)
            continue;
        seen++;
        users += node->n_users;
        uint32_t held = 0;
        for (uint32_t g = 0; g < cache->config.n_groups; g++)
            held += node->blocks[g] >= 0;
        owned += held;
        if (held == 0 && node->n_users == 0 && node->first_child < 0)
            return false;
    }
    return users == n_users && owned == n_owned;
}

bool rf_kv_cache_is_sound(const rf_kv_cache *cache) {
    uint32_t *refs[RF_KV_GROUPS] = {NULL}, n_users = 0, n_owned = 0;
    bool sound = true;
    for (uint32_t g = 0; g < cache->config.n_groups; g++) {
        refs[g] = rf_calloc(cache->config.n_blocks[g], sizeof *refs[g]);
        sound &= refs[g] != NULL;
    }
    for (uint32_t s = 0; sound && s < cache->n_seqs; s++)
        sound = seq_is_sound(cache, (int32_t)s, refs, &n_users);
    for (uint32_t g = 0; sound && g < cache->config.n_groups; g++)
        sound = pool_is_sound(cache, g, refs[g], &n_owned);
    for (uint32_t g = 0; g < cache->config.n_groups; g++)
        rf_free(refs[g]);
    return sound && nodes_are_sound(cache, n_users, n_owned);
}
