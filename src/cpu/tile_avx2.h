/*
 * Kernels over packed tiles with AVX2, the arithmetic of cpu/tile_avx512.h: the same sums to the
 * bit. A type gives a function that unpacks one 32-block of columns into the stage; rows run
 * against the stage, eight weight rows and up to four activation rows at a time. Pure functions;
 * any thread.
 *
 * vpmaddubsw saturates at 16 bits: a pair of products stays below it for weights up to 128, and
 * `span` neighbouring groups may be added in 16 bits (8 for 4-bit weights, 4 for 5, 2 for 6).
 */
#ifndef RF_CPU_TILE_AVX2_H
#define RF_CPU_TILE_AVX2_H

#include "cpu/tile_layout.h"
#include "cpu/tile_walk.h"
#include "quant/blocks.h"

#ifdef __AVX2__
#include <immintrin.h>

/* Holds x in a register: left alone, gcc turns a chain of additions into a tree whose leaves it
 * then spills. */
#define RF_KEEP_ORDER(x) __asm__("" : "+x"(x))

/* A 32-block of 16 rows; see rf_block512. RF_TILE_SIGNED: w is signed and there is no bias. */
typedef struct rf_block256 {
    uint8_t w[8][64];
    float scale[16], second[16];
    int16_t pairs[16][2];
} rf_block256;

_Static_assert(sizeof(rf_block256) * RF_TILE_STAGE_BLOCKS <= RF_TILE_STAGE_BYTES, "stage");

static RF_TILE_INLINE __m256i rf_load256(const void *p) {
    return _mm256_loadu_si256((const __m256i *)p);
}

static RF_TILE_INLINE void rf_store256(void *p, __m256i x) { _mm256_storeu_si256((__m256i *)p, x); }

/* Adds w a over groups first … first + count - 1 to n <= 4 rows of 32-bit sums. */
static RF_TILE_INLINE void rf_dot256(const uint8_t *w, rf_tile_mode mode, unsigned span,
                                     rf_acts_rows a, const unsigned range[3], __m256i *acc) {
    const __m256i ones = _mm256_set1_epi16(1);
    const unsigned first = range[0], last = range[0] + range[1], n = range[2];
    RF_TILE_UNROLL
    for (unsigned g = first; g < last; g += span) {
        __m256i short_sums[4];
        RF_TILE_UNROLL
        for (unsigned i = 0; i < span; i++) {
            __m256i x = rf_load256(w + 64 * (g + i));
            RF_TILE_UNROLL
            for (unsigned r = 0; r < n; r++) {
                __m256i q = _mm256_set1_epi32(rf_acts_group(a, r, g + i));
                __m256i pair = mode == RF_TILE_SIGNED ? _mm256_maddubs_epi16(_mm256_abs_epi8(x),
                                                                             _mm256_sign_epi8(q, x))
                                                      : _mm256_maddubs_epi16(x, q);
                short_sums[r] = i == 0 ? pair : _mm256_add_epi16(short_sums[r], pair);
                RF_KEEP_ORDER(short_sums[r]);
            }
        }
        RF_TILE_UNROLL
        for (unsigned r = 0; r < n; r++) {
            acc[r] = _mm256_add_epi32(acc[r], _mm256_madd_epi16(short_sums[r], ones));
            RF_KEEP_ORDER(acc[r]);
        }
    }
}

