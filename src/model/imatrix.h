/*
 * Importance matrices: how strongly each column of a weight is driven, measured over a text.
 * Read from llama.cpp's GGUF form: tensors NAME.in_sum2 [n_cols, n_matrices], the sums of squared
 * activations, and NAME.counts [1, n_matrices]. Immutable after opening: any thread may read it.
 */
#ifndef RF_MODEL_IMATRIX_H
#define RF_MODEL_IMATRIX_H

#include <stdint.h>

#include "base/status.h"
#include "base/str.h"

typedef struct rf_imatrix rf_imatrix;

/* *out is owned by the caller. Checks that every value is finite and not negative. */
RF_NODISCARD rf_status rf_imatrix_open(const char *path, rf_imatrix **out, rf_error *err);
void rf_imatrix_close(rf_imatrix *imatrix); /* NULL is a no-op */

size_t rf_imatrix_n_entries(const rf_imatrix *imatrix);
uint32_t rf_imatrix_n_chunks(const rf_imatrix *imatrix); /* of text; 0 where the file is silent */
rf_str rf_imatrix_dataset(const rf_imatrix *imatrix);    /* the first; empty likewise */

/* Means of squared activations of the weight NAME: *out is [n_matrices][n_cols], valid until
 * rf_imatrix_close, or NULL where the file has none for it (and imatrix NULL has none). Another
 * shape in the file is RF_ERR_INVALID. */
RF_NODISCARD rf_status rf_imatrix_find(const rf_imatrix *imatrix, rf_str name, uint64_t n_cols,
                                       uint64_t n_matrices, const float **out, rf_error *err);

#endif
