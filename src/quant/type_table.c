#include "base/checked.h"
#include "quant/blocks.h"
#include "quant/quant.h"

static const rf_qtype_info table[RF_QTYPE_COUNT] = {
#define X(id, name, gguf_id, weights, bytes, native) \
    {#id, gguf_id, weights, bytes, native, rf_dequant_##name},
#include "quant/types.def"
#undef X
};

const int8_t rf_iq4_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                  1,    13,   25,  38,  53,  69,  89,  113};
const int8_t rf_mxfp4_values[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

const rf_qtype_info *rf_qtype_get(rf_qtype qtype) { return &table[qtype]; }

bool rf_qtype_from_gguf(uint32_t gguf_id, rf_qtype *out) {
    for (int i = 0; i < RF_QTYPE_COUNT; i++)
        if (table[i].gguf_id == gguf_id) {
            *out = (rf_qtype)i;
            return true;
        }
    return false;
}

static bool same_any_case(rf_str a, rf_str upper) {
    if (a.len != upper.len)
        return false;
    for (size_t i = 0; i < a.len; i++) {
        char c = a.ptr[i];
        if (c >= 'a' && c <= 'z')
            c = (char)(c - 'a' + 'A');
        if (c != upper.ptr[i])
            return false;
    }
    return true;
}

bool rf_qtype_from_name(rf_str name, rf_qtype *out) {
    for (int i = 0; i < RF_QTYPE_COUNT; i++)
        if (same_any_case(name, rf_str_of(table[i].name))) {
            *out = (rf_qtype)i;
            return true;
        }
    return false;
}

bool rf_qtype_row_bytes(rf_qtype qtype, uint64_t n, uint64_t *out_bytes) {
    const rf_qtype_info *info = &table[qtype];
    return n % info->block_weights == 0 &&
           rf_mul_u64(n / info->block_weights, info->block_bytes, out_bytes);
}
