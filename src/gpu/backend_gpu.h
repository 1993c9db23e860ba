/*
 * The GPU backend: all of a program on one device. See op/backend.h for life cycle and threads; the
 * device's memory is taken in bind, nothing after it.
 */
#ifndef RF_GPU_BACKEND_GPU_H
#define RF_GPU_BACKEND_GPU_H

#include "gpu/api.h"
#include "op/backend.h"

typedef struct rf_gpu_options {
    bool no_graphs; /* every step launches its kernels one by one */
} rf_gpu_options;

/* gpu becomes the backend's own on success; out->api->destroy closes it. RF_ERR_UNSUPPORTED: this
 * program has no kernels for the device; the text names it and what was built. */
RF_NODISCARD rf_status rf_gpu_backend_create(rf_gpu *gpu, int device, const rf_gpu_options *options,
                                             rf_backend **out, rf_error *err);

/* The same on the first device of the first driver that has one. RF_ERR_NOT_FOUND says what was
 * looked for. */
RF_NODISCARD rf_status rf_gpu_backend_open(const rf_gpu_options *options, rf_backend **out,
                                           rf_error *err);

#endif
