/*
 * Products with few rows of activations, bound by reading the weights: each wave takes rows of the
 * weight, each lane units of it, and multiplies them with every row of activations.
 * Where a weight has few rows, several waves share each. Grid: blocks of rows over all parts; y:
 * row and slot where experts are chosen.
 */
#include "gpu/kernels/compat.cuh"
#include "gpu/kernels/finish.cuh"
#include "gpu/kernels/unpack.cuh"

enum { WAVES = RF_GPU_THREADS / RF_WAVE, PAIR = RF_GPU_PAIR };

/* Where the input of row r lies. */
RF_FN uint32_t in_row(const rf_gpu_matvec_args &a, uint32_t r) {
    if (!a.n_used)
        return r;
    return a.in_per_slot ? block_y() : block_y() / a.n_used;
}
RF_FN uint32_t expert_of(const rf_gpu_matvec_args &a) {
    return a.n_used ? (uint32_t)a.route[2 * block_y()] : 0;
}

/* Among the lanes of all waves that share a row. */
RF_FN uint32_t my_lane(const rf_gpu_matvec_args &a) {
    return thread_index() / RF_WAVE % a.ways * RF_WAVE + lane_index();
}

/* sums[p][r]: weight row `row` + p with activations r. */
template <class T, int n>
RF_FN void rows_dot(const rf_gpu_matvec_args &a, const rf_gpu_matrix &m, uint32_t row,
                    float sums[PAIR][n]) {
    const uint32_t n_blocks = m.n_cols / T::BLOCK, n_units = n_blocks * T::UNITS;
    const uint64_t expert = (uint64_t)expert_of(a) * m.n_rows;
    uint64_t first[PAIR];
    RF_EACH (p, PAIR) /* behind the end the last row again: its sums are left out */
        first[p] = (expert + (row + p < m.n_rows ? row + p : m.n_rows - 1)) * n_blocks;
    for (uint32_t u = my_lane(a); u < n_units; u += RF_WAVE * a.ways) {
        subgroup g[PAIR][T::N];
        uint32_t block = u / T::UNITS;
        RF_EACH (p, PAIR)
            T::unpack(m, first[p] + block, u % T::UNITS, g[p]);
        RF_EACH (r, n) {
            uint64_t base = (uint64_t)in_row(a, (uint32_t)r) * m.n_cols + block * T::BLOCK;
            RF_EACH (j, T::N) {
                uint64_t at = base + T::at(u % T::UNITS, (uint32_t)j);
                words4 high = load<words4>(a.acts.high, at), low = load<words4>(a.acts.low, at);
                float scale = a.acts.scales[at / 32], sum = a.acts.sums[at / 16];
                RF_EACH (p, PAIR)
                    sums[p][r] += subgroup_dot(g[p][j], high, low, scale, sum);
            }
        }
    }
}

template <class T, int n>
RF_FN void rows_dot_floats(const rf_gpu_matvec_args &a, const rf_gpu_matrix &m, uint32_t row,
                           float sums[PAIR][n]) {
    const uint32_t whole = m.n_cols % 8 ? 0 : m.n_cols; /* else rows are not aligned */
    const uint64_t expert = (uint64_t)expert_of(a) * m.n_rows;
    uint64_t first[PAIR];
    RF_EACH (p, PAIR)
        first[p] = (expert + (row + p < m.n_rows ? row + p : m.n_rows - 1)) * m.n_cols;
    for (uint32_t i = my_lane(a) * 8; i < whole; i += RF_WAVE * a.ways * 8) {
        float w[PAIR][8];
        RF_EACH (p, PAIR)
            T::eight(m.q, first[p] + i, w[p]);
        RF_EACH (r, n) {
            const float *x = a.in + (uint64_t)in_row(a, (uint32_t)r) * a.in_stride + i;
            RF_EACH (k, 8)
                RF_EACH (p, PAIR)
                    sums[p][r] += w[p][k] * x[k];
        }
    }
    for (uint32_t i = whole + my_lane(a); i < m.n_cols; i += RF_WAVE * a.ways)
        RF_EACH (r, n)
            RF_EACH (p, PAIR)
                sums[p][r] += T::one(m.q, first[p] + i) *
                              a.in[(uint64_t)in_row(a, (uint32_t)r) * a.in_stride + i];
}

RF_SHARED float shared_sums[2][WAVES][PAIR][RF_GPU_MATVEC_ROWS];

/* The sums of a row over all lanes that share it: in the first of its waves, every lane. All
 * threads of the block; which: one of two places. */
