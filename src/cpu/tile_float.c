#include "cpu/tile_float.h"

static void tile_rows(rf_float_kernel kernel, rf_float_job job, const rf_acts *acts,
                      const uint32_t rows[2]) {
    float *out = job.out;
    for (uint32_t row = rows[0]; row < rows[1];) {
        uint32_t rest = rows[1] - row;
        unsigned n = rest >= 8 ? 8 : rest >= 4 ? 4 : rest >= 2 ? 2 : 1;
        job.acts = acts->f32 + row * acts->f32_stride;
        job.out = out + row * job.out_stride;
        kernel(&job, n);
        row += n;
    }
}

void rf_float_walk(rf_float_kernel kernel, const rf_matrix *matrix, const uint32_t range[4],
                   const rf_acts *acts, float *out, size_t out_stride) {
    uint32_t slice = RF_TILE_SLICE_BYTES / 4 / matrix->n_cols / 8;
    slice = (slice < 4 ? 4 : slice) * 8;
    for (uint32_t row = range[2]; row < range[3]; row += slice) {
        const uint32_t rows[2] = {row, range[3] - row < slice ? range[3] : row + slice};
        for (uint32_t t = range[0]; t < range[1]; t++) {
            uint32_t i_out = t * RF_TILE_ROWS, rest = matrix->n_rows - i_out;
            rf_float_job job = {.tile = matrix->data + t * matrix->tile_bytes,
                                .n_cols = matrix->n_cols,
                                .n_out = rest < RF_TILE_ROWS ? rest : RF_TILE_ROWS,
                                .acts_stride = acts->f32_stride,
                                .out = out + i_out,
                                .out_stride = out_stride};
            tile_rows(kernel, job, acts, rows);
        }
    }
}
