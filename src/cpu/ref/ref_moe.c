#include <math.h>

#include "cpu/ref/ref.h"

/* Turns logits into the router's probabilities. */
static void gate(rf_moe_gating gating, uint32_t n, float *logits) {
    double sum = 0;
    float largest = -INFINITY;
    for (uint32_t i = 0; i < n; i++)
        largest = fmaxf(largest, logits[i]);
    for (uint32_t i = 0; i < n; i++) {
        if (gating == RF_MOE_SIGMOID)
            logits[i] = (float)(1.0 / (1.0 + exp(-(double)logits[i])));
        else
            sum += exp((double)logits[i] - (double)largest);
    }
    for (uint32_t i = 0; gating == RF_MOE_SOFTMAX && i < n; i++)
        logits[i] = (float)(exp((double)logits[i] - (double)largest) / sum);
}

static bool chosen_before(const float *route, uint32_t n_chosen, uint32_t expert) {
    for (uint32_t j = 0; j < n_chosen; j++)
        if (route[2 * j] == (float)expert)
            return true;
    return false;
}

void rf_moe_select_ref(const rf_op_moe_route *op, const float *bias, uint32_t n_expert,
                       float *logits, float *route) {
    gate(op->gating, n_expert, logits);
    double sum = 0;
    for (uint32_t j = 0; j < op->n_used; j++) {
        uint32_t best = n_expert;
        float best_score = 0.0f;
        for (uint32_t e = 0; e < n_expert; e++) {
            float score = logits[e] + (bias ? bias[e] : 0.0f);
            if (chosen_before(route, j, e))
                continue;
            /* a NaN is never better, but the first free expert is taken whatever its score */
            if (best == n_expert || score > best_score) {
                best = e;
                best_score = score;
            }
        }
        route[2 * j] = (float)best;
        route[2 * j + 1] = logits[best];
        sum += (double)logits[best];
    }
    for (uint32_t j = 0; j < op->n_used; j++) {
        double weight = (double)route[2 * j + 1];
        route[2 * j + 1] = (float)((op->normalise ? weight / sum : weight) * (double)op->scale);
    }
}

void rf_moe_combine_ref(const float *route, const float *rows, uint32_t n_used, uint32_t n,
                        bool add, float *out) {
    for (uint32_t i = 0; i < n; i++) {
        float sum = 0.0f;
        for (uint32_t j = 0; j < n_used; j++)
            sum += route[2 * j + 1] * rows[(size_t)j * n + i];
        out[i] = add ? out[i] + sum : sum;
    }
}
