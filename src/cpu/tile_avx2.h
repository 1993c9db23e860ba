/*
 * Kernels over packed tiles with AVX2, the arithmetic of cpu/tile_avx512.h: the same sums to the
 * bit. A type gives a function that unpacks one 32-block of columns into the stage; rows run
 * against the stage, 16 weight rows and up to four activation rows at a time: two loads of weights
 * and four of activations to eight products. Pure functions; any thread.
 *
 * vpmaddubsw saturates at 16 bits: a pair of products stays below it for weights up to 128, and
 * `span` neighbouring groups may be added in 16 bits (8 for 4-bit weights, 4 for 5, 2 for 6).
 */
#ifndef RF_CPU_TILE_AVX2_H
#define RF_CPU_TILE_AVX2_H

#include "cpu/tile_layout.h"
#include "cpu/tile_walk.h"
#include "cpu/words_avx2.h"
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

/* w times four activations, in pairs. */
static RF_TILE_INLINE __m256i rf_pairs256(__m256i w, rf_tile_mode mode, __m256i q) {
    return mode == RF_TILE_SIGNED ? _mm256_maddubs_epi16(_mm256_abs_epi8(w), _mm256_sign_epi8(q, w))
                                  : _mm256_maddubs_epi16(w, q);
}

/* Adds w a over groups first … first + count - 1 to 32-bit sums of n <= 4 rows, both halves. */
static RF_TILE_INLINE void rf_dot256(const uint8_t *w, rf_tile_mode mode, unsigned span,
                                     rf_acts_rows a, const unsigned range[3], __m256i acc[2][4]) {
    const __m256i ones = _mm256_set1_epi16(1);
    const unsigned first = range[0], last = range[0] + range[1], n = range[2];
    RF_TILE_UNROLL
    for (unsigned g = first; g < last; g += span) {
        __m256i low[4], high[4];
        RF_TILE_UNROLL
        for (unsigned i = 0; i < span; i++) {
            const uint8_t *group = w + 64 * (g + i);
            const __m256i x = rf_load256(group), y = rf_load256(group + 32);
            RF_TILE_UNROLL
            for (unsigned r = 0; r < n; r++) {
                const __m256i q = _mm256_set1_epi32(rf_acts_group(a, r, g + i));
                const __m256i xq = rf_pairs256(x, mode, q), yq = rf_pairs256(y, mode, q);
                low[r] = i == 0 ? xq : _mm256_add_epi16(low[r], xq);
                high[r] = i == 0 ? yq : _mm256_add_epi16(high[r], yq);
                RF_KEEP_ORDER(low[r]);
                RF_KEEP_ORDER(high[r]);
            }
        }
        RF_TILE_UNROLL
        for (unsigned r = 0; r < n; r++) {
            acc[0][r] = _mm256_add_epi32(acc[0][r], _mm256_madd_epi16(low[r], ones));
            acc[1][r] = _mm256_add_epi32(acc[1][r], _mm256_madd_epi16(high[r], ones));
            RF_KEEP_ORDER(acc[0][r]);
            RF_KEEP_ORDER(acc[1][r]);
        }
    }
}

