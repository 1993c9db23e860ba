#include "cpu/acts.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/cpu_features.h"

size_t rf_acts_bytes(rf_acts_kind kind, uint32_t n_rows, uint32_t n_cols) {
    if (kind == RF_ACTS_F32)
        return 0;
    n_rows *= kind == RF_ACTS_Q8_TWICE ? 2 : 1;
    return rf_round_up((size_t)n_rows * (n_cols / RF_ACTS_BLOCK) * RF_ACTS_BLOCK_BYTES, 64);
}

void rf_acts_place(rf_acts *acts, rf_acts_kind kind, uint32_t n_rows, uint32_t n_cols,
                   void *memory) {
    n_rows *= kind == RF_ACTS_Q8_TWICE ? 2 : 1;
    *acts = (rf_acts){.kind = kind, .n_rows = n_rows, .n_cols = n_cols, .panels = memory};
}

/* Returns 127 / largest, or 0 where every q is 0. */
static float block_scale(const float *x, float *scale) {
    float largest = 0;
    for (int i = 0; i < RF_ACTS_BLOCK; i++) {
        if (!isfinite(x[i])) {
            *scale = NAN;
            return 0;
        }
        largest = fmaxf(largest, fabsf(x[i]));
    }
    *scale = largest < RF_ACTS_SMALLEST ? 0 : largest * (1.0f / RF_ACTS_Q_MAX);
    return largest < RF_ACTS_SMALLEST ? 0 : RF_ACTS_Q_MAX / largest;
}

/* The definition: rf_acts_eight_avx2 gives the same bits. */
static void eight_plain(const float *x, uint32_t n, uint8_t *q, size_t q_step, rf_acts_eight *out) {
    for (uint32_t b = 0; b < n; b++, x += RF_ACTS_BLOCK, q += q_step) {
        float inverse = block_scale(x, &out->scale[b]);
        int halves[2] = {0, 0};
        for (int i = 0; i < RF_ACTS_BLOCK; i++) {
            int value = inverse > 0 ? (int)rintf(x[i] * inverse) : 0;
            q[i] = (uint8_t)value;
            halves[i / 16] += value;
        }
        out->sum[b] = out->scale[b] * (float)(halves[0] + halves[1]);
        out->bias[b] = -128 * (halves[0] + halves[1]);
        out->halves[b][0] = (int16_t)halves[0];
        out->halves[b][1] = (int16_t)halves[1];
    }
}

/* n blocks, from `block` on, of a row: the i_row-th of its panel of width rows. */
static void eight_store(const rf_acts_eight *eight, uint32_t n, uint8_t *block, uint32_t i_row,
                        size_t width) {
    uint8_t *at = block + width * RF_ACTS_BLOCK + 4 * (size_t)i_row;
    for (uint32_t b = 0; b < n; b++, at += width * RF_ACTS_BLOCK_BYTES) {
        memcpy(at, &eight->scale[b], 4);
        memcpy(at + 4 * width, &eight->sum[b], 4);
        memcpy(at + 8 * width, &eight->bias[b], 4);
        memcpy(at + 12 * width, &eight->halves[b], 4);
    }
}

static void rest_plain(const float *x, uint32_t n, const uint8_t *q, size_t q_step,
                       const float *scale, float *rest) {
    for (uint32_t b = 0; b < n; b++, q += q_step)
        for (uint32_t i = b * RF_ACTS_BLOCK; i < (b + 1) * RF_ACTS_BLOCK; i++)
            rest[i] = x[i] - scale[b] * (float)(int8_t)q[i % RF_ACTS_BLOCK];
}

/* n blocks at x into row `row` from block b on; rest: NULL, or what they leave of x. */
static void fill_eight(const rf_acts *acts, const float *x, uint32_t row, const uint32_t blocks[2],
                       bool wide, float *rest) {
    uint32_t width, i_row = row % RF_ACTS_PANEL, n = blocks[1];
    uint8_t *block = acts->panels + (rf_acts_panel(acts, row, &width) - acts->panels);
    const size_t step = (size_t)width * RF_ACTS_BLOCK_BYTES;
    block += blocks[0] * step;
    uint8_t *q = block + (size_t)i_row * RF_ACTS_BLOCK;
    rf_acts_eight eight;
    (wide ? rf_acts_eight_avx2 : eight_plain)(x, n, q, step, &eight);
    if (rest)
        (wide ? rf_acts_rest_avx2 : rest_plain)(x, n, q, step, eight.scale, rest);
    eight_store(&eight, n, block, i_row, width);
}

void rf_acts_fill(const rf_acts *acts, const float *src, size_t src_stride, uint32_t row_begin,
                  uint32_t row_end, uint32_t features) {
    if (acts->kind == RF_ACTS_F32)
        return;
    const bool wide = (features & RF_CPU_LEVEL_AVX2) == RF_CPU_LEVEL_AVX2;
    const bool twice = acts->kind == RF_ACTS_Q8_TWICE;
    const uint32_t n_blocks = acts->n_cols / RF_ACTS_BLOCK;
    for (uint32_t row = row_begin; row < row_end; row++) {
        const float *x = src + row * src_stride;
        for (uint32_t b = 0; b < n_blocks; b += RF_ACTS_EIGHT, x += RF_ACTS_EIGHT * RF_ACTS_BLOCK) {
            uint32_t left = n_blocks - b;
            const uint32_t blocks[2] = {b, left < RF_ACTS_EIGHT ? left : RF_ACTS_EIGHT};
            float rest[RF_ACTS_EIGHT * RF_ACTS_BLOCK];
            fill_eight(acts, x, twice ? 2 * row : row, blocks, wide, twice ? rest : NULL);
            if (twice)
                fill_eight(acts, rest, 2 * row + 1, blocks, wide, NULL);
        }
    }
}
