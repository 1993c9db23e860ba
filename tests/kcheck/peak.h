/*
 * What this processor does at most, measured on the spot with one thread. Any thread.
 */
#ifndef RF_KCHECK_PEAK_H
#define RF_KCHECK_PEAK_H

#include <stdint.h>

/* Runs n times 12 independent VNNI instructions: 1536 8-bit operations each. AVX-512 VNNI only. */
void kpeak_vnni_avx512(uint64_t n);

double kpeak_int8(void); /* operations a second; 0 without AVX-512 VNNI */
double kpeak_read(void); /* bytes a second from memory; 0 when there is none to spare */

#endif
