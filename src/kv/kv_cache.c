#include "kv/kv_cache.h"

#include "base/alloc.h"
#include "base/checked.h"
#include "kv/cache_state.h"

/* ---- life ---------------------------------------------------------------------------------- */

static rf_status check(const rf_kv_config *config, rf_error *err) {
    if (config->n_groups < 1 || config->n_groups > RF_KV_GROUPS || config->block_tokens == 0 ||
        config->max_seqs == 0 || config->max_context == 0)
        return rf_fail(err, RF_ERR_INVALID,
                       "a cache of %u groups (1 to %d), blocks of %u tokens, %u sequences of %u "
                       "tokens",
                       config->n_groups, RF_KV_GROUPS, config->block_tokens, config->max_seqs,
                       config->max_context);
    return RF_OK;
}

static rf_status take_memory(rf_kv_cache *cache, rf_error *err) {
    const rf_kv_config *config = &cache->config;
    uint64_t n_nodes = 1;
    size_t n_entries;
    for (uint32_t g = 0; g < config->n_groups; g++) {
        RF_TRY(rf_block_pool_create(config->n_blocks[g], &cache->pools[g], err));
        n_nodes += config->n_blocks[g];
    }
    if (cache->all_windowed) /* passed blocks leave nodes behind that hold none */
        n_nodes += (uint64_t)cache->max_blocks * config->max_seqs;
    n_nodes = n_nodes < INT32_MAX / 2 ? n_nodes : INT32_MAX / 2;
    RF_TRY(rf_prefix_tree_create((uint32_t)n_nodes, config->block_tokens, config->key, &cache->tree,
                                 err));
    cache->max_copies = 2 * config->max_seqs * config->n_groups;
    cache->n_seqs = config->max_seqs + 1;
    cache->seqs = rf_calloc(cache->n_seqs, sizeof *cache->seqs);
    cache->copies = rf_calloc(cache->max_copies, sizeof *cache->copies);
    if (rf_mul_size((size_t)cache->n_seqs * config->n_groups, cache->row_stride, &n_entries))
        cache->tables = rf_calloc(n_entries, sizeof *cache->tables);
    if (!cache->seqs || !cache->copies || !cache->tables)
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for %u sequences of %u cache blocks",
                       config->max_seqs, cache->max_blocks);
    return RF_OK;
}

rf_status rf_kv_cache_create(const rf_kv_config *config, rf_kv_cache **out, rf_error *err) {
    *out = NULL;
    RF_TRY(check(config, err));
    rf_kv_cache *cache = rf_calloc(1, sizeof *cache);
    if (!cache)
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the cache");
    cache->config = *config;
    cache->max_blocks = (uint32_t)rf_ceil_div(config->max_context, config->block_tokens);
    cache->row_stride = (cache->max_blocks + 15) / 16 * 16 | 16;
    cache->all_windowed = true;
    for (uint32_t g = 0; g < config->n_groups; g++) {
        cache->all_windowed &= config->windows[g] != 0;
        cache->any_windowed |= config->windows[g] != 0;
    }
    rf_status status = take_memory(cache, err);
    if (status != RF_OK)
        rf_kv_cache_destroy(cache);
    else
        *out = cache;
    return status;
}

void rf_kv_cache_destroy(rf_kv_cache *cache) {
    if (!cache)
        return;
    for (uint32_t g = 0; g < RF_KV_GROUPS; g++)
        rf_block_pool_destroy(cache->pools[g]);
    rf_prefix_tree_destroy(cache->tree);
    rf_free(cache->seqs);
    rf_free(cache->copies);
    rf_free(cache->tables);
    rf_free(cache);
}

/* ---- blocks -------------------------------------------------------------------------------- */

int32_t rf_kv_take(rf_kv_cache *cache, uint32_t group) {
    int32_t block = -1;
    if (rf_block_pool_n_free(cache->pools[group]) == 0)
        rf_kv_evict(cache, group);
    (void)rf_block_pool_alloc(cache->pools[group], &block);
    return block;
}

void rf_kv_give(rf_kv_cache *cache, uint32_t group, int32_t block) {
    if (rf_block_pool_unref(cache->pools[group], block) &&
        rf_block_pool_refs(cache->pools[group], block) == 0)
        cache->counters.n_released++;
}

