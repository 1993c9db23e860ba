/*
 * Rotary embeddings, the paged cache and attention over it. A wave works on one head of one row; a
 * lane sees one position of a tile at a time for the logits and some dimensions for the sums.
 * Su et al., "RoFormer", 2021; Dao et al., "Flash-Decoding", 2023 (the splits).
 */
#include "gpu/kernels/args.h"
#include "gpu/kernels/compat.cuh"

enum { WAVES = RF_GPU_THREADS / RF_WAVE, MAX_DIM = 256, PER_LANE = MAX_DIM / RF_WAVE };
enum { KV_F32, KV_F16, KV_Q8_0 }; /* rf_kv_type */
enum { ROPE_NONE, ROPE_NORM, ROPE_NEOX };
#define NO_LOGIT (-__builtin_inff())

RF_SHARED float heads[WAVES][MAX_DIM];

/* Grid: rows; one thread for each angle. In double: positions times frequencies lose digits. */
RF_KERNEL(k_angles, rf_gpu_angles_args, RF_GPU_THREADS, 1) {
    uint32_t row = block_x();
    for (uint32_t i = thread_index(); i < a.n_half; i += RF_GPU_THREADS) {
        double turns = (double)a.positions[row] * (double)a.inv_freq[i] * 0.15915494309189535;
        /* a quarter turn at most from a multiple of a half one: Taylor series to the last bit */
        double half = nearest(2.0 * turns), x = (2.0 * turns - half) * 3.141592653589793, s = x * x;
        double sine =
            x * (1.0 +
                 s * (-1.0 / 6 +
                      s * (1.0 / 120 + s * (-1.0 / 5040 +
                                            s * (1.0 / 362880 + s * (-1.0 / 39916800 +
                                                                     s * (1.0 / 6227020800.0)))))));
        double cosine =
            1.0 +
            s * (-0.5 + s * (1.0 / 24 +
                             s * (-1.0 / 720 + s * (1.0 / 40320 + s * (-1.0 / 3628800 +
                                                                       s * (1.0 / 479001600.0 -
                                                                            s / 87178291200.0))))));
        bool odd = half - 2.0 * nearest(half * 0.5) != 0.0;
        float *out = a.out + (uint64_t)row * 2 * a.n_half + i;
        out[0] = (float)(odd ? -cosine : cosine) * a.magnitude;
        out[a.n_half] = (float)(odd ? -sine : sine) * a.magnitude;
    }
}

/* Where the values of a head begin, of the block that holds a position. */
RF_FN uint8_t *kv_block(const rf_gpu_kv &kv, const rf_gpu_batch &batch, uint32_t seq, uint32_t at,
                        uint32_t head) {
    int block = batch.tables[(uint64_t)seq * batch.table_stride + at / kv.block_tokens];
    return kv.at + ((uint64_t)block * kv.n_head_kv + head) * kv.head_bytes;
}

/* A wave stores one position's n values, which lie in shared memory. n is a multiple of 8, of Q8_0
 * of 32. */
RF_FN void kv_store(uint8_t *part, uint32_t type, uint32_t n_slots, uint32_t slot, uint32_t n,
                    const float *v) {
    for (uint32_t d = lane_index(); d < n; d += RF_WAVE) {
        float x = v[d];
        if (type == KV_F32)
            ((float *)part)[slot * n + d] = x;
        else if (type == KV_F16)
            ((half *)part)[slot * n + d] = (half)x;
        else {
            float largest = x < 0 ? -x : x;
            for (int step = 16; step > 0; step /= 2) {
                float other = wave_xor(largest, step);
                largest = other != other || other > largest ? other : largest;
            }
            float scale = largest / 127.0f, inverse = 1.0f / scale;
            bool finite = largest > 0.0f && inverse < 3e38f && largest < 3e38f;
            ((int8_t *)part)[slot * n + d] = (int8_t)(finite ? (int)nearest(x * inverse) : 0);
            if (d % 32 == 0)
                ((half *)(part + n_slots * n))[(slot * n + d) / 32] = (half)scale;
        }
    }
}