/* Adds a block's 16 rows to n <= 4 rows of sums. */
static RF_TILE_INLINE void rf_step256(const rf_block256 *b, rf_tile_mode mode, const int type[2],
                                      rf_acts_rows a, unsigned n, __m256 sums[2][4]) {
    const unsigned span = (unsigned)type[1];
    __m256i acc[2][4], acc2[2][4];
    RF_TILE_UNROLL
    for (unsigned r = 0; r < n; r++) {
        acc[0][r] = acc2[0][r] = _mm256_setzero_si256();
        if (mode == RF_TILE_BIAS)
            acc[0][r] = _mm256_srai_epi32(_mm256_set1_epi32(rf_acts_bias(a, r)), type[0]);
        if (mode == RF_TILE_HALVES) {
            __m256i halves = _mm256_set1_epi32(rf_acts_halves(a, r));
            acc[0][r] = _mm256_madd_epi16(_mm256_set1_epi32(0xFFE0), halves);
            acc2[0][r] = _mm256_madd_epi16(_mm256_set1_epi32(-32 * 65536), halves);
        }
        acc[1][r] = acc[0][r];
        acc2[1][r] = acc2[0][r];
    }
    if (mode == RF_TILE_HALVES) {
        rf_dot256(b->w[0], mode, span, a, (const unsigned[3]){0, 4, n}, acc);
        rf_dot256(b->w[0], mode, span, a, (const unsigned[3]){4, 4, n}, acc2);
    } else {
        rf_dot256(b->w[0], mode, span, a, (const unsigned[3]){0, 8, n}, acc);
    }
    RF_TILE_UNROLL
    for (unsigned half = 0; half < 2; half++) {
        const __m256 scale = _mm256_loadu_ps(b->scale + 8 * half);
        const __m256 second = _mm256_loadu_ps(b->second + 8 * half);
        RF_TILE_UNROLL
        for (unsigned r = 0; r < n; r++) {
            __m256 part = _mm256_mul_ps(_mm256_cvtepi32_ps(acc[half][r]), scale);
            if (mode == RF_TILE_HALVES)
                part = _mm256_fmadd_ps(_mm256_cvtepi32_ps(acc2[half][r]), second, part);
            if (mode == RF_TILE_PAIR_MIN) {
                __m256i halves = _mm256_set1_epi32(rf_acts_halves(a, r));
                __m256i mins = _mm256_madd_epi16(rf_load256(b->pairs[8 * half]), halves);
                part = _mm256_fmadd_ps(_mm256_cvtepi32_ps(mins), second, part);
            }
            __m256 *sum = &sums[half][r];
            *sum = _mm256_fmadd_ps(part, _mm256_set1_ps(rf_acts_row_scale(a, r)), *sum);
            if (mode == RF_TILE_MIN)
                *sum = _mm256_fmadd_ps(second, _mm256_set1_ps(rf_acts_row_sum(a, r)), *sum);
        }
    }
}

/* Sums of n rows from the skip-th on: what out holds, or 0 if it holds nothing yet. */
static RF_TILE_INLINE void rf_sums_load256(const rf_tile_job *job, unsigned skip, unsigned n,
                                           __m256 sums[2][4]) {
    float part[16] = {0};
    RF_TILE_UNROLL
    for (unsigned r = 0; r < n; r++) {
        const float *from = job->out + (skip + r) * job->out_stride;
        if (job->first || job->n_out < 16) {
            memcpy(part, from, job->first ? 0 : job->n_out * sizeof *part);
            from = part;
        }
        sums[0][r] = _mm256_loadu_ps(from);
        sums[1][r] = _mm256_loadu_ps(from + 8);
    }
}

static RF_TILE_INLINE void rf_sums_store256(const rf_tile_job *job, unsigned skip, unsigned n,
                                            __m256 sums[2][4]) {
    float part[16];
    RF_TILE_UNROLL
    for (unsigned r = 0; r < n; r++) {
        float *out = job->out + (skip + r) * job->out_stride, *to = job->n_out < 16 ? part : out;
        _mm256_storeu_ps(to, sums[0][r]);
        _mm256_storeu_ps(to + 8, sums[1][r]);
        if (job->n_out < 16)
            memcpy(out, part, job->n_out * sizeof *part);
    }
}

/* n <= 4 rows, from the skip-th of the job on, against the staged blocks. */
static RF_TILE_INLINE void rf_staged256(const rf_tile_job *job, const rf_block256 *stage,
                                        rf_tile_mode mode, const int type[2], unsigned skip,
                                        unsigned n) {
    rf_acts_rows a = rf_acts_rows_skip(job->acts, skip);
    __m256 sums[2][4];
    rf_sums_load256(job, skip, n, sums);
    for (size_t b = 0; b < job->n_blocks; b++) {
        rf_step256(&stage[b], mode, type, a, n, sums);
        a = rf_acts_rows_next(a);
    }
    rf_sums_store256(job, skip, n, sums);
}

