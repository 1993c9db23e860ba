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

/*
 * Many rows: columns are unpacked to a stage in the first-level cache, even ones apart from odd
 * ones, so that six rows by 16 weights fill 12 registers with the sums of one parity. Between
 * stages the sums wait in `carry`, for their order to be that of a row alone.
 */
enum { STAGE_PAIRS = 128, SLICE_ROWS = 96, GROUP_ROWS = 6 };

typedef struct float_stage {
    float columns[2][STAGE_PAIRS][RF_TILE_ROWS]; /* even, odd */
} float_stage;

typedef float carry_row[2][RF_TILE_ROWS];

static RF_TILE_INLINE void pair_store(const uint8_t *at, load_fn load, size_t i,
                                      float_stage *stage) {
    for (unsigned half = 0; half < 2; half++) {
        __m256 w[2];
        load(at, half, w);
        _mm256_storeu_ps(stage->columns[0][i] + 8 * half, w[0]);
        _mm256_storeu_ps(stage->columns[1][i] + 8 * half, w[1]);
    }
}

static RF_TILE_INLINE void stage_fill(const uint8_t *at, load_fn load, size_t pair_bytes,
                                      uint32_t n_cols, float_stage *stage) {
    for (size_t i = 0; i < n_cols / 2; i++)
        pair_store(at + i * pair_bytes, load, i, stage);
    if (n_cols % 2 != 0) {
        uint8_t last[128] = {0};
        memcpy(last, at + n_cols / 2 * pair_bytes, 64); /* an F32 tile ends here */
        pair_store(last, load, n_cols / 2, stage);
    }
}

/* n <= 6 rows against n_pairs columns of a parity; acts: the first of them in the first row. */
static RF_TILE_INLINE void parity_add(const float (*w)[RF_TILE_ROWS], uint32_t n_pairs,
                                      const float *acts, size_t stride, unsigned n,
                                      __m256 sums[2][GROUP_ROWS]) {
    for (uint32_t i = 0; i < n_pairs; i++, acts += 2) {
        const __m256 x = _mm256_load_ps(w[i]), y = _mm256_load_ps(w[i] + 8);
        RF_TILE_UNROLL
        for (unsigned r = 0; r < n; r++) {
            const __m256 a = _mm256_set1_ps(acts[r * stride]);
            sums[0][r] = _mm256_fmadd_ps(x, a, sums[0][r]);
            sums[1][r] = _mm256_fmadd_ps(y, a, sums[1][r]);
        }
    }
}

/* job: its acts begin at the stage; n_cols: of the stage; carry: of the first row. */
static RF_TILE_INLINE void parity_run(const rf_float_job *job, const float_stage *stage, bool first,
                                      int parity, carry_row *carry, unsigned n) {
    __m256 sums[2][GROUP_ROWS];
    RF_TILE_UNROLL
    for (unsigned r = 0; r < n; r++)
        for (unsigned half = 0; half < 2; half++)
            sums[half][r] =
                first ? _mm256_setzero_ps() : _mm256_loadu_ps(carry[r][parity] + 8 * half);
    parity_add(stage->columns[parity], (job->n_cols + 1 - (uint32_t)parity) / 2, job->acts + parity,
               job->acts_stride, n, sums);
    RF_TILE_UNROLL
    for (unsigned r = 0; r < n; r++)
        for (unsigned half = 0; half < 2; half++)
            _mm256_storeu_ps(carry[r][parity] + 8 * half, sums[half][r]);
}

static void group_run(const rf_float_job *job, const float_stage *stage, bool first,
                      carry_row *carry, unsigned n) {
    for (int parity = 0; parity < 2; parity++) {
        switch (n) {
        case 6: parity_run(job, stage, first, parity, carry, 6); break;
        case 5: parity_run(job, stage, first, parity, carry, 5); break;
        case 4: parity_run(job, stage, first, parity, carry, 4); break;
        case 3: parity_run(job, stage, first, parity, carry, 3); break;
        case 2: parity_run(job, stage, first, parity, carry, 2); break;
        default: parity_run(job, stage, first, parity, carry, 1); break;
        }
    }
}

