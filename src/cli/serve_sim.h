/*
 * `bench --serve-sim`: requests that arrive at an engine as they would at a server, and what each
 * of them waited for. Main thread.
 */
#ifndef RF_CLI_SERVE_SIM_H
#define RF_CLI_SERVE_SIM_H

#include "cli/bench.h"
#include "engine/engine.h"

/* What arrives. The same seed gives the same requests at every rate. */
typedef struct rf_sim_load {
    uint32_t n_requests, n_together; /* at most so many at once; 0 = any number */
    uint32_t n_input, n_output;      /* mean tokens of a prompt of its own, and of an answer */
    uint32_t n_prefix;               /* tokens that all prompts begin with */
    double spread;                   /* lengths are uniform in mean * (1 ± spread) */
    uint64_t seed;
    uint32_t n_intrude; /* instead: tokens of a prompt that arrives beside a running stream */
} rf_sim_load;

/* Milliseconds. */
typedef struct rf_sim_spread {
    double mean, p50, p90, p99, most;
} rf_sim_spread;

typedef struct rf_sim_result {
    double rate; /* arrivals a second; infinite: all at once */
    uint32_t n_requests;
    double seconds;
    rf_sim_spread first_token, gap, whole; /* TTFT, between tokens, of a request */
    uint64_t n_input, n_output;            /* tokens */
    uint64_t n_computed, n_cached;         /* tokens of prompts */
    uint64_t n_preempted;
    rf_sim_spread
        quiet; /* with n_intrude: gaps before the prompt came; gap: while it was computed */
} rf_sim_result;

typedef struct rf_sim rf_sim;

/* Longest request of a load, tokens. */
uint32_t rf_sim_context(const rf_sim_load *load);
/* engine: borrowed, nobody else's; n_vocab: ids are below it. */
RF_NODISCARD rf_status rf_sim_create(rf_engine *engine, const rf_sim_load *load, uint32_t n_vocab,
                                     rf_sim **out, rf_error *err);
void rf_sim_destroy(rf_sim *sim); /* NULL is a no-op */
/* Each run has cached prefixes of its own. */
RF_NODISCARD rf_status rf_sim_run(rf_sim *sim, double rate, bool quiet, rf_sim_result *out,
                                  rf_error *err);

/* A row for each result, in the format; JSON is a list. */
RF_NODISCARD rf_status rf_sim_report(const rf_sim_result *results, size_t n, const char *model,
                                     bool intrudes, rf_bench_format format, rf_error *err);

/* The command: bench with --serve-sim. */
RF_NODISCARD rf_status rf_serve_sim(rf_cli *cli, const rf_bench_source *source, rf_error *err);

#endif
