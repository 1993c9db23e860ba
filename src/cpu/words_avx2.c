#include "cpu/words_avx2.h"

#include "cpu/tile_avx2.h"

enum { SLICE_ROWS = 64, BLOCK_WORDS = 32 };

/* Rows of a slice at the blocks of a stage. */
typedef struct wide_acts {
    int16_t q[SLICE_ROWS][RF_TILE_STAGE_BLOCKS][BLOCK_WORDS]; /* pairs in the order of weights */
} wide_acts;

static void widen(const rf_acts *acts, const uint32_t rows[2], const size_t blocks[2],
                  wide_acts *out) {
    for (uint32_t row = rows[0]; row < rows[1]; row++) {
        uint32_t width;
        const uint8_t *q = rf_acts_panel(acts, row, &width) + row % RF_ACTS_PANEL * RF_ACTS_BLOCK;
        const size_t step = (size_t)width * RF_ACTS_BLOCK_BYTES;
        for (size_t b = 0; b < blocks[1]; b++)
            rf_widen256(q + (blocks[0] + b) * step, out->q[row - rows[0]][b],
                        out->q[row - rows[0]][b] + 16);
    }
}

/* acc += (for pair 0: =) pair p of the weights times that of n <= 4 rows, the first one's at q. */
static RF_TILE_INLINE void pair_add(const rf_words256 *w, unsigned p, const int16_t *q, unsigned n,
                                    __m256i acc[2][4]) {
    enum { ROW_WORDS = RF_TILE_STAGE_BLOCKS * BLOCK_WORDS };
    const __m256i x = rf_load256(w->w[p]), y = rf_load256(w->w[p][8]);
    RF_TILE_UNROLL
    for (unsigned r = 0; r < n; r++) {
        const uint8_t *two = (const uint8_t *)(q + r * ROW_WORDS);
        const __m256i a = _mm256_set1_epi32(rf_acts_int(two));
        const __m256i xa = _mm256_madd_epi16(x, a), ya = _mm256_madd_epi16(y, a);
        acc[0][r] = p == 0 ? xa : _mm256_add_epi32(acc[0][r], xa);
        acc[1][r] = p == 0 ? ya : _mm256_add_epi32(acc[1][r], ya);
        RF_KEEP_ORDER(acc[0][r]);
        RF_KEEP_ORDER(acc[1][r]);
    }
}

/* n <= 4 rows of a panel, q: their words, against the stage. */
static RF_TILE_INLINE void rows_run(const rf_tile_job *job, const rf_words256 *stage,
                                    const int16_t (*q)[RF_TILE_STAGE_BLOCKS][BLOCK_WORDS],
                                    unsigned n) {
    rf_acts_rows a = job->acts;
    __m256 sums[2][4];
    rf_sums_load256(job, 0, n, sums);
    for (size_t b = 0; b < job->n_blocks; b++) {
        __m256i acc[2][4];
        RF_TILE_UNROLL
        for (unsigned g = 0; g < 8; g++) {
            pair_add(&stage[b], 2 * g, &q[0][b][2 * g], n, acc);
            pair_add(&stage[b], 2 * g + 1, &q[0][b][2 * g + 16], n, acc);
        }
        RF_TILE_UNROLL
        for (unsigned half = 0; half < 2; half++) {
            const __m256 scale = _mm256_loadu_ps(stage[b].scale + 8 * half);
            RF_TILE_UNROLL
            for (unsigned r = 0; r < n; r++) {
                const __m256 part = _mm256_mul_ps(_mm256_cvtepi32_ps(acc[half][r]), scale);
                const __m256 s = _mm256_set1_ps(rf_acts_row_scale(a, r));
                sums[half][r] = _mm256_fmadd_ps(part, s, sums[half][r]);
            }
        }
        a = rf_acts_rows_next(a);
    }
    rf_sums_store256(job, 0, n, sums);
}

/* All rows of a slice against a stage of a tile. */
static void stage_run(rf_tile_job job, const rf_words256 *stage, const wide_acts *wide,
                      const rf_acts *acts, const uint32_t rows[2], size_t first_block) {
    float *out = job.out;
    for (uint32_t row = rows[0]; row < rows[1];) {
        uint32_t width, i = row % RF_ACTS_PANEL, at = row - rows[0];
        const uint8_t *panel = rf_acts_panel(acts, row, &width);
        uint32_t n = width - i < rows[1] - row ? width - i : rows[1] - row;
        n = n >= 4 ? 4 : n >= 2 ? 2 : 1;
        panel += first_block * width * RF_ACTS_BLOCK_BYTES;
        job.acts = (rf_acts_rows){NULL, panel + width * RF_ACTS_BLOCK + 4 * i, width};
        job.out = out + row * job.out_stride;
        if (n == 4)
            rows_run(&job, stage, &wide->q[at], 4);
        else if (n == 2)
            rows_run(&job, stage, &wide->q[at], 2);
        else
            rows_run(&job, stage, &wide->q[at], 1);
        row += n;
    }
}

void rf_words_walk_avx2(rf_words_stage stage, const rf_matrix *matrix, const uint32_t range[4],
                        const rf_acts *acts, float *out, size_t out_stride) {
    _Alignas(64) wide_acts wide;
    _Alignas(64) rf_words256 blocks[RF_TILE_STAGE_BLOCKS];
    const size_t n_blocks = matrix->n_cols / RF_TILE_BLOCK;
    for (uint32_t row = range[2]; row < range[3]; row += SLICE_ROWS) {
        const uint32_t rows[2] = {row, range[3] - row < SLICE_ROWS ? range[3] : row + SLICE_ROWS};
        for (size_t b = 0; b < n_blocks; b += RF_TILE_STAGE_BLOCKS) {
            size_t n = n_blocks - b < RF_TILE_STAGE_BLOCKS ? n_blocks - b : RF_TILE_STAGE_BLOCKS;
            widen(acts, rows, (const size_t[2]){b, n}, &wide);
            for (uint32_t t = range[0]; t < range[1]; t++) {
                uint32_t i_out = t * RF_TILE_ROWS, rest = matrix->n_rows - i_out;
                rf_tile_job job = {.n_cols = matrix->n_cols,
                                   .n_out = rest < RF_TILE_ROWS ? rest : RF_TILE_ROWS,
                                   .n_blocks = n,
                                   .first = b == 0,
                                   .out = out + i_out,
                                   .out_stride = out_stride};
                stage(matrix->data + t * matrix->tile_bytes, matrix->n_cols, b, n, blocks);
                stage_run(job, blocks, &wide, acts, rows, b);
            }
        }
    }
}
