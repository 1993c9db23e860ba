/*
 * Encoders of the native types: rows of floats in, blocks out. Without an importance vector the
 * blocks of F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0 and MXFP4 are those of ggml's reference, to the
 * bit; the others, and those with one, come from a search (quant/fit.h). Results do not depend on
 * the thread or the split into rows. No allocation; any thread.
 */
#ifndef RF_QUANT_ENCODE_H
#define RF_QUANT_ENCODE_H

#include "base/status.h"
#include "quant/quant.h"

/* Encodes n weights (a multiple of the type's block) to out (unaligned). importance: n values that
 * are at least 0, or NULL. What the type cannot hold comes out as some block, never as a fault. */
typedef void (*rf_encode_fn)(const float *src, const float *importance, size_t n, void *out);

/* Whether rf_encode_rows knows the type: the native ones. */
bool rf_encode_can(rf_qtype qtype);

typedef struct rf_encode_rows_args {
    rf_qtype qtype;
    const float *src;        /* [n_rows][n_cols] */
    const float *importance; /* [n_cols], finite and at least 0, or NULL */
    size_t n_rows, n_cols;   /* n_cols: a multiple of the type's block */
    uint64_t first;          /* index of src[0] in its tensor, for messages */
    void *out;               /* unaligned */
} rf_encode_rows_args;

/* RF_ERR_INVALID names the first weight that is NaN or infinite, or that the type cannot hold. */
RF_NODISCARD rf_status rf_encode_rows(const rf_encode_rows_args *args, rf_error *err);

#define RF_ENCODER_0(name)
#define RF_ENCODER_1(name) \
    void rf_encode_##name(const float *src, const float *importance, size_t n, void *out);
#define X(id, name, gguf_id, weights, bytes, native) RF_ENCODER_##native(name)
#include "quant/types.def"
#undef X
#undef RF_ENCODER_0
#undef RF_ENCODER_1

#endif
