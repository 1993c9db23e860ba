/* Which experts a row goes to, and the sum of what they say. */
#include "gpu/kernels/args.h"
#include "gpu/kernels/compat.cuh"

enum { WAVES = RF_GPU_THREADS / RF_WAVE };
RF_SHARED float scores[WAVES][RF_GPU_MAX_EXPERTS];

/* Grid: rows, WAVES in a block. Of equal scores the lowest expert's is the better one. */
RF_KERNEL(k_moe_select, rf_gpu_moe_args, RF_GPU_THREADS, 1) {
    uint32_t wave = thread_index() / RF_WAVE, lane = lane_index(), row = block_x() * WAVES + wave;
    if (row >= a.n_rows)
        return;
    const float *logits = a.logits + (uint64_t)row * a.n_expert;
    float *p = scores[wave], *route = a.route + (uint64_t)row * 2 * a.n_used;
    float largest = -__builtin_inff(), sum = 0.0f, chosen_sum = 0.0f;
    for (uint32_t e = lane; e < a.n_expert; e += RF_WAVE)
        largest = logits[e] > largest ? logits[e] : largest;
    largest = wave_max(largest);
    for (uint32_t e = lane; e < a.n_expert; e += RF_WAVE) {
        p[e] = a.sigmoid ? 1.0f / (1.0f + exp_of(-logits[e])) : exp_of(logits[e] - largest);
        sum += p[e];
    }
    sum = a.sigmoid ? 1.0f : wave_sum(sum);
    for (uint32_t e = lane; e < a.n_expert; e += RF_WAVE)
        p[e] /= sum;
    uint64_t taken = 0; /* of a lane's own experts, a bit each */
    for (uint32_t j = 0; j < a.n_used; j++) {
        uint32_t best = a.n_expert;
        float score = 0.0f;
        for (uint32_t e = lane, turn = 0; e < a.n_expert; e += RF_WAVE, turn++) {
            float s = p[e] + (a.bias ? a.bias[e] : 0.0f);
            if (!(taken >> turn & 1) && (best == a.n_expert || s > score)) {
                best = e;
                score = s;
            }
        }
        for (int step = RF_WAVE / 2; step > 0; step /= 2) {
            uint32_t other = wave_xor(best, step);
            float s = wave_xor(score, step);
            bool better = other < a.n_expert &&
                          (best == a.n_expert || s > score || (s == score && other < best));
            best = better ? other : best;
            score = better ? s : score;
        }
        if (best % RF_WAVE == lane)
            taken |= (uint64_t)1 << best / RF_WAVE;
        wave_barrier();
        float weight = p[best];
        chosen_sum += weight;
        if (lane == 0) {
            route[2 * j] = (float)best;
            route[2 * j + 1] = weight;
        }
    }
    for (uint32_t j = 0; lane == 0 && j < a.n_used; j++)
        route[2 * j + 1] =
            (a.normalise ? route[2 * j + 1] / chosen_sum : route[2 * j + 1]) * a.scale;
}

/* Grid: blocks over columns; rows. */
RF_KERNEL(k_moe_sum, rf_gpu_moe_args, RF_GPU_THREADS, 1) {
    uint32_t col = block_x() * RF_GPU_THREADS + thread_index(), row = block_y();
    if (col >= a.n_cols)
        return;
    const float *route = a.route + (uint64_t)row * 2 * a.n_used;
    float y = 0.0f, *out = a.out + (uint64_t)row * a.n_cols + col;
    for (uint32_t j = 0; j < a.n_used; j++)
        y += route[2 * j + 1] * a.slots[((uint64_t)row * a.n_used + j) * a.n_cols + col];
    *out = a.add ? *out + y : y;
}

/* One block: the rows' slots in the order of their experts, for k_matmul. */
RF_SHARED uint32_t counts[RF_GPU_MAX_EXPERTS];
RF_KERNEL(k_moe_order, rf_gpu_moe_args, RF_GPU_THREADS, 1) {
    uint32_t n_slots = a.n_rows * a.n_used, at = 0;
    for (uint32_t e = thread_index(); e < a.n_expert; e += RF_GPU_THREADS) {
        uint32_t n = 0;
        for (uint32_t i = 0; i < n_slots; i++)
            n += (uint32_t)a.route[2 * i] == e;
        counts[e] = n;
    }
    block_barrier();
    for (uint32_t e = thread_index(); e <= a.n_expert; e += RF_GPU_THREADS) {
        at = 0;
        for (uint32_t i = 0; i < e; i++)
            at += counts[i];
        a.start[e] = at;
        for (uint32_t i = 0; e < a.n_expert && i < n_slots; i++)
            if ((uint32_t)a.route[2 * i] == e)
                a.order[at++] = i;
    }
}