/* Eight values of a position. */
RF_FN void kv_eight(const uint8_t *part, uint32_t type, uint32_t n_slots, uint32_t slot, uint32_t n,
                    uint32_t d, float *out) {
    uint64_t at = (uint64_t)slot * n + d;
    if (type == KV_F16) {
        words4 w = load<words4>(part, at * 2);
        RF_EACH (i, 4) {
            out[2 * i] = half_bits(w.x[i] & 0xffff);
            out[2 * i + 1] = half_bits(w.x[i] >> 16);
        }
    } else if (type == KV_F32) {
        RF_EACH (i, 8)
            out[i] = ((const float *)part)[at + (uint32_t)i];
    } else {
        words2 w = load<words2>(part, at);
        float scale = (float)((const half *)(part + n_slots * n))[at / 32];
        RF_EACH (i, 8)
            out[i] = scale * (float)(int8_t)(w.x[i / 4] >> (i % 4 * 8));
    }
}
RF_FN float kv_one(const uint8_t *part, uint32_t type, uint32_t n_slots, uint32_t slot, uint32_t n,
                   uint32_t d) {
    uint64_t at = (uint64_t)slot * n + d;
    if (type == KV_F16)
        return (float)((const half *)part)[at];
    if (type == KV_F32)
        return ((const float *)part)[at];
    return (float)((const int8_t *)part)[at] * (float)((const half *)(part + n_slots * n))[at / 32];
}

/* x: a head in shared memory; norm and rotation of it, by one wave. */
RF_FN void rotate(const rf_gpu_rope_args &a, uint32_t row, const float *norm, float *x) {
    uint32_t n = a.kv.head_dim, n_half = a.kind == ROPE_NONE ? 0 : a.n_dims / 2;
    if (norm) {
        float sum = 0.0f;
        for (uint32_t d = lane_index(); d < n; d += RF_WAVE)
            sum += x[d] * x[d];
        float factor = 1.0f / root_of(wave_sum(sum) / (float)n + a.eps);
        for (uint32_t d = lane_index(); d < n; d += RF_WAVE)
            x[d] = x[d] * factor * norm[d];
        wave_barrier();
    }
    const float *cosine = a.angles + (uint64_t)row * a.n_dims, *sine = cosine + n_half;
    for (uint32_t i = lane_index(); i < n_half; i += RF_WAVE) {
        uint32_t first = a.kind == ROPE_NEOX ? i : 2 * i,
                 second = a.kind == ROPE_NEOX ? i + n_half : 2 * i + 1;
        float u = x[first], v = x[second];
        x[first] = u * cosine[i] - v * sine[i];
        x[second] = u * sine[i] + v * cosine[i];
    }
    wave_barrier();
}

/* Grid: heads of q, k and v, WAVES in a block; rows. */
RF_KERNEL(k_rope_store, rf_gpu_rope_args, RF_GPU_THREADS, 1) {
    uint32_t wave = thread_index() / RF_WAVE, head = block_x() * WAVES + wave, row = block_y();
    uint32_t n_kv = a.kv.n_head_kv, n = a.kv.head_dim, at = 0;
    if (head >= a.n_head + 2 * n_kv)
        return;
    bool is_q = head < a.n_head, is_v = head >= a.n_head + n_kv;
    uint32_t kv_head = is_q ? 0 : is_v ? head - a.n_head - n_kv : head - a.n_head;
    at = is_v ? (a.n_head + n_kv) * n + kv_head * a.kv.head_dim_v : head * n;
    n = is_v ? a.kv.head_dim_v : n;
    float *from = a.qkv + (uint64_t)row * a.qkv_stride + at, *x = heads[wave];
    for (uint32_t d = lane_index(); d < n; d += RF_WAVE)
        x[d] = from[d];
    wave_barrier();
    if (!is_v)
        rotate(a, row, is_q ? a.q_norm : a.k_norm, x);
    if (is_q) {
        for (uint32_t d = lane_index(); d < n; d += RF_WAVE)
            from[d] = x[d];
        return;
    }
    uint32_t position = (uint32_t)a.batch.positions[row], slot = position % a.kv.block_tokens;
    uint8_t *block = kv_block(a.kv, a.batch, (uint32_t)a.batch.seqs[row], position, kv_head);
    kv_store(is_v ? block + a.kv.v_offset : block, is_v ? a.kv.type_v : a.kv.type_k,
             a.kv.block_tokens, slot, n, x);
}