/* 32 signed bytes to words: bytes 0 and 2 of every four to even, 1 and 3 to odd. */
static RF_TILE_INLINE void rf_widen256(const uint8_t *bytes, int16_t even[16], int16_t odd[16]) {
    const __m256i x = rf_load256(bytes);
    rf_store256(even, _mm256_srai_epi16(_mm256_slli_epi16(x, 8), 8));
    rf_store256(odd, _mm256_srai_epi16(x, 8));
}

static RF_TILE_INLINE void rf_words_of(const rf_block256 *block, rf_words256 *out) {
    RF_TILE_UNROLL
    for (unsigned g = 0; g < 8; g++) {
        rf_widen256(block->w[g], out->w[2 * g][0], out->w[2 * g + 1][0]);
        rf_widen256(block->w[g] + 32, out->w[2 * g][8], out->w[2 * g + 1][8]);
    }
    memcpy(out->scale, block->scale, sizeof out->scale);
}

/* Defines the functions of a kernel from a function unpack_<type>. */
#define RF_STAGED_AVX2(type, mode, shift, span)                                            \
    static void stage_##type(const uint8_t *tile, uint32_t n_cols, size_t first, size_t n, \
                             void *stage) {                                                \
        const rf_tile_layout l = rf_tile_layout_##type(n_cols);                            \
        rf_block256 *blocks = stage;                                                       \
        for (size_t b = 0; b < n; b++)                                                     \
            unpack_##type(tile, &l, first + b, &blocks[b]);                                \
    }                                                                                      \
    static void staged_##type(const rf_tile_job *job, const void *stage, unsigned n) {     \
        const int kind[2] = {shift, span};                                                 \
        if (n == 1)                                                                        \
            rf_staged256(job, stage, mode, kind, 0, 1);                                    \
        if (n == 2)                                                                        \
            rf_staged256(job, stage, mode, kind, 0, 2);                                    \
        for (unsigned skip = 0; skip + 4 <= n; skip += 4)                                  \
            rf_staged256(job, stage, mode, kind, skip, 4);                                 \
    }                                                                                      \
    static const rf_tile_kernel kernel_##type = {NULL, stage_##type, staged_##type};

/* Defines rf_matmul_<type>_avx2. */
#define RF_MATMUL_AVX2(type, mode, shift, span)                                                   \
    RF_STAGED_AVX2(type, mode, shift, span)                                                       \
    void rf_matmul_##type##_avx2(const rf_matrix *matrix, uint32_t tile_begin, uint32_t tile_end, \
                                 const rf_acts *acts, uint32_t row_begin, uint32_t row_end,       \
                                 float *out, size_t out_stride) {                                 \
        rf_tile_walk(&kernel_##type, matrix,                                                      \
                     (const uint32_t[4]){tile_begin, tile_end, row_begin, row_end}, acts, out,    \
                     out_stride);                                                                 \
    }

/* The same for signed weights: in words if there are rows enough to widen them for. */
#define RF_MATMUL_SIGNED_AVX2(type)                                                               \
    RF_STAGED_AVX2(type, RF_TILE_SIGNED, 0, 1)                                                    \
    static void words_##type(const uint8_t *tile, uint32_t n_cols, size_t first, size_t n,        \
                             rf_words256 *stage) {                                                \
        const rf_tile_layout l = rf_tile_layout_##type(n_cols);                                   \
        for (size_t b = 0; b < n; b++) {                                                          \
            rf_block256 block;                                                                    \
            unpack_##type(tile, &l, first + b, &block);                                           \
            rf_words_of(&block, &stage[b]);                                                       \
        }                                                                                         \
    }                                                                                             \
    void rf_matmul_##type##_avx2(const rf_matrix *matrix, uint32_t tile_begin, uint32_t tile_end, \
                                 const rf_acts *acts, uint32_t row_begin, uint32_t row_end,       \
                                 float *out, size_t out_stride) {                                 \
        const uint32_t range[4] = {tile_begin, tile_end, row_begin, row_end};                     \
        if (row_end - row_begin <= RF_TILE_DIRECT_ROWS_AVX2)                                      \
            rf_tile_walk(&kernel_##type, matrix, range, acts, out, out_stride);                   \
        else                                                                                      \
            rf_words_walk_avx2(words_##type, matrix, range, acts, out, out_stride);               \
    }

#endif
#endif