bool rf_kv_note_copy(rf_kv_cache *cache, uint32_t group, int32_t from, int32_t to) {
    if (cache->n_copies == cache->max_copies)
        return false;
    cache->copies[cache->n_copies++] = (rf_kv_copy){group, from, to};
    cache->counters.n_copied++;
    return true;
}

const rf_kv_copy *rf_kv_cache_copies(const rf_kv_cache *cache, uint32_t *n) {
    *n = cache->n_copies;
    return cache->copies;
}

void rf_kv_cache_copies_done(rf_kv_cache *cache) { cache->n_copies = 0; }

uint32_t rf_kv_cache_available(const rf_kv_cache *cache, uint32_t group) {
    return rf_block_pool_n_free(cache->pools[group]) + rf_block_pool_n_idle(cache->pools[group]);
}

rf_kv_counters rf_kv_cache_counters(const rf_kv_cache *cache) { return cache->counters; }

uint32_t rf_kv_cache_length(const rf_kv_cache *cache, int32_t seq) {
    return cache->seqs[seq].length;
}

const int32_t *rf_kv_cache_table(const rf_kv_cache *cache, int32_t seq, uint32_t group,
                                 uint32_t *n) {
    *n = cache->seqs[seq].n_blocks;
    return rf_kv_row(cache, seq, group);
}

/* ---- sequences ----------------------------------------------------------------------------- */

void rf_kv_cache_fork(rf_kv_cache *cache, int32_t from, int32_t to) {
    kv_seq *source = &cache->seqs[from], *copy = &cache->seqs[to];
    source->owns_tail = false;
    *copy = *source;
    copy->node = -1;
    copy->n_blocks = (uint32_t)rf_ceil_div(source->length, cache->config.block_tokens);
    for (uint32_t g = 0; g < cache->config.n_groups; g++) {
        const int32_t *entries = rf_kv_row(cache, from, g);
        int32_t *copied = rf_kv_row(cache, to, g);
        for (uint32_t i = 0; i < copy->n_blocks; i++) {
            copied[i] = entries[i];
            (void)rf_block_pool_ref(cache->pools[g], entries[i]);
        }
    }
    rf_kv_move_to(cache, copy, source->node, source->n_known);
}

void rf_kv_cache_close(rf_kv_cache *cache, int32_t seq) {
    kv_seq *s = &cache->seqs[seq];
    if (!s->open)
        return;
    /* From the last block to the first, so that the ends of prefixes are the oldest. */
    for (uint32_t g = 0; g < cache->config.n_groups; g++) {
        for (uint32_t i = s->n_blocks; i-- > s->n_passed[g];)
            rf_kv_give(cache, g, rf_kv_row(cache, seq, g)[i]);
    }
    rf_kv_move_to(cache, s, -1, 0);
    *s = (kv_seq){.node = -1};
}

/* ---- rows ---------------------------------------------------------------------------------- */

static void pass(rf_kv_cache *cache, int32_t seq) {
    kv_seq *s = &cache->seqs[seq];
    for (uint32_t g = 0; g < cache->config.n_groups; g++) {
        int32_t *entries = rf_kv_row(cache, seq, g);
        uint32_t first = rf_kv_first_seen(cache, g, s->length);
        for (; s->n_passed[g] < first && s->n_passed[g] < s->n_blocks; s->n_passed[g]++) {
            rf_kv_give(cache, g, entries[s->n_passed[g]]);
            entries[s->n_passed[g]] = -1;
        }
    }
}

/* Whether the next row must not write into the block that holds the last one: someone else sees
 * it, or the tree knows more tokens of it than this sequence has. */
static bool is_shared(const rf_kv_cache *cache, int32_t seq, uint32_t group) {
    const kv_seq *s = &cache->seqs[seq];
    uint32_t used = s->length % cache->config.block_tokens;
    if (used == 0 || s->owns_tail)
        return false;
    int32_t block = rf_kv_row(cache, seq, group)[s->length / cache->config.block_tokens];
    int32_t owner = rf_block_pool_owner(cache->pools[group], block);
    return rf_block_pool_refs(cache->pools[group], block) > 1 ||
           (owner >= 0 && rf_prefix_tree_at(cache->tree, owner)->n_tokens > used);
}

