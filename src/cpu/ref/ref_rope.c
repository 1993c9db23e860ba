#include <math.h>
#include <string.h>

#include "cpu/kernel_list.h"

void rf_rope_ref(const rf_rope_args *args, const float *in, float *out) {
    if (args->norm) {
        rf_norm_args norm = {args->norm, NULL, RF_NORM_RMS, args->eps, args->head_dim, false};
        rf_norm_ref(&norm, in, out);
    } else if (in != out) {
        memcpy(out, in, args->head_dim * sizeof *out);
    }
    uint32_t half = args->kind == RF_ROPE_NONE ? 0 : args->n_dims / 2;
    for (uint32_t i = 0; i < half; i++) {
        float *a = args->kind == RF_ROPE_NEOX ? out + i : out + 2 * i;
        float *b = args->kind == RF_ROPE_NEOX ? out + half + i : out + 2 * i + 1;
        float x = *a, y = *b;
        *a = x * args->cos[i] - y * args->sin[i];
        *b = x * args->sin[i] + y * args->cos[i];
    }
}

/* Writes n values from `first` on, `step` elements apart, as 32-bit or 16-bit floats. */
static void store_float(rf_kv_type type, const float *values, uint32_t n, size_t first, size_t step,
                        uint8_t *part) {
    for (uint32_t i = 0; i < n; i++) {
        size_t at = first + i * step;
        uint16_t half = rf_float_to_half(values[i]);
        if (type == RF_KV_F32)
            memcpy(part + 4 * at, &values[i], 4);
        else
            memcpy(part + 2 * at, &half, 2);
    }
}

/* One group of 32: bytes of round(value / scale), scale = largest magnitude / 127, kept in half
 * precision; NaN or infinity makes the scale so. Returns the scale. */
static uint16_t quantise_group(const float *values, int8_t q[RF_KV_Q8_GROUP]) {
    float largest = 0.0f;
    for (int i = 0; i < RF_KV_Q8_GROUP; i++)
        largest = isnan(values[i]) || fabsf(values[i]) > largest ? fabsf(values[i]) : largest;
    float inverse = largest > 0.0f && isfinite(largest) ? 1.0f / (largest / 127.0f) : 0.0f;
    for (int i = 0; i < RF_KV_Q8_GROUP; i++)
        q[i] = inverse > 0.0f ? (int8_t)lrintf(values[i] * inverse) : 0;
    return rf_float_to_half(largest / 127.0f);
}

static void store_q8_k(const rf_kv_layout *layout, const float *k, uint32_t slot, uint8_t *part) {
    size_t tokens = layout->block_tokens;
    uint8_t *scales = part + layout->head_dim * tokens;
    for (uint32_t g = 0; g < layout->head_dim / RF_KV_Q8_GROUP; g++) {
        int8_t q[RF_KV_Q8_GROUP];
        uint16_t scale = quantise_group(k + g * RF_KV_Q8_GROUP, q);
        for (uint32_t i = 0; i < RF_KV_Q8_GROUP; i++)
            part[(g * RF_KV_Q8_GROUP + i) * tokens + slot] = (uint8_t)q[i];
        memcpy(scales + 2 * (g * tokens + slot), &scale, 2);
    }
}

static void store_q8_v(const rf_kv_layout *layout, const float *v, uint32_t slot, uint8_t *part) {
    size_t dims = layout->head_dim_v, n_groups = dims / RF_KV_Q8_GROUP;
    uint8_t *scales = part + layout->block_tokens * dims;
    for (uint32_t g = 0; g < n_groups; g++) {
        int8_t q[RF_KV_Q8_GROUP];
        uint16_t scale = quantise_group(v + g * RF_KV_Q8_GROUP, q);
        memcpy(part + slot * dims + g * RF_KV_Q8_GROUP, q, RF_KV_Q8_GROUP);
        memcpy(scales + 2 * (slot * n_groups + g), &scale, 2);
    }
}

void rf_kv_store_ref(const rf_kv_layout *layout, const float *k, const float *v, uint32_t slot,
                     uint8_t *head) {
    uint8_t *values = head + layout->v_offset;
    if (layout->type_k == RF_KV_Q8_0)
        store_q8_k(layout, k, slot, head);
    else
        store_float(layout->type_k, k, layout->head_dim, slot, layout->block_tokens, head);
    if (layout->type_v == RF_KV_Q8_0)
        store_q8_v(layout, v, slot, values);
    else
        store_float(layout->type_v, v, layout->head_dim_v, (size_t)slot * layout->head_dim_v, 1,
                    values);
}
