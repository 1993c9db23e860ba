/*
 * Counter-based random numbers: Philox 4x32-10 (Salmon et al., "Parallel random numbers: as easy
 * as 1, 2, 3", SC 2011). The n-th draw of a stream depends on (seed, stream, n) alone, so a seed
 * gives the same text on any thread count and any device. A stream is used by one thread.
 */
#ifndef RF_BASE_RNG_H
#define RF_BASE_RNG_H

#include <stdint.h>

typedef struct rf_rng {
    uint64_t seed;
    uint64_t stream;
    uint64_t counter; /* index of the next draw */
} rf_rng;

static inline rf_rng rf_rng_make(uint64_t seed, uint64_t stream) {
    return (rf_rng){seed, stream, 0};
}
/* The block of four 32-bit words at a counter: the definition that GPU kernels repeat. */
void rf_philox4x32(uint64_t seed, uint64_t stream, uint64_t counter, uint32_t out[4]);

uint32_t rf_rng_u32(rf_rng *rng);
uint64_t rf_rng_u64(rf_rng *rng);
float rf_rng_float(rf_rng *rng);   /* uniform in [0, 1), 24 bits */
double rf_rng_double(rf_rng *rng); /* uniform in [0, 1), 53 bits */
float rf_rng_normal(rf_rng *rng);  /* mean 0, deviation 1 (Box-Muller) */
/* Uniform in 0 … n-1, n > 0, without bias worth naming (Lemire's multiply). */
uint32_t rf_rng_below(rf_rng *rng, uint32_t n);

#endif
