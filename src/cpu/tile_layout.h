/*
 * Packed weight tiles: 16 rows interleaved so that one 64-byte load holds four consecutive columns
 * (a group) of every row, row r in dword r. Pure functions; any thread.
 *
 * A tile of a quantised type is four sections, each for all columns and 64-byte aligned:
 *   q       a 32-block of columns is 8 groups. Bytes: group g at 64 g. Nibbles: group g in the low
 *           and g + 4 in the high nibbles at 64 g. Two bits: at 64 z, bits 2 g: group 4 z + g.
 *   high    bits above those of q. One bit: bit g of a byte belongs to group g. Two bits: as q.
 *   scales  of superblocks of 256 columns, below
 *   d       16 halves d, then 16 halves dmin or m (MXFP4: 16 exponents)
 * Scales, 16 bytes (one a row) each; b is a 32-block of the superblock:
 *   Q4_K Q5_K  [8] low nibbles of scale b and min b; [4] top bits of scale, min of 2 i, 2 i + 1
 *   Q3_K       [8] low nibbles of both scales of b;  [4] top bits of the scales of 2 i, 2 i + 1
 *   IQ4_XS     [4] low nibbles of 2 i and 2 i + 1;   [2] top bits of 4 i … 4 i + 3
 *   Q2_K Q6_K  [8][2] the scale bytes of the file
 * Float types: F32 [n_cols][16]; F16 [n_cols][16]; BF16 [n_cols / 2 rounded up][16][2].
 */
#ifndef RF_CPU_TILE_LAYOUT_H
#define RF_CPU_TILE_LAYOUT_H

#include <stddef.h>
#include <stdint.h>

#include "quant/quant.h"

enum { RF_TILE_ROWS = 16, RF_TILE_BLOCK = 32, RF_TILE_SUPERBLOCK = 256 };

/* Sections in bytes: the steps are those of tile_types.def, the others where a section starts. */
typedef struct rf_tile_layout {
    size_t q_step, high_step, scales_step, d_step;
    size_t high, scales, d, bytes;
} rf_tile_layout;

static inline rf_tile_layout rf_tile_layout_of(rf_tile_layout l, uint32_t n_cols,
                                               uint32_t block_weights) {
    size_t n_blocks = n_cols / RF_TILE_BLOCK, n_type_blocks = n_cols / block_weights;
    l.high = n_blocks * l.q_step; /* a multiple of 64, as is high_step */
    l.scales = l.high + n_blocks * l.high_step;
    l.d = (l.scales + n_type_blocks * l.scales_step + 63) / 64 * 64;
    l.bytes = (l.d + n_type_blocks * l.d_step + 63) / 64 * 64;
    return l;
}

#define X(TYPE, type, weights, q, high, scales, d)                                         \
    static inline rf_tile_layout rf_tile_layout_##type(uint32_t n_cols) {                  \
        return rf_tile_layout_of((rf_tile_layout){q, high, scales, d, 0, 0, 0, 0}, n_cols, \
                                 weights);                                                 \
    }
#include "cpu/tile_types.def"
#undef X

/* The functions of a row of matmul_variants.def. Rows that the tile lacks are packed as 0. */
#define X(id, type, gguf_id, weights, bytes, native)                                \
    size_t rf_tile_bytes_##type(uint32_t n_cols);                                   \
    void rf_tile_pack_##type(const uint8_t *src, size_t row_bytes, uint32_t n_rows, \
                             uint32_t n_cols, uint8_t *tile);
#include "quant/types.def"
#undef X

#endif
