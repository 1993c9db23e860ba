/* Contents that are moved out of the cache and in again while sequences come and go: whatever
 * lookup finds afterwards is what was stored, in every group that a row would look into. Blocks
 * hold, in place of keys and values, a hash of the prefix that ends at each position. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/rng.h"
#include "kv/kv_cache.h"

enum { SIZE = 4, CONTEXT = 64, N_BLOCKS = 24, N_SEQS = 3, N_FILES = 4, N_STEPS = 40000 };

typedef struct block {
    uint64_t at[SIZE];
} block;

/* What was moved out, and how far it has come on its way in. */
typedef struct file {
    int32_t tokens[CONTEXT];
    rf_kv_span span;
    block blocks[CONTEXT / SIZE][RF_KV_GROUPS];
    uint32_t n_in;
} file;

typedef struct world {
    rf_kv_config config;
    rf_kv_cache *cache;
    block pools[RF_KV_GROUPS][N_BLOCKS];
    int32_t texts[N_SEQS][CONTEXT];
    bool open[N_SEQS];
    file files[N_FILES];
    rf_rng rng;
    uint32_t n_whole, n_gone, n_full, n_from_import;
} world;

static uint64_t hash_of(const int32_t *tokens, uint32_t n) {
    return rf_siphash((rf_hash_key){1, 2}, tokens, n * sizeof *tokens);
}

/* Texts of few families, so that prefixes meet. */
static void make_text(world *w, int32_t *tokens) {
    uint32_t family = rf_rng_below(&w->rng, 3), same = rf_rng_below(&w->rng, CONTEXT);
    for (uint32_t i = 0; i < CONTEXT; i++)
        tokens[i] = (int32_t)(i < same ? family : 10 + rf_rng_below(&w->rng, 2));
}

static uint32_t first_seen(const world *w, uint32_t group, uint32_t position) {
    uint32_t window = w->config.windows[group];
    return window == 0 || position < window ? 0 : (position + 1 - window) / SIZE;
}

/* A row that follows the match finds in each group what was stored. */
static void check_match(const world *w, const rf_kv_match *match, const int32_t *tokens) {
    int32_t places[CONTEXT / SIZE * RF_KV_GROUPS];
    uint32_t n = match->n_tokens, n_groups = w->config.n_groups;
    rf_kv_cache_places(w->cache, match, 0, CONTEXT / SIZE, places);
    rf_kv_span span = rf_kv_cache_span(w->cache, match);
    assert_int_equal(span.to, n);
    for (uint32_t g = 0; g < n_groups; g++) {
        uint32_t least = first_seen(w, g, n);
        assert_true(n == 0 || span.first[g] <= least || least * SIZE >= n);
        for (uint32_t p = span.first[g] * SIZE; p < n; p++) {
            int32_t at = places[p / SIZE * n_groups + g];
            assert_true(at >= 0);
            assert_true(w->pools[g][at].at[p % SIZE] == hash_of(tokens, p + 1));
        }
    }
}

static void make_copies(world *w) {
    uint32_t n;
    const rf_kv_copy *copies = rf_kv_cache_copies(w->cache, &n);
    for (uint32_t i = 0; i < n; i++)
        w->pools[copies[i].group][copies[i].to] = w->pools[copies[i].group][copies[i].from];
    rf_kv_cache_copies_done(w->cache);
}

static void run_rows(world *w, int32_t seq, uint32_t n) {
    uint32_t from = rf_kv_cache_length(w->cache, seq), n_table;
    if (from + n > CONTEXT || !rf_kv_cache_reserve(w->cache, seq, n))
        return;
    make_copies(w);
    for (uint32_t g = 0; g < w->config.n_groups; g++) {
        const int32_t *table = rf_kv_cache_table(w->cache, seq, g, &n_table);
        for (uint32_t p = first_seen(w, g, from) * SIZE; p < from; p++)
            assert_true(w->pools[g][table[p / SIZE]].at[p % SIZE] == hash_of(w->texts[seq], p + 1));
        for (uint32_t p = from; p < from + n; p++)
            w->pools[g][table[p / SIZE]].at[p % SIZE] = hash_of(w->texts[seq], p + 1);
    }
    rf_kv_cache_commit(w->cache, seq, w->texts[seq], n);
}

static void begin(world *w, int32_t seq) {
    int32_t *text = w->texts[seq];
    const file *f = &w->files[rf_rng_below(&w->rng, N_FILES)];
    make_text(w, text);
    if (rf_rng_below(&w->rng, 2)) /* goes on after what was moved, at least in part */
        memcpy(text, f->tokens, rf_rng_below(&w->rng, CONTEXT + 1) * sizeof *text);
    rf_kv_match match = rf_kv_cache_lookup(w->cache, 0, text, CONTEXT - 1);
    check_match(w, &match, text);
    (void)rf_kv_cache_open(w->cache, seq, 0, &match, true);
    make_copies(w);
    w->open[seq] = true;
}

/* ---- moving -------------------------------------------------------------------------------- */

