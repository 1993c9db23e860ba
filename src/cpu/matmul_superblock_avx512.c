/* Types with superblocks of 256 weights. */
#include "cpu/unpack_avx512.h"

enum { PER_SUPER = RF_TILE_SUPERBLOCK / RF_TILE_BLOCK };

/* Scale d * s and minimum -dmin * m from six bits each. */
static RF_TILE_INLINE void unpack_scale_min(const uint8_t *tile, const rf_tile_layout *l, size_t b,
                                            rf_block512 *out) {
    const uint8_t *d = tile + l->d + b / PER_SUPER * l->d_step;
    __m128i scales, mins;
    rf_load_six_bits(tile + l->scales + b / PER_SUPER * l->scales_step, b % PER_SUPER, &scales,
                     &mins);
    __m512 dmin = _mm512_xor_ps(rf_load_halves512(d + 32), _mm512_set1_ps(-0.0f));
    out->scale = _mm512_mul_ps(rf_load_halves512(d), rf_floats_u8(scales));
    out->second = _mm512_mul_ps(dmin, rf_floats_u8(mins));
}

static RF_TILE_INLINE void unpack_q4_k(const uint8_t *tile, const rf_tile_layout *l, size_t b,
                                       rf_block512 *out) {
    rf_load_nibbles512(tile + b * l->q_step, out->w);
    unpack_scale_min(tile, l, b, out);
}
RF_MATMUL_AVX512(q4_k, RF_TILE_MIN, 0)

static RF_TILE_INLINE void unpack_q5_k(const uint8_t *tile, const rf_tile_layout *l, size_t b,
                                       rf_block512 *out) {
    unpack_q4_k(tile, l, b, out);
    rf_add_bit512(tile + l->high + b * l->high_step, 4, out->w);
}
RF_MATMUL_AVX512(q5_k, RF_TILE_MIN, 0)

static RF_TILE_INLINE void unpack_q6_k(const uint8_t *tile, const rf_tile_layout *l, size_t b,
                                       rf_block512 *out) {
    const uint8_t *scales = tile + l->scales + b / PER_SUPER * l->scales_step + b % PER_SUPER * 32;
    __m512 d = rf_load_halves512(tile + l->d + b / PER_SUPER * l->d_step);
    rf_load_nibbles512(tile + b * l->q_step, out->w);
    rf_add_pairs512(tile + l->high + b * l->high_step, out->w);
    out->scale = _mm512_mul_ps(d, rf_floats_i8(rf_load_scales(scales)));
    out->second = _mm512_mul_ps(d, rf_floats_i8(rf_load_scales(scales + 16)));
}
RF_MATMUL_AVX512(q6_k, RF_TILE_HALVES, 0)

/* The scale of each half, 0 … 15, goes into the weights: at most 45. */
static RF_TILE_INLINE void unpack_q2_k(const uint8_t *tile, const rf_tile_layout *l, size_t b,
                                       rf_block512 *out) {
    const uint8_t *s = tile + l->scales + b / PER_SUPER * l->scales_step + b % PER_SUPER * 32;
    const uint8_t *d = tile + l->d + b / PER_SUPER * l->d_step;
    __m512i first = _mm512_cvtepu8_epi32(rf_load_scales(s));
    __m512i second = _mm512_cvtepu8_epi32(rf_load_scales(s + 16));
    __m512i both = _mm512_or_si512(first, _mm512_slli_epi32(second, 16));
    __m512i low = _mm512_and_si512(both, _mm512_set1_epi32(0x000F000F));
    out->pairs = _mm512_and_si512(_mm512_srli_epi32(both, 4), _mm512_set1_epi32(0x000F000F));
    __m512i scale[2] = {_mm512_and_si512(low, _mm512_set1_epi32(15)), _mm512_srli_epi32(low, 16)};
    for (int i = 0; i < 2; i++)
        scale[i] = _mm512_or_si512(scale[i], _mm512_slli_epi32(scale[i], 16));
    rf_load_pairs512(tile + b * l->q_step, out->w);
    RF_TILE_UNROLL
    for (int g = 0; g < 8; g++) /* no carry between bytes */
        out->w[g] = _mm512_mullo_epi16(out->w[g], scale[g / 4]);
    out->scale = rf_load_halves512(d);
    out->second = _mm512_xor_ps(rf_load_halves512(d + 32), _mm512_set1_ps(-0.0f));
}
RF_MATMUL_AVX512(q2_k, RF_TILE_PAIR_MIN, 0)

