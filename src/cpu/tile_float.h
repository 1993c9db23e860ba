/*
 * The loops around kernels of float weights: tiles outside, groups of up to eight rows of float
 * activations inside. Even and odd columns are summed apart and added at the end, for a row alone
 * as for eight. Pure functions; any thread.
 */
#ifndef RF_CPU_TILE_FLOAT_H
#define RF_CPU_TILE_FLOAT_H

#include "cpu/tile_walk.h"

/* A group of rows against a tile. */
typedef struct rf_float_job {
    const uint8_t *tile;
    uint32_t n_cols;
    uint32_t n_out;    /* rows of the tile that exist */
    const float *acts; /* of the first row */
    size_t acts_stride;
    float *out;
    size_t out_stride;
} rf_float_job;

/* n: 1, 2, 4 or 8 rows */
typedef void (*rf_float_kernel)(const rf_float_job *job, unsigned n);

/* range: tile_begin, tile_end, row_begin, row_end. */
void rf_float_walk(rf_float_kernel kernel, const rf_matrix *matrix, const uint32_t range[4],
                   const rf_acts *acts, float *out, size_t out_stride);

#endif
