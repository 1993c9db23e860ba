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

/* Adds a block to rows_n <= 4 rows of sums. */
static RF_TILE_INLINE void rf_step512(const rf_block512 *w, rf_tile_mode mode, int shift,
                                      rf_acts_rows a, unsigned n, __m512 *sums) {
    __m512i acc[4], acc2[4];
    RF_TILE_UNROLL
    for (unsigned r = 0; r < n; r++) {
        acc[r] = acc2[r] = _mm512_setzero_si512();
        if (mode == RF_TILE_BIAS) {
            acc[r] = _mm512_set1_epi32(rf_acts_bias(a, r));
            if (shift)
                acc[r] = _mm512_srai_epi32(acc[r], (unsigned)shift);
        }
        if (mode == RF_TILE_HALVES) {
            __m512i halves = _mm512_set1_epi32(rf_acts_halves(a, r));
            acc[r] = _mm512_dpwssd_epi32(acc[r], _mm512_set1_epi32(0xFFE0), halves);
            acc2[r] = _mm512_dpwssd_epi32(acc2[r], _mm512_set1_epi32(-32 * 65536), halves);
        }
    }
    RF_TILE_UNROLL
    for (unsigned g = 0; g < 8; g++) {
        RF_TILE_UNROLL
        for (unsigned r = 0; r < n; r++) {
            __m512i q = _mm512_set1_epi32(rf_acts_group(a, r, g));
            if (mode == RF_TILE_HALVES && g >= 4)
                acc2[r] = _mm512_dpbusd_epi32(acc2[r], w->w[g], q);
            else
                acc[r] = _mm512_dpbusd_epi32(acc[r], w->w[g], q);
        }
    }
    RF_TILE_UNROLL
    for (unsigned r = 0; r < n; r++) {
        __m512 s = _mm512_set1_ps(rf_acts_row_scale(a, r));
        __m512 part = _mm512_mul_ps(_mm512_cvtepi32_ps(acc[r]), w->scale);
        if (mode == RF_TILE_HALVES)
            part = _mm512_fmadd_ps(_mm512_cvtepi32_ps(acc2[r]), w->second, part);
        if (mode == RF_TILE_PAIR_MIN) {
            __m512i halves = _mm512_set1_epi32(rf_acts_halves(a, r));
            __m512i mins = _mm512_dpwssd_epi32(_mm512_setzero_si512(), w->pairs, halves);
            part = _mm512_fmadd_ps(_mm512_cvtepi32_ps(mins), w->second, part);
        }
        sums[r] = _mm512_fmadd_ps(part, s, sums[r]);
        if (mode == RF_TILE_MIN)
            sums[r] = _mm512_fmadd_ps(w->second, _mm512_set1_ps(rf_acts_row_sum(a, r)), sums[r]);
    }
}

/* Adds a block to n rows, 1 <= n <= 8. */
static RF_TILE_INLINE void rf_steps512(const rf_block512 *w, rf_tile_mode mode, int shift,
                                       rf_acts_rows a, unsigned n, __m512 *sums) {
    rf_step512(w, mode, shift, a, n < 4 ? n : 4, sums);
    if (n > 4)
        rf_step512(w, mode, shift, rf_acts_rows_skip(a, 4), n - 4, sums + 4);
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
    for (size_t b = 0; b < job->n_blocks; b++) {
        rf_block512 w;
        unpack(job->tile, l, b, &w);
        rf_tile_prefetch(job->tile, l, b);
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
