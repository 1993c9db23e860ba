#include "cpu/ref/ref.h"

/* Columns decoded at a time: a multiple of every type's block. */
enum { CHUNK = 512, ROWS = 8, LANES = 8 };

/* Adds the products of n columns in a fixed order: lane l sums columns l, l + 8, l + 16 … */
static void dot_add(const float *weights, const float *acts, uint32_t n, double sum[LANES]) {
    uint32_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (uint32_t l = 0; l < LANES; l++)
            sum[l] += (double)weights[i + l] * (double)acts[i + l];
    for (uint32_t l = 0; i + l < n; l++)
        sum[l] += (double)weights[i + l] * (double)acts[i + l];
}

static float lanes_total(const double sum[LANES]) {
    return (float)(((sum[0] + sum[4]) + (sum[1] + sum[5])) +
                   ((sum[2] + sum[6]) + (sum[3] + sum[7])));
}

/* One weight row against up to ROWS rows of activations. */
static void row_run(const rf_qtype_info *type, const uint8_t *row, uint32_t n_cols,
                    const rf_acts *acts, const uint32_t rows[2], float *out, size_t out_stride) {
    double sum[ROWS][LANES] = {{0}};
    float weights[CHUNK];
    for (uint32_t col = 0; col < n_cols; col += CHUNK) {
        uint32_t n = n_cols - col < CHUNK ? n_cols - col : CHUNK;
        type->dequant(row + (size_t)(col / type->block_weights) * type->block_bytes, weights, n);
        for (uint32_t r = rows[0]; r < rows[1]; r++)
            dot_add(weights, acts->f32 + r * acts->f32_stride + col, n, sum[r - rows[0]]);
    }
    for (uint32_t r = rows[0]; r < rows[1]; r++)
        out[r * out_stride] = lanes_total(sum[r - rows[0]]);
}

void rf_matmul_ref(const rf_matrix *matrix, uint32_t tile_begin, uint32_t tile_end,
                   const rf_acts *acts, uint32_t row_begin, uint32_t row_end, float *out,
                   size_t out_stride) {
    const rf_qtype_info *type = rf_qtype_get(matrix->variant->qtype);
    for (uint32_t i = tile_begin; i < tile_end; i++) {
        const uint8_t *row = matrix->data + i * matrix->tile_bytes;
        for (uint32_t r = row_begin; r < row_end; r += ROWS) {
            uint32_t rows[2] = {r, row_end - r < ROWS ? row_end : r + ROWS};
            row_run(type, row, matrix->n_cols, acts, rows, out + i, out_stride);
        }
    }
}
