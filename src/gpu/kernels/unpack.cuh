/*
 * Weights out of their planes (gpu_types.def). A unit is what one lane reads at once: N subgroups
 * of 16 weights, each 16 signed bytes q with w = d q - m; the one at(u, j) columns into the block.
 * Formats: quant/blocks.h.
 */
#ifndef RF_GPU_KERNELS_UNPACK_H
#define RF_GPU_KERNELS_UNPACK_H

#include "gpu/kernels/args.h"

struct subgroup {
    int q[4];
    float d, m;
};

enum { LOW_NIBBLES = 0x0f0f0f0f };

/* Four values of a table of 16 signed bytes, chosen by the low nibbles of x. */
RF_FN int look_up(uint32_t x, const uint32_t table[4]) {
    int out = 0;
    RF_EACH (i, 4) {
        uint32_t n = x >> (8 * i) & 15;
        uint32_t word = n < 8 ? (n < 4 ? table[0] : table[1]) : (n < 12 ? table[2] : table[3]);
        out |= (int)((word >> (n % 4 * 8) & 255) << (8 * i));
    }
    return out;
}
/* Subtracts n from each byte; none of them borrows from the next. */
RF_FN int bytes_minus(uint32_t x, uint32_t n) {
    return (int)(((x | 0x80808080u) - n * 0x01010101u) ^ 0x80808080u);
}
/* Bits 0 … 3 of x to bit 0 of four bytes. */
RF_FN uint32_t spread4(uint32_t x) { return (x & 15) * 0x00204081u & 0x01010101u; }

struct kind_block32 {
    enum { BLOCK = 32, UNITS = 1, N = 2 };
    RF_FN uint32_t at(uint32_t, uint32_t j) { return 16 * j; }
};
struct kind_superblock {
    enum { BLOCK = 256, UNITS = 8, N = 2 };
    RF_FN uint32_t at(uint32_t u, uint32_t j) { return u / 2 * 64 + j * 32 + u % 2 * 16; }
};

RF_FN void nibbles(subgroup *g, const words4 &w) {
    RF_EACH (i, 4) {
        g[0].q[i] = (int)(w.x[i] & LOW_NIBBLES);
        g[1].q[i] = (int)(w.x[i] >> 4 & LOW_NIBBLES);
    }
}

struct q4_0 : kind_block32 {
    RF_FN void unpack(const rf_gpu_matrix &m, uint64_t block, uint32_t, subgroup *g) {
        nibbles(g, stream16(m.q, block * 16));
        g[0].d = g[1].d = half_bits(load<uint16_t>(m.d, block * 2));
        g[0].m = g[1].m = 8.0f * g[0].d;
    }
};
struct q4_1 : kind_block32 {
    RF_FN void unpack(const rf_gpu_matrix &m, uint64_t block, uint32_t, subgroup *g) {
        nibbles(g, stream16(m.q, block * 16));
        uint32_t dm = load<uint32_t>(m.d, block * 4);
        g[0].d = g[1].d = half_bits(dm & 0xffff);
        g[0].m = g[1].m = -half_bits(dm >> 16);
    }
};
RF_FN void fifth_bits(subgroup *g, uint32_t high) {
    RF_EACH (i, 4) {
        g[0].q[i] |= (int)(spread4(high >> (4 * i)) << 4);
        g[1].q[i] |= (int)(spread4(high >> (16 + 4 * i)) << 4);
    }
}
struct q5_0 : kind_block32 {
    RF_FN void unpack(const rf_gpu_matrix &m, uint64_t block, uint32_t, subgroup *g) {
        nibbles(g, stream16(m.q, block * 16));
        fifth_bits(g, load<uint32_t>(m.high, block * 4));
        g[0].d = g[1].d = half_bits(load<uint16_t>(m.d, block * 2));
        g[0].m = g[1].m = 16.0f * g[0].d;
    }
};
struct q5_1 : kind_block32 {
    RF_FN void unpack(const rf_gpu_matrix &m, uint64_t block, uint32_t, subgroup *g) {
        nibbles(g, stream16(m.q, block * 16));
        fifth_bits(g, load<uint32_t>(m.high, block * 4));
        uint32_t dm = load<uint32_t>(m.d, block * 4);
        g[0].d = g[1].d = half_bits(dm & 0xffff);
        g[0].m = g[1].m = -half_bits(dm >> 16);
    }
};
struct q8_0 : kind_block32 {
    RF_FN void unpack(const rf_gpu_matrix &m, uint64_t block, uint32_t, subgroup *g) {
        words4 low = stream16(m.q, block * 32), high = stream16(m.q, block * 32 + 16);
        RF_EACH (i, 4) {
            g[0].q[i] = (int)low.x[i];
            g[1].q[i] = (int)high.x[i];
        }
        g[0].d = g[1].d = half_bits(load<uint16_t>(m.d, block * 2));
        g[0].m = g[1].m = 0.0f;
    }
};
RF_FN void looked_up(subgroup *g, const words4 &w, const uint32_t table[4]) {
    RF_EACH (i, 4) {
        g[0].q[i] = look_up(w.x[i], table);
        g[1].q[i] = look_up(w.x[i] >> 4, table);
    }
}
/* rf_iq4_values: -127 -104 -83 -65 -49 -35 -22 -10 1 13 25 38 53 69 89 113. */
#define RF_IQ4_TABLE \
    { 0xbfad9881u, 0xf6eaddcfu, 0x26190d01u, 0x71594535u }
