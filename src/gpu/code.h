/*
 * The kernels that were built in: for each kind of device some modules, compressed. tools/gpu-code
 * writes the table while building. Pure functions; any thread.
 */
#ifndef RF_GPU_CODE_H
#define RF_GPU_CODE_H

#include "gpu/api.h"

enum { RF_GPU_MODULES = 5 }; /* files of kernels */

typedef struct rf_gpu_code {
    const char
        *target;      /* "sm_80" (PTX, for it and all later ones), "gfx942"; NULL ends the table */
    const char *file; /* "matvec" */
    const uint8_t *data;
    const uint8_t *end;
} rf_gpu_code;

extern const rf_gpu_code rf_gpu_codes[];

/* The modules for a device of that arch: out[RF_GPU_MODULES], borrowed. RF_ERR_UNSUPPORTED names
 * arch and what was built. */
RF_NODISCARD rf_status rf_gpu_code_find(const char *arch, const rf_gpu_code *out[RF_GPU_MODULES],
                                        rf_error *err);
/* Its bytes and a 0 behind them; the caller frees with rf_free. */
RF_NODISCARD rf_status rf_gpu_code_unpack(const rf_gpu_code *code, uint8_t **out, rf_error *err);

#endif
