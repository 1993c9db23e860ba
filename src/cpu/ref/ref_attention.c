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

/* One query's state of one span. */
typedef struct state {
    float max, sum;
    float *acc; /* [head_dim_v] */
} state;

/* Adds a position with logit s, whose value row is v. */
static void add_position(state *into, size_t dims, float s, const float *v) {
    if (s > into->max) { /* what was summed so far is relative to the old maximum */
        float shrink = exp2f(into->max - s);
        into->sum *= shrink;
        for (size_t d = 0; d < dims; d++)
            into->acc[d] *= shrink;
        into->max = s;
    }
    float weight = exp2f(s - (into->max == -INFINITY ? 0.0f : into->max));
    into->sum += weight;
    for (size_t d = 0; d < dims; d++)
        into->acc[d] += weight * v[d];
}

/* Adds positions begin … end-1, all of one span, to query i. */
static void add_span(const rf_attention_tile *tile, uint32_t i, uint32_t begin, uint32_t end) {
    const rf_kv_layout *layout = tile->layout;
    uint32_t dims = layout->head_dim_v;
    float *v = tile->scratch, *acc = tile->acc + (size_t)i * rf_kv_padded(dims);
    state part = {-INFINITY, 0.0f, v + dims};
    memset(part.acc, 0, dims * sizeof *part.acc);
    for (uint32_t p = begin; p < end; p++) {
        uint32_t slot = p % layout->block_tokens;
        const uint8_t *head =
            tile->slab + (size_t)tile->table[p / layout->block_tokens] * layout->block_bytes;
        for (uint32_t d = 0; d < dims; d++)
            v[d] = value(layout, head, slot, d);
        add_position(&part, dims, logit(tile, tile->q + (size_t)i * layout->head_dim, head, slot),
                     v);
    }
    rf_attention_factors f = rf_attention_add(&tile->max[i], &tile->sum[i], part.max, part.sum);
    for (uint32_t d = 0; d < dims; d++)
        acc[d] = acc[d] * f.keep + part.acc[d] * f.take;
}

void rf_attention_ref(const rf_attention_tile *tile) {
    size_t padded = rf_kv_padded(tile->layout->head_dim_v);
    memset(tile->acc, 0, tile->n_queries * padded * sizeof *tile->acc);
    for (uint32_t i = 0; i < tile->n_queries; i++) {
        tile->max[i] = -INFINITY;
        tile->sum[i] = 0.0f;
        uint32_t begin = tile->first[i] > tile->begin ? tile->first[i] : tile->begin;
        uint32_t end = tile->last[i] < tile->end ? tile->last[i] : tile->end;
        for (uint32_t to; begin < end; begin = to) {
            to = (begin / RF_ATTENTION_SPAN + 1) * RF_ATTENTION_SPAN;
            to = to < end ? to : end;
            add_span(tile, i, begin, to);
        }
    }
}
