#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/cpu_features.h"
#include "tests/kcheck/kcheck.h"

enum { GUARD_BYTES = 512, GUARD_BYTE = 0xA5, MAX_PRINTED = 30 };

const char *kcheck_mix_name(kcheck_mix mix) {
    static const char *const names[] = {"normal",  "uniform", "zero",  "constant", "alternate",
                                        "outlier", "tiny",    "large", "sparse"};
    return (unsigned)mix < KMIX_COUNT ? names[mix] : "unknown";
}

static float mix_value(kcheck *k, kcheck_mix mix, size_t i) {
    float normal = rf_rng_normal(&k->rng);
    switch (mix) {
    case KMIX_UNIFORM: return 2.0f * rf_rng_float(&k->rng) - 1.0f;
    case KMIX_ZERO: return 0.0f;
    case KMIX_CONSTANT: return 0.75f;
    case KMIX_ALTERNATE: return i % 2 ? -1.25f : 1.25f;
    case KMIX_TINY: return normal * 1e-20f;
    case KMIX_LARGE: return normal * 1e4f;
    case KMIX_SPARSE: return rf_rng_below(&k->rng, 10) == 0 ? normal : 0.0f;
    default: return normal;
    }
}

void kcheck_fill(kcheck *k, kcheck_mix mix, float *out, size_t n) {
    for (size_t i = 0; i < n; i++)
        out[i] = mix_value(k, mix, i);
    if (mix == KMIX_OUTLIER && n > 0)
        out[rf_rng_below(&k->rng, (uint32_t)n)] *= 1000.0f;
}

void kcheck_bytes(kcheck *k, void *out, size_t n) {
    uint8_t *bytes = out;
    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)rf_rng_u32(&k->rng);
}

uint32_t kcheck_below(kcheck *k, uint32_t n) { return rf_rng_below(&k->rng, n); }

void *kcheck_alloc(size_t bytes) {
    uint8_t *base = rf_alloc_aligned(64, bytes + 2 * GUARD_BYTES);
    if (!base)
        return NULL;
    memset(base, GUARD_BYTE, GUARD_BYTES);
    memset(base + GUARD_BYTES, 0xFF, bytes);
    memset(base + GUARD_BYTES + bytes, GUARD_BYTE, GUARD_BYTES);
    memcpy(base, &bytes, sizeof bytes);
    return base + GUARD_BYTES;
}

void kcheck_free(kcheck *k, void *ptr, const char *what) {
    if (!ptr)
        return;
    uint8_t *base = (uint8_t *)ptr - GUARD_BYTES;
    size_t bytes, first = 0;
    memcpy(&bytes, base, sizeof bytes);
    for (size_t i = sizeof bytes; i < GUARD_BYTES; i++)
        first += base[i] != GUARD_BYTE;
    for (size_t i = 0; i < GUARD_BYTES; i++)
        first += ((uint8_t *)ptr)[bytes + i] != GUARD_BYTE;
    kcheck_expect(k, first == 0, "%s: %zu guard bytes were written", what, first);
    rf_free_aligned(base);
}

size_t kcheck_masks(uint32_t masks[KCHECK_MAX_MASKS]) {
    uint32_t have = rf_cpu_features();
    const uint32_t levels[KCHECK_MAX_MASKS] = {0, RF_CPU_LEVEL_AVX2, RF_CPU_LEVEL_AVX512, have};
    size_t n = 0;
    for (size_t i = 0; i < KCHECK_MAX_MASKS; i++) {
        bool again = (levels[i] & ~have) != 0;
        for (size_t j = 0; j < n; j++)
            again = again || masks[j] == levels[i];
        if (!again)
            masks[n++] = levels[i];
    }
    return n;
}

bool kcheck_expect(kcheck *k, bool ok, const char *fmt, ...) {
    k->n_comparisons++;
    if (ok)
        return true;
    if (++k->n_failures <= MAX_PRINTED) {
        va_list args;
        va_start(args, fmt);
        printf("FAIL %s: ", k->name);
        vprintf(fmt, args);
        printf("\n");
        va_end(args);
    }
    return false;
}

bool kcheck_close(kcheck *k, const char *what, size_t i, float got, float want, double bound) {
    bool ok;
    if (isfinite(got) && isfinite(want))
        ok = fabs((double)got - (double)want) <= bound;
    else
        ok = (isnan(got) && isnan(want)) || (isinf(got) && got == want);
    return kcheck_expect(k, ok, "%s[%zu] = %.9g, want %.9g within %.3g", what, i, (double)got,
                         (double)want, bound);
}

double kcheck_time(void (*fn)(void *user), void *user) {
    double best = INFINITY;
    uint64_t start = rf_clock_ns();
    fn(user);
    do {
        uint64_t t0 = rf_clock_ns();
        fn(user);
        best = fmin(best, (double)(rf_clock_ns() - t0) * 1e-9);
    } while (rf_clock_ns() - start < 200000000u);
    return best;
}

void kcheck_report(const char *name, double seconds, double work, const char *unit) {
    printf("%-44s %10.2f us %10.2f %s\n", name, seconds * 1e6, work / seconds * 1e-9, unit);
}
