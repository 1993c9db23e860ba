/* Tiles of the types with blocks of 256 weights. */
#include <string.h>

#include "cpu/tile_bits.h"
#include "cpu/tile_layout.h"
#include "quant/blocks.h"

enum { GROUPS = RF_TILE_SUPERBLOCK / RF_TILE_BLOCK };

/* Where superblock s of a tile keeps its parts. */
typedef struct parts {
    uint8_t *q, *high, *scales, *d;
} parts;

static void put_half(uint8_t *dst, uint32_t row, uint16_t half) {
    memcpy(dst + 2 * row, &half, sizeof half);
}

/* Weights 32 group … of a plane of 2-bit fields: byte j of 32 holds j, j + 32, j + 64, j + 96. */
static void pairs_of(const uint8_t *plane, int group, uint8_t out[32]) {
    for (int j = 0; j < 32; j++)
        out[j] = plane[group / 4 * 32 + j] >> (group % 4 * 2) & 3;
}

/* Weights 32 group … of nibbles: byte j of 32 holds j and j + 32 of 64. */
static void nibbles_of(const uint8_t *qs, int group, uint8_t out[32]) {
    for (int j = 0; j < 32; j++)
        out[j] = qs[group / 2 * 32 + j] >> (group % 2 * 4) & 15;
}

static void bits_of(const uint8_t *plane, int group, uint8_t out[32]) {
    for (int j = 0; j < 32; j++)
        out[j] = plane[j] >> group & 1;
}

/* Two 6-bit numbers for each of 8 groups: low nibbles together, then top bits of two groups. */
static void put_six_bits(uint8_t *scales, uint32_t row, const uint8_t first[GROUPS],
                         const uint8_t second[GROUPS]) {
    for (int g = 0; g < GROUPS; g++)
        scales[16 * g + (int)row] = (uint8_t)((first[g] & 15) | second[g] << 4);
    for (int g = 0; g < GROUPS; g += 2)
        scales[128 + 8 * g + (int)row] =
            (uint8_t)(first[g] >> 4 | second[g] >> 4 << 2 | first[g + 1] >> 4 << 4 |
                      second[g + 1] >> 4 << 6);
}

static void put_q2_k(const rf_block_q2_k *block, uint32_t row, parts to) {
    for (int g = 0; g < GROUPS; g++) {
        uint8_t codes[32];
        pairs_of(block->qs, g, codes);
        rf_tile_put_pairs(to.q + 128 * g, row, codes, 0);
    }
    for (uint32_t i = 0; i < 16; i++)
        to.scales[16 * i + row] = block->scales[i];
    put_half(to.d, row, block->d);
    put_half(to.d + 32, row, block->dmin);
}

static void put_q3_k(const rf_block_q3_k *block, uint32_t row, parts to) {
    int8_t scales[16];
    uint8_t even[GROUPS], odd[GROUPS];
    rf_q3_k_scales(block->scales, scales);
    for (int g = 0; g < GROUPS; g++) {
        uint8_t codes[32], bits[32];
        pairs_of(block->qs, g, codes);
        bits_of(block->hmask, g, bits);
        rf_tile_put_pairs(to.q + 128 * g, row, codes, 0);
        rf_tile_put_bit(to.high + 64 * g, row, bits, 0);
        even[g] = (uint8_t)(scales[2 * g] + 32);
        odd[g] = (uint8_t)(scales[2 * g + 1] + 32);
    }
    put_six_bits(to.scales, row, even, odd);
    put_half(to.d, row, block->d);
}

static void put_q4_k(const rf_block_q4_k *block, uint32_t row, parts to) {
    uint8_t scales[GROUPS], mins[GROUPS];
    for (int g = 0; g < GROUPS; g++) {
        uint8_t codes[32];
        nibbles_of(block->qs, g, codes);
        rf_tile_put_nibbles(to.q + 256 * g, row, codes);
    }
    rf_q4_k_scales(block->scales, scales, mins);
    put_six_bits(to.scales, row, scales, mins);
    put_half(to.d, row, block->d);
    put_half(to.d + 32, row, block->dmin);
}

static void put_q5_k(const rf_block_q5_k *block, uint32_t row, parts to) {
    uint8_t scales[GROUPS], mins[GROUPS];
    for (int g = 0; g < GROUPS; g++) {
        uint8_t codes[32], bits[32];
        nibbles_of(block->qs, g, codes);
        bits_of(block->qh, g, bits);
        rf_tile_put_nibbles(to.q + 256 * g, row, codes);
        rf_tile_put_bit(to.high + 64 * g, row, bits, 0);
    }
    rf_q4_k_scales(block->scales, scales, mins);
    put_six_bits(to.scales, row, scales, mins);
    put_half(to.d, row, block->d);
    put_half(to.d + 32, row, block->dmin);
}

static void put_q6_k(const rf_block_q6_k *block, uint32_t row, parts to) {
    for (int g = 0; g < GROUPS; g++) {
        uint8_t low[32], top[32];
        for (int j = 0; j < 32; j++)
            low[j] = block->ql[g / 4 * 64 + g % 2 * 32 + j] >> (g % 4 / 2 * 4) & 15;
        pairs_of(block->qh, g, top);
        rf_tile_put_nibbles(to.q + 256 * g, row, low);
        rf_tile_put_pairs(to.high + 128 * g, row, top, 0);
    }
    for (uint32_t i = 0; i < 16; i++)
        to.scales[16 * i + row] = (uint8_t)block->scales[i];
    put_half(to.d, row, block->d);
}

static void put_iq4_xs(const rf_block_iq4_xs *block, uint32_t row, parts to) {
    for (uint32_t g = 0; g < GROUPS; g++)
        rf_tile_put_nibble_bytes(to.q + 256 * g, row, block->qs + 16 * g);
    for (uint32_t i = 0; i < 4; i++)
        to.scales[16 * i + row] = block->scales_l[i];
    to.scales[64 + row] = (uint8_t)block->scales_h;
    to.scales[80 + row] = (uint8_t)(block->scales_h >> 8);
    put_half(to.d, row, block->d);
}

/* Superblocks outside, rows inside: the tile is written in order. Rows beyond n_rows stay 0. */
#define PACK(type)                                                                               \
    size_t rf_tile_bytes_##type(uint32_t n_cols) { return rf_tile_layout_##type(n_cols).bytes; } \
    void rf_tile_pack_##type(const uint8_t *src, size_t row_bytes, uint32_t n_rows,              \
                             uint32_t n_cols, uint8_t *tile) {                                   \
        const rf_tile_layout l = rf_tile_layout_##type(n_cols);                                  \
        if (n_rows < RF_TILE_ROWS)                                                               \
            memset(tile, 0, l.bytes);                                                            \
        for (size_t s = 0; s < n_cols / RF_TILE_SUPERBLOCK; s++) {                               \
            parts to = {tile + s * GROUPS * l.q_step, tile + l.high + s * GROUPS * l.high_step,  \
                        tile + l.scales + s * l.scales_step, tile + l.d + s * l.d_step};         \
            const uint8_t *from = src + s * sizeof(rf_block_##type);                             \
            for (uint32_t row = 0; row < n_rows; row++)                                          \
                put_##type((const rf_block_##type *)(const void *)(from + row * row_bytes), row, \
                           to);                                                                  \
        }                                                                                        \
    }
PACK(q2_k)
PACK(q3_k)
PACK(q4_k)
PACK(q5_k)
PACK(q6_k)
PACK(iq4_xs)
