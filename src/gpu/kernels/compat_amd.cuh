/*
 * gpu/kernels/compat.cuh for AMD: instructions and layouts of AMD's ISA documents for Vega, CDNA 1
 * to 3 (MFMA) and RDNA 2 to 4 (WMMA). Chips without matrix instructions multiply row by row.
 */
#ifndef RF_GPU_KERNELS_COMPAT_AMD_H
#define RF_GPU_KERNELS_COMPAT_AMD_H

#define RF_FN     static inline __attribute__((device, always_inline))
#define RF_MEMBER inline __attribute__((device, always_inline))
#define RF_KERNEL(name, args, threads, blocks)                                             \
    extern "C" __attribute__((global, amdgpu_flat_work_group_size(1, threads))) void name( \
        const args a)
#define RF_SHARED static __attribute__((shared))

#if defined(__gfx900__) || defined(__gfx906__) || defined(__gfx908__) || defined(__gfx90a__) || \
    defined(__gfx942__)
enum { RF_WAVE = 64 };
#else
enum { RF_WAVE = 32 };
#endif

RF_FN uint32_t thread_index(void) { return __builtin_amdgcn_workitem_id_x(); }
RF_FN uint32_t block_x(void) { return __builtin_amdgcn_workgroup_id_x(); }
RF_FN uint32_t block_y(void) { return __builtin_amdgcn_workgroup_id_y(); }
RF_FN uint32_t block_z(void) { return __builtin_amdgcn_workgroup_id_z(); }
RF_FN uint32_t lane_index(void) { return thread_index() % RF_WAVE; }

RF_FN void block_barrier(void) {
    __builtin_amdgcn_fence(__ATOMIC_RELEASE, "workgroup");
    __builtin_amdgcn_s_barrier();
    __builtin_amdgcn_fence(__ATOMIC_ACQUIRE, "workgroup");
}
RF_FN void wave_barrier(void) {
    __builtin_amdgcn_fence(__ATOMIC_RELEASE, "wavefront");
    __builtin_amdgcn_wave_barrier();
    __builtin_amdgcn_fence(__ATOMIC_ACQUIRE, "wavefront");
}

RF_FN uint32_t wave_from(uint32_t v, int lane) {
    return (uint32_t)__builtin_amdgcn_ds_bpermute(lane * 4, (int)v);
}
RF_FN float wave_from(float v, int lane) {
    return __builtin_bit_cast(float, wave_from(__builtin_bit_cast(uint32_t, v), lane));
}
RF_FN uint32_t wave_xor(uint32_t v, int mask) { return wave_from(v, (int)lane_index() ^ mask); }
RF_FN int wave_xor(int v, int mask) { return (int)wave_xor((uint32_t)v, mask); }
RF_FN float wave_xor(float v, int mask) { return wave_from(v, (int)lane_index() ^ mask); }

RF_FN float exp2_of(float x) { return __builtin_amdgcn_exp2f(x); }
RF_FN float root_of(float x) { return __builtin_sqrtf(x); }
RF_FN float nearest(float x) { return __builtin_rintf(x); }
RF_FN double nearest(double x) { return __builtin_rint(x); }

RF_FN int dot4(int a, int b, int c) {
#if defined(__gfx1100__) || defined(__gfx1101__) || defined(__gfx1151__) || \
    defined(__gfx1200__) || defined(__gfx1201__)
    return __builtin_amdgcn_sudot4(true, a, true, b, c, false);
#elif !defined(__gfx900__)
    return __builtin_amdgcn_sdot4(a, b, c, false);
#else
    for (int i = 0; i < 32; i += 8)
        c += (int)(int8_t)(a >> i) * (int)(int8_t)(b >> i);
    return c;
#endif
}
RF_FN words4 stream16(const void *base, uint64_t byte) {
    typedef uint32_t four __attribute__((ext_vector_type(4)));
    four v = __builtin_nontemporal_load((const four *)((const char *)base + byte));
    return words4{{v.x, v.y, v.z, v.w}};
}

/* There is no copy of its own into shared memory: the threads copy. */
RF_FN void copy_async(void *to, const void *from, bool wanted) {
    *(words4 *)to = wanted ? *(const words4 *)from : words4{{0, 0, 0, 0}};
}
RF_FN void copy_wait(void) {}

typedef half half4 __attribute__((ext_vector_type(4)));
typedef half half8 __attribute__((ext_vector_type(8)));
typedef half half16 __attribute__((ext_vector_type(16)));
typedef float float4 __attribute__((ext_vector_type(4)));
typedef float float8 __attribute__((ext_vector_type(8)));

#if defined(__gfx908__) || defined(__gfx90a__) || defined(__gfx942__)
enum { RF_HAS_MATRIX = 1, RF_ACC = 4 };
typedef half4 fragment; /* lane l: row l % 16, columns 4 (l / 16) … + 3 */
struct accumulator {
    float4 x;
};
RF_FN fragment fragment_load(const half *rows, int stride) {
    return *(const half4 *)(rows + lane_index() % 16 * stride + lane_index() / 16 * 4);
}
RF_FN void multiply(accumulator &c, const fragment &a, const fragment &b) {
    c.x = __builtin_amdgcn_mfma_f32_16x16x16f16(a, b, c.x, 0, 0, 0);
}
RF_FN uint32_t acc_row(int i) { return lane_index() / 16 * 4 + i; }
RF_FN uint32_t acc_col(int i) { return lane_index() % 16; }
#elif defined(__gfx1100__) || defined(__gfx1101__) || defined(__gfx1151__)
enum { RF_HAS_MATRIX = 1, RF_ACC = 8 };
typedef half16 fragment; /* lanes l and l + 16: row l, all columns */
struct accumulator {
    float8 x;
};
RF_FN fragment fragment_load(const half *rows, int stride) {
    const half *at = rows + lane_index() % 16 * stride;
    half8 low = *(const half8 *)at, high = *(const half8 *)(at + 8);
    return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}
RF_FN void multiply(accumulator &c, const fragment &a, const fragment &b) {
    c.x = __builtin_amdgcn_wmma_f32_16x16x16_f16_w32(a, b, c.x);
}
RF_FN uint32_t acc_row(int i) { return 2 * i + lane_index() / 16; }
RF_FN uint32_t acc_col(int i) { return lane_index() % 16; }
#elif defined(__gfx1200__) || defined(__gfx1201__)
enum { RF_HAS_MATRIX = 1, RF_ACC = 8 };
typedef half8 fragment; /* lane l: row l % 16, columns 8 (l / 16) … + 7 */
struct accumulator {
    float8 x;
};
RF_FN fragment fragment_load(const half *rows, int stride) {
    return *(const half8 *)(rows + lane_index() % 16 * stride + lane_index() / 16 * 8);
}
RF_FN void multiply(accumulator &c, const fragment &a, const fragment &b) {
    c.x = __builtin_amdgcn_wmma_f32_16x16x16_f16_w32_gfx12(a, b, c.x);
}
RF_FN uint32_t acc_row(int i) { return lane_index() / 16 * 8 + i; }
RF_FN uint32_t acc_col(int i) { return lane_index() % 16; }
#else
enum { RF_HAS_MATRIX = 0, RF_ACC = 1 };
#define RF_NO_MATRIX
#endif

#endif
