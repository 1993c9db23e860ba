/*
 * Scenarios of arrivals, cancels and crashes for the scheduler and its cache, run on a model that
 * only remembers what was stored where, in virtual time. A scenario is made from a seed, or read
 * from its text form; one that fails is shrunk and printed. Test code; one thread.
 */
#ifndef RF_TESTS_SIM_H
#define RF_TESTS_SIM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { SIM_MAX_EVENTS = 256, SIM_TEXT_BYTES = 256 };
enum { SIM_SUBMIT, SIM_CANCEL, SIM_CRASH };

/* Planted: what the scheduler would do if it had such an error; each must be found and shrunk. */
enum {
    SIM_FAULT_NONE,
    SIM_FAULT_COPY,  /* forgets a block that must be copied before it is written */
    SIM_FAULT_TABLE, /* gives a sequence its neighbour's blocks */
    SIM_FAULT_FREE,  /* loses a job that was cancelled */
    SIM_FAULT_ORDER, /* plans differ from run to run */
    SIM_FAULT_COUNT
};

typedef struct sim_event {
#define SIM_EVENT(name, least, most) uint64_t name;
#include "tests/sim/sim_fields.def"
} sim_event;

typedef struct sim_scenario {
#define SIM_CONFIG(name, least, most) uint64_t name;
#include "tests/sim/sim_fields.def"
    uint32_t n_events;
    sim_event events[SIM_MAX_EVENTS]; /* by at_us */
} sim_scenario;

typedef struct sim_outcome {
    bool failed;
    char text[SIM_TEXT_BYTES]; /* what was wrong */
    uint64_t trace;            /* of every plan: the same for the same scenario */
    uint64_t n_steps, n_preempted, n_cached, n_evicted, n_copied, n_awaited, n_drafted, n_accepted,
        n_jobs;
} sim_outcome;

void sim_make(uint64_t seed, sim_scenario *out);
void sim_print(FILE *file, const sim_scenario *scenario);
bool sim_parse(FILE *file, sim_scenario *out); /* false, and a message, for a line it cannot read */
void sim_run(const sim_scenario *scenario, sim_outcome *out);
/* Runs it twice: the order of everything must be the same. */
bool sim_fails(const sim_scenario *scenario, sim_outcome *out);
/* The smallest scenario found that still fails. */
void sim_shrink(sim_scenario *scenario);

/* Token i of a request's prompt. */
int32_t sim_prompt_token(const sim_scenario *scenario, const sim_event *event, uint32_t i);
uint64_t sim_mix(uint64_t a, uint64_t b);

/* Times steps and prints the result; returns an exit status. */
int sim_bench(void);

#endif
