/* Types of float weights: activations stay in F32. */
#include <immintrin.h>

#include "cpu/tile_float.h"

/* Two columns of 16 rows from `at`, the even column's first byte. */
typedef void (*load_fn)(const uint8_t *at, __m512 w[2]);

static RF_TILE_INLINE void load_f32(const uint8_t *at, __m512 w[2]) {
    w[0] = _mm512_loadu_ps(at);
    w[1] = _mm512_loadu_ps(at + 64);
}

static RF_TILE_INLINE void load_f16(const uint8_t *at, __m512 w[2]) {
    __m512i x = _mm512_loadu_si512(at);
    w[0] = _mm512_cvtph_ps(_mm512_castsi512_si256(x));
    w[1] = _mm512_cvtph_ps(_mm512_extracti64x4_epi64(x, 1));
}

static RF_TILE_INLINE void load_bf16(const uint8_t *at, __m512 w[2]) {
    __m512i x = _mm512_loadu_si512(at);
    w[0] = _mm512_castsi512_ps(_mm512_slli_epi32(x, 16));
    w[1] = _mm512_castsi512_ps(_mm512_and_si512(x, _mm512_set1_epi32(-65536)));
}

static RF_TILE_INLINE void rows_run(const rf_float_job *job, load_fn load, size_t pair_bytes,
                                    unsigned n) {
    const uint8_t *at = job->tile;
    const float *acts = job->acts;
    __m512 even[8], odd[8], w[2];
    RF_TILE_UNROLL
    for (unsigned r = 0; r < n; r++)
        even[r] = odd[r] = _mm512_setzero_ps();
    for (uint32_t pair = 0; pair < job->n_cols / 2; pair++, at += pair_bytes, acts += 2) {
        load(at, w);
        __builtin_prefetch(at + RF_TILE_PREFETCH_BYTES);
        RF_TILE_UNROLL
        for (unsigned r = 0; r < n; r++) {
            const float *a = acts + r * job->acts_stride;
            even[r] = _mm512_fmadd_ps(w[0], _mm512_set1_ps(a[0]), even[r]);
            odd[r] = _mm512_fmadd_ps(w[1], _mm512_set1_ps(a[1]), odd[r]);
        }
    }
    if (job->n_cols % 2 != 0) {
        uint8_t last[128] = {0};
        memcpy(last, at, 64); /* an F32 tile ends here */
        load(last, w);
        RF_TILE_UNROLL
        for (unsigned r = 0; r < n; r++)
            even[r] = _mm512_fmadd_ps(w[0], _mm512_set1_ps(acts[r * job->acts_stride]), even[r]);
    }
    __mmask16 mask = (__mmask16)((1u << job->n_out) - 1);
    RF_TILE_UNROLL
    for (unsigned r = 0; r < n; r++)
        _mm512_mask_storeu_ps(job->out + r * job->out_stride, mask, _mm512_add_ps(even[r], odd[r]));
}

#define MATMUL(type, pair_bytes)                                                                \
    static void rows_##type(const rf_float_job *job, unsigned n) {                              \
        switch (n) {                                                                            \
        case 8: rows_run(job, load_##type, pair_bytes, 8); break;                               \
        case 4: rows_run(job, load_##type, pair_bytes, 4); break;                               \
        case 2: rows_run(job, load_##type, pair_bytes, 2); break;                               \
        default: rows_run(job, load_##type, pair_bytes, 1); break;                              \
        }                                                                                       \
    }                                                                                           \
    void rf_matmul_##type##_avx512(const rf_matrix *matrix, uint32_t tile_begin,                \
                                   uint32_t tile_end, const rf_acts *acts, uint32_t row_begin,  \
                                   uint32_t row_end, float *out, size_t out_stride) {           \
        rf_float_walk(rows_##type, matrix,                                                      \
                      (const uint32_t[4]){tile_begin, tile_end, row_begin, row_end}, acts, out, \
                      out_stride);                                                              \
    }
MATMUL(f32, 128)
MATMUL(f16, 64)
MATMUL(bf16, 64)
