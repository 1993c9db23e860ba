#include "cpu/peak.h"

#include <immintrin.h>

/* Registers by name: the compiler would keep an array of sums in memory. */
#define VNNI(i) "vpdpbusd %%zmm31, %%zmm31, %%zmm" #i "\n\t"

void rf_peak_int8_avx512(uint64_t n) {
    for (uint64_t k = 0; k < n; k++)
        __asm__ volatile(VNNI(0) VNNI(1) VNNI(2) VNNI(3) VNNI(4) VNNI(5) VNNI(6) VNNI(7) VNNI(8)
                             VNNI(9) VNNI(10) VNNI(11)
                         :
                         :
                         : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
                           "xmm9", "xmm10", "xmm11");
}

void rf_peak_read_avx512(const void *memory, size_t bytes) {
    const __m512i *at = memory;
    __m512i sums[8] = {0};
    for (size_t i = 0; i < bytes / sizeof *at; i += 8) {
        for (size_t j = 0; j < 8; j++) {
            /* beyond the end a prefetch does nothing */
            _mm_prefetch((const char *)(at + i + j + 64), _MM_HINT_T0);
            sums[j] = _mm512_xor_si512(sums[j], _mm512_load_si512(at + i + j));
        }
    }
    __asm__ volatile("" : : "r"(sums) : "memory");
}
