/* gpu/kernels/compat.cuh for NVIDIA: the instructions are those of the PTX ISA 8.0, section 9. */
#ifndef RF_GPU_KERNELS_COMPAT_NVIDIA_H
#define RF_GPU_KERNELS_COMPAT_NVIDIA_H

#ifdef __clang__
#define RF_FN     static inline __attribute__((device, always_inline))
#define RF_MEMBER inline __attribute__((device, always_inline))
#define RF_KERNEL(name, args, threads, blocks) \
    extern "C" __attribute__((global, launch_bounds(threads, blocks))) void name(const args a)
#define RF_SHARED static __attribute__((shared))
#else
#define RF_FN     static inline __device__ __forceinline__
#define RF_MEMBER __device__ __forceinline__
#define RF_KERNEL(name, args, threads, blocks)                          \
    extern "C" __global__ __launch_bounds__(threads, blocks) void name( \
        const __grid_constant__ args a)
#define RF_SHARED __shared__
#endif

enum { RF_WAVE = 32, RF_HAS_MATRIX = 1, RF_ACC = 8 };

#define RF_SPECIAL(name, reg)                            \
    RF_FN uint32_t name(void) {                          \
        uint32_t v;                                      \
        asm volatile("mov.u32 %0, %" reg ";" : "=r"(v)); \
        return v;                                        \
    }
RF_SPECIAL(thread_index, "%tid.x")
RF_SPECIAL(block_x, "%ctaid.x")
RF_SPECIAL(block_y, "%ctaid.y")
RF_SPECIAL(block_z, "%ctaid.z")
RF_FN uint32_t lane_index(void) { return thread_index() % RF_WAVE; }

RF_FN void block_barrier(void) { asm volatile("bar.sync 0;" ::: "memory"); }
RF_FN void wave_barrier(void) { asm volatile("bar.warp.sync 0xffffffff;" ::: "memory"); }

RF_FN uint32_t wave_xor(uint32_t v, int mask) {
    uint32_t out;
    asm volatile("shfl.sync.bfly.b32 %0, %1, %2, 0x1f, 0xffffffff;"
                 : "=r"(out)
                 : "r"(v), "r"(mask));
    return out;
}
RF_FN int wave_xor(int v, int mask) { return (int)wave_xor((uint32_t)v, mask); }
RF_FN float wave_xor(float v, int mask) {
    return __builtin_bit_cast(float, wave_xor(__builtin_bit_cast(uint32_t, v), mask));
}
RF_FN uint32_t wave_from(uint32_t v, int lane) {
    uint32_t out;
    asm volatile("shfl.sync.idx.b32 %0, %1, %2, 0x1f, 0xffffffff;" : "=r"(out) : "r"(v), "r"(lane));
    return out;
}
RF_FN float wave_from(float v, int lane) {
    return __builtin_bit_cast(float, wave_from(__builtin_bit_cast(uint32_t, v), lane));
}

RF_FN float exp2_of(float x) {
    float y;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}
RF_FN float root_of(float x) {
    float y;
    asm("sqrt.rn.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}
RF_FN float nearest(float x) {
    float y;
    asm("cvt.rni.f32.f32 %0, %1;" : "=f"(y) : "f"(x));
    return y;
}
RF_FN double nearest(double x) {
    double y;
    asm("cvt.rni.f64.f64 %0, %1;" : "=d"(y) : "d"(x));
    return y;
}
/* c + the four products of signed bytes. */
RF_FN int dot4(int a, int b, int c) {
    int out;
    asm("dp4a.s32.s32 %0, %1, %2, %3;" : "=r"(out) : "r"(a), "r"(b), "r"(c));
    return out;
}

/* Weights are read once: they shall not push others out of the first cache. */
RF_FN words4 stream16(const void *base, uint64_t byte) {
    words4 v;
    asm volatile("ld.global.nc.L1::no_allocate.L2::128B.v4.u32 {%0,%1,%2,%3}, [%4];"
                 : "=r"(v.x[0]), "=r"(v.x[1]), "=r"(v.x[2]), "=r"(v.x[3])
                 : "l"((const char *)base + byte));
    return v;
}

/* ---- copies into shared memory that run beside the threads ---- */

RF_FN uint32_t shared_address(const void *at) {
    uint64_t v;
    asm("cvta.to.shared.u64 %0, %1;" : "=l"(v) : "l"(at));
    return (uint32_t)v;
}
/* 16 bytes; zeros instead of them where !wanted. */
RF_FN void copy_async(void *to, const void *from, bool wanted) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)),
                 "l"(from), "r"(wanted ? 16 : 0)
                 : "memory");
}
RF_FN void copy_wait(void) { asm volatile("cp.async.wait_all;" ::: "memory"); }

/* ---- matrices of 16 x 16 halves ---- */

struct fragment {
    uint32_t x[4];
};
struct accumulator {
    float x[RF_ACC];
};
/* rows: 16 rows of 16 halves in shared memory, stride halves apart (16-byte aligned). */
RF_FN fragment fragment_load(const half *rows, int stride) {
    fragment f;
    uint32_t lane = lane_index();
    const half *at = rows + (lane % 16) * stride + lane / 16 * 8;
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(f.x[0]), "=r"(f.x[1]), "=r"(f.x[2]), "=r"(f.x[3])
                 : "r"(shared_address(at)));
    return f;
}
RF_FN void mma8(float *d, const fragment &a, uint32_t b0, uint32_t b1) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
                 "{%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a.x[0]), "r"(a.x[1]), "r"(a.x[2]), "r"(a.x[3]), "r"(b0), "r"(b1));
}
/* c[i][j] += sum over k of a[i][k] b[j][k]. */
RF_FN void multiply(accumulator &c, const fragment &a, const fragment &b) {
    mma8(c.x, a, b.x[0], b.x[2]);
    mma8(c.x + 4, a, b.x[1], b.x[3]);
}
/* Which element a lane's x[i] is. */
RF_FN uint32_t acc_row(int i) { return lane_index() / 4 + (i & 2) * 4; }
RF_FN uint32_t acc_col(int i) { return lane_index() % 4 * 2 + (i & 1) + (i & 4) * 2; }

#endif
