/* Contents of a prefix's blocks on their way out of the cache and in again. */
#include "base/checked.h"
#include "kv/cache_state.h"

/* ---- out ----------------------------------------------------------------------------------- */

static uint32_t n_blocks_of(const rf_kv_match *match) {
    return match->n_full + (match->n_tail > 0);
}

/* The node of the last block; its ancestors are those of the others. */
static int32_t last_node(const rf_kv_match *match) {
    return match->n_tail > 0 ? match->tail : match->node;
}

rf_kv_span rf_kv_cache_span(const rf_kv_cache *cache, const rf_kv_match *match) {
    rf_kv_span span = {.to = match->n_tokens};
    uint32_t size = cache->config.block_tokens, n = n_blocks_of(match);
    /* Who asks for these very tokens has the last one computed, and begins where its block does. */
    uint32_t begins = n > 0 ? (n - 1) * size : 0;
    for (uint32_t g = 0; g < cache->config.n_groups; g++) {
        uint32_t least = rf_kv_first_seen(cache, g, begins), i = n;
        for (int32_t node = last_node(match); i > least; i--) {
            const rf_prefix_node *at = rf_prefix_tree_at(cache->tree, node);
            if (at->blocks[g] < 0)
                break;
            node = at->parent;
        }
        span.first[g] = i;
    }
    return span;
}

void rf_kv_cache_places(const rf_kv_cache *cache, const rf_kv_match *match, uint32_t first,
                        uint32_t n, int32_t *blocks) {
    int32_t node = last_node(match);
    for (uint32_t i = n_blocks_of(match); i-- > first;) {
        const rf_prefix_node *at = rf_prefix_tree_at(cache->tree, node);
        for (uint32_t g = 0; i - first < n && g < cache->config.n_groups; g++)
            blocks[(i - first) * cache->config.n_groups + g] = at->blocks[g];
        node = at->parent;
    }
}

/* ---- in ------------------------------------------------------------------------------------ */

static int32_t import_seq(const rf_kv_cache *cache) { return (int32_t)cache->config.max_seqs; }

/* The node of a prefix of n_full blocks that have all that groups without a window need, or -1. */
static int32_t find_path(const rf_kv_cache *cache, uint64_t salt, const int32_t *tokens,
                         uint32_t n_full) {
    int32_t node = RF_PREFIX_ROOT;
    for (uint32_t i = 0; i < n_full; i++) {
        node = rf_prefix_tree_find(cache->tree, node, salt,
                                   tokens + (size_t)i * cache->config.block_tokens);
        if (node < 0)
            return -1;
        for (uint32_t g = 0; g < cache->config.n_groups; g++)
            if (cache->config.windows[g] == 0 &&
                rf_prefix_tree_at(cache->tree, node)->blocks[g] < 0)
                return -1;
    }
    return node;
}

/* Holds the path's blocks that whoever goes on after the span may see; those before are passed. */
static void hold_path(rf_kv_cache *cache, int32_t seq, int32_t last, const rf_kv_span *span) {
    kv_seq *s = &cache->seqs[seq];
    for (uint32_t g = 0; g < cache->config.n_groups; g++) {
        uint32_t least = rf_kv_first_seen(cache, g, span->to), i = s->n_blocks;
        int32_t *entries = rf_kv_row(cache, seq, g), node = last;
        bool follows = span->first[g] <= s->n_blocks; /* the span's own begin at once */
        for (; follows && i > least; i--) {
            const rf_prefix_node *at = rf_prefix_tree_at(cache->tree, node);
            if (!rf_block_pool_ref(cache->pools[g], at->blocks[g]))
                break;
            entries[i - 1] = at->blocks[g];
            node = at->parent;
        }
        s->n_passed[g] = i;
        while (i-- > 0)
            entries[i] = -1;
    }
}

static bool take_span(rf_kv_cache *cache, int32_t seq, const rf_kv_span *span) {
    kv_seq *s = &cache->seqs[seq];
    uint32_t begin = s->n_blocks, end = (uint32_t)rf_ceil_div(span->to, cache->config.block_tokens);
    for (uint32_t g = 0; g < cache->config.n_groups; g++)
        if (end - (span->first[g] > begin ? span->first[g] : begin) >
            rf_kv_cache_available(cache, g))
            return false;
    s->n_blocks = end;
    for (uint32_t g = 0; g < cache->config.n_groups; g++) {
        int32_t *entries = rf_kv_row(cache, seq, g);
        for (uint32_t i = begin; i < end; i++)
            entries[i] = i < span->first[g] ? -1 : rf_kv_take(cache, g);
        if (span->first[g] > begin)
            s->n_passed[g] = span->first[g];
    }
    return true;
}

rf_kv_import rf_kv_cache_import_begin(rf_kv_cache *cache, uint64_t salt, const int32_t *tokens,
                                      const rf_kv_span *span) {
    int32_t seq = import_seq(cache);
    uint32_t n_full = span->from / cache->config.block_tokens;
    int32_t node = find_path(cache, salt, tokens, n_full);
    if (node < 0)
        return RF_KV_IMPORT_GONE;
    kv_seq *s = &cache->seqs[seq];
    *s = (kv_seq){.open = true, .salt = salt, .node = -1, .length = span->from, .n_blocks = n_full};
    rf_kv_move_to(cache, s, node, n_full);
    hold_path(cache, seq, node, span);
    if (take_span(cache, seq, span))
        return RF_KV_IMPORT_READY;
    rf_kv_cache_close(cache, seq);
    return RF_KV_IMPORT_FULL;
}

int32_t rf_kv_cache_import_block(const rf_kv_cache *cache, uint32_t group, uint32_t i) {
    return rf_kv_row(cache, import_seq(cache), group)[i];
}

void rf_kv_cache_import_end(rf_kv_cache *cache, const int32_t *tokens, const rf_kv_span *span,
                            bool keep) {
    if (keep)
        rf_kv_cache_commit(cache, import_seq(cache), tokens, span->to - span->from);
    rf_kv_cache_close(cache, import_seq(cache));
}
