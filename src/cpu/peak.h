/*
 * What this processor does at most, measured on the spot: the peaks that benchmarks divide by.
 * rf_cpu_peak_measure starts threads of its own and takes about half a second; one thread calls it
 * while nothing else runs.
 */
#ifndef RF_CPU_PEAK_H
#define RF_CPU_PEAK_H

#include "base/status.h"
#include <stddef.h>
#include <stdint.h>

typedef struct rf_cpu_peak {
    double read_bytes; /* a second, from memory much larger than the caches */
    double int8_ops;   /* a second, products and sums; 0 without AVX2 */
} rf_cpu_peak;

/* n_threads >= 1; features: RF_CPU_… bits that may be used. */
RF_NODISCARD rf_status rf_cpu_peak_measure(uint32_t n_threads, uint32_t features, rf_cpu_peak *out,
                                           rf_error *err);

/* n times 12 independent steps of 8-bit products: RF_PEAK_… operations each time. */
enum { RF_PEAK_OPS_AVX2 = 12 * 64, RF_PEAK_OPS_AVX512 = 12 * 128 };
void rf_peak_int8_avx2(uint64_t n);
void rf_peak_int8_avx512(uint64_t n); /* VNNI */
/* Reads bytes, a multiple of 512, 64-byte aligned. */
void rf_peak_read_avx2(const void *memory, size_t bytes);
void rf_peak_read_avx512(const void *memory, size_t bytes);

#endif
