#include <immintrin.h>

#include "cpu/acts.h"

static uint32_t max_u32(__m256i x) {
    __m128i m = _mm_max_epu32(_mm256_castsi256_si128(x), _mm256_extracti128_si256(x, 1));
    m = _mm_max_epu32(m, _mm_shuffle_epi32(m, 0x4E));
    m = _mm_max_epu32(m, _mm_shuffle_epi32(m, 0xB1));
    return (uint32_t)_mm_cvtsi128_si32(m);
}

static int sum_i8x16(__m128i q) {
    __m128i flipped = _mm_xor_si128(q, _mm_set1_epi8(-128)); /* q + 128, unsigned */
    __m128i sums = _mm_sad_epu8(flipped, _mm_setzero_si128());
    return _mm_cvtsi128_si32(sums) + _mm_extract_epi16(sums, 4) - 16 * 128;
}

void rf_acts_block_avx2(const float *x, rf_acts_block out) {
    const __m256i no_sign = _mm256_set1_epi32(0x7FFFFFFF);
    __m256 v[4];
    __m256i largest = _mm256_setzero_si256();
    for (int i = 0; i < 4; i++) {
        v[i] = _mm256_loadu_ps(x + 8 * i);
        largest = _mm256_max_epu32(largest, _mm256_and_si256(_mm256_castps_si256(v[i]), no_sign));
    }
    float scale, inverse = rf_acts_scale(max_u32(largest), &scale);
    __m256i q[4];
    for (int i = 0; i < 4; i++)
        q[i] = inverse > 0 ? _mm256_cvtps_epi32(_mm256_mul_ps(v[i], _mm256_set1_ps(inverse)))
                           : _mm256_setzero_si256();
    /* packs work in 128-bit lanes; the permutation puts the dwords back in order */
    __m256i words =
        _mm256_packs_epi16(_mm256_packs_epi32(q[0], q[1]), _mm256_packs_epi32(q[2], q[3]));
    __m256i bytes = _mm256_permutevar8x32_epi32(words, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    _mm256_storeu_si256((__m256i *)(void *)out.q, bytes);
    rf_acts_block_finish(out, scale, sum_i8x16(_mm256_castsi256_si128(bytes)),
                         sum_i8x16(_mm256_extracti128_si256(bytes, 1)));
}
