#include "cpu/tile_walk.h"

/* The largest group that starts at row and stays in its panel. */
static unsigned group_rows(const rf_acts *acts, uint32_t row, uint32_t row_end, rf_acts_rows *rows,
                           size_t first_block) {
    uint32_t width, i = row % RF_ACTS_PANEL;
    const uint8_t *panel = rf_acts_panel(acts, row, &width);
    const uint8_t *block = panel + first_block * width * RF_ACTS_BLOCK_BYTES;
    uint32_t n = width - i < row_end - row ? width - i : row_end - row;
    *rows = (rf_acts_rows){block + i * RF_ACTS_BLOCK, block + width * RF_ACTS_BLOCK + 4 * i, width};
    return n >= 8 ? 8 : n >= 4 ? 4 : n >= 2 ? 2 : 1;
}

static void tile_direct(const rf_tile_kernel *kernel, rf_tile_job job, const rf_acts *acts,
                        const uint32_t rows[2]) {
    float *out = job.out;
    for (uint32_t row = rows[0]; row < rows[1];) {
        unsigned n = group_rows(acts, row, rows[1], &job.acts, 0);
        job.out = out + row * job.out_stride;
        kernel->direct(&job, n);
        row += n;
    }
}

/* Rows of a tile against all its stages. Between stages sums wait side by side in a buffer: in out
 * each row of them would lie in a page of its own. */
static void tile_staged(const rf_tile_kernel *kernel, rf_tile_job job, const rf_acts *acts,
                        const uint32_t rows[2]) {
    _Alignas(64) uint8_t stage[RF_TILE_STAGE_BYTES];
    _Alignas(64) float sums[RF_TILE_SLICE_ROWS][RF_TILE_ROWS];
    const rf_tile_job whole = job;
    const size_t n_stages = (whole.n_blocks + RF_TILE_STAGE_BLOCKS - 1) / RF_TILE_STAGE_BLOCKS;
    const size_t step = (whole.n_blocks + n_stages - 1) / n_stages;
    float *out = whole.out + rows[0] * whole.out_stride;
    if (n_stages > 1) {
        job.n_out = RF_TILE_ROWS;
        job.out_stride = RF_TILE_ROWS;
        out = sums[0];
    }
    for (size_t b = 0; b < whole.n_blocks; b += step) {
        job.n_blocks = whole.n_blocks - b < step ? whole.n_blocks - b : step;
        job.first = b == 0;
        kernel->stage(job.tile, job.n_cols, b, job.n_blocks, stage);
        for (uint32_t row = rows[0]; row < rows[1];) {
            unsigned n = group_rows(acts, row, rows[1], &job.acts, b);
            job.out = out + (row - rows[0]) * job.out_stride;
            kernel->staged(&job, stage, n);
            row += n;
        }
    }
    for (uint32_t row = rows[0]; n_stages > 1 && row < rows[1]; row++)
        memcpy(whole.out + row * whole.out_stride, sums[row - rows[0]],
               whole.n_out * sizeof(float));
}

void rf_tile_walk(const rf_tile_kernel *kernel, const rf_matrix *matrix, const uint32_t range[4],
                  const rf_acts *acts, float *out, size_t out_stride) {
    uint32_t slice = (uint32_t)(RF_TILE_SLICE_BYTES / matrix->n_cols) / RF_ACTS_PANEL;
    slice = (slice < 8 ? 8 : slice) * RF_ACTS_PANEL;
    slice = slice > RF_TILE_SLICE_ROWS ? RF_TILE_SLICE_ROWS : slice;
    for (uint32_t row = range[2]; row < range[3]; row += slice) {
        const uint32_t rows[2] = {row, range[3] - row < slice ? range[3] : row + slice};
        bool few = kernel->direct && rows[1] - rows[0] <= RF_TILE_DIRECT_ROWS;
        for (uint32_t t = range[0]; t < range[1]; t++) {
            uint32_t i_out = t * RF_TILE_ROWS, rest = matrix->n_rows - i_out;
            rf_tile_job job = {.tile = matrix->data + t * matrix->tile_bytes,
                               .n_cols = matrix->n_cols,
                               .n_out = rest < RF_TILE_ROWS ? rest : RF_TILE_ROWS,
                               .n_blocks = matrix->n_cols / RF_TILE_BLOCK,
                               .out = out + i_out,
                               .out_stride = out_stride};
            (few ? tile_direct : tile_staged)(kernel, job, acts, rows);
        }
    }
}