/* rf_mxfp4_values: 0 1 2 3 4 6 8 12 and their negatives. */
#define RF_MXFP4_TABLE \
    { 0x03020100u, 0x0c080604u, 0xfdfeff00u, 0xf4f8fafcu }
struct iq4_nl : kind_block32 {
    RF_FN void unpack(const rf_gpu_matrix &m, uint64_t block, uint32_t, subgroup *g) {
        const uint32_t table[4] = RF_IQ4_TABLE;
        looked_up(g, stream16(m.q, block * 16), table);
        g[0].d = g[1].d = half_bits(load<uint16_t>(m.d, block * 2));
        g[0].m = g[1].m = 0.0f;
    }
};
struct mxfp4 : kind_block32 {
    RF_FN void unpack(const rf_gpu_matrix &m, uint64_t block, uint32_t, subgroup *g) {
        const uint32_t table[4] = RF_MXFP4_TABLE;
        looked_up(g, stream16(m.q, block * 16), table);
        uint32_t e = load<uint8_t>(m.d, block);
        g[0].d = g[1].d = as_float(e < 2 ? 0x00200000u << e : (e - 1) << 23);
        g[0].m = g[1].m = 0.0f;
    }
};

/* Units of superblocks with 128 bytes of q: 16 bytes at 16 u. */
RF_FN void scales_q4_k(const rf_gpu_matrix &m, uint64_t block, uint32_t pair, subgroup *g) {
    uint32_t s0 = load<uint32_t>(m.scales, block * 12),
             s1 = load<uint32_t>(m.scales, block * 12 + 4);
    uint32_t s2 = load<uint32_t>(m.scales, block * 12 + 8), dm = load<uint32_t>(m.d, block * 4);
    uint32_t scales, mins; /* of groups 0 … 3 or 4 … 7, a byte each */
    if (pair < 2) {
        scales = s0 & 0x3f3f3f3fu;
        mins = s1 & 0x3f3f3f3fu;
    } else {
        scales = (s2 & 0x0f0f0f0fu) | (s0 >> 2 & 0x30303030u);
        mins = (s2 >> 4 & 0x0f0f0f0fu) | (s1 >> 2 & 0x30303030u);
    }
    float d = half_bits(dm & 0xffff), dmin = half_bits(dm >> 16);
    uint32_t shift = pair % 2 * 16;
    RF_EACH (i, 2) {
        g[i].d = d * (float)(scales >> (shift + 8 * i) & 255);
        g[i].m = dmin * (float)(mins >> (shift + 8 * i) & 255);
    }
}
struct q4_k : kind_superblock {
    RF_FN void unpack(const rf_gpu_matrix &m, uint64_t block, uint32_t u, subgroup *g) {
        nibbles(g, stream16(m.q, block * 128 + u * 16));
        scales_q4_k(m, block, u / 2, g);
    }
};
struct q5_k : kind_superblock {
    RF_FN void unpack(const rf_gpu_matrix &m, uint64_t block, uint32_t u, subgroup *g) {
        nibbles(g, stream16(m.q, block * 128 + u * 16));
        words4 high = load<words4>(m.high, block * 32 + u % 2 * 16);
        RF_EACH (i, 4) {
            uint32_t bits = high.x[i] >> (u / 2 * 2);
            g[0].q[i] |= (int)((bits & 0x01010101u) << 4);
            g[1].q[i] |= (int)((bits >> 1 & 0x01010101u) << 4);
        }
        scales_q4_k(m, block, u / 2, g);
    }
};
struct q6_k : kind_superblock {
    RF_FN uint32_t at(uint32_t u, uint32_t j) {
        return u / 4 * 128 + j * 64 + u / 2 % 2 * 32 + u % 2 * 16;
    }
    RF_FN void unpack(const rf_gpu_matrix &m, uint64_t block, uint32_t u, subgroup *g) {
        uint32_t n = u / 4, j = u / 2 % 2, h = u % 2; /* half, 32 of its 64 bytes, 16 of those */
        nibbles(g, stream16(m.q, block * 128 + u * 16));
        words4 high = load<words4>(m.high, block * 64 + n * 32 + h * 16);
        RF_EACH (i, 4) {
            uint32_t bits = high.x[i] >> (2 * j);
            g[0].q[i] = bytes_minus((uint32_t)g[0].q[i] | (bits & 0x03030303u) << 4, 32);
            g[1].q[i] = bytes_minus((uint32_t)g[1].q[i] | (bits >> 4 & 0x03030303u) << 4, 32);
        }
        float d = half_bits(load<uint16_t>(m.d, block * 2));
        RF_EACH (i, 2) {
            g[i].d = d * (float)load<int8_t>(m.scales, block * 16 + at(u, (uint32_t)i) / 16);
            g[i].m = 0.0f;
        }
    }
};
struct iq4_xs : kind_superblock {
    RF_FN uint32_t at(uint32_t u, uint32_t j) { return u * 32 + j * 16; }
    RF_FN void unpack(const rf_gpu_matrix &m, uint64_t block, uint32_t u, subgroup *g) {
        const uint32_t table[4] = RF_IQ4_TABLE;
        looked_up(g, stream16(m.q, block * 128 + u * 16), table);
        uint32_t high = load<uint16_t>(m.scales, block * 6);
        uint32_t low = load<uint8_t>(m.scales, block * 6 + 2 + u / 2) >> (u % 2 * 4) & 15;
        int s = (int)(low | (high >> (2 * u) & 3) << 4) - 32;
        g[0].d = g[1].d = half_bits(load<uint16_t>(m.d, block * 2)) * (float)s;
        g[0].m = g[1].m = 0.0f;
    }
};

