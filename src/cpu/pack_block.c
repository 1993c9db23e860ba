/* Tiles of the types with blocks of 32 weights. */
#include <string.h>

#include "cpu/tile_bits.h"
#include "cpu/tile_layout.h"
#include "quant/blocks.h"

static void put_half(uint8_t *dst, uint32_t row, uint16_t half) {
    memcpy(dst + 2 * row, &half, sizeof half);
}

/* The fifth bits of 32 weights, bit i of qh: bit g of byte c is weight 4 g + c. */
static void put_fifth(uint8_t *dst, uint32_t row, uint32_t qh) {
    uint32_t x = 0;
    for (uint32_t g = 0; g < 8; g++) {
        uint32_t bits = qh >> (4 * g) & 15;
        x |= (bits * 0x00204081u & 0x01010101u) << g;
    }
    rf_tile_store_u32(dst + 4 * row, x);
}

/* Where block b of a tile keeps its parts. */
typedef struct parts {
    uint8_t *q, *high, *d;
} parts;

static inline void put_q4_0(const rf_block_q4_0 *block, uint32_t row, parts to) {
    rf_tile_put_nibble_bytes(to.q, row, block->qs);
    put_half(to.d, row, block->d);
}

static inline void put_q4_1(const rf_block_q4_1 *block, uint32_t row, parts to) {
    rf_tile_put_nibble_bytes(to.q, row, block->qs);
    put_half(to.d, row, block->d);
    put_half(to.d + 32, row, block->m);
}

static inline void put_q5_0(const rf_block_q5_0 *block, uint32_t row, parts to) {
    rf_tile_put_nibble_bytes(to.q, row, block->qs);
    put_fifth(to.high, row, block->qh);
    put_half(to.d, row, block->d);
}

static inline void put_q5_1(const rf_block_q5_1 *block, uint32_t row, parts to) {
    rf_tile_put_nibble_bytes(to.q, row, block->qs);
    put_fifth(to.high, row, block->qh);
    put_half(to.d, row, block->d);
    put_half(to.d + 32, row, block->m);
}

/* Stored plus 128, as the kernels' unsigned operand. */
static inline void put_q8_0(const rf_block_q8_0 *block, uint32_t row, parts to) {
    uint8_t codes[32];
    for (int j = 0; j < 32; j++)
        codes[j] = (uint8_t)(block->qs[j] ^ -128);
    rf_tile_put_bytes(to.q, row, codes);
    put_half(to.d, row, block->d);
}

static inline void put_iq4_nl(const rf_block_iq4_nl *block, uint32_t row, parts to) {
    rf_tile_put_nibble_bytes(to.q, row, block->qs);
    put_half(to.d, row, block->d);
}

static inline void put_mxfp4(const rf_block_mxfp4 *block, uint32_t row, parts to) {
    rf_tile_put_nibble_bytes(to.q, row, block->qs);
    to.d[row] = block->e;
}

/* Blocks outside, rows inside: the tile is written in order. Rows beyond n_rows stay 0. */
#define PACK(type)                                                                               \
    size_t rf_tile_bytes_##type(uint32_t n_cols) { return rf_tile_layout_##type(n_cols).bytes; } \
    void rf_tile_pack_##type(const uint8_t *src, size_t row_bytes, uint32_t n_rows,              \
                             uint32_t n_cols, uint8_t *tile) {                                   \
        const rf_tile_layout l = rf_tile_layout_##type(n_cols);                                  \
        if (n_rows < RF_TILE_ROWS)                                                               \
            memset(tile, 0, l.bytes);                                                            \
        for (size_t b = 0; b < n_cols / RF_TILE_BLOCK; b++) {                                    \
            parts to = {tile + b * l.q_step, tile + l.high + b * l.high_step,                    \
                        tile + l.d + b * l.d_step};                                              \
            const uint8_t *from = src + b * sizeof(rf_block_##type);                             \
            for (uint32_t row = 0; row < n_rows; row++)                                          \
                put_##type((const rf_block_##type *)(const void *)(from + row * row_bytes), row, \
                           to);                                                                  \
        }                                                                                        \
    }
PACK(q4_0)
PACK(q4_1)
PACK(q5_0)
PACK(q5_1)
PACK(q8_0)
PACK(iq4_nl)
PACK(mxfp4)
