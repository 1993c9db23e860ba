/*
 * Collects an importance matrix: for each weight matrix of the layers, the sum of squares of every
 * column of what it is multiplied with, and how many rows that were. Written in llama.cpp's GGUF
 * form, which rf_imatrix_open reads. One thread at a time.
 */
#ifndef RF_MODEL_IMATRIX_SUMS_H
#define RF_MODEL_IMATRIX_SUMS_H

#include "base/status.h"
#include "op/backend.h"

typedef struct rf_imatrix_sums rf_imatrix_sums;

/* program is borrowed until destroy. with_output: output.weight too, where the model has one. */
RF_NODISCARD rf_status rf_imatrix_sums_create(const rf_program *program, bool with_output,
                                              rf_imatrix_sums **out, rf_error *err);
void rf_imatrix_sums_destroy(rf_imatrix_sums *sums);

/* What the backend calls; lives as long as sums. */
const rf_observer *rf_imatrix_sums_observer(const rf_imatrix_sums *sums);

typedef struct rf_imatrix_source {
    rf_str dataset; /* name of the text */
    uint32_t n_chunks, chunk_tokens;
} rf_imatrix_source;

/* Written beside path and renamed. A sum that is not finite is RF_ERR_INVALID with its weight. */
RF_NODISCARD rf_status rf_imatrix_sums_write(const rf_imatrix_sums *sums,
                                             const rf_imatrix_source *source, const char *path,
                                             rf_error *err);

#endif
