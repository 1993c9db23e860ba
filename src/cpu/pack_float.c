/* Tiles of float types. */
#include <string.h>

#include "cpu/tile_layout.h"

size_t rf_tile_bytes_f32(uint32_t n_cols) { return (size_t)n_cols * RF_TILE_ROWS * 4; }

size_t rf_tile_bytes_f16(uint32_t n_cols) {
    return ((size_t)n_cols + n_cols % 2) * RF_TILE_ROWS * 2; /* 64-byte aligned */
}

size_t rf_tile_bytes_bf16(uint32_t n_cols) { return rf_tile_bytes_f16(n_cols); }

void rf_tile_pack_f32(const uint8_t *src, size_t row_bytes, uint32_t n_rows, uint32_t n_cols,
                      uint8_t *tile) {
    if (n_rows < RF_TILE_ROWS)
        memset(tile, 0, rf_tile_bytes_f32(n_cols));
    for (size_t col = 0; col < n_cols; col++)
        for (size_t row = 0; row < n_rows; row++)
            memcpy(tile + 4 * (RF_TILE_ROWS * col + row), src + row * row_bytes + 4 * col, 4);
}

/* Halves: dst[col / group][row][group]. */
static void pack_halves(const uint8_t *src, size_t row_bytes, const uint32_t shape[2], size_t group,
                        uint8_t *tile) {
    if (shape[0] < RF_TILE_ROWS || shape[1] % 2 != 0)
        memset(tile, 0, rf_tile_bytes_f16(shape[1]));
    for (size_t col = 0; col < shape[1]; col++) {
        uint8_t *dst = tile + 2 * (RF_TILE_ROWS * (col / group * group) + col % group);
        for (size_t row = 0; row < shape[0]; row++)
            memcpy(dst + 2 * group * row, src + row * row_bytes + 2 * col, 2);
    }
}

void rf_tile_pack_f16(const uint8_t *src, size_t row_bytes, uint32_t n_rows, uint32_t n_cols,
                      uint8_t *tile) {
    pack_halves(src, row_bytes, (const uint32_t[2]){n_rows, n_cols}, 1, tile);
}

void rf_tile_pack_bf16(const uint8_t *src, size_t row_bytes, uint32_t n_rows, uint32_t n_cols,
                       uint8_t *tile) {
    pack_halves(src, row_bytes, (const uint32_t[2]){n_rows, n_cols}, 2, tile);
}
