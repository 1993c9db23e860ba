/* Types with blocks of 32 weights. */
#include "cpu/unpack_avx512.h"

static RF_TILE_INLINE void unpack_q4_0(const uint8_t *tile, const rf_tile_layout *l, size_t b,
                                       rf_block512 *out) {
    rf_load_nibbles512(tile + b * l->q_step, out->w);
    out->scale = rf_load_halves512(tile + l->d + b * l->d_step);
}
RF_MATMUL_AVX512(q4_0, RF_TILE_BIAS, 4)

static RF_TILE_INLINE void unpack_q4_1(const uint8_t *tile, const rf_tile_layout *l, size_t b,
                                       rf_block512 *out) {
    rf_load_nibbles512(tile + b * l->q_step, out->w);
    out->scale = rf_load_halves512(tile + l->d + b * l->d_step);
    out->second = rf_load_halves512(tile + l->d + b * l->d_step + 32);
}
RF_MATMUL_AVX512(q4_1, RF_TILE_MIN, 0)

static RF_TILE_INLINE void unpack_q5_0(const uint8_t *tile, const rf_tile_layout *l, size_t b,
                                       rf_block512 *out) {
    unpack_q4_0(tile, l, b, out);
    rf_add_bit512(tile + l->high + b * l->high_step, 4, out->w);
}
RF_MATMUL_AVX512(q5_0, RF_TILE_BIAS, 3)

static RF_TILE_INLINE void unpack_q5_1(const uint8_t *tile, const rf_tile_layout *l, size_t b,
                                       rf_block512 *out) {
    unpack_q4_1(tile, l, b, out);
    rf_add_bit512(tile + l->high + b * l->high_step, 4, out->w);
}
RF_MATMUL_AVX512(q5_1, RF_TILE_MIN, 0)

/* The tile holds q + 128. */
static RF_TILE_INLINE void unpack_q8_0(const uint8_t *tile, const rf_tile_layout *l, size_t b,
                                       rf_block512 *out) {
    rf_load_bytes512(tile + b * l->q_step, out->w);
    out->scale = rf_load_halves512(tile + l->d + b * l->d_step);
}
RF_MATMUL_AVX512(q8_0, RF_TILE_BIAS, 0)

static RF_TILE_INLINE void unpack_iq4_nl(const uint8_t *tile, const rf_tile_layout *l, size_t b,
                                         rf_block512 *out) {
    rf_load_table512(tile + b * l->q_step, rf_iq4_values, 128, out->w);
    out->scale = rf_load_halves512(tile + l->d + b * l->d_step);
}
RF_MATMUL_AVX512(iq4_nl, RF_TILE_BIAS, 0)

/* Values are -12 … 12; scales as rf_e8m0_half. */
static RF_TILE_INLINE void unpack_mxfp4(const uint8_t *tile, const rf_tile_layout *l, size_t b,
                                        rf_block512 *out) {
    rf_load_table512(tile + b * l->q_step, rf_mxfp4_values, 16, out->w);
    __m512i e = _mm512_cvtepu8_epi32(rf_load_scales(tile + l->d + b * l->d_step));
    __m512i normal = _mm512_slli_epi32(_mm512_sub_epi32(e, _mm512_set1_epi32(1)), 23);
    __m512i subnormal = _mm512_sllv_epi32(_mm512_set1_epi32(0x00200000), e);
    __mmask16 is_subnormal = _mm512_cmplt_epi32_mask(e, _mm512_set1_epi32(2));
    out->scale = _mm512_castsi512_ps(_mm512_mask_blend_epi32(is_subnormal, normal, subnormal));
}
RF_MATMUL_AVX512(mxfp4, RF_TILE_BIAS, 3)
