/*
 * Sizes and names of every tensor type that a GGUF file may hold: the weight formats of
 * quant/types.def and the plain types of gguf/tensor_types.def. Pure functions; any thread.
 */
#ifndef RF_GGUF_TENSOR_TYPE_H
#define RF_GGUF_TENSOR_TYPE_H

#include <stdbool.h>
#include <stdint.h>

typedef struct rf_gguf_tensor_type {
    uint32_t id;
    const char *name;
    uint32_t block_elements;
    uint32_t block_bytes;
} rf_gguf_tensor_type;

/* NULL for an id that is not known. */
const rf_gguf_tensor_type *rf_gguf_tensor_type_of(uint32_t type_id);
const char *rf_gguf_tensor_type_name(uint32_t type_id); /* "unknown" where it is not known */

/* Bytes of a tensor; ne[0] is the row. False when a row is no multiple of the block or a product
 * wraps. */
bool rf_gguf_tensor_type_bytes(const rf_gguf_tensor_type *type, uint32_t n_dims, const uint64_t *ne,
                               uint64_t *out_elements, uint64_t *out_bytes);

#endif
