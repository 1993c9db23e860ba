/*
 * Random weights for rf_synthetic_open. A pool of normally distributed weights is encoded once for
 * each type; a tensor is short runs of its blocks from random places, which leaves no two rows
 * alike to speak of. One thread.
 */
#ifndef RF_MODEL_SYNTHETIC_WEIGHTS_H
#define RF_MODEL_SYNTHETIC_WEIGHTS_H

#include "base/outfile.h"
#include "quant/quant.h"

typedef struct rf_weight_pool {
    float *weights;                  /* owned */
    uint8_t *blocks[RF_QTYPE_COUNT]; /* owned; those of the types that were asked for */
    uint8_t *buffer;                 /* owned */
    float deviation;                 /* of the weights; set before the first use */
} rf_weight_pool;

void rf_weight_pool_deinit(rf_weight_pool *pool);
/* Writes n_weights (whole blocks) of a matrix; stream tells tensors apart. */
RF_NODISCARD rf_status rf_weight_pool_matrix(rf_weight_pool *pool, rf_qtype qtype,
                                             uint64_t n_weights, uint64_t stream, rf_outfile *file,
                                             rf_error *err);
/* Writes n floats about 1: a norm. */
RF_NODISCARD rf_status rf_weight_pool_norm(uint64_t n, uint64_t stream, rf_outfile *file,
                                           rf_error *err);

#endif
