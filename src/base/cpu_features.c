#include "base/cpu_features.h"

#include <sched.h>

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