/* acc += the weighted values of n positions; lane `from` + i holds the weight of the i-th. */
RF_FN void add_values(const rf_gpu_kv &kv, const uint8_t *values, uint32_t slot, uint32_t n,
                      float weight, uint32_t from, float *acc) {
    uint32_t dims = kv.head_dim_v, lane = lane_index();
    if (kv.type_v != KV_F16) {
        for (uint32_t k = 0; k < n; k++) {
            float w = wave_from(weight, (int)(from + k));
            RF_EACH (i, PER_LANE)
                if ((uint32_t)i * RF_WAVE + lane < dims)
                    acc[i] += w * kv_one(values, kv.type_v, kv.block_tokens, slot + k, dims,
                                         (uint32_t)i * RF_WAVE + lane);
        }
        return;
    }
    const half *rows = (const half *)values + slot * dims + lane;
    for (uint32_t begin = 0; begin < n; begin += 8) {
        RF_EACH (i, 8) { /* behind the end the last one again, weighing nothing */
            uint32_t k = begin + i < n ? begin + i : n - 1;
            float w = wave_from(weight, (int)(from + k));
            w = begin + i < n ? w : 0.0f;
            RF_EACH (d, PER_LANE)
                if ((uint32_t)d * RF_WAVE + lane < dims)
                    acc[d] += w * (float)rows[k * dims + (uint32_t)d * RF_WAVE];
        }
    }
}

/* The product of a key with a query in shared memory. */
RF_FN float key_dot(const rf_gpu_kv &kv, const uint8_t *keys, uint32_t slot, const float *q) {
    float sum = 0.0f;
    if (kv.type_k != KV_F16) {
        for (uint32_t d = 0; d < kv.head_dim; d += 8) {
            float k[8];
            kv_eight(keys, kv.type_k, kv.block_tokens, slot, kv.head_dim, d, k);
            RF_EACH (i, 8)
                sum += k[i] * q[d + i];
        }
        return sum;
    }
    const words4 *row = (const words4 *)((const half *)keys + slot * kv.head_dim);
    for (uint32_t d = 0; d < kv.head_dim / 8; d++) {
        words4 w = row[d];
        RF_EACH (i, 4)
            sum += half_bits(w.x[i] & 0xffff) * q[8 * d + 2 * i] +
                   half_bits(w.x[i] >> 16) * q[8 * d + 2 * i + 1];
    }
    return sum;
}

