/* Types with blocks of 32 weights. */
#include "cpu/unpack_avx2.h"

static RF_TILE_INLINE void unpack_q4_0(const uint8_t *tile, const rf_tile_layout *l, size_t b,
                                       rf_block256 *out) {
    rf_load_nibbles256(tile + b * l->q_step, out);
    rf_load_halves256(tile + l->d + b * l->d_step, 1, out->scale);
}
RF_MATMUL_AVX2(q4_0, RF_TILE_BIAS, 4, 8)

static RF_TILE_INLINE void unpack_q4_1(const uint8_t *tile, const rf_tile_layout *l, size_t b,
                                       rf_block256 *out) {
    rf_load_nibbles256(tile + b * l->q_step, out);
    rf_load_halves256(tile + l->d + b * l->d_step, 1, out->scale);
    rf_load_halves256(tile + l->d + b * l->d_step + 32, 1, out->second);
}
RF_MATMUL_AVX2(q4_1, RF_TILE_MIN, 0, 8)

static RF_TILE_INLINE void unpack_q5_0(const uint8_t *tile, const rf_tile_layout *l, size_t b,
                                       rf_block256 *out) {
    unpack_q4_0(tile, l, b, out);
    rf_add_bit256(tile + l->high + b * l->high_step, 4, out);
}
RF_MATMUL_AVX2(q5_0, RF_TILE_BIAS, 3, 4)

static RF_TILE_INLINE void unpack_q5_1(const uint8_t *tile, const rf_tile_layout *l, size_t b,
                                       rf_block256 *out) {
    unpack_q4_1(tile, l, b, out);
    rf_add_bit256(tile + l->high + b * l->high_step, 4, out);
}
RF_MATMUL_AVX2(q5_1, RF_TILE_MIN, 0, 4)

/* The tile holds q + 128. */
static RF_TILE_INLINE void unpack_q8_0(const uint8_t *tile, const rf_tile_layout *l, size_t b,
                                       rf_block256 *out) {
    const uint8_t *q = tile + b * l->q_step;
    RF_TILE_UNROLL
    for (int i = 0; i < 16; i++)
        rf_store256(out->w[0] + 32 * i,
                    _mm256_xor_si256(rf_load256(q + 32 * i), _mm256_set1_epi8(-128)));
    rf_load_halves256(tile + l->d + b * l->d_step, 1, out->scale);
}
RF_MATMUL_SIGNED_AVX2(q8_0)

static RF_TILE_INLINE void unpack_iq4_nl(const uint8_t *tile, const rf_tile_layout *l, size_t b,
                                         rf_block256 *out) {
    rf_load_table256(tile + b * l->q_step, rf_iq4_values, 0, out);
    rf_load_halves256(tile + l->d + b * l->d_step, 1, out->scale);
}
RF_MATMUL_SIGNED_AVX2(iq4_nl)

/* Values are -12 … 12. */
static RF_TILE_INLINE void unpack_mxfp4(const uint8_t *tile, const rf_tile_layout *l, size_t b,
                                        rf_block256 *out) {
    const uint8_t *e = tile + l->d + b * l->d_step;
    rf_load_table256(tile + b * l->q_step, rf_mxfp4_values, 16, out);
    for (int row = 0; row < RF_TILE_ROWS; row++)
        out->scale[row] = rf_e8m0_half(e[row]);
}
RF_MATMUL_AVX2(mxfp4, RF_TILE_BIAS, 3, 4)
