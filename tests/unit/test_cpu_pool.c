/* The worker pool: every item once, barriers order, idle threads park. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "cpu/pool.h"

enum { ITEMS = 97, PHASES = 50 };

typedef struct job {
    rf_pool *pool;
    uint32_t turns[ITEMS], workers[8];
    uint32_t phase; /* written by the worker that takes item 0 */
    uint32_t wrong;
} job;

static void count(void *arg, uint32_t worker) {
    job *j = arg;
    j->workers[worker]++;
    for (uint32_t p = 0; p < PHASES; p++) {
        for (uint32_t i; (i = rf_pool_next(j->pool)) < ITEMS;) {
            j->turns[i]++;
            if (i == 0)
                j->phase = p;
        }
        rf_pool_barrier(j->pool);
        if (worker == 0 && j->phase != p) /* written by any worker before the barrier */
            j->wrong++;
        rf_pool_barrier(j->pool);
    }
}

static void runs_every_item_once(void **state) {
    (void)state;
    for (uint32_t n = 1; n <= 5; n++) {
        rf_error err = {0};
        job j = {0};
        assert_int_equal(rf_pool_create(n, &j.pool, &err), RF_OK);
        assert_int_equal(rf_pool_size(j.pool), n);
        for (int run = 0; run < 4; run++)
            rf_pool_run(j.pool, count, &j);
        for (uint32_t i = 0; i < ITEMS; i++)
            assert_int_equal(j.turns[i], 4 * PHASES);
        for (uint32_t w = 0; w < 8; w++)
            assert_int_equal(j.workers[w], w < n ? 4 : 0);
        assert_int_equal(j.wrong, 0);
        rf_pool_destroy(j.pool);
    }
}

static double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void idle_threads_park(void **state) {
    (void)state;
    rf_error err = {0};
    job j = {0};
    assert_int_equal(rf_pool_create(4, &j.pool, &err), RF_OK);
    rf_pool_run(j.pool, count, &j);
    struct timespec settle = {0, 100000000}, wait = {0, 400000000};
    nanosleep(&settle, NULL);
    double before = cpu_seconds();
    nanosleep(&wait, NULL);
    assert_true(cpu_seconds() - before < 0.02);
    rf_pool_run(j.pool, count, &j); /* and wake */
    assert_int_equal(j.turns[0], 2 * PHASES);
    rf_pool_destroy(j.pool);
}

static void unused_and_failed_pools(void **state) {
    (void)state;
    rf_error err = {0};
    rf_pool *pool;
    size_t live = rf_alloc_live_bytes();
    assert_int_equal(rf_pool_create(3, &pool, &err), RF_OK);
    rf_pool_destroy(pool);
    rf_pool_destroy(NULL);
    for (uint64_t n = 1; n <= 2; n++) {
        rf_alloc_fail_at(n, 0);
        assert_int_equal(rf_pool_create(3, &pool, &err), RF_ERR_NO_MEMORY);
        rf_alloc_fail_at(0, 0);
        assert_null(pool);
        assert_int_equal(rf_alloc_live_bytes(), live);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_every_item_once),
        cmocka_unit_test(idle_threads_park),
        cmocka_unit_test(unused_and_failed_pools),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
