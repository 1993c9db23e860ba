/*
 * The only file that knows whose device a kernel is compiled for: NVIDIA's (PTX by clang or nvcc),
 * AMD's (code objects) or the emulator (gpu/emu, RF_EMU). Everything above it is written in these
 * words. One dimension of threads; RF_WAVE threads run in step, and what is exchanged within a wave
 * needs all of them. Matrix products are 16 x 16 x 16 of halves with sums in 32 bits, a wave at a
 * time.
 */
#ifndef RF_GPU_KERNELS_COMPAT_H
#define RF_GPU_KERNELS_COMPAT_H

typedef unsigned char uint8_t;
typedef signed char int8_t;
typedef unsigned short uint16_t;
typedef short int16_t;
typedef unsigned int uint32_t;
typedef int int32_t;
typedef unsigned long uint64_t;
typedef _Float16 half;

/* A loop whose arrays shall be registers: n is a constant. */
#define RF_EACH(i, n) _Pragma("unroll") for (int i = 0; i < (int)(n); i++)

struct alignas(16) words4 {
    uint32_t x[4];
};
struct alignas(8) words2 {
    uint32_t x[2];
};

#if defined(RF_EMU)
#include "gpu/emu/device.cuh"
#elif defined(__AMDGCN__) || defined(__HIP__)
#include "gpu/kernels/compat_amd.cuh"
#else
#include "gpu/kernels/compat_nvidia.cuh"
#endif

/* ---- what all of them share --------------------------------------------------------------------
 */

template <class T> RF_FN T wave_sum(T v) {
    for (int step = RF_WAVE / 2; step > 0; step /= 2)
        v += wave_xor(v, step);
    return v;
}

RF_FN float wave_max(float v) {
    for (int step = RF_WAVE / 2; step > 0; step /= 2) {
        float other = wave_xor(v, step);
        v = v > other ? v : other;
    }
    return v;
}

RF_FN float as_float(uint32_t bits) { return __builtin_bit_cast(float, bits); }
RF_FN uint32_t as_bits(float v) { return __builtin_bit_cast(uint32_t, v); }
RF_FN float half_bits(uint32_t bits) { return (float)__builtin_bit_cast(half, (uint16_t)bits); }
RF_FN float bf16_bits(uint32_t bits) { return as_float(bits << 16); }
RF_FN float exp_of(float x) { return exp2_of(x * 1.4426950408889634f); }
RF_FN float tanh_of(float x) {
    float a = x < 0 ? -x : x;
    if (a < 0.1f) { /* the series: the quotient below would lose digits */
        float s = x * x;
        return x * (1.0f + s * (-0.33333333f + s * (0.13333333f - s * 0.053968254f)));
    }
    float y = 1.0f - 2.0f / (exp_of(2.0f * (a < 20.0f ? a : 20.0f)) + 1.0f);
    return x != x ? x : x < 0 ? -y : y;
}
/* Abramowitz and Stegun, Handbook of Mathematical Functions, 7.1.26: within 1.5e-7. */
RF_FN float erf_of(float x) {
    float a = x < 0 ? -x : x, t = 1.0f / (1.0f + 0.3275911f * a);
    float p =
        t * (0.254829592f +
             t * (-0.284496736f + t * (1.421413741f + t * (-1.453152027f + t * 1.061405429f))));
    float y = 1.0f - p * exp_of(-a * a);
    return x < 0 ? -y : y;
}

template <class T> RF_FN T load(const void *base, uint64_t byte) {
    return *(const T *)((const char *)base + byte);
}

#endif
