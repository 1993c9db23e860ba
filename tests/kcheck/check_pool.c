/* The pool's numbers and barriers; --bench times a barrier and a wake. */
#include <string.h>

#include "base/cpu_features.h"
#include "cpu/pool.h"
#include "tests/kcheck/kcheck.h"

enum { PHASES = 200, ITEMS = 37 };

typedef struct work {
    rf_pool *pool;
    uint32_t phases;
    uint32_t seen[ITEMS];
} work;

static void count_items(void *arg, uint32_t worker) {
    work *w = arg;
    (void)worker;
    for (uint32_t p = 0; p < w->phases; p++) {
        for (uint32_t i; (i = rf_pool_next(w->pool)) < ITEMS;)
            w->seen[i]++; /* each item has one owner a phase, and phases are ordered */
        rf_pool_barrier(w->pool);
    }
}

void kcheck_pool(kcheck *k) {
    for (uint32_t n = 1; n <= 4; n++) {
        rf_error err = {0};
        work w = {.phases = PHASES};
        if (!kcheck_expect(k, rf_pool_create(n, &w.pool, &err) == RF_OK, "%s", err.text))
            return;
        rf_pool_run(w.pool, count_items, &w);
        rf_pool_run(w.pool, count_items, &w);
        for (uint32_t i = 0; i < ITEMS; i++)
            kcheck_expect(k, w.seen[i] == 2 * PHASES, "%u workers: item %u ran %u times", n, i,
                          w.seen[i]);
        rf_pool_destroy(w.pool);
    }
}

static void run_once(void *user) {
    work *w = user;
    rf_pool_run(w->pool, count_items, w);
}

void kbench_pool(kcheck *k) {
    rf_error err = {0};
    work w = {.phases = PHASES};
    uint32_t n = (uint32_t)rf_cpu_count();
    if (!kcheck_expect(k, rf_pool_create(n, &w.pool, &err) == RF_OK, "%s", err.text))
        return;
    kcheck_report("pool: 200 phases of 37 items", kcheck_time(run_once, &w), PHASES, "G phases/s");
    w.phases = 0;
    kcheck_report("pool: an empty run", kcheck_time(run_once, &w), 1, "G runs/s");
    rf_pool_destroy(w.pool);
}
