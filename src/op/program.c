#include "op/program.h"

#include "op/backend.h"

const char *rf_op_name(rf_op_kind kind) {
    static const char *const names[] = {
#define X(id, name, what) #name,
#include "op/ops.def"
#undef X
    };
    return (unsigned)kind < RF_OP_COUNT ? names[kind] : "unknown";
}

const char *rf_kv_type_name(rf_kv_type type) {
    static const char *const names[] = {"f32", "f16", "q8_0"};
    return (unsigned)type < RF_KV_TYPE_COUNT ? names[type] : "unknown";
}

size_t rf_kv_type_bytes(rf_kv_type type, size_t n) {
    switch (type) {
    case RF_KV_F32: return n * 4;
    case RF_KV_F16: return n * 2;
    default: return n + n / 32 * 2; /* bytes, and a half for each 32 */
    }
}
