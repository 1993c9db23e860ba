#include "cpu/kv_layout.h"

#include <string.h>

#include "base/checked.h"

static rf_status check_q8(rf_kv_type type, const char *what, uint32_t dims, rf_error *err) {
    if (type != RF_KV_Q8_0 || dims % RF_KV_Q8_GROUP == 0)
        return RF_OK;
    return rf_fail(err, RF_ERR_UNSUPPORTED,
                   "a %s cache of type q8_0 needs a head dimension that is a multiple of %d, the "
                   "model has %u",
                   what, RF_KV_Q8_GROUP, dims);
}

rf_status rf_kv_layout_init(rf_kv_layout *layout, const rf_kv_layer *layer, const rf_limits *limits,
                            rf_error *err) {
    RF_TRY(check_q8(limits->type_k, "key", layer->head_dim, err));
    RF_TRY(check_q8(limits->type_v, "value", layer->head_dim_v, err));
    size_t k = rf_kv_type_bytes(limits->type_k, (size_t)layer->head_dim * limits->block_tokens);
    size_t v = rf_kv_type_bytes(limits->type_v, (size_t)layer->head_dim_v * limits->block_tokens);
    *layout = (rf_kv_layout){
        .type_k = limits->type_k,
        .type_v = limits->type_v,
        .n_head_kv = layer->n_head_kv,
        .head_dim = layer->head_dim,
        .head_dim_v = layer->head_dim_v,
        .block_tokens = limits->block_tokens,
        .v_offset = rf_round_up(k, 64),
        .head_bytes = rf_round_up(k, 64) + rf_round_up(v, 64),
    };
    layout->block_bytes = layout->head_bytes * layer->n_head_kv;
    return RF_OK;
}

/* n_runs runs of `all` items of `bytes` bytes each keep their first n_kept. */
static void clear_ends(uint8_t *at, size_t n_runs, size_t all, size_t n_kept, size_t bytes) {
    for (size_t i = 0; i < n_runs; i++)
        memset(at + (i * all + n_kept) * bytes, 0, (all - n_kept) * bytes);
}

static size_t value_bytes(rf_kv_type type) {
    return type == RF_KV_F32 ? 4 : type == RF_KV_F16 ? 2 : 1;
}

void rf_kv_layout_clear(const rf_kv_layout *layout, uint8_t *block, uint32_t n_tokens) {
    size_t all = layout->block_tokens, n = n_tokens, k = layout->head_dim, v = layout->head_dim_v;
    size_t k_bytes = value_bytes(layout->type_k), v_bytes = value_bytes(layout->type_v);
    for (uint32_t h = 0; n < all && h < layout->n_head_kv; h++) {
        uint8_t *keys = block + h * layout->head_bytes, *values = keys + layout->v_offset;
        clear_ends(keys, k, all, n, k_bytes);
        if (layout->type_k == RF_KV_Q8_0)
            clear_ends(keys + k * all, k / RF_KV_Q8_GROUP, all, n, 2);
        clear_ends(values, 1, all * v, n * v, v_bytes);
        if (layout->type_v == RF_KV_Q8_0)
            clear_ends(values + v * all, 1, all * (v / RF_KV_Q8_GROUP), n * (v / RF_KV_Q8_GROUP),
                       2);
    }
}
