/* Prefixes that the cache holds: looked up, counted for admission, and begun with. */
#include "base/checked.h"
#include "kv/cache_state.h"

/* A tail is copied for at least an eighth of a block: a common first token is not worth it. */
static uint32_t least_tail(const rf_kv_cache *cache) {
    uint32_t least = cache->config.block_tokens / 8;
    return least > 0 ? least : 1;
}

/* Blocks of path node n_full, counted backwards, that each windowed group still has in a row. */
typedef struct runs {
    uint32_t n[RF_KV_GROUPS];
} runs;

static bool window_is_there(const rf_kv_cache *cache, const runs *run, uint32_t n_full) {
    for (uint32_t g = 0; g < cache->config.n_groups; g++) {
        uint32_t first = rf_kv_first_seen(cache, g, n_full * cache->config.block_tokens);
        if (first < n_full && run->n[g] < n_full - first)
            return false;
    }
    return true;
}

rf_kv_match rf_kv_cache_lookup(const rf_kv_cache *cache, uint64_t salt, const int32_t *tokens,
                               uint32_t n) {
    uint32_t size = cache->config.block_tokens, n_full = 0;
    rf_kv_match match = {.node = RF_PREFIX_ROOT, .tail = -1};
    runs run = {{0}};
    for (int32_t node = RF_PREFIX_ROOT; (n_full + 1) * (uint64_t)size <= n;) {
        node = rf_prefix_tree_find(cache->tree, node, salt, tokens + (size_t)n_full * size);
        if (node < 0)
            break;
        const rf_prefix_node *at = rf_prefix_tree_at(cache->tree, node);
        for (uint32_t g = 0; g < cache->config.n_groups; g++)
            run.n[g] = at->blocks[g] < 0 ? 0 : run.n[g] + 1;
        n_full++;
        if (window_is_there(cache, &run, n_full)) {
            match.n_full = n_full;
            match.node = node;
        }
    }
    match.n_tokens = match.n_full * size;
    match.tail = rf_prefix_tree_nearest(cache->tree, match.node, salt, tokens + match.n_tokens,
                                        n - match.n_tokens, cache->config.n_groups, &match.n_tail);
    if (match.n_tail < least_tail(cache)) {
        match.tail = -1;
        match.n_tail = 0;
    }
    match.n_tokens += match.n_tail;
    return match;
}

/* Whether the tail's own block can be gone on with: nobody holds it, and it has no other tokens. */
static bool can_resume(const rf_kv_cache *cache, const rf_kv_match *match) {
    const rf_prefix_node *tail = rf_prefix_tree_at(cache->tree, match->tail);
    if (tail->n_tokens != match->n_tail || tail->n_tokens == cache->config.block_tokens)
        return false;
    for (uint32_t g = 0; g < cache->config.n_groups; g++)
        if (rf_block_pool_refs(cache->pools[g], tail->blocks[g]) > 0)
            return false;
    return true;
}

uint32_t rf_kv_cache_need(const rf_kv_cache *cache, uint32_t group, const rf_kv_match *match,
                          uint32_t n_tokens) {
    uint32_t size = cache->config.block_tokens, window = cache->config.windows[group];
    uint32_t first = rf_kv_first_seen(cache, group, match->n_tokens), n_idle = 0;
    int32_t node = match->node;
    for (uint32_t i = match->n_full; i-- > first;) {
        const rf_prefix_node *at = rf_prefix_tree_at(cache->tree, node);
        bool idle = rf_block_pool_refs(cache->pools[group], at->blocks[group]) == 0;
        if (!idle && window == 0)
            break; /* whoever holds it holds what is before it */
        n_idle += idle;
        node = at->parent;
    }
    uint32_t end = (uint32_t)rf_ceil_div(n_tokens, size);
    uint32_t n_more = end > match->n_full ? end - match->n_full : 0;
    uint32_t need = n_idle + n_more, n_seen = (uint32_t)rf_ceil_div(window, size) + 2;
    return window == 0 || need < n_seen ? need : n_seen; /* a window gives back as it moves */
}

static void share_full(rf_kv_cache *cache, int32_t seq, const rf_kv_match *match) {
    kv_seq *s = &cache->seqs[seq];
    uint32_t length = match->n_full * cache->config.block_tokens;
    for (uint32_t g = 0; g < cache->config.n_groups; g++) {
        int32_t *entries = rf_kv_row(cache, seq, g), node = match->node;
        uint32_t first = rf_kv_first_seen(cache, g, length);
        s->n_passed[g] = first < match->n_full ? first : match->n_full;
        for (uint32_t i = match->n_full; i-- > 0;) {
            const rf_prefix_node *at = rf_prefix_tree_at(cache->tree, node);
            entries[i] = i < s->n_passed[g] ? -1 : at->blocks[g];
            (void)rf_block_pool_ref(cache->pools[g], entries[i]);
            node = at->parent;
        }
    }
    s->length = length;
    s->n_blocks = match->n_full;
}

/* Blocks for a copy of the tail in every group, or none. */
static bool copy_tail(rf_kv_cache *cache, int32_t seq, const rf_prefix_node *tail) {
    kv_seq *s = &cache->seqs[seq];
    uint32_t n_groups = cache->config.n_groups, n = 0;
    int32_t from[RF_KV_GROUPS];
    if (cache->n_copies + n_groups > cache->max_copies)
        return false;
    for (uint32_t g = 0; g < n_groups; g++) { /* not to be evicted for its own copy */
        from[g] = tail->blocks[g];
        (void)rf_block_pool_ref(cache->pools[g], from[g]);
    }
    while (n < n_groups && rf_kv_cache_available(cache, n) > 0) {
        rf_kv_row(cache, seq, n)[s->n_blocks] = rf_kv_take(cache, n);
        n++;
    }
    for (uint32_t g = 0; g < n_groups; g++) {
        int32_t *entry = rf_kv_row(cache, seq, g) + s->n_blocks;
        if (n == n_groups)
            (void)rf_kv_note_copy(cache, g, from[g], *entry);
        else if (g < n)
            rf_kv_give(cache, g, *entry);
        rf_kv_give(cache, g, from[g]);
    }
    return n == n_groups;
}

static void begin_tail(rf_kv_cache *cache, int32_t seq, const rf_kv_match *match, bool shares) {
    kv_seq *s = &cache->seqs[seq];
    const rf_prefix_node *tail = rf_prefix_tree_at(cache->tree, match->tail);
    if (shares && can_resume(cache, match)) {
        for (uint32_t g = 0; g < cache->config.n_groups; g++) {
            rf_kv_row(cache, seq, g)[s->n_blocks] = tail->blocks[g];
            (void)rf_block_pool_ref(cache->pools[g], tail->blocks[g]);
        }
        rf_kv_move_to(cache, s, match->tail, match->n_full + 1);
    } else if (!copy_tail(cache, seq, tail)) {
        return;
    }
    s->n_blocks++;
    s->length += match->n_tail;
}

uint32_t rf_kv_cache_open(rf_kv_cache *cache, int32_t seq, uint64_t salt, const rf_kv_match *match,
                          bool shares) {
    kv_seq *s = &cache->seqs[seq];
    *s = (kv_seq){.open = true, .salt = salt, .node = -1};
    if (shares)
        rf_kv_move_to(cache, s, match ? match->node : RF_PREFIX_ROOT, match ? match->n_full : 0);
    if (match) {
        share_full(cache, seq, match);
        if (match->tail >= 0)
            begin_tail(cache, seq, match, shares);
    }
    return s->length;
}
