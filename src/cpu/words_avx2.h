/*
 * Signed 8-bit weights against many rows with AVX2. vpmaddubsw wants one side unsigned, and the
 * signs that it takes to arrange that cost an instruction a product; 16-bit words need none. Both
 * sides are widened where they are used often: weights in the stage, activations once for all
 * tiles of a call. Pure functions; any thread.
 */
#ifndef RF_CPU_WORDS_AVX2_H
#define RF_CPU_WORDS_AVX2_H

#include "cpu/tile_walk.h"

/* A 32-block of 16 rows. Pair 2 g holds columns 4 g and 4 g + 2, pair 2 g + 1 the columns after
 * them: so far apart, two shifts widen four bytes. */
typedef struct rf_words256 {
    int16_t w[16][16][2];
    float scale[16];
} rf_words256;

/* Unpacks n blocks from the first-th on. */
typedef void (*rf_words_stage)(const uint8_t *tile, uint32_t n_cols, size_t first, size_t n,
                               rf_words256 *stage);

/* range: tile_begin, tile_end, row_begin, row_end. out += scale * s * w a, as RF_TILE_SIGNED. */
void rf_words_walk_avx2(rf_words_stage stage, const rf_matrix *matrix, const uint32_t range[4],
                        const rf_acts *acts, float *out, size_t out_stride);

#endif
