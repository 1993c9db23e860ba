/*
 * The GPU backend: all of a program on one device. See op/backend.h for life cycle and threads; the
 * device's memory is taken in bind, nothing after it.
 */
#ifndef RF_GPU_BACKEND_GPU_H
#define RF_GPU_BACKEND_GPU_H

#include "op/backend.h"

typedef struct rf_gpu_options {
    bool no_graphs; /* every step launches its kernels one by one */
} rf_gpu_options;

/* On the first device of the first driver that has one; out->api->destroy closes that.
 * RF_ERR_NOT_FOUND says what was looked for, RF_ERR_UNSUPPORTED names a device without kernels and
 * what was built. */
RF_NODISCARD rf_status rf_gpu_backend_open(const rf_gpu_options *options, rf_backend **out,
                                           rf_error *err);

#endif
