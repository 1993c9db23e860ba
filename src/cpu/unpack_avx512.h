/*
 * Steps that unpack tile sections (see cpu/tile_layout.h) into the eight groups of a 32-block. Pure
 * functions; any thread.
 */
#ifndef RF_CPU_UNPACK_AVX512_H
#define RF_CPU_UNPACK_AVX512_H

#include "cpu/tile_avx512.h"
#include "quant/blocks.h"

#ifdef __AVX512VNNI__

static RF_TILE_INLINE void rf_load_bytes512(const uint8_t *q, __m512i w[8]) {
    RF_TILE_UNROLL
    for (int g = 0; g < 8; g++)
        w[g] = _mm512_loadu_si512(q + 64 * g);
}

static RF_TILE_INLINE void rf_load_nibbles512(const uint8_t *q, __m512i w[8]) {
    const __m512i low = _mm512_set1_epi8(15);
    RF_TILE_UNROLL
    for (int g = 0; g < 4; g++) {
        __m512i x = _mm512_loadu_si512(q + 64 * g);
        w[g] = _mm512_and_si512(x, low);
        w[g + 4] = _mm512_and_si512(_mm512_srli_epi32(x, 4), low);
    }
}

static RF_TILE_INLINE void rf_load_pairs512(const uint8_t *q, __m512i w[8]) {
    const __m512i low = _mm512_set1_epi8(3);
    RF_TILE_UNROLL
    for (int g = 0; g < 8; g++) {
        __m512i x = _mm512_loadu_si512(q + g / 4 * 64);
        w[g] = _mm512_and_si512(_mm512_srli_epi32(x, (unsigned)(g % 4 * 2)), low);
    }
}

/* x shifted left, or right where shift is negative */
static RF_TILE_INLINE __m512i rf_shift512(__m512i x, int shift) {
    return shift >= 0 ? _mm512_slli_epi32(x, (unsigned)shift)
                      : _mm512_srli_epi32(x, (unsigned)-shift);
}

/* w |= bits of x under mask */
static RF_TILE_INLINE __m512i rf_merge512(__m512i w, __m512i x, __m512i mask) {
    return _mm512_ternarylogic_epi32(w, x, mask, 0xF8);
}

/* Adds one high bit of value `1 << at`. */
static RF_TILE_INLINE void rf_add_bit512(const uint8_t *high, int at, __m512i w[8]) {
    const __m512i mask = _mm512_set1_epi8((char)(1 << at)), x = _mm512_loadu_si512(high);
    RF_TILE_UNROLL
    for (int g = 0; g < 8; g++)
        w[g] = rf_merge512(w[g], rf_shift512(x, at - g), mask);
}

/* Adds two high bits above a nibble. */
static RF_TILE_INLINE void rf_add_pairs512(const uint8_t *high, __m512i w[8]) {
    const __m512i mask = _mm512_set1_epi8(0x30);
    RF_TILE_UNROLL
    for (int g = 0; g < 8; g++) {
        __m512i x = _mm512_loadu_si512(high + g / 4 * 64);
        w[g] = rf_merge512(w[g], rf_shift512(x, 4 - g % 4 * 2), mask);
    }
}

/* Nibbles through a table of 16 signed values, plus offset. */
static RF_TILE_INLINE void rf_load_table512(const uint8_t *q, const int8_t values[16], int offset,
                                            __m512i w[8]) {
    __m128i table = _mm_loadu_si128((const __m128i *)(const void *)values);
    table = _mm_add_epi8(table, _mm_set1_epi8((char)offset));
    const __m512i wide = _mm512_broadcast_i32x4(table);
    rf_load_nibbles512(q, w);
    RF_TILE_UNROLL
    for (int g = 0; g < 8; g++)
        w[g] = _mm512_shuffle_epi8(wide, w[g]);
}

static RF_TILE_INLINE __m512 rf_load_halves512(const uint8_t *p) {
    return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
}

/* 16 bytes of scales */
static RF_TILE_INLINE __m128i rf_load_scales(const uint8_t *p) {
    return _mm_loadu_si128((const __m128i *)(const void *)p);
}

static RF_TILE_INLINE __m512 rf_floats_u8(__m128i x) {
    return _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(x));
}

static RF_TILE_INLINE __m512 rf_floats_i8(__m128i x) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(x));
}

/* Six-bit numbers of 32-block b of a superblock: two for each row (see tile_layout.h). */
static RF_TILE_INLINE void rf_load_six_bits(const uint8_t *scales, size_t b, __m128i *first,
                                            __m128i *second) {
    const __m128i low = _mm_set1_epi8(15), top = _mm_set1_epi8(0x30);
    __m128i nibbles = rf_load_scales(scales + 16 * b);
    __m128i tops = rf_load_scales(scales + 128 + 16 * (b / 2));
    tops = _mm_srl_epi32(tops, _mm_cvtsi32_si128((int)(b % 2 * 4)));
    *first = _mm_or_si128(_mm_and_si128(nibbles, low), _mm_and_si128(_mm_slli_epi32(tops, 4), top));
    *second = _mm_or_si128(_mm_and_si128(_mm_srli_epi32(nibbles, 4), low),
                           _mm_and_si128(_mm_slli_epi32(tops, 2), top));
}

#endif
#endif