/* n_rows rows of the job against the columns of a stage, from column `col` on. */
static void stage_run(rf_float_job job, const float_stage *stage, uint32_t col, uint32_t n_rows,
                      carry_row *carry) {
    job.acts += col;
    for (uint32_t row = 0; row < n_rows; row += GROUP_ROWS) {
        uint32_t rest = n_rows - row;
        group_run(&job, stage, col == 0, carry + row, rest < GROUP_ROWS ? rest : GROUP_ROWS);
        job.acts += GROUP_ROWS * job.acts_stride;
    }
}

static RF_TILE_INLINE void tile_run(const rf_float_job *job, load_fn load, size_t pair_bytes,
                                    uint32_t n_rows) {
    _Alignas(64) float_stage stage;
    _Alignas(64) carry_row carry[SLICE_ROWS];
    for (uint32_t col = 0; col < job->n_cols; col += 2 * STAGE_PAIRS) {
        rf_float_job part = *job;
        part.n_cols = job->n_cols - col;
        part.n_cols = part.n_cols < 2 * STAGE_PAIRS ? part.n_cols : 2 * STAGE_PAIRS;
        stage_fill(job->tile + col / 2 * pair_bytes, load, pair_bytes, part.n_cols, &stage);
        stage_run(part, &stage, col, n_rows, carry);
    }
    for (uint32_t row = 0; row < n_rows; row++)
        for (uint32_t i = 0; i < job->n_out; i++)
            job->out[row * job->out_stride + i] = carry[row][0][i] + carry[row][1][i];
}

static RF_TILE_INLINE void slices_run(const rf_matrix *matrix, const uint32_t range[4],
                                      const rf_acts *acts, float *out, size_t out_stride,
                                      load_fn load, size_t pair_bytes) {
    uint32_t slice = RF_TILE_SLICE_BYTES / 4 / matrix->n_cols / GROUP_ROWS * GROUP_ROWS;
    slice = slice < 24 ? 24 : slice > SLICE_ROWS ? SLICE_ROWS : slice;
    for (uint32_t row = range[2]; row < range[3]; row += slice)
        for (uint32_t t = range[0]; t < range[1]; t++) {
            uint32_t i_out = t * RF_TILE_ROWS, rest = matrix->n_rows - i_out;
            rf_float_job job = {.tile = matrix->data + t * matrix->tile_bytes,
                                .n_cols = matrix->n_cols,
                                .n_out = rest < RF_TILE_ROWS ? rest : RF_TILE_ROWS,
                                .acts = acts->f32 + row * acts->f32_stride,
                                .acts_stride = acts->f32_stride,
                                .out = out + row * out_stride + i_out,
                                .out_stride = out_stride};
            tile_run(&job, load, pair_bytes, range[3] - row < slice ? range[3] - row : slice);
        }
}

#define MATMUL(type, pair_bytes)                                                                  \
    static void rows_##type(const rf_float_job *job, unsigned n) {                                \
        rows_run(job, load_##type, pair_bytes, n);                                                \
    }                                                                                             \
    void rf_matmul_##type##_avx2(const rf_matrix *matrix, uint32_t tile_begin, uint32_t tile_end, \
                                 const rf_acts *acts, uint32_t row_begin, uint32_t row_end,       \
                                 float *out, size_t out_stride) {                                 \
        const uint32_t range[4] = {tile_begin, tile_end, row_begin, row_end};                     \
        if (row_end - row_begin <= RF_TILE_DIRECT_ROWS_AVX2)                                      \
            rf_float_walk(rows_##type, matrix, range, acts, out, out_stride);                     \
        else                                                                                      \
            slices_run(matrix, range, acts, out, out_stride, load_##type, pair_bytes);            \
    }
MATMUL(f32, 128)
MATMUL(f16, 64)
MATMUL(bf16, 64)