/* (4 - q) * s with s of each half, -32 … 31, goes into the weights, -128 … 124, plus 128; the sign
 * goes into d. */
static RF_TILE_INLINE void unpack_q3_k(const uint8_t *tile, const rf_tile_layout *l, size_t b,
                                       rf_block512 *out) {
    const __m512i even = _mm512_set1_epi32(0x00FF00FF);
    __m128i s[2];
    rf_load_six_bits(tile + l->scales + b / PER_SUPER * l->scales_step, b % PER_SUPER, &s[0],
                     &s[1]);
    rf_load_pairs512(tile + b * l->q_step, out->w);
    rf_add_bit512(tile + l->high + b * l->high_step, 2, out->w);
    __m512i scale[2], base[2];
    for (int i = 0; i < 2; i++) {
        __m512i x = _mm512_cvtepi8_epi32(_mm_sub_epi8(s[i], _mm_set1_epi8(32)));
        x = _mm512_or_si512(_mm512_slli_epi32(x, 16),
                            _mm512_and_si512(x, _mm512_set1_epi32(0xFFFF)));
        scale[i] = x;
        base[i] = _mm512_add_epi16(_mm512_slli_epi16(x, 2), _mm512_set1_epi16(128));
    }
    RF_TILE_UNROLL
    for (int g = 0; g < 8; g++) { /* 128 + 4 s - q s, a byte in each half of 16 bits */
        __m512i q0 = _mm512_and_si512(out->w[g], even), q1 = _mm512_srli_epi16(out->w[g], 8);
        q0 = _mm512_sub_epi16(base[g / 4], _mm512_mullo_epi16(q0, scale[g / 4]));
        q1 = _mm512_sub_epi16(base[g / 4], _mm512_mullo_epi16(q1, scale[g / 4]));
        out->w[g] = _mm512_or_si512(q0, _mm512_slli_epi16(q1, 8));
    }
    __m512 d = rf_load_halves512(tile + l->d + b / PER_SUPER * l->d_step);
    out->scale = _mm512_xor_ps(d, _mm512_set1_ps(-0.0f));
}
RF_MATMUL_AVX512(q3_k, RF_TILE_BIAS, 0)

static RF_TILE_INLINE void unpack_iq4_xs(const uint8_t *tile, const rf_tile_layout *l, size_t b,
                                         rf_block512 *out) {
    const uint8_t *s = tile + l->scales + b / PER_SUPER * l->scales_step;
    size_t i = b % PER_SUPER;
    __m128i low = rf_load_scales(s + i / 2 * 16), top = rf_load_scales(s + 64 + i / 4 * 16);
    low = _mm_srl_epi32(low, _mm_cvtsi32_si128((int)(i % 2 * 4)));
    top = _mm_srl_epi32(top, _mm_cvtsi32_si128((int)(i % 4 * 2)));
    low = _mm_and_si128(low, _mm_set1_epi8(15));
    top = _mm_and_si128(_mm_slli_epi32(top, 4), _mm_set1_epi8(0x30));
    __m128i scale = _mm_sub_epi8(_mm_or_si128(low, top), _mm_set1_epi8(32));
    rf_load_table512(tile + b * l->q_step, rf_iq4_values, 128, out->w);
    out->scale = _mm512_mul_ps(rf_load_halves512(tile + l->d + b / PER_SUPER * l->d_step),
                               rf_floats_i8(scale));
}
RF_MATMUL_AVX512(iq4_xs, RF_TILE_BIAS, 0)
