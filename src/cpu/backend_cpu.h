/*
 * The CPU backend: walks a program with the best kernel of each op's variant table on a pool of
 * worker threads that parks when idle. See op/backend.h for life cycle and threads.
 */
#ifndef RF_CPU_BACKEND_CPU_H
#define RF_CPU_BACKEND_CPU_H

#include "op/backend.h"

typedef struct rf_cpu_options {
    uint32_t n_threads;    /* 0 = processors of this process */
    uint32_t features;     /* RF_CPU_… bits that kernels may use; masked by the processor's own */
    bool reference;        /* only cpu/ref: plain C, activations in F32 */
    bool allow_slow_types; /* types without a kernel run on the reference */
    /* The weights lie in a read-only mapping of a file: bind gives back the pages of what it has
     * repacked, so that the weights are resident once. Never set for memory of the heap. */
    bool release_mapping;
} rf_cpu_options;

/* *out is owned by the caller; out->api->destroy frees it and joins its threads. */
RF_NODISCARD rf_status rf_cpu_backend_create(const rf_cpu_options *options, rf_backend **out,
                                             rf_error *err);

#endif
