#include <string.h>

#include "quant/quant.h"

/* Sources may have any alignment, so words are read with memcpy. */

void rf_dequant_f32(const void *src, float *out, size_t n) { memcpy(out, src, n * sizeof *out); }

void rf_dequant_f16(const void *src, float *out, size_t n) {
    const char *bytes = src;
    for (size_t i = 0; i < n; i++) {
        uint16_t half;
        memcpy(&half, bytes + 2 * i, sizeof half);
        out[i] = rf_half_to_float(half);
    }
}

void rf_dequant_bf16(const void *src, float *out, size_t n) {
    const char *bytes = src;
    for (size_t i = 0; i < n; i++) {
        uint16_t bf16;
        memcpy(&bf16, bytes + 2 * i, sizeof bf16);
        out[i] = rf_bf16_to_float(bf16);
    }
}
