#include "cpu/ref/ref.h"

void rf_embed_ref(const rf_weight *table, uint32_t token, float scale, float *out) {
    const rf_qtype_info *type = rf_qtype_get(table->qtype);
    type->dequant(table->data + (size_t)token * table->row_bytes, out, (size_t)table->n_cols);
    for (uint64_t i = 0; i < table->n_cols; i++)
        out[i] *= scale;
}
