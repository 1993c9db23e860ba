/* The cache of prefixes: the hash's published vector, and the life of blocks step by step. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kv/kv_cache.h"

enum { N = 64 };

static int32_t text[N];

static rf_kv_cache *make(uint32_t n_blocks) {
    rf_kv_config config = {.n_groups = 1,
                           .n_blocks = {n_blocks},
                           .block_tokens = 4,
                           .max_seqs = 4,
                           .max_context = N,
                           .key = {1, 2}};
    rf_kv_cache *cache = NULL;
    rf_error err = {0};
    assert_int_equal(rf_kv_cache_create(&config, &cache, &err), RF_OK);
    for (int32_t i = 0; i < N; i++)
        text[i] = 100 + i;
    return cache;
}

static void fill(rf_kv_cache *cache, int32_t seq, uint32_t n) {
    uint32_t more = n - rf_kv_cache_length(cache, seq);
    assert_true(rf_kv_cache_reserve(cache, seq, more));
    rf_kv_cache_commit(cache, seq, text, more);
    rf_kv_cache_copies_done(cache);
    assert_true(rf_kv_cache_is_sound(cache));
}

static void test_siphash(void **state) {
    (void)state;
    /* Appendix A of the paper: key 00 … 0f, message 00 … 0e. */
    uint8_t message[15];
    for (uint8_t i = 0; i < 15; i++)
        message[i] = i;
    rf_hash_key key = {0x0706050403020100u, 0x0f0e0d0c0b0a0908u};
    assert_true(rf_siphash(key, message, 15) == 0xa129ca6149be45e5u);
    int32_t tokens[] = {5, 6, 7};
    assert_true(rf_token_hash(key, 1, tokens, 3) != rf_token_hash(key, 2, tokens, 3));
    assert_true(rf_token_hash(key, 1, tokens, 3) != rf_token_hash(key, 1, tokens, 2));
}

static void test_prefix_stays_and_goes_on(void **state) {
    (void)state;
    rf_kv_cache *cache = make(10);
    (void)rf_kv_cache_open(cache, 0, 0, NULL, true);
    fill(cache, 0, 10);
    rf_kv_cache_close(cache, 0);
    assert_int_equal(rf_kv_cache_available(cache, 0), 10);
    rf_kv_match match = rf_kv_cache_lookup(cache, 0, text, 30);
    assert_int_equal(match.n_tokens, 10);
    assert_int_equal(rf_kv_cache_lookup(cache, 9, text, 30).n_tokens, 0);
    assert_int_equal(rf_kv_cache_lookup(cache, 0, text, 9).n_tokens, 9);
    /* Nobody holds the last block: it is gone on with, and nothing is copied. */
    uint32_t n;
    assert_int_equal(rf_kv_cache_open(cache, 1, 0, &match, true), 10);
    (void)rf_kv_cache_copies(cache, &n);
    assert_int_equal(n, 0);
    fill(cache, 1, 17);
    /* A second one shares the full blocks and copies what it needs of a third. */
    match = rf_kv_cache_lookup(cache, 0, text, 11);
    assert_int_equal(match.n_full, 2);
    assert_int_equal(rf_kv_cache_open(cache, 2, 0, &match, true), 11);
    const rf_kv_copy *copies = rf_kv_cache_copies(cache, &n);
    assert_int_equal(n, 1);
    assert_int_equal(copies[0].from, rf_kv_cache_table(cache, 1, 0, &n)[2]);
    assert_int_equal(rf_kv_cache_table(cache, 2, 0, &n)[1], rf_kv_cache_table(cache, 1, 0, &n)[1]);
    rf_kv_cache_copies_done(cache);
    assert_true(rf_kv_cache_is_sound(cache));
    rf_kv_cache_destroy(cache);
}

static void test_fork_copies_on_write(void **state) {
    (void)state;
    rf_kv_cache *cache = make(10);
    (void)rf_kv_cache_open(cache, 0, 0, NULL, true);
    fill(cache, 0, 6);
    rf_kv_cache_fork(cache, 0, 1);
    assert_true(rf_kv_cache_is_sound(cache));
    assert_int_equal(rf_kv_cache_available(cache, 0), 8);
    assert_true(rf_kv_cache_reserve(cache, 1, 1));
    uint32_t n;
    (void)rf_kv_cache_copies(cache, &n);
    assert_int_equal(n, 1);
    assert_true(rf_kv_cache_reserve(cache, 0, 1)); /* the original is its own now */
    (void)rf_kv_cache_copies(cache, &n);
    assert_int_equal(n, 1);
    assert_int_equal(rf_kv_cache_available(cache, 0), 7);
    rf_kv_cache_destroy(cache);
}

/* The ends of prefixes go first, and the ones not used for longest. */
static void test_eviction(void **state) {
    (void)state;
    rf_kv_cache *cache = make(5);
    (void)rf_kv_cache_open(cache, 0, 0, NULL, true);
    fill(cache, 0, 20);
    assert_false(rf_kv_cache_reserve(cache, 0, 1));
    assert_int_equal(rf_kv_cache_room(cache, 0, 0), 0);
    rf_kv_cache_close(cache, 0);
    (void)rf_kv_cache_open(cache, 1, 1, NULL, true); /* another salt shares nothing */
    fill(cache, 1, 8);
    assert_int_equal(rf_kv_cache_lookup(cache, 0, text, 20).n_tokens, 12);
    assert_int_equal(rf_kv_cache_counters(cache).n_evicted, 2);
    rf_kv_cache_close(cache, 1);
    assert_int_equal(rf_kv_cache_lookup(cache, 1, text, 20).n_tokens, 8);
    rf_kv_cache_destroy(cache);
}

static void test_equal_blocks_become_one(void **state) {
    (void)state;
    rf_kv_cache *cache = make(10);
    (void)rf_kv_cache_open(cache, 0, 0, NULL, true);
    (void)rf_kv_cache_open(cache, 1, 0, NULL, true);
    fill(cache, 0, 8);
    fill(cache, 1, 9);
    assert_int_equal(rf_kv_cache_available(cache, 0), 7);
    (void)rf_kv_cache_open(cache, 2, 0, NULL, false); /* what keeps private shares nothing */
    fill(cache, 2, 8);
    assert_int_equal(rf_kv_cache_available(cache, 0), 5);
    rf_kv_cache_close(cache, 2);
    assert_int_equal(rf_kv_cache_available(cache, 0), 7);
    rf_kv_cache_destroy(cache);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_siphash), cmocka_unit_test(test_prefix_stays_and_goes_on),
        cmocka_unit_test(test_fork_copies_on_write), cmocka_unit_test(test_eviction),
        cmocka_unit_test(test_equal_blocks_become_one)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
