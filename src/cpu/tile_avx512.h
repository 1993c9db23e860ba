/*
 * Kernels over packed tiles with AVX-512 VNNI. A type gives a function that unpacks one 32-block of
 * columns into unsigned bytes and float scales; what follows is shared. Few activation rows:
 * unpacked in registers, each weight byte read once. Many: blocks are unpacked once into a stage
 * in L1 that all rows read. Each row sees the same operations in the same order either way. Pure
 * functions; any thread.
 */
#ifndef RF_CPU_TILE_AVX512_H
#define RF_CPU_TILE_AVX512_H

#include "cpu/tile_layout.h"
#include "cpu/tile_walk.h"

#ifdef __AVX512VNNI__
#include <immintrin.h>

/* A 32-block of 16 rows. With a the activation's q, s its scale:
 * BIAS       out += scale * s * (w a - (128 >> shift) a)
 * MIN        out += scale * s * w a + second * s * a
 * HALVES     out += s * (scale * (w a - 32 a) over the first half + second * … over the other)
 * PAIR_MIN   out += scale * s * w a + second * s * (pairs a), pairs: 16 bits a half
 * shift belongs to the type and is passed beside the mode. */
typedef struct rf_block512 {
    __m512i w[8];
    __m512 scale, second;
    __m512i pairs;
} rf_block512;

typedef void (*rf_unpack512)(const uint8_t *tile, const rf_tile_layout *l, size_t b,
                             rf_block512 *out);

/* acc += w times the four activations at q. gcc would broadcast them in an instruction of its own.
 */
static RF_TILE_INLINE void rf_dot512(__m512i *acc, __m512i w, const uint8_t *q) {
    __asm__("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(*acc) : "v"(w), "m"(*(const char(*)[4])q));
}

/* acc += groups first … first + count - 1 of a block, for n <= 8 rows. */
static RF_TILE_INLINE void rf_dots512(const rf_block512 *w, const unsigned groups[2],
                                      rf_acts_rows a, unsigned n, __m512i *acc) {
    RF_TILE_UNROLL
    for (unsigned g = groups[0]; g < groups[0] + groups[1]; g++) {
        const __m512i x = w->w[g];
        RF_TILE_UNROLL
        for (unsigned r = 0; r < n; r++)
            rf_dot512(&acc[r], x, a.q + RF_ACTS_BLOCK * r + 4 * g);
    }
}

/* -32 times the activations' sums of each half of a block, for n rows. */
static RF_TILE_INLINE void rf_offsets512(rf_acts_rows a, unsigned n, int offsets[2][8]) {
    int sums[8] = {0};
    memcpy(sums, a.scale + 12 * a.width, 4 * (size_t)n);
    const __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)sums);
    const __m256i zero = _mm256_setzero_si256();
    __m256i first = _mm256_srai_epi32(_mm256_slli_epi32(x, 16), 16 - 5);
    __m256i second = _mm256_slli_epi32(_mm256_srai_epi32(x, 16), 5);
    _mm256_storeu_si256((__m256i *)(void *)offsets[0], _mm256_sub_epi32(zero, first));
    _mm256_storeu_si256((__m256i *)(void *)offsets[1], _mm256_sub_epi32(zero, second));
}

/* part = scale * (sum over half a block + offset), added to part if it is the second half. */
static RF_TILE_INLINE void rf_half512(const rf_block512 *w, unsigned half, const int offsets[8],
                                      rf_acts_rows a, unsigned n, __m512 *part) {
    __m512i acc[8];
    RF_TILE_UNROLL
    for (unsigned r = 0; r < n; r++)
        acc[r] = _mm512_set1_epi32(offsets[r]);
    rf_dots512(w, (const unsigned[2]){4 * half, 4}, a, n, acc);
    RF_TILE_UNROLL
    for (unsigned r = 0; r < n; r++) {
        __m512 sum = _mm512_cvtepi32_ps(acc[r]);
        part[r] = half ? _mm512_fmadd_ps(sum, w->second, part[r]) : _mm512_mul_ps(sum, w->scale);
    }
}

/* part = the block's sum without the activations' scale, but for a minimum of the mode MIN. */
static RF_TILE_INLINE void rf_part512(const rf_block512 *w, rf_tile_mode mode, int shift,
                                      rf_acts_rows a, unsigned n, __m512 *part) {
    if (mode == RF_TILE_HALVES) {
        int offsets[2][8];
        rf_offsets512(a, n, offsets);
        rf_half512(w, 0, offsets[0], a, n, part);
        rf_half512(w, 1, offsets[1], a, n, part);
        return;
    }
    __m512i acc[8];
    RF_TILE_UNROLL
    for (unsigned r = 0; r < n; r++) {
        acc[r] = _mm512_setzero_si512();
        if (mode == RF_TILE_BIAS)
            acc[r] = _mm512_set1_epi32(rf_acts_bias(a, r));
        if (mode == RF_TILE_BIAS && shift)
            acc[r] = _mm512_srai_epi32(acc[r], (unsigned)shift);
    }
    rf_dots512(w, (const unsigned[2]){0, 8}, a, n, acc);
    RF_TILE_UNROLL
    for (unsigned r = 0; r < n; r++) {
        part[r] = _mm512_mul_ps(_mm512_cvtepi32_ps(acc[r]), w->scale);
        if (mode == RF_TILE_PAIR_MIN) {
            __m512i halves = _mm512_set1_epi32(rf_acts_halves(a, r));
            __m512i mins = _mm512_dpwssd_epi32(_mm512_setzero_si512(), w->pairs, halves);
            part[r] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(mins), w->second, part[r]);
        }
    }
}

