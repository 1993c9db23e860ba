/* What this processor can do, as a bit set. Any thread. */
#ifndef RF_BASE_CPU_FEATURES_H
#define RF_BASE_CPU_FEATURES_H

#include <stdint.h>

#include "base/status.h"

enum {
#define X(id, name, has) RF_CPU_##id##_BIT,
#include "base/cpu_features.def"
#undef X
    RF_CPU_FEATURE_COUNT
};

enum {
#define X(id, name, has) RF_CPU_##id = 1 << RF_CPU_##id##_BIT,
#include "base/cpu_features.def"
#undef X
    /* the two levels that kernels are written for */
    RF_CPU_LEVEL_AVX2 = RF_CPU_F16C | RF_CPU_FMA | RF_CPU_AVX2,
    RF_CPU_LEVEL_AVX512 = RF_CPU_LEVEL_AVX2 | RF_CPU_AVX512F | RF_CPU_AVX512BW | RF_CPU_AVX512DQ |
                          RF_CPU_AVX512VL | RF_CPU_AVX512VNNI
};

uint32_t rf_cpu_features(void); /* bits RF_CPU_… that processor and kernel offer */
/* The bits that a level lets kernels use: "auto" (all), "avx512", "avx2" or "none". A level that
 * the processor does not have: RF_ERR_UNSUPPORTED; an unknown one: RF_ERR_USAGE. */
RF_NODISCARD rf_status rf_cpu_features_named(const char *level, uint32_t *out, rf_error *err);
/* The best level that the processor has: "avx512", "avx2" or "none". */
const char *rf_cpu_best_level(void);
const char *rf_cpu_feature_name(int bit);
int rf_cpu_count(void); /* processors that this process may use, at least 1 */

#endif
