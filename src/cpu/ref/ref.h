/*
 * The definition of every op in plain C: activations in F32, sums in double, weights decoded by
 * quant/. Fast kernels are compared with these for ever. Pure functions; any thread.
 */
#ifndef RF_CPU_REF_REF_H
#define RF_CPU_REF_REF_H

#include "cpu/kernels.h"
#include "cpu/matmul.h"
#include "op/program.h"

/* out[n_embd] = table[token] * scale. token < table->n_rows. */
void rf_embed_ref(const rf_weight *table, uint32_t token, float scale, float *out);

/* The run function of every matmul_<type>_ref: one weight row a tile, read from the file's rows. */
void rf_matmul_ref(const rf_matrix *matrix, uint32_t tile_begin, uint32_t tile_end,
                   const rf_acts *acts, uint32_t row_begin, uint32_t row_end, float *out,
                   size_t out_stride);

/* logits [n_expert] of one row → route [2 * n_used]. n_used <= n_expert. logits is overwritten. */
void rf_moe_select_ref(const rf_op_moe_route *op, const float *bias, uint32_t n_expert,
                       float *logits, float *route);
/* out[n] = or += sum over the n_used pairs of route of weight * row j of rows [n_used][n], in order
 * of j. */
void rf_moe_combine_ref(const float *route, const float *rows, uint32_t n_used, uint32_t n,
                        bool add, float *out);

#endif
