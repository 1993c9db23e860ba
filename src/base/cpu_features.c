#include "base/cpu_features.h"

#include <sched.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>

/* clang 14 has no name for it. AVX is what the system must save for its registers. */
static int has_f16c(void) {
    unsigned a, b, c, d;
    return __get_cpuid(1, &a, &b, &c, &d) && (c & bit_F16C) && __builtin_cpu_supports("avx");
}
#endif

uint32_t rf_cpu_features(void) {
    uint32_t bits = 0;
#if defined(__x86_64__)
    __builtin_cpu_init();
#define X(id, name, has) \
    if (has)             \
        bits |= (uint32_t)RF_CPU_##id;
#include "base/cpu_features.def"
#undef X
#endif
    return bits;
}

rf_status rf_cpu_features_named(const char *level, uint32_t *out, rf_error *err) {
    static const struct {
        const char *name;
        uint32_t needs, allows;
    } levels[] = {{"auto", 0, UINT32_MAX},
                  {"avx512", RF_CPU_LEVEL_AVX512, UINT32_MAX},
                  {"avx2", RF_CPU_LEVEL_AVX2, RF_CPU_LEVEL_AVX2},
                  {"none", 0, 0}};
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        if (strcmp(level, levels[i].name) != 0)
            continue;
        if ((rf_cpu_features() & levels[i].needs) != levels[i].needs)
            return rf_fail(err, RF_ERR_UNSUPPORTED,
                           "isa %s: this processor does not have it; expected auto or less", level);
        *out = levels[i].allows;
        return RF_OK;
    }
    return rf_fail(err, RF_ERR_USAGE, "isa %.40s is unknown, expected auto, avx512, avx2 or none",
                   level);
}

const char *rf_cpu_feature_name(int bit) {
    static const char *const names[] = {
#define X(id, name, has) name,
#include "base/cpu_features.def"
#undef X
    };
    return bit >= 0 && bit < RF_CPU_FEATURE_COUNT ? names[bit] : "unknown";
}

int rf_cpu_count(void) {
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0)
        return 1;
    int n = CPU_COUNT(&set);
    return n > 0 ? n : 1;
}

const char *rf_cpu_best_level(void) {
    uint32_t has = rf_cpu_features();
    return (has & RF_CPU_LEVEL_AVX512) == RF_CPU_LEVEL_AVX512 ? "avx512"
           : (has & RF_CPU_LEVEL_AVX2) == RF_CPU_LEVEL_AVX2   ? "avx2"
                                                              : "none";
}
