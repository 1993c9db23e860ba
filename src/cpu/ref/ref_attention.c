#include <math.h>
#include <string.h>

#include "cpu/kernel_list.h"

/* Element i of a part; scale_at: index of its scale, for Q8_0. */
static float element(rf_kv_type type, const uint8_t *part, size_t i, size_t n, size_t scale_at) {
    uint16_t half;
    float value;
    switch (type) {
    case RF_KV_F32: memcpy(&value, part + 4 * i, 4); return value;
    case RF_KV_F16: memcpy(&half, part + 2 * i, 2); return rf_half_to_float(half);
    default: memcpy(&half, part + n + 2 * scale_at, 2);
    }
    return (float)(int8_t)part[i] * rf_half_to_float(half);
}

void rf_kv_load_ref(const rf_kv_layout *layout, const uint8_t *head, float *k, float *v) {
    size_t tokens = layout->block_tokens, dims = layout->head_dim, dims_v = layout->head_dim_v;
    size_t padded = rf_kv_padded(layout->head_dim_v);
    const uint8_t *values = head + layout->v_offset;
    for (size_t d = 0; d < dims; d++)
        for (size_t t = 0; t < tokens; t++)
            k[d * tokens + t] = element(layout->type_k, head, d * tokens + t, dims * tokens,
                                        d / RF_KV_Q8_GROUP * tokens + t);
    for (size_t t = 0; t < tokens; t++)
        for (size_t d = 0; d < padded; d++)
            v[t * padded + d] =
                d >= dims_v ? 0.0f
                            : element(layout->type_v, values, t * dims_v + d, dims_v * tokens,
                                      t * (dims_v / RF_KV_Q8_GROUP) + d / RF_KV_Q8_GROUP);
}

static float logit(const rf_attention_tile *tile, const float *q, const float *k, uint32_t slot) {
    double dot = 0;
    for (uint32_t d = 0; d < tile->layout->head_dim; d++)
        dot += (double)q[d] * (double)k[(size_t)d * tile->layout->block_tokens + slot];
    double cap = (double)tile->soft_cap;
    return (float)(cap > 0 ? cap * tanh(dot / cap) : dot);
}

/* Adds position p, whose value row is v, to query i. */
static void add_position(const rf_attention_tile *tile, uint32_t i, float s, const float *v) {
    size_t padded = rf_kv_padded(tile->layout->head_dim_v);
    float *acc = tile->acc + i * padded;
    if (s > tile->max[i]) { /* what was summed so far is relative to the old maximum */
        float shrink = expf(tile->max[i] - s);
        tile->sum[i] *= shrink;
        for (size_t d = 0; d < padded; d++)
            acc[d] *= shrink;
        tile->max[i] = s;
    }
    float weight = tile->max[i] == -INFINITY ? 0.0f : expf(s - tile->max[i]);
    tile->sum[i] += weight;
    for (size_t d = 0; d < padded; d++)
        acc[d] += weight * v[d];
}

void rf_attention_ref(const rf_attention_tile *tile) {
    const rf_kv_layout *layout = tile->layout;
    uint32_t tokens = layout->block_tokens;
    size_t padded = rf_kv_padded(layout->head_dim_v);
    float *k = tile->scratch, *v = k + (size_t)layout->head_dim * tokens;
    for (uint32_t i = 0; i < tile->n_queries; i++) {
        tile->max[i] = -INFINITY;
        tile->sum[i] = 0.0f;
    }
    memset(tile->acc, 0, tile->n_queries * padded * sizeof *tile->acc);
    for (uint32_t p = tile->begin; p < tile->end; p++) {
        uint32_t slot = p % tokens;
        if (p == tile->begin || slot == 0)
            tile->load(layout, tile->slab + (size_t)tile->table[p / tokens] * layout->block_bytes,
                       k, v);
        for (uint32_t i = 0; i < tile->n_queries; i++)
            if (p >= tile->first[i] && p < tile->last[i])
                add_position(tile, i, logit(tile, tile->q + (size_t)i * layout->head_dim, k, slot),
                             v + slot * padded);
    }
}
