#include <string.h>

#include "quant/encode.h"

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

void rf_encode_f32(const float *src, const float *importance, size_t n, void *out) {
    (void)importance;
    memcpy(out, src, n * sizeof *src);
}

void rf_encode_f16(const float *src, const float *importance, size_t n, void *out) {
    (void)importance;
    char *bytes = out;
    for (size_t i = 0; i < n; i++) {
        uint16_t half = rf_float_to_half(src[i]);
        memcpy(bytes + 2 * i, &half, sizeof half);
    }
}

void rf_encode_bf16(const float *src, const float *importance, size_t n, void *out) {
    (void)importance;
    char *bytes = out;
    for (size_t i = 0; i < n; i++) {
        uint16_t bf16 = rf_float_to_bf16(src[i]);
        memcpy(bytes + 2 * i, &bf16, sizeof bf16);
    }
}