/* Grid: heads, WAVES in a block; rows; splits of the positions. Writes partial sums. */
RF_KERNEL(k_attention, rf_gpu_attention_args, RF_GPU_THREADS, 1) {
    uint32_t wave = thread_index() / RF_WAVE, lane = lane_index();
    uint32_t head = block_x() * WAVES + wave, row = block_y(), split = block_z();
    uint32_t n = a.kv.head_dim, n_v = a.kv.head_dim_v;
    if (head >= a.n_head)
        return;
    uint32_t kv_head = head / (a.n_head / a.kv.n_head_kv), seq = (uint32_t)a.batch.seqs[row];
    uint32_t end = (uint32_t)a.batch.positions[row] + 1;
    uint32_t begin = a.window && end > a.window ? end - a.window : 0;
    begin = begin / RF_WAVE * RF_WAVE;
    uint32_t tiles = (end - begin + RF_WAVE - 1) / RF_WAVE;
    uint32_t each = (tiles + a.n_splits - 1) / a.n_splits;
    uint32_t from = begin + split * each * RF_WAVE, to = from + each * RF_WAVE;
    uint32_t first = a.window && end > a.window ? end - a.window : 0;
    to = to < end ? to : end;
    const float *q = a.qkv + (uint64_t)row * a.qkv_stride + head * n;
    float *mine = heads[wave], acc[PER_LANE] = {}, largest = NO_LOGIT, sum = 0.0f;
    for (uint32_t d = lane; d < n; d += RF_WAVE)
        mine[d] = q[d] * a.scale;
    wave_barrier();
    for (uint32_t tile = from; tile < to; tile += RF_WAVE) {
        uint32_t p = tile + lane;
        bool seen = p < to && p >= first;
        uint32_t safe = seen ? p : end - 1; /* a position that is there */
        const uint8_t *keys = kv_block(a.kv, a.batch, seq, safe, kv_head);
        float logit = key_dot(a.kv, keys, safe % a.kv.block_tokens, mine);
        if (a.soft_cap > 0.0f)
            logit = a.soft_cap * tanh_of(logit / a.soft_cap);
        logit = seen ? logit : NO_LOGIT;
        float most = wave_max(logit);
        if (most == NO_LOGIT)
            continue;
        most = most > largest ? most : largest;
        float shrink = exp_of(largest - most), weight = seen ? exp_of(logit - most) : 0.0f;
        largest = most;
        sum = sum * shrink + wave_sum(weight);
        RF_EACH (i, PER_LANE)
            acc[i] *= shrink;
        uint32_t last = to - tile < RF_WAVE ? to : tile + RF_WAVE;
        for (uint32_t j = first > tile ? first : tile; j < last;) { /* the positions of one block */
            uint32_t slot = j % a.kv.block_tokens, n_here = a.kv.block_tokens - slot;
            n_here = n_here < last - j ? n_here : last - j;
            const uint8_t *values = kv_block(a.kv, a.batch, seq, j, kv_head) + a.kv.v_offset;
            add_values(a.kv, values, slot, n_here, weight, j - tile, acc);
            j += n_here;
        }
    }
    float *out = a.partial + (((uint64_t)row * a.n_head + head) * a.n_splits + split) * (n_v + 2);
    RF_EACH (i, PER_LANE)
        if ((uint32_t)i * RF_WAVE + lane < n_v)
            out[(uint32_t)i * RF_WAVE + lane] = acc[i];
    if (lane == 0) {
        out[n_v] = largest;
        out[n_v + 1] = sum;
    }
}

/* Grid: heads, WAVES in a block; rows. Adds the splits up, in their order. */
RF_KERNEL(k_attention_sum, rf_gpu_attention_args, RF_GPU_THREADS, 1) {
    uint32_t head = block_x() * WAVES + thread_index() / RF_WAVE, row = block_y(),
             n = a.kv.head_dim_v;
    if (head >= a.n_head)
        return;
    const float *in = a.partial + ((uint64_t)row * a.n_head + head) * a.n_splits * (n + 2);
    float largest = a.sinks ? a.sinks[head] : NO_LOGIT, sum = a.sinks ? 1.0f : 0.0f;
    for (uint32_t s = 0; s < a.n_splits; s++) {
        float other = in[s * (n + 2) + n];
        float most = other > largest ? other : largest;
        if (other == NO_LOGIT)
            continue;
        sum = sum * exp_of(largest - most) + in[s * (n + 2) + n + 1] * exp_of(other - most);
        largest = most;
    }
    for (uint32_t d = lane_index(); d < n; d += RF_WAVE) {
        float y = 0.0f;
        for (uint32_t s = 0; s < a.n_splits; s++)
            if (in[s * (n + 2) + n] != NO_LOGIT)
                y += in[s * (n + 2) + d] * exp_of(in[s * (n + 2) + n] - largest);
        a.out[(uint64_t)row * a.out_stride + head * n + d] = y / sum;
    }
}
