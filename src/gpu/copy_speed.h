/*
 * How fast a device copies, and whether what comes back is what went there: the least that must
 * work before a model is tried. Takes its memory and gives it back. One thread.
 */
#ifndef RF_GPU_COPY_SPEED_H
#define RF_GPU_COPY_SPEED_H

#include "gpu/api.h"

/* Bytes a second; inside: read and written, so that it compares with a memory's bandwidth. */
typedef struct rf_copy_speed {
    double in, out, inside;
    size_t bytes; /* of each copy */
} rf_copy_speed;

/* On an attached device. RF_ERR_INTERNAL: other bytes came back. */
RF_NODISCARD rf_status rf_gpu_copy_speed(rf_gpu *gpu, int device, rf_copy_speed *out,
                                         rf_error *err);

#endif
