/* The block pool: random operations against a plain model of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "kv/block_pool.h"

enum { N_BLOCKS = 37, N_STEPS = 20000 };

static rf_block_pool *make_pool(uint32_t n) {
    rf_block_pool *pool = NULL;
    rf_error err = {0};
    assert_int_equal(rf_block_pool_create(n, &pool, &err), RF_OK);
    return pool;
}

static void test_sizes(void **state) {
    (void)state;
    rf_block_pool *pool = NULL;
    rf_error err = {0};
    assert_int_equal(rf_block_pool_create(0, &pool, &err), RF_ERR_INVALID);
    assert_int_equal(rf_block_pool_create((uint32_t)INT32_MAX + 1, &pool, &err), RF_ERR_INVALID);
    assert_null(pool);
    pool = make_pool(1);
    int32_t block = -1, other = -1;
    assert_true(rf_block_pool_alloc(pool, &block));
    assert_int_equal(block, 0);
    assert_false(rf_block_pool_alloc(pool, &other));
    assert_int_equal(other, -1);
    assert_true(rf_block_pool_unref(pool, block));
    rf_block_pool_destroy(pool);
    rf_block_pool_destroy(NULL);
}

static void test_wrong_blocks(void **state) {
    (void)state;
    rf_block_pool *pool = make_pool(4);
    const int32_t wrong[] = {-1, 0, 3, 4, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_false(rf_block_pool_ref(pool, wrong[i]));
        assert_false(rf_block_pool_unref(pool, wrong[i]));
        assert_int_equal(rf_block_pool_refs(pool, wrong[i]), 0);
    }
    assert_int_equal(rf_block_pool_n_free(pool), 4);
    assert_true(rf_block_pool_is_sound(pool));
    rf_block_pool_destroy(pool);
}

static void test_random_references(void **state) {
    (void)state;
    rf_rng rng = rf_rng_make(1, 0);
    rf_block_pool *pool = make_pool(N_BLOCKS);
    uint32_t refs[N_BLOCKS] = {0}, n_used = 0;
    for (int i = 0; i < N_STEPS; i++) {
        int32_t block = (int32_t)rf_rng_below(&rng, N_BLOCKS);
        switch (rf_rng_below(&rng, 3)) {
        case 0:
            if (rf_block_pool_alloc(pool, &block)) {
                assert_int_equal(refs[block], 0);
                refs[block] = 1;
                n_used++;
            } else
                assert_int_equal(n_used, N_BLOCKS);
            break;
        case 1:
            assert_int_equal(rf_block_pool_ref(pool, block), refs[block] > 0);
            refs[block] += refs[block] > 0;
            break;
        default:
            assert_int_equal(rf_block_pool_unref(pool, block), refs[block] > 0);
            n_used -= refs[block] == 1;
            refs[block] -= refs[block] > 0;
        }
        assert_int_equal(rf_block_pool_refs(pool, block), refs[block]);
        assert_int_equal(rf_block_pool_n_free(pool), N_BLOCKS - n_used);
        if (i % 64 == 0)
            assert_true(rf_block_pool_is_sound(pool));
    }
    assert_true(rf_block_pool_is_sound(pool));
    assert_int_equal(rf_block_pool_n_blocks(pool), N_BLOCKS);
    rf_block_pool_destroy(pool);
}

static void test_allocation_faults(void **state) {
    (void)state;
    size_t live = rf_alloc_live_bytes();
    for (uint64_t n = 1;; n++) {
        rf_block_pool *pool = NULL;
        rf_error err = {0};
        rf_alloc_fail_at(n, 0);
        rf_status status = rf_block_pool_create(8, &pool, &err);
        rf_alloc_fail_at(0, 0);
        rf_block_pool_destroy(pool);
        assert_int_equal(rf_alloc_live_bytes(), live);
        if (status == RF_OK) {
            assert_true(n > 3);
            return;
        }
        assert_int_equal(status, RF_ERR_NO_MEMORY);
        assert_null(pool);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_wrong_blocks),
        cmocka_unit_test(test_random_references),
        cmocka_unit_test(test_allocation_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
