/*
 * Writes a GGUF file anew with other tensor types: decodes and encodes rows on several threads,
 * streaming, so that memory is some megabytes however large the tensors are. The main thread.
 */
#ifndef RF_CLI_REQUANTIZE_H
#define RF_CLI_REQUANTIZE_H

#include "gguf/writer.h"
#include "model/imatrix.h"
#include "model/mix.h"

typedef struct rf_requantize_job {
    const rf_gguf *in;            /* opened with data */
    const rf_mix_choice *choices; /* [tensors of in] */
    const rf_imatrix *imatrix;    /* or NULL */
    uint32_t n_threads;
} rf_requantize_job;

/* Declares every tensor of the job to writer, which has the keys already, and finishes it as path.
 * NaN, infinity and weights that a type cannot hold are refused with tensor and index, in tensors
 * that stay as they are too. */
RF_NODISCARD rf_status rf_requantize(const rf_requantize_job *job, rf_gguf_writer *writer,
                                     const char *path, rf_error *err);

/* Bytes of the tensor in the new file. */
uint64_t rf_requantize_bytes(const rf_gguf_tensor *tensor, const rf_mix_choice *choice);

#endif
