#include "tests/kcheck/peak.h"

/* Registers by name: the compiler would keep an array of sums in memory. */
#define VNNI(i) "vpdpbusd %%zmm31, %%zmm31, %%zmm" #i "\n\t"

void kpeak_vnni_avx512(uint64_t n) {
    for (uint64_t k = 0; k < n; k++)
        __asm__ volatile(VNNI(0) VNNI(1) VNNI(2) VNNI(3) VNNI(4) VNNI(5) VNNI(6) VNNI(7) VNNI(8)
                             VNNI(9) VNNI(10) VNNI(11)
                         :
                         :
                         : "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8",
                           "xmm9", "xmm10", "xmm11");
}
