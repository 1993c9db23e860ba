/*
 * kcheck: every kernel variant against the reference, under every feature mask that this
 * processor can run, with odd shapes, pathological values and guard rows around each output.
 * A failed run prints the seed that repeats it. One thread calls these.
 */
#ifndef RF_KCHECK_H
#define RF_KCHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rng.h"
#include "base/status.h"

typedef struct kcheck {
    rf_rng rng;
    uint64_t seed;
    const char *name;   /* of the running check */
    const char *filter; /* names what runs: part of a check's name, or beginning with it */
    unsigned n_comparisons, n_failures;
} kcheck;

#define X(name)                    \
    void kcheck_##name(kcheck *k); \
    void kbench_##name(kcheck *k);
#include "tests/kcheck/kcheck.def"
#undef X

/* Mixes of values that kernels meet or fear. */
typedef enum kcheck_mix {
    KMIX_NORMAL,  /* mean 0, deviation 1 */
    KMIX_UNIFORM, /* -1 … 1 */
    KMIX_ZERO,
    KMIX_CONSTANT,  /* all the same: no cancellation */
    KMIX_ALTERNATE, /* signs alternate: all cancels */
    KMIX_OUTLIER,   /* normal, one value 1000 times larger */
    KMIX_TINY,      /* near 1e-20 */
    KMIX_LARGE,     /* near 1e4 */
    KMIX_SPARSE,    /* nine of ten are 0 */
    KMIX_COUNT
} kcheck_mix;

const char *kcheck_mix_name(kcheck_mix mix);
void kcheck_fill(kcheck *k, kcheck_mix mix, float *out, size_t n);
void kcheck_bytes(kcheck *k, void *out, size_t n); /* random bytes */
uint32_t kcheck_below(kcheck *k, uint32_t n);      /* 0 … n-1 */

/* Memory between two guards of 512 bytes, 64-byte aligned, filled with a pattern of NaNs. */
void *kcheck_alloc(size_t bytes);
/* Checks the guards and frees. Something written outside is a failure of `what`. */
void kcheck_free(kcheck *k, void *ptr, const char *what);

/* Feature masks to run variants under: 0 (reference), each level, all of the processor. Returns
 * how many; only masks that this processor can run, each once. */
enum { KCHECK_MAX_MASKS = 4 };
size_t kcheck_masks(uint32_t masks[KCHECK_MAX_MASKS]);

/* Counts a comparison; a failure is printed with the check's name. */
bool kcheck_expect(kcheck *k, bool ok, const char *fmt, ...) RF_PRINTF(3, 4);
/* |got - want| <= tolerance * scale, both finite, or both NaN, or the same infinity. */
bool kcheck_close(kcheck *k, const char *what, size_t i, float got, float want, double bound);

/* Times fn(user) for about 0.2 s; returns the best seconds of one call. */
double kcheck_time(void (*fn)(void *user), void *user);
/* Prints one line: name, microseconds, and the rate in `unit` (work: units a call). */
void kcheck_report(const char *name, double seconds, double work, const char *unit);

#endif
