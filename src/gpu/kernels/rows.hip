/* What works on rows of floats: embeddings, norms, their preparation for products, gates. */
#include "gpu/kernels/compat.cuh"
#include "gpu/kernels/finish.cuh"
#include "gpu/kernels/unpack.cuh"

enum { THREADS = RF_GPU_NORM_THREADS };
RF_SHARED float partial[THREADS / 32];

/* The sum over the block, in every thread. */
RF_FN float block_sum(float v) {
    const uint32_t n_waves = THREADS / RF_WAVE;
    v = wave_sum(v);
    block_barrier(); /* the last sum has been read */
    if (lane_index() == 0)
        partial[thread_index() / RF_WAVE] = v;
    block_barrier();
    v = 0.0f;
    for (uint32_t i = 0; i < n_waves; i++)
        v += partial[i];
    return v;
}
RF_FN float block_max(float v) {
    const uint32_t n_waves = THREADS / RF_WAVE;
    v = wave_max(v);
    block_barrier();
    if (lane_index() == 0)
        partial[thread_index() / RF_WAVE] = v;
    block_barrier();
    for (uint32_t i = 0; i < n_waves; i++)
        v = partial[i] > v ? partial[i] : v;
    return v;
}

/* 32 lanes hold 32 columns; writes them as two bytes with a scale and sums. NaN and infinity make
 * the scale so. */
RF_FN void quantise_group(const rf_gpu_acts &to, uint64_t at, float v) {
    float largest = v != v ? v : (v < 0 ? -v : v);
    float sum;
    for (int step = 16; step > 0; step /= 2) {
        float other = wave_xor(largest, step);
        largest = other != other || other > largest ? other : largest;
    }
    float scale = largest / 32512.0f, inverse = 1.0f / scale;
    bool finite = largest > 0.0f && inverse < 3e38f && largest < 3e38f;
    int q = finite ? (int)nearest(v * inverse) : 0;
    int high = (q + 128) >> 8, low = q - high * 256;
    scale = finite ? scale : largest > 0.0f && largest < 1.0f ? 0.0f : largest * 0.0f;
    sum = scale * (float)q;
    for (int step = 8; step > 0; step /= 2)
        sum += wave_xor(sum, step);
    to.high[at] = (int8_t)high;
    to.low[at] = (int8_t)low;
    if (at % 32 == 0)
        to.scales[at / 32] = scale;
    if (at % 16 == 0)
        to.sums[at / 16] = sum;
}

/* One row, already in memory, in the forms that are wanted. All threads of the block. */
RF_FN void prepare_row(const rf_gpu_quantise_args &a, uint32_t row, const float *in) {
    uint32_t n = a.n_cols;
    if (a.acts.high)
        for (uint32_t i = thread_index(); i < (n + RF_WAVE - 1) / RF_WAVE * RF_WAVE; i += THREADS) {
            /* whole waves stay together; n is a multiple of 32 */
            float v = i < n ? in[i] : 0.0f;
            if (i < n)
                quantise_group(a.acts, (uint64_t)row * n + i, v);
        }
    if (!a.halves)
        return;
    float largest = 0.0f;
    for (uint32_t i = thread_index(); i < n; i += THREADS) {
        float v = in[i] < 0 ? -in[i] : in[i];
        largest = v > largest || v != v ? v : largest;
    }
    largest = block_max(largest);
    /* a power of two that leaves 4 bits above, so that nothing overflows in products of halves */
    uint32_t exponent = as_bits(largest) >> 23 & 255;
    bool plain = exponent == 255 || exponent < 20;
    float factor = plain ? 1.0f : as_float((254u + 11u - exponent) << 23);
    float back = plain ? 1.0f : as_float((exponent - 11u) << 23);
    half *out = (half *)a.halves + (uint64_t)row * a.half_stride;
    for (uint32_t i = thread_index(); i < a.half_stride; i += THREADS)
        out[i] = (half)(i < n ? in[i] * factor : 0.0f);
    if (thread_index() == 0)
        a.half_scales[row] = back;
}

/* Grid: rows. */
RF_KERNEL(k_quantise, rf_gpu_quantise_args, THREADS, 1) {
    prepare_row(a, block_x(), a.in + (uint64_t)block_x() * a.in_stride);
}

/* Grid: rows of the output. Zhang and Sennrich, "Root Mean Square Layer Normalization", 2019; Ba,
 * Kiros and Hinton, "Layer Normalization", 2016. */
