/*
 * Puts the codes of a 32-block of one row into the sections of a tile (see cpu/tile_layout.h). dst
 * is the block's first byte in the section. Pure functions; any thread.
 */
#ifndef RF_CPU_TILE_BITS_H
#define RF_CPU_TILE_BITS_H

#include <stdint.h>
#include <string.h>

static inline uint32_t rf_tile_load_u32(const uint8_t *p) {
    uint32_t x;
    memcpy(&x, p, sizeof x);
    return x;
}

static inline void rf_tile_store_u32(uint8_t *p, uint32_t x) { memcpy(p, &x, sizeof x); }

/* One byte a code. */
static inline void rf_tile_put_bytes(uint8_t *dst, uint32_t row, const uint8_t codes[32]) {
    for (uint32_t g = 0; g < 8; g++)
        rf_tile_store_u32(dst + 64 * g + 4 * row, rf_tile_load_u32(codes + 4 * g));
}

/* 16 bytes: code j in the low, j + 16 in the high nibble of byte j. */
static inline void rf_tile_put_nibble_bytes(uint8_t *dst, uint32_t row, const uint8_t bytes[16]) {
    for (uint32_t g = 0; g < 4; g++)
        rf_tile_store_u32(dst + 64 * g + 4 * row, rf_tile_load_u32(bytes + 4 * g));
}

/* Low nibbles of 32 codes. */
static inline void rf_tile_put_nibbles(uint8_t *dst, uint32_t row, const uint8_t codes[32]) {
    uint8_t bytes[16];
    for (int j = 0; j < 16; j++)
        bytes[j] = (uint8_t)((codes[j] & 15) | codes[j + 16] << 4);
    rf_tile_put_nibble_bytes(dst, row, bytes);
}

/* Bits shift and shift + 1 of 32 codes. */
static inline void rf_tile_put_pairs(uint8_t *dst, uint32_t row, const uint8_t codes[32],
                                     int shift) {
    for (uint32_t z = 0; z < 2; z++) {
        uint32_t x = 0;
        for (uint32_t g = 0; g < 4; g++)
            x |= (rf_tile_load_u32(codes + 16 * z + 4 * g) >> shift & 0x03030303u) << (2 * g);
        rf_tile_store_u32(dst + 64 * z + 4 * row, x);
    }
}

/* Bit `shift` of 32 codes. */
static inline void rf_tile_put_bit(uint8_t *dst, uint32_t row, const uint8_t codes[32], int shift) {
    uint32_t x = 0;
    for (uint32_t g = 0; g < 8; g++)
        x |= (rf_tile_load_u32(codes + 4 * g) >> shift & 0x01010101u) << g;
    rf_tile_store_u32(dst + 4 * row, x);
}

#endif
