#include "cpu/pool.h"

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/alloc.h"

/* Pauses before a waiter parks: some tens of microseconds at a barrier; long enough between jobs
 * that a token can be sampled, since waking a parked thread takes as long as an op. */
enum { BARRIER_SPINS = 2000, JOB_SPINS = 20000, LINE = 64 };

/* A number that threads wait for to change. */
typedef struct signal_word {
    _Alignas(LINE) atomic_uint value;
    atomic_uint n_parked;
} signal_word;

struct rf_pool {
    signal_word job;   /* rises when a job or the end comes */
    signal_word phase; /* rises when all have reached a barrier */
    _Alignas(LINE) atomic_uint n_arrived;
    _Alignas(LINE) atomic_uint next;
    _Alignas(LINE) rf_pool_fn fn; /* these are written before job rises */
    void *arg;
    bool stop;
    uint32_t n_workers, n_started;
    struct worker {
        pthread_t thread;
        rf_pool *pool;
        uint32_t index;
    } * workers; /* owned; [n_workers], 0 unused */
};

static inline void pause_briefly(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
}

/* Waits until word is no longer old. */
static void wait_change(signal_word *word, unsigned old, int spins) {
    for (int i = 0; i < spins; i++) {
        if (atomic_load_explicit(&word->value, memory_order_acquire) != old)
            return;
        pause_briefly();
    }
    atomic_fetch_add(&word->n_parked, 1);
    while (atomic_load(&word->value) == old)
        syscall(SYS_futex, &word->value, FUTEX_WAIT_PRIVATE, old, NULL, NULL, 0);
    atomic_fetch_sub(&word->n_parked, 1);
}

static void raise_word(signal_word *word, unsigned value) {
    atomic_store(&word->value, value);
    if (atomic_load(&word->n_parked) != 0)
        syscall(SYS_futex, &word->value, FUTEX_WAKE_PRIVATE, INT_MAX, NULL, NULL, 0);
}

void rf_pool_barrier(rf_pool *pool) {
    unsigned phase = atomic_load_explicit(&pool->phase.value, memory_order_relaxed);
    unsigned before = atomic_fetch_add_explicit(&pool->n_arrived, 1, memory_order_acq_rel);
    if (before + 1 < pool->n_workers) {
        wait_change(&pool->phase, phase, BARRIER_SPINS);
        return;
    }
    atomic_store_explicit(&pool->n_arrived, 0, memory_order_relaxed);
    atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
    raise_word(&pool->phase, phase + 1);
}

uint32_t rf_pool_next(rf_pool *pool) {
    return atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
}

uint32_t rf_pool_size(const rf_pool *pool) { return pool->n_workers; }

void rf_pool_run(rf_pool *pool, rf_pool_fn fn, void *arg) {
    pool->fn = fn;
    pool->arg = arg;
    raise_word(&pool->job, atomic_load_explicit(&pool->job.value, memory_order_relaxed) + 1);
    fn(arg, 0);
    rf_pool_barrier(pool);
}

static void *worker_main(void *arg) {
    const struct worker *self = arg;
    rf_pool *pool = self->pool;
    for (unsigned job = 0;; job++) {
        wait_change(&pool->job, job, JOB_SPINS);
        if (pool->stop)
            return NULL;
        pool->fn(pool->arg, self->index);
        rf_pool_barrier(pool);
    }
}

static rf_status start_workers(rf_pool *pool, rf_error *err) {
    for (uint32_t i = 1; i < pool->n_workers; i++) {
        struct worker *worker = &pool->workers[i];
        worker->pool = pool;
        worker->index = i;
        if (pthread_create(&worker->thread, NULL, worker_main, worker) != 0)
            return rf_fail(err, RF_ERR_LIMIT, "cannot start worker thread %u of %u", i,
                           pool->n_workers);
        pool->n_started = i;
    }
    return RF_OK;
}

rf_status rf_pool_create(uint32_t n_threads, rf_pool **out, rf_error *err) {
    *out = NULL;
    rf_pool *pool = rf_alloc_aligned(LINE, sizeof *pool);
    struct worker *workers = rf_calloc(n_threads, sizeof *workers);
    if (!pool || !workers) {
        rf_free_aligned(pool);
        rf_free(workers);
        return rf_fail(err, RF_ERR_NO_MEMORY, "no memory for a pool of %u threads", n_threads);
    }
    *pool = (rf_pool){.workers = workers, .n_workers = n_threads};
    rf_status status = start_workers(pool, err);
    if (status != RF_OK)
        rf_pool_destroy(pool);
    else
        *out = pool;
    return status;
}

void rf_pool_destroy(rf_pool *pool) {
    if (!pool)
        return;
    pool->stop = true;
    raise_word(&pool->job, atomic_load_explicit(&pool->job.value, memory_order_relaxed) + 1);
    for (uint32_t i = 1; i <= pool->n_started; i++)
        pthread_join(pool->workers[i].thread, NULL);
    rf_free(pool->workers);
    rf_free_aligned(pool);
}
