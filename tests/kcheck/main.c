#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/map.h"
#include "tests/kcheck/kcheck.h"

static const struct {
    const char *name;
    void (*check)(kcheck *k);
    void (*bench)(kcheck *k);
} checks[] = {
#define X(name) {#name, kcheck_##name, kbench_##name},
#include "tests/kcheck/kcheck.def"
#undef X
};

static int usage(void) {
    fprintf(stderr, "usage: kcheck [--seed N] [--filter NAME] [--bench]\n");
    return 2;
}

int main(int argc, char **argv) {
    uint64_t seed = rf_hash_random_seed();
    const char *filter = "";
    bool bench = false;
    for (int i = 1; i < argc; i++) {
        char *end = NULL;
        if (strcmp(argv[i], "--bench") == 0)
            bench = true;
        else if (strcmp(argv[i], "--filter") == 0 && i + 1 < argc)
            filter = argv[++i];
        else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            seed = strtoull(argv[++i], &end, 0);
        else
            return usage();
        if (end && *end)
            return usage();
    }
    printf("kcheck --seed %llu\n", (unsigned long long)seed);
    unsigned failures = 0, ran = 0;
    for (size_t i = 0; i < sizeof checks / sizeof checks[0]; i++) {
        if (!strstr(checks[i].name, filter) && strstr(filter, checks[i].name) != filter)
            continue;
        kcheck k = {rf_rng_make(seed, i), seed, checks[i].name, filter, 0, 0};
        (bench ? checks[i].bench : checks[i].check)(&k);
        if (!bench)
            printf("%-16s %8u comparisons, %u failures\n", k.name, k.n_comparisons, k.n_failures);
        failures += k.n_failures;
        ran++;
    }
    if (ran == 0)
        fprintf(stderr, "kcheck: no check is named like \"%s\"\n", filter);
    return failures || !ran ? 1 : 0;
}
