/*
 * Block layouts of the formats in types.def, as ggml stores them, and the unpacking that decoders
 * and kernels share. Structs are packed, so a pointer into a file or a row may have any alignment;
 * multi-byte fields are little endian, as is every host that this builds for. Pure data; any
 * thread. d, dmin and m are halves.
 */
#ifndef RF_QUANT_BLOCKS_H
#define RF_QUANT_BLOCKS_H

#include <stdint.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "block fields are little endian");

#define RF_PACKED __attribute__((packed))

typedef float rf_block_f32;
typedef uint16_t rf_block_f16;
typedef uint16_t rf_block_bf16;

/* 32 weights. Nibble formats: byte j holds weight j in its low and weight j + 16 in its high
 * nibble; qh bit i is the fifth bit of weight i. */

typedef struct RF_PACKED rf_block_q4_0 { /* d * (q - 8) */
    uint16_t d;
    uint8_t qs[16];
} rf_block_q4_0;

typedef struct RF_PACKED rf_block_q4_1 { /* d * q + m */
    uint16_t d, m;
    uint8_t qs[16];
} rf_block_q4_1;

typedef struct RF_PACKED rf_block_q5_0 { /* d * (q - 16) */
    uint16_t d;
    uint32_t qh;
    uint8_t qs[16];
} rf_block_q5_0;

typedef struct RF_PACKED rf_block_q5_1 { /* d * q + m */
    uint16_t d, m;
    uint32_t qh;
    uint8_t qs[16];
} rf_block_q5_1;

typedef struct RF_PACKED rf_block_q8_0 { /* d * q */
    uint16_t d;
    int8_t qs[32];
} rf_block_q8_0;

typedef struct RF_PACKED rf_block_iq4_nl { /* d * rf_iq4_values[q] */
    uint16_t d;
    uint8_t qs[16];
} rf_block_iq4_nl;

typedef struct RF_PACKED rf_block_mxfp4 { /* rf_e8m0_half(e) * rf_mxfp4_values[q] */
    uint8_t e;
    uint8_t qs[16];
} rf_block_mxfp4;

/* 256 weights. Where 2-bit fields are packed, byte j of a group of 32 holds weights j, j + 32,
 * j + 64 and j + 96 of its 128, lowest bits first. */

typedef struct RF_PACKED rf_block_q2_k { /* 16 groups: d * (s & 15) * q - dmin * (s >> 4) */
    uint8_t scales[16];
    uint8_t qs[64];
    uint16_t d, dmin;
} rf_block_q2_k;

typedef struct RF_PACKED rf_block_q3_k { /* 16 groups: d * s * (q - (mask bit ? 0 : 4)) */
    uint8_t hmask[32];                   /* bit g of byte j: weight 32 g + j */
    uint8_t qs[64];
    uint8_t scales[12]; /* rf_q3_k_scales */
    uint16_t d;
} rf_block_q3_k;

typedef struct RF_PACKED rf_block_q4_k { /* 8 groups: d * s * q - dmin * m */
    uint16_t d, dmin;
    uint8_t scales[12]; /* rf_q4_k_scales */
    uint8_t qs[128];    /* byte j of a group of 32: weights j and j + 32 of its 64 */
} rf_block_q4_k;

typedef struct RF_PACKED rf_block_q5_k { /* 8 groups: d * s * q - dmin * m */
    uint16_t d, dmin;
    uint8_t scales[12]; /* rf_q4_k_scales */
    uint8_t qh[32];     /* bit g of byte j: fifth bit of weight 32 g + j */
    uint8_t qs[128];    /* as Q4_K */
} rf_block_q5_k;

typedef struct RF_PACKED rf_block_q6_k { /* 16 groups: d * s * (q - 32) */
    uint8_t ql[128];                     /* byte j of a group of 64: weights j and j + 64 */
    uint8_t qh[64];
    int8_t scales[16];
    uint16_t d;
} rf_block_q6_k;

typedef struct RF_PACKED rf_block_iq4_xs { /* 8 groups: d * s * rf_iq4_values[q] */
    uint16_t d;
    uint16_t scales_h; /* rf_iq4_xs_scales */
    uint8_t scales_l[4];
    uint8_t qs[128]; /* 16 bytes a group, nibbles as IQ4_NL */
} rf_block_iq4_xs;

typedef struct RF_PACKED rf_block_iq2_xxs { /* 8 groups of 32 */
    uint16_t d;
    struct RF_PACKED {
        uint8_t grid[4];      /* index of 8 weights each */
        uint32_t signs_scale; /* 4 x 7 bits of sign index, 4 bits of scale */
    } groups[8];
} rf_block_iq2_xxs;

typedef struct RF_PACKED rf_block_iq2_xs {
    uint16_t d;
    uint16_t qs[32];   /* 9 bits of grid index, 7 of sign index, for 8 weights each */
    uint8_t scales[8]; /* a nibble for 16 weights */
} rf_block_iq2_xs;

