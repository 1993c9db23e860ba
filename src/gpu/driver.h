/*
 * NVIDIA's and AMD's drivers, found by dlopen: one program starts with either, both or none. Their
 * calls are alike enough that one file serves both; gpu/driver_calls.def names them.
 */
#ifndef RF_GPU_DRIVER_H
#define RF_GPU_DRIVER_H

#include "gpu/api.h"

typedef enum rf_gpu_vendor { RF_GPU_NVIDIA, RF_GPU_AMD, RF_GPU_VENDOR_COUNT } rf_gpu_vendor;

const char *rf_gpu_vendor_name(rf_gpu_vendor vendor); /* "NVIDIA", "AMD" */

/* *out is the caller's: out->api.destroy. RF_ERR_NOT_FOUND: no such library. RF_ERR_UNSUPPORTED: a
 * library that is too old, or whose driver does not start; the text says why and what helps. A
 * driver without devices opens, with none. */
RF_NODISCARD rf_status rf_gpu_driver_open(rf_gpu_vendor vendor, rf_gpu **out, rf_error *err);

#endif
