#include "tests/kcheck/peak.h"

#include <string.h>

#include "base/alloc.h"
#include "base/cpu_features.h"
#include "tests/kcheck/kcheck.h"

enum { VNNI_ROUNDS = 100000, VNNI_OPS = 12 * 128, READ_BYTES = 1 << 27 };

static void vnni_run(void *user) {
    (void)user;
    kpeak_vnni_avx512(VNNI_ROUNDS);
}

double kpeak_int8(void) {
    if ((rf_cpu_features() & RF_CPU_LEVEL_AVX512) != RF_CPU_LEVEL_AVX512)
        return 0;
    return (double)VNNI_ROUNDS * VNNI_OPS / kcheck_time(vnni_run, NULL);
}

static void read_run(void *user) {
    const uint64_t *words = user;
    uint64_t sums[8] = {0};
    for (size_t i = 0; i < READ_BYTES / sizeof *words; i += 8) {
        __builtin_prefetch(words + i + 512); /* beyond the end it does nothing */
        for (size_t j = 0; j < 8; j++)
            sums[j] ^= words[i + j];
    }
    __asm__ volatile("" : : "r"(sums) : "memory");
}

double kpeak_read(void) {
    void *memory = rf_alloc_aligned(64, READ_BYTES);
    if (!memory)
        return 0;
    memset(memory, 1, READ_BYTES);
    double seconds = kcheck_time(read_run, memory);
    rf_free_aligned(memory);
    return READ_BYTES / seconds;
}