/* Two bits a weight: 16 bytes are four subgroups, 32 columns apart. */
struct kind_two_bits {
    enum { BLOCK = 256, UNITS = 4, N = 4 };
    RF_FN uint32_t at(uint32_t u, uint32_t j) { return u / 2 * 128 + j * 32 + u % 2 * 16; }
};
struct q2_k : kind_two_bits {
    RF_FN void unpack(const rf_gpu_matrix &m, uint64_t block, uint32_t u, subgroup *g) {
        words4 w = stream16(m.q, block * 64 + u * 16);
        uint32_t dm = load<uint32_t>(m.d, block * 4);
        float d = half_bits(dm & 0xffff), dmin = half_bits(dm >> 16);
        RF_EACH (j, 4) {
            RF_EACH (i, 4)
                g[j].q[i] = (int)(w.x[i] >> (2 * j) & 0x03030303u);
            uint32_t s = load<uint8_t>(m.scales, block * 16 + at(u, (uint32_t)j) / 16);
            g[j].d = d * (float)(s & 15);
            g[j].m = dmin * (float)(s >> 4);
        }
    }
};
struct q3_k : kind_two_bits {
    RF_FN void unpack(const rf_gpu_matrix &m, uint64_t block, uint32_t u, subgroup *g) {
        words4 w = stream16(m.q, block * 64 + u * 16);
        words4 mask = load<words4>(m.high, block * 32 + u % 2 * 16);
        float d = half_bits(load<uint16_t>(m.d, block * 2));
        RF_EACH (j, 4) {
            RF_EACH (i, 4) {
                uint32_t high = mask.x[i] >> (u / 2 * 4 + (uint32_t)j) & 0x01010101u;
                g[j].q[i] = bytes_minus((w.x[i] >> (2 * j) & 0x03030303u) | high << 2, 4);
            }
            uint32_t s = at(u, (uint32_t)j) / 16;
            uint32_t low = load<uint8_t>(m.scales, block * 12 + s % 8) >> (s / 8 * 4) & 15;
            uint32_t top = load<uint8_t>(m.scales, block * 12 + 8 + s % 4) >> (s / 4 * 2) & 3;
            g[j].d = d * (float)((int)(low | top << 4) - 32);
            g[j].m = 0.0f;
        }
    }
};

/* Eight floats of a row, whatever their type; zeros behind its end. */
struct f32 {
    enum { BYTES = 4 };
    RF_FN float one(const void *base, uint64_t i) { return load<float>(base, i * 4); }
    RF_FN void eight(const void *base, uint64_t i, float *out) {
        words4 low = stream16(base, i * 4), high = stream16(base, i * 4 + 16);
        RF_EACH (k, 4) {
            out[k] = as_float(low.x[k]);
            out[4 + k] = as_float(high.x[k]);
        }
    }
};
struct f16 {
    enum { BYTES = 2 };
    RF_FN float one(const void *base, uint64_t i) { return half_bits(load<uint16_t>(base, i * 2)); }
    RF_FN void eight(const void *base, uint64_t i, float *out) {
        words4 w = stream16(base, i * 2);
        RF_EACH (k, 4) {
            out[2 * k] = half_bits(w.x[k] & 0xffff);
            out[2 * k + 1] = half_bits(w.x[k] >> 16);
        }
    }
};
struct bf16 {
    enum { BYTES = 2 };
    RF_FN float one(const void *base, uint64_t i) { return bf16_bits(load<uint16_t>(base, i * 2)); }
    RF_FN void eight(const void *base, uint64_t i, float *out) {
        words4 w = stream16(base, i * 2);
        RF_EACH (k, 4) {
            out[2 * k] = as_float(w.x[k] << 16);
            out[2 * k + 1] = as_float(w.x[k] & 0xffff0000u);
        }
    }
};

/* The row of activations' products with a subgroup: scale * (d * q . x) - m * sum x. */
RF_FN float subgroup_dot(const subgroup &g, const words4 &high, const words4 &low, float scale,
                         float sum) {
    int h = 0, l = 0;
    RF_EACH (i, 4) {
        h = dot4(g.q[i], (int)high.x[i], h);
        l = dot4(g.q[i], (int)low.x[i], l);
    }
    return g.d * scale * (float)(h * 256 + l) - g.m * sum;
}

#endif
