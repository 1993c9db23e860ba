#include "quant/encode.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#define ENCODER_0(name) NULL
#define ENCODER_1(name) rf_encode_##name
static const rf_encode_fn encoders[RF_QTYPE_COUNT] = {
#define X(id, name, gguf_id, weights, bytes, native) ENCODER_##native(name),
#include "quant/types.def"
#undef X
};

enum { MAX_BLOCK = 256 };

bool rf_encode_can(rf_qtype qtype) { return encoders[qtype] != NULL; }

/* Magnitudes compare like the integers of their bits; infinity and NaN are the largest. */
static uint32_t largest_bits(const float *src, size_t n) {
    uint32_t largest = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits = rf_float_bits(src[i]) & 0x7fffffff;
        largest = bits > largest ? bits : largest;
    }
    return largest;
}

static rf_status fail_at(const rf_encode_rows_args *args, const float *src, size_t i,
                         const char *expected, rf_error *err) {
    uint64_t index = args->first + (uint64_t)(src - args->src) + i;
    return rf_fail(err, RF_ERR_INVALID,
                   "weight %" PRIu64 " (row %" PRIu64 ", column %" PRIu64
                   "): found %g, expected %s",
                   index, index / args->n_cols, index % args->n_cols, (double)src[i], expected);
}

static rf_status check_finite(const rf_encode_rows_args *args, const float *row, rf_error *err) {
    if (largest_bits(row, args->n_cols) < 0x7f800000)
        return RF_OK;
    size_t i = 0;
    while (isfinite(row[i]))
        i++;
    return fail_at(args, row, i, "a finite number", err);
}

/* Only weights beyond the largest half can make a scale that the format has no number for. */
static rf_status check_held(const rf_encode_rows_args *args, const float *row, const char *blocks,
                            rf_error *err) {
    static const float largest_half = 65504;
    const rf_qtype_info *info = rf_qtype_get(args->qtype);
    if (args->qtype == RF_QTYPE_F32 ||
        largest_bits(row, args->n_cols) <= rf_float_bits(largest_half))
        return RF_OK;
    size_t step = info->block_weights;
    float decoded[MAX_BLOCK];
    for (size_t at = 0; at < args->n_cols; at += step, blocks += info->block_bytes) {
        info->dequant(blocks, decoded, step);
        if (largest_bits(decoded, step) < 0x7f800000)
            continue;
        size_t i_top = at;
        for (size_t i = at; i < at + step; i++)
            i_top = fabsf(row[i]) > fabsf(row[i_top]) ? i : i_top;
        char expected[64];
        (void)snprintf(expected, sizeof expected, "a number that %s can hold", info->name);
        return fail_at(args, row, i_top, expected, err);
    }
    return RF_OK;
}

rf_status rf_encode_rows(const rf_encode_rows_args *args, rf_error *err) {
    uint64_t row_bytes;
    rf_encode_fn encode = encoders[args->qtype];
    const char *name = rf_qtype_get(args->qtype)->name;
    if (!encode)
        return rf_fail(err, RF_ERR_UNSUPPORTED, "type %s: found no encoder for it", name);
    if (!rf_qtype_row_bytes(args->qtype, args->n_cols, &row_bytes))
        return rf_fail(err, RF_ERR_INVALID,
                       "rows of %zu weights: expected a multiple of %" PRIu32 " for %s",
                       args->n_cols, rf_qtype_get(args->qtype)->block_weights, name);
    for (size_t r = 0; r < args->n_rows; r++) {
        const float *row = args->src + r * args->n_cols;
        char *out = (char *)args->out + r * row_bytes;
        RF_TRY(check_finite(args, row, err));
        encode(row, args->importance, args->n_cols, out);
        RF_TRY(check_held(args, row, out, err));
    }
    return RF_OK;
}
