#include <math.h>

#include "cpu/kernel_list.h"

static double mean_of(const float *in, uint32_t n) {
    double sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += (double)in[i];
    return sum / n;
}

static double mean_square(const float *in, double mean, uint32_t n) {
    double sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += ((double)in[i] - mean) * ((double)in[i] - mean);
    return sum / n;
}

void rf_norm_ref(const rf_norm_args *args, const float *in, float *out) {
    double mean = args->kind == RF_NORM_LAYER ? mean_of(in, args->n_cols) : 0.0;
    double factor = 1.0 / sqrt(mean_square(in, mean, args->n_cols) + (double)args->eps);
    for (uint32_t i = 0; i < args->n_cols; i++) {
        double y = ((double)in[i] - mean) * factor;
        if (args->weight)
            y *= (double)args->weight[i];
        if (args->bias)
            y += (double)args->bias[i];
        out[i] = args->add ? out[i] + (float)y : (float)y;
    }
}
