#include "tests/kcheck/weights.h"

#include <string.h>

#include "quant/blocks.h"

/* Halves of a block that scale it; -1 where there is none. */
static void scale_offsets(rf_qtype qtype, int offsets[2]) {
    offsets[0] = 0;
    offsets[1] = -1;
    switch (qtype) {
    case RF_QTYPE_Q4_1:
    case RF_QTYPE_Q5_1:
    case RF_QTYPE_Q4_K:
    case RF_QTYPE_Q5_K: offsets[1] = 2; break;
    case RF_QTYPE_Q2_K:
        offsets[0] = (int)offsetof(rf_block_q2_k, d);
        offsets[1] = (int)offsetof(rf_block_q2_k, dmin);
        break;
    case RF_QTYPE_Q3_K: offsets[0] = (int)offsetof(rf_block_q3_k, d); break;
    case RF_QTYPE_Q6_K: offsets[0] = (int)offsetof(rf_block_q6_k, d); break;
    case RF_QTYPE_MXFP4: offsets[0] = -1; break;
    default: break;
    }
}

const char *kweights_name(kweights kind) {
    static const char *const names[] = {"normal", "zero", "tiny", "huge", "low", "high", "mixed"};
    return (unsigned)kind < KWEIGHTS_COUNT ? names[kind] : "unknown";
}

static float random_scale(kcheck *k, kweights kind) {
    float normal = rf_rng_normal(&k->rng);
    switch (kind) {
    case KWEIGHTS_ZERO: return 0;
    case KWEIGHTS_TINY: return normal * 1e-6f;
    case KWEIGHTS_HUGE: return normal < 0 ? -60000.0f : 60000.0f;
    default: return normal * 0.01f;
    }
}

static void fill_floats(kcheck *k, rf_qtype qtype, kweights kind, uint8_t *out, size_t n) {
    for (size_t i = 0; i < n; i++) {
        float value = random_scale(k, kind);
        uint16_t half = rf_float_to_half(value), bf16 = rf_float_to_bf16(value);
        if (qtype == RF_QTYPE_F32)
            memcpy(out + 4 * i, &value, 4);
        else
            memcpy(out + 2 * i, qtype == RF_QTYPE_F16 ? &half : &bf16, 2);
    }
}

void kweights_fill(kcheck *k, rf_qtype qtype, kweights kind, uint8_t *out, size_t n_blocks) {
    const rf_qtype_info *info = rf_qtype_get(qtype);
    if (info->block_weights == 1) {
        fill_floats(k, qtype, kind, out, n_blocks);
        return;
    }
    int offsets[2];
    scale_offsets(qtype, offsets);
    kcheck_bytes(k, out, n_blocks * info->block_bytes);
    if (kind == KWEIGHTS_LOW || kind == KWEIGHTS_HIGH)
        memset(out, kind == KWEIGHTS_LOW ? 0 : 0xFF, n_blocks * info->block_bytes);
    for (size_t b = 0; b < n_blocks; b++, out += info->block_bytes) {
        kweights of_block = kind == KWEIGHTS_MIXED ? (kweights)kcheck_below(k, 4) : kind;
        for (int i = 0; i < 2; i++)
            if (offsets[i] >= 0) {
                uint16_t half = rf_float_to_half(random_scale(k, of_block));
                memcpy(out + offsets[i], &half, sizeof half);
            }
        if (qtype == RF_QTYPE_MXFP4) { /* 0 and 1 are subnormal, 254 would overflow sums */
            static const uint8_t exponents[] = {120, 0, 1, 200, 120, 120};
            out[0] = (uint8_t)(exponents[of_block] + (of_block ? 0 : kcheck_below(k, 8)));
        }
    }
}
