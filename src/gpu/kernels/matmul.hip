/*
 * Products with many rows of activations on matrix instructions: a block holds 64 columns of
 * RF_GPU_TILE_ROWS rows of the weight and of the activations as halves in shared memory. The order
 * of columns is that of the weight's units, the same for both.
 * Grid: tiles of the weight's rows; tiles of the batch; experts.
 */
#include "gpu/kernels/compat.cuh"
#include "gpu/kernels/finish.cuh"
#include "gpu/kernels/unpack.cuh"

enum {
    WAVES = RF_GPU_THREADS / RF_WAVE,
    ROWS = RF_GPU_TILE_ROWS,
    SUM = RF_GPU_TILE_SUM,
    STRIDE = SUM + 8
};

RF_SHARED half weights[ROWS * STRIDE];
RF_SHARED half acts[128 * STRIDE];

/* A thread's share of the next 64 columns of the weight, read before the last ones are multiplied.
 */
template <class T> struct tile_of_blocks {
    enum {
        UNITS = SUM / 16 / T::N,
        N_ALL = ROWS * UNITS,
        EACH = (N_ALL + RF_GPU_THREADS - 1) / RF_GPU_THREADS
    };
    subgroup g[EACH][T::N];

    RF_FN uint32_t column(uint32_t chunk, uint32_t slot) {
        uint32_t u = chunk * UNITS + slot / T::N;
        return u / T::UNITS * T::BLOCK + T::at(u % T::UNITS, slot % T::N);
    }
    RF_MEMBER void read(const rf_gpu_matrix &m, uint64_t first_row, uint32_t n_rows,
                        uint32_t chunk) {
        uint32_t n_blocks = m.n_cols / T::BLOCK, n_units = n_blocks * T::UNITS;
        RF_EACH (e, EACH) {
            uint32_t i = thread_index() + (uint32_t)e * RF_GPU_THREADS;
            uint32_t row = i / UNITS, u = chunk * UNITS + i % UNITS;
            if (row < n_rows && u < n_units) {
                T::unpack(m, (first_row + row) * n_blocks + u / T::UNITS, u % T::UNITS, g[e]);
                continue;
            }
            RF_EACH (j, T::N) {
                RF_EACH (k, 4)
                    g[e][j].q[k] = 0;
                g[e][j].d = g[e][j].m = 0.0f;
            }
        }
    }
    RF_MEMBER void write() {
        RF_EACH (e, EACH) {
            uint32_t i = thread_index() + (uint32_t)e * RF_GPU_THREADS;
            if (i >= N_ALL)
                return;
            half *to = weights + i / UNITS * STRIDE + i % UNITS * T::N * 16;
            RF_EACH (j, T::N)
                RF_EACH (k, 16)
                    to[j * 16 + k] =
                        (half)(g[e][j].d * (float)(int8_t)(g[e][j].q[k / 4] >> (k % 4 * 8)) -
                               g[e][j].m);
        }
    }
};
template <class T> struct tile_of_floats {
    enum { EACH = ROWS * SUM / 8 / RF_GPU_THREADS };
    float v[EACH][8];

    RF_FN uint32_t column(uint32_t chunk, uint32_t slot) { return chunk * SUM + slot * 16; }
    RF_MEMBER void read(const rf_gpu_matrix &m, uint64_t first_row, uint32_t n_rows,
                        uint32_t chunk) {
        RF_EACH (e, EACH) {
            uint32_t i = thread_index() + (uint32_t)e * RF_GPU_THREADS;
            uint32_t row = i / (SUM / 8), col = chunk * SUM + i % (SUM / 8) * 8;
            if (row < n_rows && col < m.n_cols) /* n_cols is a multiple of 8 */
                T::eight(m.q, (first_row + row) * m.n_cols + col, v[e]);
            else
                RF_EACH (k, 8)
                    v[e][k] = 0.0f;
        }
    }
    RF_MEMBER void write() {
        RF_EACH (e, EACH) {
            uint32_t i = thread_index() + (uint32_t)e * RF_GPU_THREADS;
            RF_EACH (k, 8)
                weights[i / (SUM / 8) * STRIDE + i % (SUM / 8) * 8 + (uint32_t)k] = (half)v[e][k];
        }
    }
};

