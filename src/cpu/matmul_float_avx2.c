/* Types of float weights: activations stay in F32. */
#include <immintrin.h>

#include "cpu/tile_float.h"

/* Two columns of eight rows; `at`: the even column's first byte, half: which eight. */
typedef void (*load_fn)(const uint8_t *at, unsigned half, __m256 w[2]);

static RF_TILE_INLINE void load_f32(const uint8_t *at, unsigned half, __m256 w[2]) {
    w[0] = _mm256_loadu_ps((const float *)(const void *)(at + 32 * half));
    w[1] = _mm256_loadu_ps((const float *)(const void *)(at + 32 * half + 64));
}

static RF_TILE_INLINE void load_f16(const uint8_t *at, unsigned half, __m256 w[2]) {
    const __m128i *x = (const __m128i *)(const void *)(at + 16 * half);
    w[0] = _mm256_cvtph_ps(_mm_loadu_si128(x));
    w[1] = _mm256_cvtph_ps(_mm_loadu_si128(x + 2));
}

static RF_TILE_INLINE void load_bf16(const uint8_t *at, unsigned half, __m256 w[2]) {
    __m256i x = _mm256_loadu_si256((const __m256i *)(const void *)(at + 32 * half));
    w[0] = _mm256_castsi256_ps(_mm256_slli_epi32(x, 16));
    w[1] = _mm256_castsi256_ps(_mm256_and_si256(x, _mm256_set1_epi32(-65536)));
}

/* n <= 4 rows from the skip-th on, eight rows of the tile. */
static RF_TILE_INLINE void half_run(const rf_float_job *job, load_fn load, size_t pair_bytes,
                                    unsigned half, unsigned skip, unsigned n) {
    const uint8_t *at = job->tile;
    const float *acts = job->acts + skip * job->acts_stride;
    __m256 even[4], odd[4], w[2];
    RF_TILE_UNROLL
    for (unsigned r = 0; r < n; r++)
        even[r] = odd[r] = _mm256_setzero_ps();
    for (uint32_t pair = 0; pair < job->n_cols / 2; pair++, at += pair_bytes, acts += 2) {
        load(at, half, w);
        __builtin_prefetch(at + RF_TILE_PREFETCH_BYTES);
        RF_TILE_UNROLL
        for (unsigned r = 0; r < n; r++) {
            const float *a = acts + r * job->acts_stride;
            even[r] = _mm256_fmadd_ps(w[0], _mm256_set1_ps(a[0]), even[r]);
            odd[r] = _mm256_fmadd_ps(w[1], _mm256_set1_ps(a[1]), odd[r]);
        }
    }
    if (job->n_cols % 2 != 0) {
        uint8_t last[128] = {0};
        memcpy(last, at, 64); /* an F32 tile ends here */
        load(last, half, w);
        RF_TILE_UNROLL
        for (unsigned r = 0; r < n; r++)
            even[r] = _mm256_fmadd_ps(w[0], _mm256_set1_ps(acts[r * job->acts_stride]), even[r]);
    }
    const __m256i lanes = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __m256i n_out = _mm256_set1_epi32((int)job->n_out - 8 * (int)half);
    float *out = job->out + skip * job->out_stride + 8 * half;
    RF_TILE_UNROLL
    for (unsigned r = 0; r < n; r++)
        _mm256_maskstore_ps(out + r * job->out_stride, _mm256_cmpgt_epi32(n_out, lanes),
                            _mm256_add_ps(even[r], odd[r]));
}

static RF_TILE_INLINE void rows_run(const rf_float_job *job, load_fn load, size_t pair_bytes,
                                    unsigned n) {
    for (unsigned half = 0; half < 2 && 8 * half < job->n_out; half++) {
        if (n == 1)
            half_run(job, load, pair_bytes, half, 0, 1);
        if (n == 2)
            half_run(job, load, pair_bytes, half, 0, 2);
        for (unsigned skip = 0; skip + 4 <= n; skip += 4)
            half_run(job, load, pair_bytes, half, skip, 4);
    }
}

#define MATMUL(type, pair_bytes)                                                                  \
    static void rows_##type(const rf_float_job *job, unsigned n) {                                \
        rows_run(job, load_##type, pair_bytes, n);                                                \
    }                                                                                             \
    void rf_matmul_##type##_avx2(const rf_matrix *matrix, uint32_t tile_begin, uint32_t tile_end, \
                                 const rf_acts *acts, uint32_t row_begin, uint32_t row_end,       \
                                 float *out, size_t out_stride) {                                 \
        rf_float_walk(rows_##type, matrix,                                                        \
                      (const uint32_t[4]){tile_begin, tile_end, row_begin, row_end}, acts, out,   \
                      out_stride);                                                                \
    }
MATMUL(f32, 128)
MATMUL(f16, 64)
MATMUL(bf16, 64)
