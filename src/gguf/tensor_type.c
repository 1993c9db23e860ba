#include "gguf/tensor_type.h"

#include <stddef.h>

#include "base/checked.h"

static const rf_gguf_tensor_type types[] = {
#define X(id, name, gguf_id, weights, bytes, native) {gguf_id, #name, weights, bytes},
#include "quant/types.def"
#undef X
#define X(id, name, gguf_id, elements, bytes) {gguf_id, #name, elements, bytes},
#include "gguf/tensor_types.def"
#undef X
};

const rf_gguf_tensor_type *rf_gguf_tensor_type_of(uint32_t type_id) {
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (types[i].id == type_id)
            return &types[i];
    return NULL;
}

const char *rf_gguf_tensor_type_name(uint32_t type_id) {
    const rf_gguf_tensor_type *type = rf_gguf_tensor_type_of(type_id);
    return type ? type->name : "unknown";
}

bool rf_gguf_tensor_type_bytes(const rf_gguf_tensor_type *type, uint32_t n_dims, const uint64_t *ne,
                               uint64_t *out_elements, uint64_t *out_bytes) {
    uint64_t n = 1;
    for (uint32_t i = 0; i < n_dims; i++)
        if (!rf_mul_u64(n, ne[i], &n))
            return false;
    *out_elements = n;
    return ne[0] % type->block_elements == 0 &&
           rf_mul_u64(n / type->block_elements, type->block_bytes, out_bytes);
}
