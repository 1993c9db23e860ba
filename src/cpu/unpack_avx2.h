/*
 * Steps that unpack tile sections (see cpu/tile_layout.h) into a staged 32-block. Pure functions;
 * any thread.
 */
#ifndef RF_CPU_UNPACK_AVX2_H
#define RF_CPU_UNPACK_AVX2_H

#include "cpu/tile_avx2.h"

#ifdef __AVX2__

static RF_TILE_INLINE void rf_load_nibbles256(const uint8_t *q, rf_block256 *out) {
    const __m256i low = _mm256_set1_epi8(15);
    RF_TILE_UNROLL
    for (int i = 0; i < 8; i++) { /* half groups */
        __m256i x = rf_load256(q + 32 * i);
        rf_store256(out->w[0] + 32 * i, _mm256_and_si256(x, low));
        rf_store256(out->w[4] + 32 * i, _mm256_and_si256(_mm256_srli_epi32(x, 4), low));
    }
}

/* Nibbles through a table of 16 values plus offset. */
static RF_TILE_INLINE void rf_load_table256(const uint8_t *q, const int8_t values[16], int offset,
                                            rf_block256 *out) {
    __m128i table = _mm_loadu_si128((const __m128i *)(const void *)values);
    table = _mm_add_epi8(table, _mm_set1_epi8((char)offset));
    const __m256i wide = _mm256_broadcastsi128_si256(table), low = _mm256_set1_epi8(15);
    RF_TILE_UNROLL
    for (int i = 0; i < 8; i++) {
        __m256i x = rf_load256(q + 32 * i), high = _mm256_srli_epi32(x, 4);
        rf_store256(out->w[0] + 32 * i, _mm256_shuffle_epi8(wide, _mm256_and_si256(x, low)));
        rf_store256(out->w[4] + 32 * i, _mm256_shuffle_epi8(wide, _mm256_and_si256(high, low)));
    }
}

static RF_TILE_INLINE void rf_load_pairs256(const uint8_t *q, rf_block256 *out) {
    const __m256i low = _mm256_set1_epi8(3);
    RF_TILE_UNROLL
    for (int g = 0; g < 8; g++)
        for (int half = 0; half < 64; half += 32) {
            __m256i x = _mm256_srli_epi32(rf_load256(q + g / 4 * 64 + half), g % 4 * 2);
            rf_store256(out->w[g] + half, _mm256_and_si256(x, low));
        }
}

/* w |= bits of high, `at` - `from` to the left, under mask */
static RF_TILE_INLINE void rf_merge256(uint8_t *w, const uint8_t *high, int shift, int mask) {
    __m256i x = rf_load256(high), bits = _mm256_set1_epi8((char)mask);
    x = shift >= 0 ? _mm256_slli_epi32(x, shift) : _mm256_srli_epi32(x, -shift);
    rf_store256(w, _mm256_or_si256(rf_load256(w), _mm256_and_si256(x, bits)));
}

/* Adds one high bit of value `1 << at`. */
static RF_TILE_INLINE void rf_add_bit256(const uint8_t *high, int at, rf_block256 *out) {
    RF_TILE_UNROLL
    for (int g = 0; g < 8; g++)
        for (int half = 0; half < 64; half += 32)
            rf_merge256(out->w[g] + half, high + half, at - g, 1 << at);
}

/* Adds two high bits above a nibble. */
static RF_TILE_INLINE void rf_add_pairs256(const uint8_t *high, rf_block256 *out) {
    RF_TILE_UNROLL
    for (int g = 0; g < 8; g++)
        for (int half = 0; half < 64; half += 32)
            rf_merge256(out->w[g] + half, high + g / 4 * 64 + half, 4 - g % 4 * 2, 0x30);
}

/* out[16] = halves * factor */
static RF_TILE_INLINE void rf_load_halves256(const uint8_t *p, float factor, float out[16]) {
    for (int half = 0; half < 2; half++) {
        __m128i x = _mm_loadu_si128((const __m128i *)(const void *)(p + 16 * half));
        _mm256_storeu_ps(out + 8 * half, _mm256_mul_ps(_mm256_cvtph_ps(x), _mm256_set1_ps(factor)));
    }
}

/* out[16] *= scales */
static RF_TILE_INLINE void rf_scale_u8(float out[16], const uint8_t scales[16]) {
    for (int i = 0; i < 16; i++)
        out[i] *= (float)scales[i];
}

static RF_TILE_INLINE void rf_scale_i8(float out[16], const int8_t scales[16]) {
    for (int i = 0; i < 16; i++)
        out[i] *= (float)scales[i];
}

/* Six-bit numbers of 32-block b of a superblock: two for each row (see tile_layout.h). */
static RF_TILE_INLINE void rf_unpack_six_bits(const uint8_t *scales, size_t b, uint8_t first[16],
                                              uint8_t second[16]) {
    for (int row = 0; row < 16; row++) {
        uint8_t nibbles = scales[16 * b + (size_t)row];
        int tops = scales[128 + 16 * (b / 2) + (size_t)row] >> (b % 2 * 4);
        first[row] = (uint8_t)((nibbles & 15) | (tops << 4 & 0x30));
        second[row] = (uint8_t)(nibbles >> 4 | (tops << 2 & 0x30));
    }
}

#endif
#endif
