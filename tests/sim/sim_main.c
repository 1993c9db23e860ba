/*
 * sim [--seconds N] [--seed S] [--count N] [FILE …]: runs scenarios from rising seeds for that time
 * or number, or those of the files. A failing one is shrunk and printed; exit status 1.
 * sim --plant finds and shrinks each planted fault; exit status 1 where it does not.
 * sim --bench times the scheduler.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "tests/sim/sim.h"

static sim_scenario scenario;

static int report(const char *what, const sim_outcome *outcome) {
    printf("%s: %s\nshrinking …\n", what, outcome->text);
    fflush(stdout);
    sim_shrink(&scenario);
    sim_outcome smaller;
    (void)sim_fails(&scenario, &smaller);
    printf("# %s\n", smaller.text);
    sim_print(stdout, &scenario);
    return 1;
}

/* Few events are left of a planted fault, and without it they are harmless. */
static int plant(void) {
    enum { MOST_SEEDS = 5000, MOST_EVENTS = 3 };
    for (uint64_t fault = 1; fault < SIM_FAULT_COUNT; fault++) {
        sim_outcome outcome = {0};
        uint64_t seed = 1;
        for (; seed < MOST_SEEDS && !outcome.failed; seed++) {
            sim_make(seed, &scenario);
            scenario.fault = fault;
            (void)sim_fails(&scenario, &outcome);
        }
        if (!outcome.failed) {
            printf("planted fault %" PRIu64 " is not found\n", fault);
            return 1;
        }
        (void)report("planted", &outcome);
        scenario.fault = SIM_FAULT_NONE;
        if (scenario.n_events > MOST_EVENTS || sim_fails(&scenario, &outcome)) {
            printf("planted fault %" PRIu64 " is not shrunk to its cause\n", fault);
            return 1;
        }
    }
    return 0;
}

static int replay(const char *path) {
    sim_outcome outcome;
    FILE *file = fopen(path, "r");
    bool read = file && sim_parse(file, &scenario);
    if (file)
        fclose(file);
    if (!read) {
        fprintf(stderr, "%s cannot be read\n", path);
        return 1;
    }
    sim_run(&scenario, &outcome);
    if (outcome.failed)
        printf("%s: %s\n", path, outcome.text);
    return outcome.failed;
}

static void add(sim_outcome *sum, const sim_outcome *one) {
    sum->n_steps += one->n_steps;
    sum->n_jobs += one->n_jobs;
    sum->n_preempted += one->n_preempted;
    sum->n_cached += one->n_cached;
    sum->n_evicted += one->n_evicted;
    sum->n_copied += one->n_copied;
    sum->n_awaited += one->n_awaited;
    sum->n_drafted += one->n_drafted;
    sum->n_accepted += one->n_accepted;
}

int main(int argc, char **argv) {
    uint64_t seed = 1, count = UINT64_MAX, n = 0;
    double seconds = 5;
    sim_outcome sum = {0}, one, again;
    int n_files = 0, failed = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--seconds") == 0 && i + 1 < argc)
            seconds = strtod(argv[++i], NULL);
        else if (strcmp(argv[i], "--seed") == 0 && i + 1 < argc)
            seed = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--count") == 0 && i + 1 < argc)
            count = strtoull(argv[++i], NULL, 10);
        else if (strcmp(argv[i], "--bench") == 0)
            return sim_bench();
        else if (strcmp(argv[i], "--plant") == 0)
            return plant();
        else {
            n_files++;
            failed |= replay(argv[i]);
        }
    }
    if (n_files > 0)
        return failed;
    uint64_t start = rf_clock_ns();
    for (; n < count && (double)(rf_clock_ns() - start) < seconds * 1e9; n++) {
        char what[64];
        sim_make(seed + n, &scenario);
        sim_run(&scenario, &one);
        (void)snprintf(what, sizeof what, "seed %" PRIu64, seed + n);
        if (one.failed)
            return report(what, &one);
        if (n % 16 == 0 && sim_fails(&scenario, &again))
            return report(what, &again);
        add(&sum, &one);
    }
    printf("%" PRIu64 " scenarios, %.0f a second: %" PRIu64 " jobs, %" PRIu64 " steps, %" PRIu64
           " preemptions, %" PRIu64 " cached tokens, %" PRIu64 " evictions, %" PRIu64
           " copies, %" PRIu64 " waits for a prefix, %" PRIu64 " of %" PRIu64 " drafts accepted\n",
           n, (double)n / ((double)(rf_clock_ns() - start) / 1e9), sum.n_jobs, sum.n_steps,
           sum.n_preempted, sum.n_cached, sum.n_evicted, sum.n_copied, sum.n_awaited,
           sum.n_accepted, sum.n_drafted);
    /* A simulation that never met these would prove nothing. */
    bool thin = n > 2000 && (!sum.n_preempted || !sum.n_cached || !sum.n_evicted || !sum.n_copied ||
                             !sum.n_awaited || !sum.n_accepted || sum.n_accepted == sum.n_drafted);
    return thin;
}
