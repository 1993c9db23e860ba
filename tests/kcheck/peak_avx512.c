#include <immintrin.h>

#include "tests/kcheck/peak.h"

void kpeak_vnni_avx512(uint64_t n) {
    __m512i sums[12];
    for (int i = 0; i < 12; i++)
        sums[i] = _mm512_setzero_si512();
    const __m512i x = _mm512_set1_epi8(1);
    for (uint64_t k = 0; k < n; k++)
#pragma GCC unroll 12
        for (int i = 0; i < 12; i++)
            __asm__ volatile("vpdpbusd %1, %1, %0" : "+v"(sums[i]) : "v"(x));
}
