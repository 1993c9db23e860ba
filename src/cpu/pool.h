/*
 * Worker pool for one program at a time: n workers run the same function and meet at barriers, so
 * that one wake serves a whole batch. The thread that calls rf_pool_run is worker 0. Waiting spins
 * for some microseconds, at most a fraction of a millisecond between jobs, and then parks: an idle
 * pool uses no processor time. One thread at a time calls create, run and destroy.
 */
#ifndef RF_CPU_POOL_H
#define RF_CPU_POOL_H

#include "base/status.h"
#include <stdint.h>

typedef struct rf_pool rf_pool;

/* n_threads >= 1 workers, n_threads - 1 of them threads of the pool. */
RF_NODISCARD rf_status rf_pool_create(uint32_t n_threads, rf_pool **out, rf_error *err);
void rf_pool_destroy(rf_pool *pool); /* joins its threads */
uint32_t rf_pool_size(const rf_pool *pool);

/* Every worker calls fn(arg, worker), worker in 0 … n-1. Returns when all have returned. */
typedef void (*rf_pool_fn)(void *arg, uint32_t worker);
void rf_pool_run(rf_pool *pool, rf_pool_fn fn, void *arg);

/* Inside fn. Every worker calls barrier equally often; what was written before it is seen by all
 * after it. */
void rf_pool_barrier(rf_pool *pool);
/* Next number of the phase: 0, 1, 2 … each given to one worker; starts again at each barrier. */
uint32_t rf_pool_next(rf_pool *pool);

#endif