template <int n> RF_FN void reduce(const rf_gpu_matvec_args &a, int which, float sums[PAIR][n]) {
    uint32_t wave = thread_index() / RF_WAVE;
    RF_EACH (p, PAIR)
        RF_EACH (r, n) {
            sums[p][r] = wave_sum(sums[p][r]);
            if (a.ways > 1 && lane_index() == 0)
                shared_sums[which][wave][p][r] = sums[p][r];
        }
    if (a.ways == 1)
        return;
    block_barrier();
    RF_EACH (p, PAIR)
        RF_EACH (r, n)
            for (uint32_t w = 1; wave % a.ways == 0 && w < a.ways; w++)
                sums[p][r] += shared_sums[which][wave + w][p][r];
}

/* The part that a block works on, and its wave's first row there. */
RF_FN uint32_t first_row(const rf_gpu_matvec_args &a, uint32_t part) {
    uint32_t groups = WAVES / a.ways;
    return ((block_x() - a.first_block[part]) * groups + thread_index() / RF_WAVE / a.ways) * PAIR;
}
RF_FN bool speaks(const rf_gpu_matvec_args &a) {
    return lane_index() == 0 && thread_index() / RF_WAVE % a.ways == 0;
}

template <class Dot, int n> RF_FN void matvec(const rf_gpu_matvec_args &a) {
    uint32_t part = 0;
    while (part + 1 < a.n_parts && block_x() >= a.first_block[part + 1])
        part++;
    const rf_gpu_matrix &m = a.matrix[part];
    uint32_t row = first_row(a, part);
    float sums[PAIR][n] = {};
    if (row < m.n_rows)
        Dot::template dot<n>(a, m, row, sums);
    reduce<n>(a, 0, sums);
    RF_EACH (p, PAIR)
        RF_EACH (r, n)
            if (speaks(a) && row + p < m.n_rows && r < (int)(a.n_used ? 1 : a.n_rows))
                finish_one(a.finish, a.bias[part], a.n_used ? block_y() : r, row + p,
                           a.out_col[part], sums[p][r]);
}

/* Parts 0 and 1 are gate and up of one activation function. */
template <class Dot> RF_FN void matvec_gated(const rf_gpu_matvec_args &a) {
    uint32_t row = first_row(a, 0);
    float gate[PAIR][1] = {}, up[PAIR][1] = {};
    if (row < a.matrix[0].n_rows) {
        Dot::template dot<1>(a, a.matrix[0], row, gate);
        Dot::template dot<1>(a, a.matrix[1], row, up);
    }
    reduce<1>(a, 0, gate);
    reduce<1>(a, 1, up);
    RF_EACH (p, PAIR) {
        if (!speaks(a) || row + p >= a.matrix[0].n_rows)
            continue;
        float g = gate[p][0] + (a.bias[0] ? a.bias[0][row + p] : 0.0f);
        float u = up[p][0] + (a.bias[1] ? a.bias[1][row + p] : 0.0f);
        uint64_t to = a.n_used ? block_y() : 0;
        a.finish.out[to * a.finish.out_stride + row + p] = activate(a.activation, g) * u;
    }
}

template <class T> struct of_blocks {
    template <int n>
    RF_FN void dot(const rf_gpu_matvec_args &a, const rf_gpu_matrix &m, uint32_t row,
                   float s[PAIR][n]) {
        rows_dot<T, n>(a, m, row, s);
    }
};
template <class T> struct of_floats {
    template <int n>
    RF_FN void dot(const rf_gpu_matvec_args &a, const rf_gpu_matrix &m, uint32_t row,
                   float s[PAIR][n]) {
        rows_dot_floats<T, n>(a, m, row, s);
    }
};

/* blocks: on a multiprocessor at once, so that enough loads are under way. */
#define KERNEL(type, Dot, n, blocks)                                               \
    RF_KERNEL(k_matvec_##type##_##n, rf_gpu_matvec_args, RF_GPU_THREADS, blocks) { \
        matvec<Dot<type>, n>(a);                                                   \
    }
#define KERNELS(type, Dot)  \
    KERNEL(type, Dot, 1, 3) \
    KERNEL(type, Dot, 4, 2) \
    KERNEL(type, Dot, 8, 1) \
    RF_KERNEL(k_gated_##type, rf_gpu_matvec_args, RF_GPU_THREADS, 3) { matvec_gated<Dot<type>>(a); }
#define X(TYPE, type, ...) KERNELS(type, of_blocks)
#include "gpu/gpu_types.def"
#undef X
KERNELS(f32, of_floats)
KERNELS(f16, of_floats)
KERNELS(bf16, of_floats)