#if defined(RF_EMU) || !defined(RF_NO_MATRIX)
/* BATCH rows of activations a block. */
template <class Tile, int BATCH> RF_FN void matmul(const rf_gpu_matmul_args &a) {
    constexpr int DOWN = BATCH == 128 ? 2 : WAVES, ACROSS = WAVES / DOWN; /* waves */
    constexpr int TILES_DOWN = ROWS / DOWN / 16, TILES_ACROSS = BATCH / ACROSS / 16;
    const rf_gpu_matrix &m = a.matrix;
    uint32_t first = block_x() * ROWS, begin = 0, end = a.n_rows, expert = block_z();
    if (a.order) {
        begin = a.start[expert];
        end = a.start[expert + 1];
    }
    begin += block_y() * BATCH;
    if (begin >= end)
        return;
    uint32_t n_rows = m.n_rows - first < ROWS ? m.n_rows - first : ROWS;
    uint32_t wave = thread_index() / RF_WAVE, down = wave % DOWN, across = wave / DOWN;
    uint32_t n_chunks = (m.n_cols + SUM - 1) / SUM;
    accumulator sums[TILES_DOWN][TILES_ACROSS];
    RF_EACH (i, TILES_DOWN)
        RF_EACH (j, TILES_ACROSS)
            RF_EACH (k, RF_ACC)
                sums[i][j].x[k] = 0.0f;
    Tile tile;
    tile.read(m, (uint64_t)expert * m.n_rows + first, n_rows, 0);
    for (uint32_t chunk = 0; chunk < n_chunks; chunk++) {
        block_barrier();
        for (uint32_t i = thread_index(); i < BATCH * SUM / 8; i += RF_GPU_THREADS) {
            uint32_t r = i / (SUM / 8), piece = i % (SUM / 8), row = begin + r;
            bool wanted = row < end;
            uint32_t from = !wanted ? 0 : a.order ? a.order[row] / a.in_divide : row;
            copy_async(acts + r * STRIDE + piece * 8,
                       (const half *)a.in + (uint64_t)from * a.in_stride +
                           Tile::column(chunk, piece / 2) + piece % 2 * 8,
                       wanted);
        }
        tile.write();
        if (chunk + 1 < n_chunks)
            tile.read(m, (uint64_t)expert * m.n_rows + first, n_rows, chunk + 1);
        copy_wait();
        block_barrier();
        RF_EACH (step, SUM / 16) {
            const int k = step * 16;
            fragment w[TILES_DOWN], x[TILES_ACROSS];
            RF_EACH (i, TILES_DOWN)
                w[i] = fragment_load(weights + (down * TILES_DOWN + i) * 16 * STRIDE + k, STRIDE);
            RF_EACH (j, TILES_ACROSS)
                x[j] = fragment_load(acts + (across * TILES_ACROSS + j) * 16 * STRIDE + k, STRIDE);
            RF_EACH (i, TILES_DOWN)
                RF_EACH (j, TILES_ACROSS)
                    multiply(sums[i][j], w[i], x[j]);
        }
    }
    RF_EACH (i, TILES_DOWN)
        RF_EACH (j, TILES_ACROSS)
            RF_EACH (k, RF_ACC) {
                uint32_t col = first + (down * TILES_DOWN + i) * 16 + acc_row(k);
                uint32_t row = begin + (across * TILES_ACROSS + j) * 16 + acc_col(k);
                if (col >= m.n_rows || row >= end)
                    continue;
                uint32_t in = a.order ? a.order[row] / a.in_divide : row;
                finish_one(a.finish, a.bias, a.order ? a.order[row] : row, col, a.out_col,
                           sums[i][j].x[k] * a.in_scales[in]);
            }
}

#define KERNELS(type, Tile)                                                   \
    RF_KERNEL(k_matmul_##type##_32, rf_gpu_matmul_args, RF_GPU_THREADS, 2) {  \
        matmul<Tile<type>, 32>(a);                                            \
    }                                                                         \
    RF_KERNEL(k_matmul_##type##_128, rf_gpu_matmul_args, RF_GPU_THREADS, 2) { \
        matmul<Tile<type>, 128>(a);                                           \
    }
#define X(TYPE, type, ...) KERNELS(type, tile_of_blocks)
#include "gpu/gpu_types.def"
#undef X
KERNELS(f16, tile_of_floats)
KERNELS(bf16, tile_of_floats)
#endif
