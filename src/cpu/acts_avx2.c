#include <immintrin.h>
#include <math.h>
#include <string.h>

#include "cpu/acts.h"

/* Dword i of lane l of the result: the largest of lane l of v[i]. */
static inline __m256i max_of_lanes(const __m256i v[4]) {
    __m256i a =
        _mm256_max_epu32(_mm256_unpacklo_epi32(v[0], v[1]), _mm256_unpackhi_epi32(v[0], v[1]));
    __m256i b =
        _mm256_max_epu32(_mm256_unpacklo_epi32(v[2], v[3]), _mm256_unpackhi_epi32(v[2], v[3]));
    return _mm256_max_epu32(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
}

/* The same with sums. */
static inline __m256i sum_of_lanes(const __m256i v[4]) {
    __m256i a =
        _mm256_add_epi32(_mm256_unpacklo_epi32(v[0], v[1]), _mm256_unpackhi_epi32(v[0], v[1]));
    __m256i b =
        _mm256_add_epi32(_mm256_unpacklo_epi32(v[2], v[3]), _mm256_unpackhi_epi32(v[2], v[3]));
    return _mm256_add_epi32(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
}

/* Bits of the largest |x| of each block; as integers NaN is above infinity above all numbers. */
static __m256i eight_largest(const float *x, uint32_t n) {
    const __m256i no_sign = _mm256_set1_epi32(0x7FFFFFFF);
    __m256i largest[RF_ACTS_EIGHT];
    for (uint32_t b = 0; b < RF_ACTS_EIGHT; b++) {
        const float *block = x + (b < n ? b : n - 1) * RF_ACTS_BLOCK;
        largest[b] = _mm256_setzero_si256();
        for (int i = 0; i < RF_ACTS_BLOCK; i += 8) {
            __m256i bits = _mm256_castps_si256(_mm256_loadu_ps(block + i));
            largest[b] = _mm256_max_epu32(largest[b], _mm256_and_si256(bits, no_sign));
        }
    }
    __m256i low = max_of_lanes(largest);
    __m256i high = max_of_lanes(largest + 4);
    return _mm256_max_epu32(_mm256_permute2x128_si256(low, high, 0x20),
                            _mm256_permute2x128_si256(low, high, 0x31));
}

/* Sets scales; returns 127 / largest, or 0 where every q is 0. */
static __m256 eight_scales(__m256i bits, float *scale) {
    const __m256 largest = _mm256_castsi256_ps(bits);
    const __m256 bad = _mm256_castsi256_ps(
        _mm256_cmpgt_epi32(bits, _mm256_set1_epi32(0x7F7FFFFF))); /* the largest float */
    const __m256 small = _mm256_cmp_ps(largest, _mm256_set1_ps(RF_ACTS_SMALLEST), _CMP_LT_OQ);
    __m256 scales = _mm256_mul_ps(largest, _mm256_set1_ps(1.0f / RF_ACTS_Q_MAX));
    scales = _mm256_blendv_ps(_mm256_andnot_ps(small, scales), _mm256_set1_ps(NAN), bad);
    _mm256_storeu_ps(scale, scales);
    __m256 inverse = _mm256_div_ps(_mm256_set1_ps(RF_ACTS_Q_MAX), largest);
    return _mm256_andnot_ps(_mm256_or_ps(small, bad), inverse);
}

/* Returns 32 rounded products as bytes. */
static inline __m256i block_quantise(const float *x, float inverse) {
    __m256i q[4];
    for (int i = 0; i < 4; i++)
        q[i] =
            _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + 8 * i), _mm256_set1_ps(inverse)));
    /* packs work in 128-bit lanes; the permutation puts the dwords back in order */
    __m256i bytes =
        _mm256_packs_epi16(_mm256_packs_epi32(q[0], q[1]), _mm256_packs_epi32(q[2], q[3]));
    bytes = _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    /* NaN * 0 came out as -128 */
    return _mm256_and_si256(bytes, _mm256_set1_epi8((char)(inverse > 0 ? -1 : 0)));
}

void rf_acts_eight_avx2(const float *x, uint32_t n, uint8_t *q, size_t q_step, rf_acts_eight *out) {
    const __m256i ones = _mm256_set1_epi8(1), short_ones = _mm256_set1_epi16(1);
    float inverse[RF_ACTS_EIGHT];
    _mm256_storeu_ps(inverse, eight_scales(eight_largest(x, n), out->scale));
    __m256i sums[RF_ACTS_EIGHT] = {_mm256_setzero_si256()};
    for (uint32_t b = 0; b < n; b++) {
        __m256i bytes = block_quantise(x + b * RF_ACTS_BLOCK, inverse[b]);
        _mm256_storeu_si256((__m256i *)(void *)(q + b * q_step), bytes);
        sums[b] = _mm256_madd_epi16(_mm256_maddubs_epi16(ones, bytes), short_ones);
    }
    __m256i low = sum_of_lanes(sums), high = sum_of_lanes(sums + 4);
    __m256i half0 = _mm256_permute2x128_si256(low, high, 0x20);
    __m256i half1 = _mm256_permute2x128_si256(low, high, 0x31);
    __m256i total = _mm256_add_epi32(half0, half1);
    __m256i bias = _mm256_sub_epi32(_mm256_setzero_si256(), _mm256_slli_epi32(total, 7));
    __m256i halves = _mm256_blend_epi16(half0, _mm256_slli_epi32(half1, 16), 0xAA);
    __m256 scale = _mm256_loadu_ps(out->scale);
    _mm256_storeu_ps(out->sum, _mm256_mul_ps(scale, _mm256_cvtepi32_ps(total)));
    _mm256_storeu_si256((__m256i *)(void *)out->bias, bias);
    _mm256_storeu_si256((__m256i *)(void *)out->halves, halves);
}

void rf_acts_rest_avx2(const float *x, uint32_t n, const uint8_t *q, size_t q_step,
                       const float *scale, float *rest) {
    for (uint32_t b = 0; b < n; b++, q += q_step) {
        const __m256 s = _mm256_set1_ps(scale[b]);
        for (uint32_t i = 0; i < RF_ACTS_BLOCK; i += 8) {
            __m128i bytes = _mm_loadl_epi64((const __m128i *)(const void *)(q + i));
            __m256 whole = _mm256_mul_ps(s, _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(bytes)));
            uint32_t at = b * RF_ACTS_BLOCK + i;
            _mm256_storeu_ps(rest + at, _mm256_sub_ps(_mm256_loadu_ps(x + at), whole));
        }
    }
}
