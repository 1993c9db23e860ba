#include "cpu/acts.h"

#include <math.h>
#include <string.h>

#include "base/checked.h"
#include "base/cpu_features.h"

size_t rf_acts_bytes(rf_acts_kind kind, uint32_t n_rows, uint32_t n_cols) {
    if (kind != RF_ACTS_Q8)
        return 0;
    return rf_round_up((size_t)n_rows * (n_cols / RF_ACTS_BLOCK) * RF_ACTS_BLOCK_BYTES, 64);
}

void rf_acts_place(rf_acts *acts, rf_acts_kind kind, uint32_t n_rows, uint32_t n_cols,
                   void *memory) {
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

void rf_acts_fill(const rf_acts *acts, const float *src, size_t src_stride, uint32_t row_begin,
                  uint32_t row_end, uint32_t features) {
    if (acts->kind != RF_ACTS_Q8)
        return;
    const bool wide = (features & RF_CPU_LEVEL_AVX2) == RF_CPU_LEVEL_AVX2;
    const uint32_t n_blocks = acts->n_cols / RF_ACTS_BLOCK;
    for (uint32_t row = row_begin; row < row_end; row++) {
        const float *x = src + row * src_stride;
        uint32_t width, i_row = row % RF_ACTS_PANEL;
        uint8_t *block = acts->panels + (rf_acts_panel(acts, row, &width) - acts->panels);
        const size_t step = (size_t)width * RF_ACTS_BLOCK_BYTES;
        for (uint32_t b = 0; b < n_blocks; b += RF_ACTS_EIGHT) {
            uint32_t n = n_blocks - b < RF_ACTS_EIGHT ? n_blocks - b : RF_ACTS_EIGHT;
            rf_acts_eight eight;
            (wide ? rf_acts_eight_avx2 : eight_plain)(x + (size_t)b * RF_ACTS_BLOCK, n,
                                                      block + (size_t)i_row * RF_ACTS_BLOCK, step,
                                                      &eight);
            eight_store(&eight, n, block, i_row, width);
            block += n * step;
        }
    }
}
