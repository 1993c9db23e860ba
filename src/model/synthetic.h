/*
 * Models of random weights: the shape of a known model, made in memory or written to a file, for
 * measuring speed. The weights are blocks of a small encoded pool in random order, so making one
 * costs little more than copying its bytes; the same spec gives the same bytes everywhere. There is
 * no vocabulary: tokenizer.ggml.model is "no_vocab", as llama.cpp reads it. One thread.
 */
#ifndef RF_MODEL_SYNTHETIC_H
#define RF_MODEL_SYNTHETIC_H

#include "gguf/gguf.h"
#include "model/mix.h"

typedef struct rf_synthetic_spec {
    uint32_t shape; /* row of model/shapes.def */
    rf_mix mix;     /* decides each tensor's type as `quantize` does */
} rf_synthetic_spec;

/* "llama3.2-1b:q4_k_m", any case. An unknown shape or type is RF_ERR_USAGE with those that exist.
 */
RF_NODISCARD rf_status rf_synthetic_parse(rf_str text, rf_synthetic_spec *out, rf_error *err);
const char *rf_synthetic_shape_name(uint32_t shape); /* NULL past the end */

/* done and total in bytes; returning false cancels with RF_ERR_INTERRUPTED. */
typedef bool (*rf_synthetic_progress_fn)(void *user, uint64_t done, uint64_t total);
typedef struct rf_synthetic_options {
    bool hollow; /* matrices are holes that read as zeros and take no memory: for plans */
    rf_synthetic_progress_fn progress; /* or NULL */
    void *user;
} rf_synthetic_options;

/* The model in memory that belongs to *out (rf_gguf_close). Refused with RF_ERR_LIMIT and the
 * numbers when the machine has not memory for it twice: as a file and as a backend packs it. */
RF_NODISCARD rf_status rf_synthetic_open(const rf_synthetic_spec *spec,
                                         const rf_synthetic_options *options, rf_gguf **out,
                                         rf_error *err);
/* The same bytes as a file, written beside path and renamed. */
RF_NODISCARD rf_status rf_synthetic_write(const rf_synthetic_spec *spec,
                                          const rf_synthetic_options *options, const char *path,
                                          rf_error *err);

#endif
