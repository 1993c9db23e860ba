#include "cpu/peak.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/clock.h"
#include "base/cpu_features.h"
#include "cpu/pool.h"

enum {
    INT8_ROUNDS = 50000,
    READ_BYTES = 1 << 27, /* or four times the last cache, if that is more */
    MEASURE_NS = 150000000,
    PAGE_BYTES = 1 << 21 /* huge, as the weights' */
};

typedef struct probe {
    rf_pool *pool;
    const uint8_t *memory;
    size_t bytes; /* of each worker */
    void (*read)(const void *memory, size_t bytes);
    void (*int8)(uint64_t n); /* NULL: no 8-bit products */
    bool reads;               /* which of both runs */
} probe;

static void read_plain(const void *memory, size_t bytes) {
    const uint64_t *words = memory;
    uint64_t sums[8] = {0};
    for (size_t i = 0; i < bytes / sizeof *words; i += 8) {
        __builtin_prefetch(words + i + 512); /* beyond the end it does nothing */
        for (size_t j = 0; j < 8; j++)
            sums[j] ^= words[i + j];
    }
    __asm__ volatile("" : : "r"(sums) : "memory");
}

static void touch(void *arg, uint32_t worker) {
    probe *p = arg;
    memset((void *)(uintptr_t)(p->memory + worker * p->bytes), 1, p->bytes);
}

static void work(void *arg, uint32_t worker) {
    probe *p = arg;
    if (p->reads)
        p->read(p->memory + worker * p->bytes, p->bytes);
    else
        p->int8(INT8_ROUNDS);
}

/* The best of the rounds that fit into the time; the first one wakes the workers. */
static double best_round(probe *p, bool reads) {
    double best = 1e9;
    uint64_t begun = rf_clock_ns();
    p->reads = reads;
    rf_pool_run(p->pool, work, p);
    do {
        uint64_t start = rf_clock_ns();
        rf_pool_run(p->pool, work, p);
        double seconds = (double)(rf_clock_ns() - start) * 1e-9;
        best = seconds < best ? seconds : best;
    } while (rf_clock_ns() - begun < MEASURE_NS);
    return best;
}

static size_t bytes_of_worker(uint32_t n_threads) {
    long cache = sysconf(_SC_LEVEL3_CACHE_SIZE);
    size_t least = cache > 0 && (size_t)cache < SIZE_MAX / 8 ? 4 * (size_t)cache : 0;
    size_t all = least > READ_BYTES ? least : READ_BYTES;
    return rf_round_up(rf_ceil_div(all, n_threads), PAGE_BYTES);
}

static void measure(probe *p, uint32_t n_threads, uint64_t ops, rf_cpu_peak *out) {
    rf_pool_run(p->pool, touch, p);
    out->read_bytes = (double)p->bytes * n_threads / best_round(p, true);
    out->int8_ops = p->int8 ? (double)ops * INT8_ROUNDS * n_threads / best_round(p, false) : 0;
}

rf_status rf_cpu_peak_measure(uint32_t n_threads, uint32_t features, rf_cpu_peak *out,
                              rf_error *err) {
    probe p = {.read = read_plain, .bytes = bytes_of_worker(n_threads)};
    uint64_t ops = 0;
    features &= rf_cpu_features();
#if defined(__x86_64__)
    if ((features & RF_CPU_LEVEL_AVX2) == RF_CPU_LEVEL_AVX2) {
        p.read = rf_peak_read_avx2;
        p.int8 = rf_peak_int8_avx2;
        ops = RF_PEAK_OPS_AVX2;
    }
    if ((features & RF_CPU_LEVEL_AVX512) == RF_CPU_LEVEL_AVX512) {
        p.read = rf_peak_read_avx512;
        p.int8 = rf_peak_int8_avx512;
        ops = RF_PEAK_OPS_AVX512;
    }
#endif
    RF_TRY(rf_pool_create(n_threads, &p.pool, err));
    void *memory = rf_alloc_aligned(PAGE_BYTES, p.bytes * n_threads);
    rf_status status = RF_OK;
    if (memory) {
        (void)madvise(memory, p.bytes * n_threads, MADV_HUGEPAGE);
        p.memory = memory;
        measure(&p, n_threads, ops, out);
    } else {
        status = rf_fail(err, RF_ERR_NO_MEMORY,
                         "no memory to measure the read bandwidth: %zu bytes", p.bytes * n_threads);
    }
    rf_free_aligned(memory);
    rf_pool_destroy(p.pool);
    return status;
}
