/*
 * A driver from the inside: gpu/driver.c opens it and moves memory, gpu/driver_code.c runs code.
 * Any thread; one thread at a time on a stream.
 */
#ifndef RF_GPU_DRIVER_STATE_H
#define RF_GPU_DRIVER_STATE_H

#include "gpu/driver.h"

typedef struct rf_gpu_driver_calls {
#define X(field, args, cuda, hip) int(*field) args;
#include "gpu/driver_calls.def"
#undef X
} rf_gpu_driver_calls;

typedef struct rf_gpu_driver {
    rf_gpu base;
    rf_gpu_vendor vendor;
    void *library;
    rf_gpu_driver_calls calls;
    int (*cuda_error)(int code, const char **name);
    const char *(*hip_error)(int code);
    rf_gpu_info *info;
    void **contexts; /* CUDA's, [n_devices] */
} rf_gpu_driver;

/* Calls work on what is current in the thread: makes it the device. The driver's code. */
int rf_gpu_driver_use(const rf_gpu_driver *d, int device);
/* A status of a call's code, with the driver's word and, where it is known, what helps. */
rf_status rf_gpu_driver_check(const rf_gpu_driver *d, int device, const char *what, int code,
                              rf_error *err);
rf_status rf_gpu_driver_fail(const rf_gpu_driver *d, rf_status status, int device, const char *what,
                             int code, rf_error *err);
/* The calls for modules, launches and graphs. */
void rf_gpu_driver_add_code(rf_gpu_api *api);

#define RF_GPU_USE(d, device, what, err)                                          \
    do {                                                                          \
        int use_code = rf_gpu_driver_use(d, device);                              \
        if (use_code != 0)                                                        \
            return rf_gpu_driver_fail(d, RF_ERR_IO, device, what, use_code, err); \
    } while (0)

#endif