uint32_t rf_kv_cache_room(const rf_kv_cache *cache, int32_t seq, uint32_t spare) {
    const kv_seq *s = &cache->seqs[seq];
    uint64_t least = cache->config.max_context;
    for (uint32_t g = 0; g < cache->config.n_groups; g++) {
        uint32_t free = rf_kv_cache_available(cache, g);
        /* what pass will give back; a block that another sequence holds does not come free */
        uint32_t first = rf_kv_first_seen(cache, g, s->length);
        for (uint32_t i = s->n_passed[g]; i < first && i < s->n_blocks; i++)
            free += rf_block_pool_refs(cache->pools[g], rf_kv_row(cache, seq, g)[i]) == 1;
        bool copy = is_shared(cache, seq, g);
        if (copy && free <= spare)
            return 0;
        uint32_t more = free > spare + copy ? free - spare - copy : 0;
        uint64_t end = ((uint64_t)s->n_blocks + more) * cache->config.block_tokens;
        least = end < least ? end : least;
    }
    return least > s->length ? (uint32_t)(least - s->length) : 0;
}

bool rf_kv_cache_reserve(rf_kv_cache *cache, int32_t seq, uint32_t n) {
    kv_seq *s = &cache->seqs[seq];
    if (n > cache->config.max_context - s->length)
        return false;
    /* Most rows go on in a block that the sequence has and that is its own. */
    if (s->owns_tail && !cache->any_windowed &&
        (uint64_t)s->n_blocks * cache->config.block_tokens >= (uint64_t)s->length + n)
        return true;
    pass(cache, seq);
    uint32_t end = (uint32_t)rf_ceil_div((size_t)s->length + n, cache->config.block_tokens);
    uint32_t more = end > s->n_blocks ? end - s->n_blocks : 0;
    if (cache->n_copies + cache->config.n_groups > cache->max_copies)
        return false;
    bool shared[RF_KV_GROUPS];
    for (uint32_t g = 0; g < cache->config.n_groups; g++) {
        shared[g] = is_shared(cache, seq, g);
        if (more + shared[g] > rf_kv_cache_available(cache, g))
            return false;
    }
    for (uint32_t g = 0; g < cache->config.n_groups; g++) {
        int32_t *entries = rf_kv_row(cache, seq, g);
        if (shared[g]) {
            int32_t *entry = &entries[s->length / cache->config.block_tokens], old = *entry;
            *entry = rf_kv_take(cache, g);
            (void)rf_kv_note_copy(cache, g, old, *entry);
            rf_kv_give(cache, g, old);
        }
        for (uint32_t i = s->n_blocks; i < end; i++)
            entries[i] = rf_kv_take(cache, g);
    }
    s->n_blocks += more;
    return true;
}

/* Most commits: a few rows behind others in a block whose node is the sequence's own and does not
 * become full. */
static bool commit_inside(rf_kv_cache *cache, kv_seq *s, const int32_t *tokens, uint32_t n) {
    uint32_t size = cache->config.block_tokens, i = s->length / size, used = s->length - i * size;
    if (!s->owns_tail || used == 0 || used + n >= size || s->n_blocks != i + 1)
        return false;
    if (s->node >= 0) {
        if (s->n_known != i + 1 || rf_prefix_tree_at(cache->tree, s->node)->n_tokens != used)
            return false;
        rf_prefix_tree_append(cache->tree, s->node, tokens + s->length, n);
    }
    s->length += n;
    return true;
}

void rf_kv_cache_commit(rf_kv_cache *cache, int32_t seq, const int32_t *tokens, uint32_t n) {
    kv_seq *s = &cache->seqs[seq];
    if (commit_inside(cache, s, tokens, n))
        return;
    uint32_t size = cache->config.block_tokens, end = s->length + n;
    while (s->length < end) {
        uint32_t i = s->length / size;
        uint32_t stop = (i + 1) * size < end ? (i + 1) * size : end;
        if (s->node >= 0)
            rf_kv_learn(cache, seq, tokens, i, stop - i * size);
        s->length = stop;
    }
    s->owns_tail = true;
    uint32_t used = (uint32_t)rf_ceil_div(s->length, size);
    for (uint32_t g = 0; g < cache->config.n_groups; g++)
        for (uint32_t i = s->n_blocks; i-- > used;)
            rf_kv_give(cache, g, rf_kv_row(cache, seq, g)[i]);
    s->n_blocks = used < s->n_blocks ? used : s->n_blocks;
}
