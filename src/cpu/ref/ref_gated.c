#include <math.h>

#include "cpu/kernel_list.h"

/* Hendrycks and Gimpel, "Gaussian Error Linear Units", 2016: the tanh form. */
static double gelu_tanh(double x) {
    return 0.5 * x * (1.0 + tanh(sqrt(2.0 / M_PI) * (x + 0.044715 * x * x * x)));
}

static double activate(rf_activation act, double x) {
    switch (act) {
    case RF_ACT_SILU: return x / (1.0 + exp(-x));
    case RF_ACT_GELU_TANH: return gelu_tanh(x);
    case RF_ACT_GELU_ERF: return 0.5 * x * (1.0 + erf(x * sqrt(0.5)));
    case RF_ACT_RELU: break;
    }
    return x > 0.0 ? x : 0.0 * x; /* NaN stays NaN */
}

void rf_act_ref(rf_activation act, const float *gate, const float *up, uint32_t n, float *out) {
    for (uint32_t i = 0; i < n; i++)
        out[i] = (float)(activate(act, (double)gate[i]) * (double)up[i]);
}

static float finish_one(const rf_finish_args *args, float y, uint32_t i) {
    y += args->bias ? args->bias[i] : 0.0f;
    y *= args->scale;
    if (args->soft_cap > 0.0f)
        y = (float)((double)args->soft_cap * tanh((double)y / (double)args->soft_cap));
    return y * args->gate;
}

void rf_finish_ref(const rf_finish_args *args, const float *in, float *out) {
    const uint32_t n = args->n_cols;
    for (uint32_t r = 0; r < args->n_rows; r++, out += args->out_stride) {
        for (uint32_t i = 0; i < n; i++) {
            float y = finish_one(args, args->twice ? in[i] + in[n + i] : in[i], i);
            out[i] = args->add ? out[i] + y : y;
        }
        in += args->twice ? 2 * n : n;
    }
}