/* Adds a block to n rows, 1 <= n <= 8. */
static RF_TILE_INLINE void rf_steps512(const rf_block512 *w, rf_tile_mode mode, int shift,
                                       rf_acts_rows a, unsigned n, __m512 *sums) {
    __m512 part[8];
    rf_part512(w, mode, shift, a, n, part);
    RF_TILE_UNROLL
    for (unsigned r = 0; r < n; r++) {
        sums[r] = _mm512_fmadd_ps(part[r], _mm512_set1_ps(rf_acts_row_scale(a, r)), sums[r]);
        if (mode == RF_TILE_MIN)
            sums[r] = _mm512_fmadd_ps(w->second, _mm512_set1_ps(rf_acts_row_sum(a, r)), sums[r]);
    }
}

/* n rows against a whole tile, unpacked in registers. */
static RF_TILE_INLINE void rf_direct512(const rf_tile_job *job, const rf_tile_layout *l,
                                        rf_unpack512 unpack, rf_tile_mode mode, int shift,
                                        unsigned n) {
    rf_acts_rows a = rf_acts_rows_of(job, n);
    __m512 sums[8];
    RF_TILE_UNROLL
    for (unsigned r = 0; r < n; r++)
        sums[r] = _mm512_setzero_ps();
    /* of scales and d, for a block: at most a line */
    const size_t scales_bytes = (l->bytes - l->scales) / job->n_blocks;
    for (size_t b = 0; b < job->n_blocks; b++) {
        rf_block512 w;
        unpack(job->tile, l, b, &w);
        rf_tile_prefetch(job->tile, l, b, scales_bytes);
        rf_steps512(&w, mode, shift, a, n, sums);
        a = rf_acts_rows_next(a);
    }
    __mmask16 mask = (__mmask16)((1u << job->n_out) - 1);
    RF_TILE_UNROLL
    for (unsigned r = 0; r < n; r++)
        _mm512_mask_storeu_ps(job->out + r * job->out_stride, mask, sums[r]);
}

/* n rows against staged blocks, added to what out holds unless it is the first stage. */
static RF_TILE_INLINE void rf_staged512(const rf_tile_job *job, const rf_block512 *stage,
                                        rf_tile_mode mode, int shift, unsigned n) {
    rf_acts_rows a = rf_acts_rows_of(job, n);
    __mmask16 mask = (__mmask16)(job->first ? 0 : (1u << job->n_out) - 1);
    __m512 sums[8];
    RF_TILE_UNROLL
    for (unsigned r = 0; r < n; r++)
        sums[r] = _mm512_maskz_loadu_ps(mask, job->out + r * job->out_stride);
    for (size_t b = 0; b < job->n_blocks; b++) {
        rf_steps512(&stage[b], mode, shift, a, n, sums);
        a = rf_acts_rows_next(a);
    }
    mask = (__mmask16)((1u << job->n_out) - 1);
    RF_TILE_UNROLL
    for (unsigned r = 0; r < n; r++)
        _mm512_mask_storeu_ps(job->out + r * job->out_stride, mask, sums[r]);
}

/* Defines rf_matmul_<type>_avx512 from a function unpack_<type>. */
#define RF_MATMUL_AVX512(type, mode, shift)                                                    \
    static void direct_##type(const rf_tile_job *job, unsigned n) {                            \
        const rf_tile_layout l = rf_tile_layout_##type(job->n_cols);                           \
        switch (n) {                                                                           \
        case 8: rf_direct512(job, &l, unpack_##type, mode, shift, 8); break;                   \
        case 4: rf_direct512(job, &l, unpack_##type, mode, shift, 4); break;                   \
        case 2: rf_direct512(job, &l, unpack_##type, mode, shift, 2); break;                   \
        default: rf_direct512(job, &l, unpack_##type, mode, shift, 1); break;                  \
        }                                                                                      \
    }                                                                                          \
    static void stage_##type(const uint8_t *tile, uint32_t n_cols, size_t first, size_t n,     \
                             void *stage) {                                                    \
        const rf_tile_layout l = rf_tile_layout_##type(n_cols);                                \
        rf_block512 *blocks = stage;                                                           \
        for (size_t b = 0; b < n; b++)                                                         \
            unpack_##type(tile, &l, first + b, &blocks[b]);                                    \
    }                                                                                          \
    static void staged_##type(const rf_tile_job *job, const void *stage, unsigned n) {         \
        switch (n) {                                                                           \
        case 8: rf_staged512(job, stage, mode, shift, 8); break;                               \
        case 4: rf_staged512(job, stage, mode, shift, 4); break;                               \
        case 2: rf_staged512(job, stage, mode, shift, 2); break;                               \
        default: rf_staged512(job, stage, mode, shift, 1); break;                              \
        }                                                                                      \
    }                                                                                          \
    void rf_matmul_##type##_avx512(const rf_matrix *matrix, uint32_t tile_begin,               \
                                   uint32_t tile_end, const rf_acts *acts, uint32_t row_begin, \
                                   uint32_t row_end, float *out, size_t out_stride) {          \
        rf_tile_walk(&(rf_tile_kernel){direct_##type, stage_##type, staged_##type}, matrix,    \
                     (const uint32_t[4]){tile_begin, tile_end, row_begin, row_end}, acts, out, \
                     out_stride);                                                              \
    }

#endif
#endif
