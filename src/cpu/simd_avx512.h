/*
 * Vectors of 16 floats with AVX-512, under the same names as cpu/simd_avx2.h, so that one body of a
 * kernel (the .inc files) serves both. Only for files named *_avx512.c. Pure functions.
 */
#ifndef RF_CPU_SIMD_AVX512_H
#define RF_CPU_SIMD_AVX512_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

typedef __m512 rf_vec;
enum { RF_VEC_LANES = 16 };

static inline __mmask16 rf_vec_first(size_t n) { return (__mmask16)((1u << n) - 1u); }

static inline rf_vec rf_vec_set(float x) { return _mm512_set1_ps(x); }
static inline rf_vec rf_vec_load(const float *p) { return _mm512_loadu_ps(p); }
static inline void rf_vec_store(float *p, rf_vec x) { _mm512_storeu_ps(p, x); }
/* The first n < RF_VEC_LANES lanes; the others are 0. */
static inline rf_vec rf_vec_load_part(const float *p, size_t n) {
    return _mm512_maskz_loadu_ps(rf_vec_first(n), p);
}
static inline void rf_vec_store_part(float *p, size_t n, rf_vec x) {
    _mm512_mask_storeu_ps(p, rf_vec_first(n), x);
}

static inline rf_vec rf_vec_add(rf_vec a, rf_vec b) { return _mm512_add_ps(a, b); }
static inline rf_vec rf_vec_sub(rf_vec a, rf_vec b) { return _mm512_sub_ps(a, b); }
static inline rf_vec rf_vec_mul(rf_vec a, rf_vec b) { return _mm512_mul_ps(a, b); }
static inline rf_vec rf_vec_div(rf_vec a, rf_vec b) { return _mm512_div_ps(a, b); }
static inline rf_vec rf_vec_fma(rf_vec a, rf_vec b, rf_vec c) { return _mm512_fmadd_ps(a, b, c); }
static inline rf_vec rf_vec_abs(rf_vec a) { return _mm512_abs_ps(a); }
/* If one is NaN: b. */
static inline rf_vec rf_vec_max(rf_vec a, rf_vec b) { return _mm512_max_ps(a, b); }
static inline rf_vec rf_vec_min(rf_vec a, rf_vec b) { return _mm512_min_ps(a, b); }
static inline rf_vec rf_vec_round(rf_vec a) {
    return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
/* a * 2^n, n integral in -160 … 160 */
static inline rf_vec rf_vec_scale2(rf_vec a, rf_vec n) { return _mm512_scalef_ps(a, n); }
/* a < b ? x : y, lane by lane */
static inline rf_vec rf_vec_if_less(rf_vec a, rf_vec b, rf_vec x, rf_vec y) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), y, x);
}
/* Lanes begin … end-1 of x, elsewhere other. */
static inline rf_vec rf_vec_keep(rf_vec x, int begin, int end, rf_vec other) {
    __m512i lane = _mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
    __mmask16 keep = _mm512_cmpge_epi32_mask(lane, _mm512_set1_epi32(begin)) &
                     _mm512_cmplt_epi32_mask(lane, _mm512_set1_epi32(end));
    return _mm512_mask_blend_ps(keep, other, x);
}
static inline float rf_vec_sum(rf_vec a) { return _mm512_reduce_add_ps(a); }
static inline float rf_vec_largest(rf_vec a) { return _mm512_reduce_max_ps(a); }

/* The largest magnitude of 32 floats as bits: NaN above infinity above all numbers. */
static inline uint32_t rf_vec_largest_bits32(const float *p) {
    __m512i magnitude = _mm512_set1_epi32(0x7FFFFFFF);
    __m512i a = _mm512_and_si512(_mm512_loadu_si512(p), magnitude);
    __m512i b = _mm512_and_si512(_mm512_loadu_si512(p + 16), magnitude);
    return _mm512_reduce_max_epu32(_mm512_max_epu32(a, b));
}
static inline rf_vec rf_vec_load_half(const uint16_t *p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}
static inline void rf_vec_store_half(uint16_t *p, rf_vec x) {
    _mm256_storeu_si256((__m256i *)(void *)p, _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
}
static inline rf_vec rf_vec_load_bytes(const int8_t *p) {
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)p);
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(bytes));
}
/* Rounded to nearest; values are within -127 … 127. */
static inline void rf_vec_store_bytes(int8_t *p, rf_vec x) {
    __m128i bytes = _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(x));
    _mm_storeu_si128((__m128i *)(void *)p, bytes);
}

#endif