static void move_out(world *w, file *f) {
    const int32_t *tokens = w->texts[rf_rng_below(&w->rng, N_SEQS)];
    uint32_t n = 1 + rf_rng_below(&w->rng, CONTEXT), n_groups = w->config.n_groups;
    int32_t places[CONTEXT / SIZE * RF_KV_GROUPS];
    rf_kv_match match = rf_kv_cache_lookup(w->cache, 0, tokens, n);
    check_match(w, &match, tokens);
    if (match.n_tokens == 0)
        return;
    memset(f, 0, sizeof *f);
    memcpy(f->tokens, tokens, sizeof f->tokens);
    f->span = rf_kv_cache_span(w->cache, &match);
    rf_kv_cache_places(w->cache, &match, 0, CONTEXT / SIZE, places);
    for (uint32_t g = 0; g < n_groups; g++)
        for (uint32_t i = f->span.first[g]; i * SIZE < f->span.to; i++)
            f->blocks[i][g] = w->pools[g][places[i * n_groups + g]];
}

/* Some further blocks; the first ones up to where any group has contents. */
static void move_in(world *w, file *f) {
    if (f->span.to == 0 || f->n_in == f->span.to)
        f->n_in = 0;
    if (f->span.to == 0)
        return;
    uint32_t n_blocks = (f->span.to + SIZE - 1) / SIZE, begin = f->n_in / SIZE, end = begin;
    uint32_t first = n_blocks;
    for (uint32_t g = 0; g < w->config.n_groups; g++)
        first = f->span.first[g] < first ? f->span.first[g] : first;
    end = (begin > first ? begin : first) + 1 + rf_rng_below(&w->rng, 6);
    end = end < n_blocks ? end : n_blocks;
    rf_kv_span span = {.from = begin * SIZE, .to = end * SIZE};
    span.to = span.to < f->span.to ? span.to : f->span.to;
    for (uint32_t g = 0; g < w->config.n_groups; g++) {
        uint32_t at = f->span.first[g];
        span.first[g] = at < begin ? begin : at < end ? at : end;
    }
    rf_kv_import begun = rf_kv_cache_import_begin(w->cache, 0, f->tokens, &span);
    w->n_gone += begun == RF_KV_IMPORT_GONE;
    w->n_full += begun == RF_KV_IMPORT_FULL;
    if (begun != RF_KV_IMPORT_READY) {
        f->n_in = 0;
        return;
    }
    for (uint32_t i = begin; i < end; i++)
        for (uint32_t g = 0; g < w->config.n_groups; g++) {
            int32_t at = rf_kv_cache_import_block(w->cache, g, i);
            assert_int_equal(at >= 0, i >= span.first[g]);
            if (at >= 0)
                w->pools[g][at] = f->blocks[i][g];
        }
    assert_true(rf_kv_cache_is_sound(w->cache));
    bool keep = rf_rng_below(&w->rng, 16) > 0; /* else the device has failed */
    rf_kv_cache_import_end(w->cache, f->tokens, &span, keep);
    f->n_in = keep ? span.to : 0;
    rf_kv_match match = rf_kv_cache_lookup(w->cache, 0, f->tokens, f->span.to);
    check_match(w, &match, f->tokens);
    if (f->n_in == f->span.to) {
        w->n_whole += match.n_tokens == f->span.to;
        w->n_from_import++;
    }
}

static void run_world(uint64_t seed, uint32_t n_groups, const uint32_t *windows) {
    static world w;
    rf_error err = {0};
    memset(&w, 0, sizeof w);
    w.rng = rf_rng_make(seed, 0);
    w.config = (rf_kv_config){.n_groups = n_groups,
                              .block_tokens = SIZE,
                              .max_seqs = N_SEQS,
                              .max_context = CONTEXT,
                              .key = {3, 4}};
    for (uint32_t g = 0; g < n_groups; g++) {
        w.config.windows[g] = windows[g];
        w.config.n_blocks[g] = N_BLOCKS;
    }
    assert_int_equal(rf_kv_cache_create(&w.config, &w.cache, &err), RF_OK);
    for (uint32_t i = 0; i < N_STEPS; i++) {
        int32_t seq = (int32_t)rf_rng_below(&w.rng, N_SEQS);
        switch (rf_rng_below(&w.rng, 8)) {
        case 0: move_out(&w, &w.files[rf_rng_below(&w.rng, N_FILES)]); break;
        case 1:
        case 2: move_in(&w, &w.files[rf_rng_below(&w.rng, N_FILES)]); break;
        case 3:
            rf_kv_cache_close(w.cache, seq);
            w.open[seq] = false;
            break;
        default:
            if (w.open[seq])
                run_rows(&w, seq, 1 + rf_rng_below(&w.rng, 9));
            else
                begin(&w, seq);
        }
        assert_true(rf_kv_cache_is_sound(w.cache));
    }
    assert_true(w.n_whole > 100);
    assert_true(w.n_gone > 0);
    for (int32_t seq = 0; seq < N_SEQS; seq++)
        rf_kv_cache_close(w.cache, seq);
    for (uint32_t g = 0; g < n_groups; g++)
        assert_int_equal(rf_kv_cache_available(w.cache, g), N_BLOCKS);
    rf_kv_cache_destroy(w.cache);
}

static void test_full(void **state) {
    (void)state;
    run_world(1, 1, (const uint32_t[]){0});
}

static void test_mixed(void **state) {
    (void)state;
    run_world(2, 3, (const uint32_t[]){0, 6, 17});
    run_world(3, 2, (const uint32_t[]){9, 0});
}

static void test_windows_alone(void **state) {
    (void)state;
    run_world(4, 1, (const uint32_t[]){10});
    run_world(5, 2, (const uint32_t[]){7, 20});
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_full), cmocka_unit_test(test_mixed),
                                       cmocka_unit_test(test_windows_alone)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
