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

static float key(const rf_kv_layout *layout, const uint8_t *head, size_t slot, size_t dim) {
    size_t tokens = layout->block_tokens;
    return element(layout->type_k, head, dim * tokens + slot, layout->head_dim * tokens,
                   dim / RF_KV_Q8_GROUP * tokens + slot);
}

static float value(const rf_kv_layout *layout, const uint8_t *head, size_t slot, size_t dim) {
    size_t at = slot * layout->head_dim_v + dim;
    return element(layout->type_v, head + layout->v_offset, at,
                   (size_t)layout->head_dim_v * layout->block_tokens, at / RF_KV_Q8_GROUP);
}

static float logit(const rf_attention_tile *tile, const float *q, const uint8_t *head,
                   uint32_t slot) {
    double dot = 0, cap = (double)tile->soft_cap;
    for (uint32_t d = 0; d < tile->layout->head_dim; d++)
        dot += (double)q[d] * (double)key(tile->layout, head, slot, d);
    return (float)(cap > 0 ? cap * tanh(dot / cap) : dot);
}

/* Adds a position with logit s, whose value row is v, to query i. */
static void add_position(const rf_attention_tile *tile, uint32_t i, float s, const float *v) {
    size_t dims = tile->layout->head_dim_v;
    float *acc = tile->acc + i * rf_kv_padded(tile->layout->head_dim_v);
    if (s > tile->max[i]) { /* what was summed so far is relative to the old maximum */
        float shrink = expf(tile->max[i] - s);
        tile->sum[i] *= shrink;
        for (size_t d = 0; d < dims; d++)
            acc[d] *= shrink;
        tile->max[i] = s;
    }
    float weight = expf(s - (tile->max[i] == -INFINITY ? 0.0f : tile->max[i]));
    tile->sum[i] += weight;
    for (size_t d = 0; d < dims; d++)
        acc[d] += weight * v[d];
}

void rf_attention_ref(const rf_attention_tile *tile) {
    const rf_kv_layout *layout = tile->layout;
    float *v = tile->scratch;
    for (uint32_t i = 0; i < tile->n_queries; i++) {
        tile->max[i] = -INFINITY;
        tile->sum[i] = 0.0f;
    }
    memset(tile->acc, 0,
           (size_t)tile->n_queries * rf_kv_padded(layout->head_dim_v) * sizeof *tile->acc);
    for (uint32_t p = tile->begin; p < tile->end; p++) {
        uint32_t slot = p % layout->block_tokens;
        const uint8_t *head =
            tile->slab + (size_t)tile->table[p / layout->block_tokens] * layout->block_bytes;
        for (uint32_t d = 0; d < layout->head_dim_v; d++)
            v[d] = value(layout, head, slot, d);
        for (uint32_t i = 0; i < tile->n_queries; i++)
            if (p >= tile->first[i] && p < tile->last[i])
                add_position(tile, i,
                             logit(tile, tile->q + (size_t)i * layout->head_dim, head, slot), v);
    }
}
