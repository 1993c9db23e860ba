/* The ends of products and activations' functions, shared by the kernels that multiply. */
#ifndef RF_GPU_KERNELS_FINISH_H
#define RF_GPU_KERNELS_FINISH_H

#include "gpu/kernels/args.h"

/* act: rf_activation. */
RF_FN float activate(uint32_t act, float x) {
    if (act == 0)
        return x / (1.0f + exp_of(-x));
    if (act == 1)
        return 0.5f * x * (1.0f + tanh_of(0.7978845608f * (x + 0.044715f * x * x * x)));
    if (act == 2)
        return 0.5f * x * (1.0f + erf_of(x * 0.70710678118f));
    return x > 0.0f ? x : 0.0f * x;
}

RF_FN void finish_one(const rf_gpu_finish &f, const float *bias, uint32_t row, uint32_t col,
                      uint32_t out_col, float y) {
    if (bias)
        y += bias[col];
    y *= f.scale;
    if (f.soft_cap > 0.0f)
        y = f.soft_cap * tanh_of(y / f.soft_cap);
    if (f.gate)
        y = y / (1.0f + exp_of(-f.gate[row]));
    float *out = f.out + (uint64_t)row * f.out_stride + out_col + col;
    *out = f.add ? *out + y : y;
}

#endif
