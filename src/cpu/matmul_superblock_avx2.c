/* Types with superblocks of 256 weights. */
#include "cpu/unpack_avx2.h"

enum { PER_SUPER = RF_TILE_SUPERBLOCK / RF_TILE_BLOCK };

/* Scale d * s and minimum -dmin * m from six bits each. */
static RF_TILE_INLINE void unpack_scale_min(const uint8_t *tile, const rf_tile_layout *l, size_t b,
                                            rf_block256 *out) {
    const uint8_t *d = tile + l->d + b / PER_SUPER * l->d_step;
    uint8_t scales[16], mins[16];
    rf_unpack_six_bits(tile + l->scales + b / PER_SUPER * l->scales_step, b % PER_SUPER, scales,
                       mins);
    rf_load_halves256(d, 1, out->scale);
    rf_load_halves256(d + 32, -1, out->second);
    rf_scale_u8(out->scale, scales);
    rf_scale_u8(out->second, mins);
}

static RF_TILE_INLINE void unpack_q4_k(const uint8_t *tile, const rf_tile_layout *l, size_t b,
                                       rf_block256 *out) {
    rf_load_nibbles256(tile + b * l->q_step, out);
    unpack_scale_min(tile, l, b, out);
}
RF_MATMUL_AVX2(q4_k, RF_TILE_MIN, 0, 8)

static RF_TILE_INLINE void unpack_q5_k(const uint8_t *tile, const rf_tile_layout *l, size_t b,
                                       rf_block256 *out) {
    unpack_q4_k(tile, l, b, out);
    rf_add_bit256(tile + l->high + b * l->high_step, 4, out);
}
RF_MATMUL_AVX2(q5_k, RF_TILE_MIN, 0, 4)

static RF_TILE_INLINE void unpack_q6_k(const uint8_t *tile, const rf_tile_layout *l, size_t b,
                                       rf_block256 *out) {
    const uint8_t *scales = tile + l->scales + b / PER_SUPER * l->scales_step + b % PER_SUPER * 32;
    const uint8_t *d = tile + l->d + b / PER_SUPER * l->d_step;
    rf_load_nibbles256(tile + b * l->q_step, out);
    rf_add_pairs256(tile + l->high + b * l->high_step, out);
    rf_load_halves256(d, 1, out->scale);
    rf_load_halves256(d, 1, out->second);
    rf_scale_i8(out->scale, (const int8_t *)scales);
    rf_scale_i8(out->second, (const int8_t *)scales + 16);
}
RF_MATMUL_AVX2(q6_k, RF_TILE_HALVES, 0, 2)

/* Weights of a half-block times the scale of their row. 16 bits hold two bytes of a row. */
static RF_TILE_INLINE void scale_weights(uint8_t w[64], const int16_t scales[16], int minus) {
    const __m256i even = _mm256_set1_epi16(0xFF), off = _mm256_set1_epi16((short)minus);
    for (int half = 0; half < 2; half++) {
        __m128i s = _mm_loadu_si128((const __m128i *)(const void *)(scales + 8 * half));
        __m256i wide = _mm256_cvtepu16_epi32(s);
        wide = _mm256_or_si256(wide, _mm256_slli_epi32(wide, 16));
        __m256i x = rf_load256(w + 32 * half);
        __m256i low = _mm256_sub_epi16(off, _mm256_and_si256(x, even));
        __m256i high = _mm256_sub_epi16(off, _mm256_srli_epi16(x, 8));
        low = _mm256_and_si256(_mm256_mullo_epi16(low, wide), even);
        high = _mm256_slli_epi16(_mm256_mullo_epi16(high, wide), 8);
        rf_store256(w + 32 * half, _mm256_or_si256(low, high));
    }
}

/* The scale of each half, 0 … 15, goes into the weights: at most 45. */
static RF_TILE_INLINE void unpack_q2_k(const uint8_t *tile, const rf_tile_layout *l, size_t b,
                                       rf_block256 *out) {
    const uint8_t *s = tile + l->scales + b / PER_SUPER * l->scales_step + b % PER_SUPER * 32;
    const uint8_t *d = tile + l->d + b / PER_SUPER * l->d_step;
    int16_t scales[2][16]; /* negative: scale_weights turns the sign */
    for (int row = 0; row < 16; row++)
        for (int i = 0; i < 2; i++) {
            scales[i][row] = (int16_t) - (s[16 * i + row] & 15);
            out->pairs[row][i] = s[16 * i + row] >> 4;
        }
    rf_load_pairs256(tile + b * l->q_step, out);
    for (int g = 0; g < 8; g++)
        scale_weights(out->w[g], scales[g / 4], 0);
    rf_load_halves256(d, 1, out->scale);
    rf_load_halves256(d + 32, -1, out->second);
}
RF_MATMUL_AVX2(q2_k, RF_TILE_PAIR_MIN, 0, 2)

/* (4 - q) * s with s of each half, -32 … 31, goes into the weights, the sign into d. */
static RF_TILE_INLINE void unpack_q3_k(const uint8_t *tile, const rf_tile_layout *l, size_t b,
                                       rf_block256 *out) {
    uint8_t s[2][16];
    int16_t scales[2][16];
    rf_unpack_six_bits(tile + l->scales + b / PER_SUPER * l->scales_step, b % PER_SUPER, s[0],
                       s[1]);
    for (int row = 0; row < 16; row++)
        for (int i = 0; i < 2; i++)
            scales[i][row] = (int16_t)(s[i][row] - 32);
    rf_load_pairs256(tile + b * l->q_step, out);
    rf_add_bit256(tile + l->high + b * l->high_step, 2, out);
    for (int g = 0; g < 8; g++)
        scale_weights(out->w[g], scales[g / 4], 4);
    rf_load_halves256(tile + l->d + b / PER_SUPER * l->d_step, -1, out->scale);
}
RF_MATMUL_SIGNED_AVX2(q3_k)

static RF_TILE_INLINE void unpack_iq4_xs(const uint8_t *tile, const rf_tile_layout *l, size_t b,
                                         rf_block256 *out) {
    const uint8_t *s = tile + l->scales + b / PER_SUPER * l->scales_step;
    const size_t i = b % PER_SUPER;
    int8_t scales[16];
    for (size_t row = 0; row < 16; row++) {
        int low = s[i / 2 * 16 + row] >> (i % 2 * 4) & 15;
        int top = s[64 + i / 4 * 16 + row] >> (i % 4 * 2) & 3;
        scales[row] = (int8_t)((low | top << 4) - 32);
    }
    rf_load_table256(tile + b * l->q_step, rf_iq4_values, 0, out);
    rf_load_halves256(tile + l->d + b / PER_SUPER * l->d_step, 1, out->scale);
    rf_scale_i8(out->scale, scales);
}
RF_MATMUL_SIGNED_AVX2(iq4_xs)
