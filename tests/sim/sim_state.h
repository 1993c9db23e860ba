/* A scenario that runs, as the simulation's own files see it. Test code; one thread. */
#ifndef RF_TESTS_SIM_STATE_H
#define RF_TESTS_SIM_STATE_H

#include "engine/scheduler.h"
#include "tests/sim/sim.h"

enum { MAX_CHOICES = 16, MAX_CONTEXT = 128, AGING_NS = 10000000 };

typedef struct request {
    const sim_event *event;
    bool accepted;
    uint32_t n_ended, rows_next, n_passed; /* n_passed: by less urgent ones that began before it */
    bool began;
    int64_t urgency;
    uint32_t place;              /* of its submission */
    uint32_t n_got[MAX_CHOICES]; /* tokens */
    bool ended[MAX_CHOICES];
    int32_t prompt[MAX_CONTEXT];
    int32_t got[MAX_CHOICES][MAX_CONTEXT];
} request;

typedef struct run {
    const sim_scenario *scenario;
    sim_outcome *outcome;
    rf_scheduler *sched;
    uint64_t *stored[2]; /* [n_blocks][block_tokens]: hash of the prefix that lies there */
    request *requests;   /* one an event */
    uint64_t now_us;
    bool crash;
} run;

/* The run has failed, and why; the first reason stays. */
void sim_wrong(run *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A request has rows in the step that begins. */
void sim_check_turn(run *r, request *q);

#endif
