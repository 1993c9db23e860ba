/*
 * One step's data: tokens of several sequences, where their cache lies, and which rows want
 * results. Plain integers, borrowed for the length of the run.
 */
#ifndef RF_OP_BATCH_H
#define RF_OP_BATCH_H

#include <stdint.h>

/*
 * Rows seq_start[s] … seq_start[s+1]-1 belong to sequence s; within a sequence positions rise by
 * one from row to row. The cache of a sequence holds positions 0 … position of its last row; block
 * p / block_tokens of group g is block_tables[(g * n_seqs + s) * table_stride + p / block_tokens],
 * -1 where the group's window has passed it.
 */
typedef struct rf_batch {
    int32_t n_tokens, n_seqs, n_outputs;
    const int32_t *tokens;      /* [n_tokens] */
    const int32_t *positions;   /* [n_tokens] */
    const int32_t *seq_start;   /* [n_seqs + 1] */
    const int32_t *output_rows; /* [n_outputs], rising */
    const int32_t *block_tables;
    int32_t table_stride; /* blocks in a row of block_tables */
} rf_batch;

#endif
