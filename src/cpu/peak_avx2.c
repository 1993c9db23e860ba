#include "cpu/peak.h"

#include <immintrin.h>

/* What a product of bytes takes without VNNI: to 16 bits, to 32, and a sum. */
#define STEP(i)                                \
    "vpmaddubsw %%ymm15, %%ymm15, %%ymm12\n\t" \
    "vpmaddwd %%ymm15, %%ymm12, %%ymm12\n\t"   \
    "vpaddd %%ymm12, %%ymm" #i ", %%ymm" #i "\n\t"

void rf_peak_int8_avx2(uint64_t n) {
    for (uint64_t k = 0; k < n; k++)
        __asm__ volatile(STEP(0) STEP(1) STEP(2) STEP(3) STEP(4) STEP(5) STEP(6) STEP(7) STEP(8)
                             STEP(9) STEP(10) STEP(11)
                         :
                         :
                         : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
                           "xmm9", "xmm10", "xmm11", "xmm12");
}

void rf_peak_read_avx2(const void *memory, size_t bytes) {
    const __m256i *at = memory;
    __m256i sums[8] = {0};
    for (size_t i = 0; i < bytes / sizeof *at; i += 8) {
        /* beyond the end a prefetch does nothing */
        for (size_t j = 0; j < 8; j += 2)
            _mm_prefetch((const char *)(at + i + j + 128), _MM_HINT_T0);
        for (size_t j = 0; j < 8; j++)
            sums[j] = _mm256_xor_si256(sums[j], _mm256_load_si256(at + i + j));
    }
    __asm__ volatile("" : : "r"(sums) : "memory");
}
