/*
 * The loops around tile kernels: tiles outside, groups of up to eight activation rows inside, in
 * slices of rows whose activations stay in the second-level cache. Pure functions; any thread.
 */
#ifndef RF_CPU_TILE_WALK_H
#define RF_CPU_TILE_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "cpu/matmul.h"
#include "cpu/tile_layout.h"

#define RF_TILE_INLINE inline __attribute__((always_inline))
#ifdef __clang__
#define RF_TILE_UNROLL _Pragma("clang loop unroll(full)")
#else
#define RF_TILE_UNROLL _Pragma("GCC unroll 8")
#endif

enum {
    RF_TILE_STAGE_BLOCKS = 20,    /* 32-blocks unpacked at a time: with a panel of activations */
    RF_TILE_STAGE_BYTES = 14080,  /* they stay in the first-level cache while panels pass by */
    RF_TILE_DIRECT_ROWS = 32,     /* up to here tiles are not staged: a tile is in the first-level
                                   * cache when the next eight rows come */
    RF_TILE_DIRECT_ROWS_AVX2 = 8, /* where unpacking costs more */
    RF_TILE_SLICE_BYTES = 393216,
    RF_TILE_SLICE_ROWS = 512,
    RF_TILE_PREFETCH_BYTES = 4096
};

/* How a type's scales, offsets and minima enter; see rf_block512. */
typedef enum rf_tile_mode {
    RF_TILE_BIAS,
    RF_TILE_MIN,
    RF_TILE_HALVES,
    RF_TILE_PAIR_MIN,
    RF_TILE_SIGNED
} rf_tile_mode;

/* Neighbouring rows of a panel of quantised activations, at one block. */
typedef struct rf_acts_rows {
    const uint8_t *q;     /* of the first row */
    const uint8_t *scale; /* of the first row */
    size_t width;         /* of the panel */
} rf_acts_rows;

static RF_TILE_INLINE int rf_acts_int(const uint8_t *p) {
    int x;
    memcpy(&x, p, sizeof x);
    return x;
}
static RF_TILE_INLINE float rf_acts_float(const uint8_t *p) {
    float x;
    memcpy(&x, p, sizeof x);
    return x;
}
static RF_TILE_INLINE int rf_acts_group(rf_acts_rows a, unsigned r, unsigned g) {
    return rf_acts_int(a.q + RF_ACTS_BLOCK * r + 4 * g);
}
static RF_TILE_INLINE float rf_acts_row_scale(rf_acts_rows a, unsigned r) {
    return rf_acts_float(a.scale + 4 * r);
}
static RF_TILE_INLINE float rf_acts_row_sum(rf_acts_rows a, unsigned r) {
    return rf_acts_float(a.scale + 4 * a.width + 4 * r);
}
static RF_TILE_INLINE int rf_acts_bias(rf_acts_rows a, unsigned r) {
    return rf_acts_int(a.scale + 8 * a.width + 4 * r);
}
static RF_TILE_INLINE int rf_acts_halves(rf_acts_rows a, unsigned r) {
    return rf_acts_int(a.scale + 12 * a.width + 4 * r);
}
static RF_TILE_INLINE rf_acts_rows rf_acts_rows_skip(rf_acts_rows a, unsigned n) {
    return (rf_acts_rows){a.q + RF_ACTS_BLOCK * n, a.scale + 4 * n, a.width};
}
static RF_TILE_INLINE rf_acts_rows rf_acts_rows_next(rf_acts_rows a) {
    size_t step = a.width * RF_ACTS_BLOCK_BYTES;
    return (rf_acts_rows){a.q + step, a.scale + step, a.width};
}

/* A group of rows against (a stage of) a tile. */
typedef struct rf_tile_job {
    const uint8_t *tile;
    uint32_t n_cols;
    uint32_t n_out;  /* rows of the tile that exist */
    size_t n_blocks; /* 32-blocks to add */
    bool first;      /* out holds nothing yet */
    rf_acts_rows acts;
    float *out;
    size_t out_stride;
} rf_tile_job;

/* The compiler knows the width of a panel that n rows fill. */
static RF_TILE_INLINE rf_acts_rows rf_acts_rows_of(const rf_tile_job *job, unsigned n) {
    rf_acts_rows a = job->acts;
    if (n == RF_ACTS_PANEL)
        a.width = RF_ACTS_PANEL;
    return a;
}

typedef struct rf_tile_kernel {
    /* n rows (1, 2, 4 or 8) against the whole tile; NULL: always staged */
    void (*direct)(const rf_tile_job *job, unsigned n);
    /* unpacks n blocks from the first-th on into stage (64-byte aligned) */
    void (*stage)(const uint8_t *tile, uint32_t n_cols, size_t first, size_t n, void *stage);
    /* n rows (1, 2, 4 or 8) against the stage */
    void (*staged)(const rf_tile_job *job, const void *stage, unsigned n);
} rf_tile_kernel;

/* range: tile_begin, tile_end, row_begin, row_end. */
void rf_tile_walk(const rf_tile_kernel *kernel, const rf_matrix *matrix, const uint32_t range[4],
                  const rf_acts *acts, float *out, size_t out_stride);

/* Asks for what block b of the next tile needs; the tiles of a matrix follow each other. Sections
 * behind q are read beside it from the first block on: a stream ahead in q alone would miss them.
 */
static RF_TILE_INLINE void rf_tile_prefetch(const uint8_t *tile, const rf_tile_layout *l, size_t b,
                                            size_t scales_bytes) {
    const uint8_t *next = tile + l->bytes;
    for (size_t i = 0; i < l->q_step; i += 64)
        __builtin_prefetch(next + b * l->q_step + i, 0, 2);
    for (size_t i = 0; i < l->high_step; i += 64)
        __builtin_prefetch(next + l->high + b * l->high_step + i, 0, 2);
    __builtin_prefetch(next + l->scales + b * scales_bytes, 0, 2);
}

#endif