typedef struct RF_PACKED rf_block_iq2_s {
    uint16_t d;
    uint8_t qs[32]; /* low 8 of 10 bits of grid index, for 8 weights each */
    uint8_t signs[32];
    uint8_t qh[8];
    uint8_t scales[8]; /* a nibble for 16 weights */
} rf_block_iq2_s;

typedef struct RF_PACKED rf_block_iq3_xxs {
    uint16_t d;
    uint8_t qs[64];          /* grid index of 4 weights each */
    uint32_t signs_scale[8]; /* as IQ2_XXS */
} rf_block_iq3_xxs;

typedef struct RF_PACKED rf_block_iq3_s {
    uint16_t d;
    uint8_t qs[64];    /* low 8 of 9 bits of grid index, for 4 weights each */
    uint8_t qh[8];     /* bit i of byte g: ninth bit of index 8 g + i */
    uint8_t signs[32]; /* 8 weights each */
    uint8_t scales[4]; /* a nibble for 32 weights */
} rf_block_iq3_s;

typedef struct RF_PACKED rf_block_iq1_s {
    uint16_t d;
    uint8_t qs[32]; /* low 8 of 11 bits of grid index, for 8 weights each */
    uint16_t qh[8]; /* 4 x 3 high bits, 3 bits of scale, sign of the shift; 32 weights each */
} rf_block_iq1_s;

typedef struct RF_PACKED rf_block_iq1_m {
    uint8_t qs[32];     /* as IQ1_S */
    uint8_t qh[16];     /* a nibble for 8 weights: 3 high bits, sign of the shift */
    uint16_t scales[4]; /* 4 x 3 bits for 16 weights each; the top nibbles are the half d */
} rf_block_iq1_m;

typedef struct RF_PACKED rf_block_tq1_0 { /* d * (trit - 1); five trits a byte, base 3 */
    uint8_t qs[48];
    uint8_t qh[4]; /* four trits a byte */
    uint16_t d;
} rf_block_tq1_0;

typedef struct RF_PACKED rf_block_tq2_0 { /* d * (q - 1) */
    uint8_t qs[64];
    uint16_t d;
} rf_block_tq2_0;

#define X(id, name, gguf_id, weights, bytes, native) \
    _Static_assert(sizeof(rf_block_##name) == (bytes), "block of " #name);
#include "quant/types.def"
#undef X

extern const int8_t rf_iq4_values[16];   /* IQ4_NL and IQ4_XS */
extern const int8_t rf_mxfp4_values[16]; /* E2M1 of OCP Microscaling 1.0, doubled */

/* 2^(e - 128): half of the E8M0 scale, because rf_mxfp4_values are doubled. */
static inline float rf_e8m0_half(uint8_t e) {
    uint32_t bits = e < 2 ? 0x00200000u << e : (uint32_t)(e - 1) << 23;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Q4_K and Q5_K: 12 bytes hold 8 scales and 8 minima of 6 bits. */
static inline void rf_q4_k_scales(const uint8_t packed[12], uint8_t scales[8], uint8_t mins[8]) {
    for (int i = 0; i < 4; i++) {
        uint8_t s = packed[i], m = packed[i + 4], high = packed[i + 8];
        scales[i] = s & 63;
        mins[i] = m & 63;
        scales[i + 4] = (uint8_t)((high & 15) | (s >> 6 << 4));
        mins[i + 4] = (uint8_t)(high >> 4 | (m >> 6 << 4));
    }
}

static inline void rf_q4_k_pack_scales(const uint8_t scales[8], const uint8_t mins[8],
                                       uint8_t packed[12]) {
    for (int i = 0; i < 4; i++) {
        packed[i] = (uint8_t)((scales[i] & 63) | scales[i + 4] >> 4 << 6);
        packed[i + 4] = (uint8_t)((mins[i] & 63) | mins[i + 4] >> 4 << 6);
        packed[i + 8] = (uint8_t)((scales[i + 4] & 15) | mins[i + 4] << 4);
    }
}

/* Q3_K: 12 bytes hold 16 scales of 6 bits, stored plus 32. */
static inline void rf_q3_k_scales(const uint8_t packed[12], int8_t scales[16]) {
    for (int i = 0; i < 16; i++) {
        int low = packed[i & 7] >> (i >> 3 << 2) & 15;
        int high = packed[8 + (i & 3)] >> (i >> 2 << 1) & 3;
        scales[i] = (int8_t)((low | high << 4) - 32);
    }
}

static inline void rf_iq4_xs_scales(const rf_block_iq4_xs *block, int8_t scales[8]) {
    for (int i = 0; i < 8; i++) {
        int low = block->scales_l[i >> 1] >> ((i & 1) << 2) & 15;
        int high = block->scales_h >> (2 * i) & 3;
        scales[i] = (int8_t)((low | high << 4) - 32);
    }
}

#endif