RF_KERNEL(k_norm, rf_gpu_norm_args, THREADS, 1) {
    uint32_t row = block_x(), n = a.to.n_cols;
    uint32_t from = a.rows ? (uint32_t)a.rows[row] : row;
    const float *in = a.in + (uint64_t)from * a.in_stride;
    float *out = (float *)a.to.in + (uint64_t)row * a.to.in_stride, mean = 0.0f, sum = 0.0f;
    if (a.layer_norm) {
        for (uint32_t i = thread_index(); i < n; i += THREADS)
            mean += in[i];
        mean = block_sum(mean) / (float)n;
    }
    for (uint32_t i = thread_index(); i < n; i += THREADS)
        sum += (in[i] - mean) * (in[i] - mean);
    float factor = 1.0f / root_of(block_sum(sum) / (float)n + a.eps);
    for (uint32_t i = thread_index(); i < n; i += THREADS) {
        float y = (in[i] - mean) * factor;
        if (a.weight)
            y *= a.weight[i];
        if (a.bias)
            y += a.bias[i];
        out[i] = a.add ? out[i] + y : y;
    }
    if (a.to.acts.high || a.to.halves) {
        block_barrier();
        prepare_row(a.to, row, out);
    }
}

/* Grid: as many blocks as n needs. */
RF_KERNEL(k_gated, rf_gpu_gated_args, RF_GPU_THREADS, 1) {
    uint64_t i = (uint64_t)block_x() * RF_GPU_THREADS + thread_index();
    if (i < a.n)
        a.out[i] = activate(a.activation, a.gate[i]) * a.up[i];
}

/* Grid: rows, 1, 1. */
template <class T> RF_FN void embed_row(const rf_gpu_embed_args &a, uint32_t row, uint32_t token) {
    uint32_t n_blocks = a.table.n_cols / T::BLOCK, n_units = n_blocks * T::UNITS;
    float *out = a.out + (uint64_t)row * a.out_stride;
    for (uint32_t u = thread_index(); u < n_units; u += RF_GPU_THREADS) {
        subgroup g[T::N];
        uint32_t block = u / T::UNITS;
        T::unpack(a.table, (uint64_t)token * n_blocks + block, u % T::UNITS, g);
        RF_EACH (j, T::N)
            RF_EACH (i, 16)
                out[block * T::BLOCK + T::at(u % T::UNITS, (uint32_t)j) + (uint32_t)i] =
                    (g[j].d * (float)(int8_t)(g[j].q[i / 4] >> (i % 4 * 8)) - g[j].m) * a.scale;
    }
}
template <class T>
RF_FN void embed_floats(const rf_gpu_embed_args &a, uint32_t row, uint32_t token) {
    for (uint32_t i = thread_index(); i < a.table.n_cols; i += RF_GPU_THREADS)
        a.out[(uint64_t)row * a.out_stride + i] =
            T::one(a.table.q, (uint64_t)token * a.table.n_cols + i) * a.scale;
}
#define X(TYPE, type, ...)                                            \
    RF_KERNEL(k_embed_##type, rf_gpu_embed_args, RF_GPU_THREADS, 1) { \
        embed_row<type>(a, block_x(), (uint32_t)a.tokens[block_x()]); \
    }
#include "gpu/gpu_types.def"
#undef X
#define X(type)                                                          \
    RF_KERNEL(k_embed_##type, rf_gpu_embed_args, RF_GPU_THREADS, 1) {    \
        embed_floats<type>(a, block_x(), (uint32_t)a.tokens[block_x()]); \
    }
X(f32)
X(f16)
X(bf16)
#undef X

/* Blocks of the file into planes; a thread moves `grain` bytes. */
RF_KERNEL(k_repack, rf_gpu_repack_args, RF_GPU_THREADS, 1) {
    uint64_t i = ((uint64_t)block_x() * RF_GPU_THREADS + thread_index()) * a.grain;
    uint64_t block = i / a.block_bytes;
    uint32_t at = (uint32_t)(i % a.block_bytes);
    if (block >= a.n_blocks)
        return;
    for (int p = 0; p < 4; p++) {
        if (at < a.at[p] || at >= a.at[p] + a.bytes[p])
            continue;
        uint8_t *to = a.plane[p] + (a.first_block + block) * a.bytes[p] + (at - a.at[p]);
        if (a.grain == 2)
            *(uint16_t *)to = *(const uint16_t *)(a.from + i);
        else
            *to = a.from[i];
    }
}
