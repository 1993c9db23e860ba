#include "base/rng.h"

#include <math.h>

void rf_philox4x32(uint64_t seed, uint64_t stream, uint64_t counter, uint32_t out[4]) {
    uint32_t c0 = (uint32_t)counter, c1 = (uint32_t)(counter >> 32);
    uint32_t c2 = (uint32_t)stream, c3 = (uint32_t)(stream >> 32);
    uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

uint32_t rf_rng_u32(rf_rng *rng) {
    uint32_t words[4];
    rf_philox4x32(rng->seed, rng->stream, rng->counter++, words);
    return words[0];
}

uint64_t rf_rng_u64(rf_rng *rng) {
    uint32_t words[4];
    rf_philox4x32(rng->seed, rng->stream, rng->counter++, words);
    return (uint64_t)words[1] << 32 | words[0];
}

float rf_rng_float(rf_rng *rng) { return (float)(rf_rng_u32(rng) >> 8) * 0x1p-24f; }
double rf_rng_double(rf_rng *rng) { return (double)(rf_rng_u64(rng) >> 11) * 0x1p-53; }

float rf_rng_normal(rf_rng *rng) {
    double u = 1.0 - rf_rng_double(rng), v = rf_rng_double(rng);
    return (float)(sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v));
}

uint32_t rf_rng_below(rf_rng *rng, uint32_t n) {
    return (uint32_t)((uint64_t)rf_rng_u32(rng) * n >> 32);
}
