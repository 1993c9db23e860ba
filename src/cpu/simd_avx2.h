/*
 * Vectors of 8 floats with AVX2, FMA and F16C, under the same names as cpu/simd_avx512.h, so that
 * one body of a kernel (the .inc files) serves both. Only for files named *_avx2.c. Pure functions.
 */
#ifndef RF_CPU_SIMD_AVX2_H
#define RF_CPU_SIMD_AVX2_H

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>

typedef __m256 rf_vec;
enum { RF_VEC_LANES = 8 };

static inline __m256i rf_vec_lanes(void) { return _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0); }
static inline __m256i rf_vec_first(size_t n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), rf_vec_lanes());
}

static inline rf_vec rf_vec_set(float x) { return _mm256_set1_ps(x); }
static inline rf_vec rf_vec_load(const float *p) { return _mm256_loadu_ps(p); }
static inline void rf_vec_store(float *p, rf_vec x) { _mm256_storeu_ps(p, x); }
/* The first n < RF_VEC_LANES lanes; the others are 0. */
static inline rf_vec rf_vec_load_part(const float *p, size_t n) {
    return _mm256_maskload_ps(p, rf_vec_first(n));
}
static inline void rf_vec_store_part(float *p, size_t n, rf_vec x) {
    _mm256_maskstore_ps(p, rf_vec_first(n), x);
}

static inline rf_vec rf_vec_add(rf_vec a, rf_vec b) { return _mm256_add_ps(a, b); }
static inline rf_vec rf_vec_sub(rf_vec a, rf_vec b) { return _mm256_sub_ps(a, b); }
static inline rf_vec rf_vec_mul(rf_vec a, rf_vec b) { return _mm256_mul_ps(a, b); }
static inline rf_vec rf_vec_div(rf_vec a, rf_vec b) { return _mm256_div_ps(a, b); }
static inline rf_vec rf_vec_fma(rf_vec a, rf_vec b, rf_vec c) { return _mm256_fmadd_ps(a, b, c); }
static inline rf_vec rf_vec_abs(rf_vec a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
/* If one is NaN: b. */
static inline rf_vec rf_vec_max(rf_vec a, rf_vec b) { return _mm256_max_ps(a, b); }
static inline rf_vec rf_vec_min(rf_vec a, rf_vec b) { return _mm256_min_ps(a, b); }
static inline rf_vec rf_vec_round(rf_vec a) {
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
/* a * 2^n, n integral in -160 … 160: in two steps, so that both factors are normal numbers */
static inline rf_vec rf_vec_scale2(rf_vec a, rf_vec n) {
    __m256i whole = _mm256_cvtps_epi32(n), half = _mm256_srai_epi32(whole, 1);
    __m256i rest = _mm256_sub_epi32(whole, half), bias = _mm256_set1_epi32(127);
    __m256i f = _mm256_slli_epi32(_mm256_add_epi32(half, bias), 23);
    __m256i g = _mm256_slli_epi32(_mm256_add_epi32(rest, bias), 23);
    return _mm256_mul_ps(_mm256_mul_ps(a, _mm256_castsi256_ps(f)), _mm256_castsi256_ps(g));
}
/* a < b ? x : y, lane by lane */
static inline rf_vec rf_vec_if_less(rf_vec a, rf_vec b, rf_vec x, rf_vec y) {
    return _mm256_blendv_ps(y, x, _mm256_cmp_ps(a, b, _CMP_LT_OQ));
}
/* Lanes begin … end-1 of x, elsewhere other. */
static inline rf_vec rf_vec_keep(rf_vec x, int begin, int end, rf_vec other) {
    __m256i before = _mm256_cmpgt_epi32(_mm256_set1_epi32(begin), rf_vec_lanes());
    __m256i inside = _mm256_cmpgt_epi32(_mm256_set1_epi32(end), rf_vec_lanes());
    __m256i keep = _mm256_andnot_si256(before, inside);
    return _mm256_blendv_ps(other, x, _mm256_castsi256_ps(keep));
}
static inline float rf_vec_sum(rf_vec a) {
    __m128 x = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    x = _mm_add_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_add_ss(x, _mm_movehdup_ps(x)));
}
static inline float rf_vec_largest(rf_vec a) {
    __m128 x = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    x = _mm_max_ps(x, _mm_movehl_ps(x, x));
    return _mm_cvtss_f32(_mm_max_ss(x, _mm_movehdup_ps(x)));
}

/* The largest magnitude of 32 floats as bits: NaN above infinity above all numbers. */
static inline uint32_t rf_vec_largest_bits32(const float *p) {
    __m256i magnitude = _mm256_set1_epi32(0x7FFFFFFF), largest = _mm256_setzero_si256();
    for (int i = 0; i < 32; i += 8) {
        __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)(p + i));
        largest = _mm256_max_epu32(largest, _mm256_and_si256(x, magnitude));
    }
    __m128i x =
        _mm_max_epu32(_mm256_castsi256_si128(largest), _mm256_extracti128_si256(largest, 1));
    x = _mm_max_epu32(x, _mm_shuffle_epi32(x, 0x4E));
    x = _mm_max_epu32(x, _mm_shuffle_epi32(x, 0xB1));
    return (uint32_t)_mm_cvtsi128_si32(x);
}
static inline rf_vec rf_vec_load_half(const uint16_t *p) {
    return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)p));
}
static inline void rf_vec_store_half(uint16_t *p, rf_vec x) {
    _mm_storeu_si128((__m128i *)(void *)p, _mm256_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT));
}
static inline rf_vec rf_vec_load_bytes(const int8_t *p) {
    __m128i bytes = _mm_loadl_epi64((const __m128i *)(const void *)p);
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes));
}
/* Rounded to nearest; values are within -127 … 127. */
static inline void rf_vec_store_bytes(int8_t *p, rf_vec x) {
    __m256i whole = _mm256_cvtps_epi32(x);
    __m128i words =
        _mm_packs_epi32(_mm256_castsi256_si128(whole), _mm256_extracti128_si256(whole, 1));
    _mm_storel_epi64((__m128i *)(void *)p, _mm_packs_epi16(words, words));
}

#endif
