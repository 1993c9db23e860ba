#include "cpu/matmul.h"

#include "base/cpu_features.h"
#include "cpu/ref/ref.h"
#include "cpu/tile_layout.h"

#define X(TYPE, type, isa, needs, tolerance, acts, col_multiple)                                   \
    void rf_matmul_##type##_##isa(const rf_matrix *matrix, uint32_t tile_begin, uint32_t tile_end, \
                                  const rf_acts *acts, uint32_t row_begin, uint32_t row_end,       \
                                  float *out, size_t out_stride);
#include "cpu/matmul_variants.def"
#undef X

/* Bytes of one row of the file: what the reference takes as its tile. */
#define X(id, type, gguf_id, weights, bytes, native)   \
    static size_t row_bytes_##type(uint32_t n_cols) {  \
        return (size_t)(n_cols / (weights)) * (bytes); \
    }
#include "quant/types.def"
#undef X

static const rf_matmul_variant variants[] = {
#define X(TYPE, type, isa, needs, tolerance, acts, col_multiple) \
    {"matmul_" #type "_" #isa,                                   \
     RF_QTYPE_##TYPE,                                            \
     needs,                                                      \
     tolerance,                                                  \
     RF_ACTS_##acts,                                             \
     RF_TILE_ROWS,                                               \
     col_multiple,                                               \
     true,                                                       \
     rf_tile_bytes_##type,                                       \
     rf_tile_pack_##type,                                        \
     rf_matmul_##type##_##isa},
#include "cpu/matmul_variants.def"
#undef X
#define X(id, type, gguf_id, weights, bytes, native) \
    {"matmul_" #type "_ref",                         \
     RF_QTYPE_##id,                                  \
     0,                                              \
     1e-6f,                                          \
     RF_ACTS_F32,                                    \
     1,                                              \
     weights,                                        \
     false,                                          \
     row_bytes_##type,                               \
     NULL,                                           \
     rf_matmul_ref},
#include "quant/types.def"
#undef X
};

size_t rf_matmul_n_variants(void) { return sizeof variants / sizeof variants[0]; }

const rf_matmul_variant *rf_matmul_variant_at(size_t i) { return &variants[i]; }

const rf_matmul_variant *rf_matmul_choose(rf_qtype qtype, uint32_t n_cols, uint32_t features,
                                          bool want_f32) {
    for (size_t i = 0; i < rf_matmul_n_variants(); i++) {
        const rf_matmul_variant *v = &variants[i];
        if (v->qtype == qtype && (v->needs & ~features) == 0 && n_cols % v->col_multiple == 0 &&
            (!want_f32 || v->acts == RF_ACTS_F32))
            return v;
    }
    return NULL;
}
