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

/* The definition: rf_acts_block_avx2 gives the same bits. */
static void block_plain(const float *x, rf_acts_block out) {
    uint32_t largest = 0;
    for (int i = 0; i < RF_ACTS_BLOCK; i++) {
        uint32_t bits;
        memcpy(&bits, &x[i], sizeof bits);
        bits &= 0x7FFFFFFFu;
        largest = bits > largest ? bits : largest; /* NaN above infinity above all numbers */
    }
    float scale, inverse = rf_acts_scale(largest, &scale);
    int halves[2] = {0, 0};
    for (int i = 0; i < RF_ACTS_BLOCK; i++) {
        int q = inverse > 0 ? (int)rintf(x[i] * inverse) : 0;
        out.q[i] = (int8_t)q;
        halves[i / 16] += q;
    }
    rf_acts_block_finish(out, scale, halves[0], halves[1]);
}

void rf_acts_fill(const rf_acts *acts, const float *src, size_t src_stride, uint32_t row_begin,
                  uint32_t row_end, uint32_t features) {
    if (acts->kind != RF_ACTS_Q8)
        return;
    bool wide = (features & RF_CPU_LEVEL_AVX2) == RF_CPU_LEVEL_AVX2;
    for (uint32_t row = row_begin; row < row_end; row++) {
        const float *x = src + row * src_stride;
        uint32_t width;
        uint8_t *panel = acts->panels + (rf_acts_panel(acts, row, &width) - acts->panels);
        for (uint32_t col = 0; col < acts->n_cols; col += RF_ACTS_BLOCK) {
            rf_acts_block out = rf_acts_block_at(panel, row % RF_ACTS_PANEL, width);
            (wide ? rf_acts_block_avx2 : block_plain)(x + col, out);
            panel += (size_t)width * RF_ACTS_BLOCK_BYTES;
        }
    }
}
