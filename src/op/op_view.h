/*
 * What an op of a program touches: its values and weights, and what a step of some rows reads and
 * computes at least. Pure functions; any thread.
 */
#ifndef RF_OP_OP_VIEW_H
#define RF_OP_OP_VIEW_H

#include "op/program.h"

enum { RF_OP_MAX_WEIGHTS = 8 };

typedef struct rf_op_view {
    rf_value_id in, out; /* or RF_NONE */
    rf_weight_id weights[RF_OP_MAX_WEIGHTS];
    uint32_t n_weights;
    uint64_t n_read, n_of; /* a row reads n_read of n_of equal parts of the weights */
    rf_row_kind rows;      /* that it runs over */
} rf_op_view;

rf_op_view rf_op_look(const rf_program *program, const rf_op *op);

uint64_t rf_weight_bytes(const rf_weight *weight);
uint64_t rf_op_bytes(const rf_program *program, const rf_op_view *view); /* of all its weights */
/* Weights that n_rows rows read at least, each byte once; of experts and embeddings as many as
 * n_rows independent even choices meet on average. */
uint64_t rf_op_read_bytes(const rf_program *program, const rf_op_view *view, uint64_t n_rows);
/* Multiplications and additions of an op's matrix products for one row; 0 for other ops. */
uint64_t rf_op_product_ops(const rf_program *program, const rf_op *op);
/* Bytes of weights that one token reads: a row of the embedding, the chosen experts, all else. */
uint64_t rf_program_step_bytes(const rf_program *program);

#endif
