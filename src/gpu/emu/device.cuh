/*
 * gpu/kernels/compat.cuh on this processor: every thread of a block is a fiber, blocks run one
 * after another, and what a wave exchanges waits for all of its lanes that have come as far.
 * Layouts of matrices: 32 lanes as PTX's mma.m16n8k16, 64 lanes as CDNA's v_mfma_f32_16x16x16_f16.
 */
#ifndef RF_GPU_EMU_DEVICE_H
#define RF_GPU_EMU_DEVICE_H

#include <math.h>

#define RF_FN     static inline
#define RF_MEMBER inline
/* A kernel is known by its name, with the bytes of its struct. */
struct emu_kernel {
    void (*run)(const void *args);
    unsigned long args_bytes;
};
#define RF_KERNEL(name, args, threads, blocks)                               \
    static void name##_body(const args &a);                                  \
    static void name##_run(const void *p) { name##_body(*(const args *)p); } \
    extern "C" __attribute__((visibility("default")))                        \
    const emu_kernel name = {name##_run, sizeof(args)};                      \
    static void name##_body(const args &a)
#define RF_SHARED static /* of the one block that runs */

enum { RF_WAVE = RF_EMU_WAVE, RF_HAS_MATRIX = 1, RF_ACC = 256 / RF_EMU_WAVE };

struct emu_place {
    uint32_t thread, n_threads, block[3], grid[3];
};
extern emu_place emu_here; /* of the fiber that runs */

/* Ends when all threads of the block that have not ended are here. */
void emu_block_barrier(void);
/* Ends when all lanes of the wave that can come are here: what each brought, then a bit for each
 * that came. Read before the lane's next exchange. */
const uint64_t *emu_exchange(uint64_t mine);

RF_FN uint32_t thread_index(void) { return emu_here.thread; }
RF_FN uint32_t block_x(void) { return emu_here.block[0]; }
RF_FN uint32_t block_y(void) { return emu_here.block[1]; }
RF_FN uint32_t block_z(void) { return emu_here.block[2]; }
RF_FN uint32_t lane_index(void) { return emu_here.thread % RF_WAVE; }

RF_FN void block_barrier(void) { emu_block_barrier(); }
RF_FN void wave_barrier(void) { (void)emu_exchange(0); }
/* A lane that is not here gives a value that spoils every result. */
template <class T> RF_FN T wave_from(T v, int lane) {
    uint32_t from = (uint32_t)lane % RF_WAVE;
    uint64_t mine = 0;
    __builtin_memcpy(&mine, &v, sizeof v);
    const uint64_t *all = emu_exchange(mine);
    uint64_t got = all[RF_WAVE] >> from & 1 ? all[from] : 0x7fc000007fc00000;
    __builtin_memcpy(&v, &got, sizeof v);
    return v;
}
template <class T> RF_FN T wave_xor(T v, int mask) {
    return wave_from(v, (int)lane_index() ^ mask);
}

RF_FN float exp2_of(float x) { return exp2f(x); }
RF_FN float root_of(float x) { return sqrtf(x); }
RF_FN float nearest(float x) { return rintf(x); }
RF_FN double nearest(double x) { return rint(x); }
RF_FN int dot4(int a, int b, int c) {
    for (int i = 0; i < 32; i += 8)
        c += (int)(int8_t)(a >> i) * (int)(int8_t)(b >> i);
    return c;
}
RF_FN words4 stream16(const void *base, uint64_t byte) {
    return *(const words4 *)((const char *)base + byte);
}
RF_FN void copy_async(void *to, const void *from, bool wanted) {
    *(words4 *)to = wanted ? *(const words4 *)from : words4{{0, 0, 0, 0}};
}
RF_FN void copy_wait(void) {}

struct fragment {
    half x[256 / RF_WAVE];
};
struct accumulator {
    float x[RF_ACC];
};
/* Row and column of a lane's element i. */
RF_FN uint32_t fragment_row(uint32_t lane, uint32_t i) {
    return RF_WAVE == 32 ? lane / 4 + (i / 2 & 1) * 8 : lane % 16;
}
RF_FN uint32_t fragment_col(uint32_t lane, uint32_t i) {
    return RF_WAVE == 32 ? lane % 4 * 2 + (i & 1) + (i / 4) * 8 : lane / 16 * 4 + i;
}
RF_FN fragment fragment_load(const half *rows, int stride) {
    fragment f;
    for (uint32_t i = 0; i < 256 / RF_WAVE; i++)
        f.x[i] =
            rows[fragment_row(lane_index(), i) * (uint32_t)stride + fragment_col(lane_index(), i)];
    return f;
}
RF_FN uint32_t acc_row(int i) {
    return RF_WAVE == 32 ? lane_index() / 4 + (uint32_t)(i & 2) * 4
                         : lane_index() / 16 * 4 + (uint32_t)i;
}
RF_FN uint32_t acc_col(int i) {
    return RF_WAVE == 32 ? lane_index() % 4 * 2 + (uint32_t)(i & 1) + (uint32_t)(i & 4) * 2
                         : lane_index() % 16;
}
RF_FN void multiply(accumulator &c, const fragment &a, const fragment &b) {
    struct pair {
        const fragment *a, *b;
    } mine = {&a, &b};
    float wide[2][16][16];
    const uint64_t *all = emu_exchange((uint64_t)&mine);
    for (uint32_t lane = 0; lane < RF_WAVE; lane++)
        for (uint32_t i = 0; i < 256 / RF_WAVE; i++) {
            const pair *from = (const pair *)all[lane]; /* 0: not here */
            uint32_t row = fragment_row(lane, i), col = fragment_col(lane, i);
            wide[0][row][col] = from ? (float)from->a->x[i] : NAN;
            wide[1][row][col] = from ? (float)from->b->x[i] : NAN;
        }
    for (int i = 0; i < RF_ACC; i++)
        for (int k = 0; k < 16; k++)
            c.x[i] += wide[0][acc_row(i)][k] * wide[1][acc_col(i)][k];
    (void)emu_exchange(0); /* nobody goes before all have read */
}

#endif