/* Adds a block's eight rows from 8 * half on to n <= 4 rows of sums. */
static RF_TILE_INLINE void rf_step256(const rf_block256 *b, unsigned half, rf_tile_mode mode,
                                      const int type[2], rf_acts_rows a, unsigned n, __m256 *sums) {
    const uint8_t *w = b->w[0] + 32 * half;
    const unsigned span = (unsigned)type[1];
    __m256i acc[4], acc2[4];
    RF_TILE_UNROLL
    for (unsigned r = 0; r < n; r++) {
        acc[r] = acc2[r] = _mm256_setzero_si256();
        if (mode == RF_TILE_BIAS)
            acc[r] = _mm256_srai_epi32(_mm256_set1_epi32(rf_acts_bias(a, r)), type[0]);
        if (mode == RF_TILE_HALVES) {
            __m256i halves = _mm256_set1_epi32(rf_acts_halves(a, r));
            acc[r] = _mm256_madd_epi16(_mm256_set1_epi32(0xFFE0), halves);
            acc2[r] = _mm256_madd_epi16(_mm256_set1_epi32(-32 * 65536), halves);
        }
    }
    if (mode == RF_TILE_HALVES) {
        rf_dot256(w, mode, span, a, (const unsigned[3]){0, 4, n}, acc);
        rf_dot256(w, mode, span, a, (const unsigned[3]){4, 4, n}, acc2);
    } else {
        rf_dot256(w, mode, span, a, (const unsigned[3]){0, 8, n}, acc);
    }
    const __m256 scale = _mm256_loadu_ps(b->scale + 8 * half);
    const __m256 second = _mm256_loadu_ps(b->second + 8 * half);
    RF_TILE_UNROLL
    for (unsigned r = 0; r < n; r++) {
        __m256 part = _mm256_mul_ps(_mm256_cvtepi32_ps(acc[r]), scale);
        if (mode == RF_TILE_HALVES)
            part = _mm256_fmadd_ps(_mm256_cvtepi32_ps(acc2[r]), second, part);
        if (mode == RF_TILE_PAIR_MIN) {
            __m256i halves = _mm256_set1_epi32(rf_acts_halves(a, r));
            __m256i mins = _mm256_madd_epi16(rf_load256(b->pairs[8 * half]), halves);
            part = _mm256_fmadd_ps(_mm256_cvtepi32_ps(mins), second, part);
        }
        sums[r] = _mm256_fmadd_ps(part, _mm256_set1_ps(rf_acts_row_scale(a, r)), sums[r]);
        if (mode == RF_TILE_MIN)
            sums[r] = _mm256_fmadd_ps(second, _mm256_set1_ps(rf_acts_row_sum(a, r)), sums[r]);
    }
}

/* n <= 4 rows, from the skip-th of the job on, against eight rows of the staged blocks. */
static RF_TILE_INLINE void rf_staged256(const rf_tile_job *job, const rf_block256 *stage,
                                        rf_tile_mode mode, const int type[2], unsigned skip,
                                        unsigned n) {
    for (unsigned half = 0; half < 2 && 8 * half < job->n_out; half++) {
        const uint32_t n_out = job->n_out - 8 * half;
        const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        const __m256i mask = _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n_out), lanes);
        rf_acts_rows a = rf_acts_rows_skip(job->acts, skip);
        float *out = job->out + skip * job->out_stride + 8 * half;
        __m256 sums[4];
        RF_TILE_UNROLL
        for (unsigned r = 0; r < n; r++)
            sums[r] = job->first ? _mm256_setzero_ps()
                                 : _mm256_maskload_ps(out + r * job->out_stride, mask);
        for (size_t b = 0; b < job->n_blocks; b++) {
            rf_step256(&stage[b], half, mode, type, a, n, sums);
            a = rf_acts_rows_next(a);
        }
        RF_TILE_UNROLL
        for (unsigned r = 0; r < n; r++)
            _mm256_maskstore_ps(out + r * job->out_stride, mask, sums[r]);
    }
}

/* Defines rf_matmul_<type>_avx2 from a function unpack_<type>. */
#define RF_MATMUL_AVX2(type, mode, shift, span)                                                   \
    static void stage_##type(const uint8_t *tile, uint32_t n_cols, size_t first, size_t n,        \
                             void *stage) {                                                       \
        const rf_tile_layout l = rf_tile_layout_##type(n_cols);                                   \
        rf_block256 *blocks = stage;                                                              \
        for (size_t b = 0; b < n; b++)                                                            \
            unpack_##type(tile, &l, first + b, &blocks[b]);                                       \
    }                                                                                             \
    static void staged_##type(const rf_tile_job *job, const void *stage, unsigned n) {            \
        const int kind[2] = {shift, span};                                                        \
        if (n == 1)                                                                               \
            rf_staged256(job, stage, mode, kind, 0, 1);                                           \
        if (n == 2)                                                                               \
            rf_staged256(job, stage, mode, kind, 0, 2);                                           \
        for (unsigned skip = 0; skip + 4 <= n; skip += 4)                                         \
            rf_staged256(job, stage, mode, kind, skip, 4);                                        \
    }                                                                                             \
    void rf_matmul_##type##_avx2(const rf_matrix *matrix, uint32_t tile_begin, uint32_t tile_end, \
                                 const rf_acts *acts, uint32_t row_begin, uint32_t row_end,       \
                                 float *out, size_t out_stride) {                                 \
        rf_tile_walk(&(rf_tile_kernel){NULL, stage_##type, staged_##type}, matrix,                \
                     (const uint32_t[4]){tile_begin, tile_end, row_begin, row_end}, acts, out,    \
                     out_stride);                                                                 \
    }

#endif
#endif
