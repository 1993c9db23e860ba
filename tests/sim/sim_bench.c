/* What a step of the scheduler and the cache costs without a model: 256 sequences, 10,000 blocks.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "engine/scheduler.h"
#include "tests/sim/sim.h"

enum { SEQS = 256, BLOCKS = 10000, PROMPT = 500, PROMPTS = 2000, STEPS = 20000 };

static int compare(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static bool feed(rf_scheduler *sched, const int32_t *text, uint64_t *id) {
    rf_error err = {0};
    rf_job job = {.id = ++*id,
                  .tokens = text + sim_mix(*id, 1) % PROMPTS,
                  .n_tokens = PROMPT,
                  .n_new = 400 + (uint32_t)(sim_mix(*id, 2) % 400),
                  .n_choices = 1,
                  .rows_from = PROMPT - 1,
                  .rows_to = PROMPT};
    return rf_scheduler_submit(sched, &job, *id * 1000, &err) == RF_OK;
}

int sim_bench(void) {
    static int32_t text[PROMPTS + PROMPT];
    static uint64_t ns[STEPS];
    rf_sched_config config = {.kv = {.n_groups = 1,
                                     .n_blocks = {BLOCKS},
                                     .block_tokens = 32,
                                     .max_seqs = SEQS,
                                     .max_context = 8192,
                                     .key = {1, 2}},
                              .max_tokens = 2048,
                              .max_outputs = SEQS,
                              .max_waiting = 1024,
                              .max_waiting_tokens = 1 << 24,
                              .target_ns = 10000000};
    rf_scheduler *sched;
    rf_error err = {0};
    rf_step *step;
    uint64_t id = 0, sum = 0, n_rows = 0;
    for (int i = 0; i < PROMPTS + PROMPT; i++)
        text[i] = (int32_t)(sim_mix(3, (uint64_t)i) % 50000);
    if (rf_scheduler_create(&config, &sched, &err) != RF_OK)
        return 1;
    for (int i = 0; i < STEPS; i++) {
        while (rf_scheduler_n_jobs(sched) < SEQS + 64 && feed(sched, text, &id)) {
        }
        uint64_t start = rf_clock_ns(), elapsed = 4000000;
        if (!rf_scheduler_plan(sched, &step))
            return 1;
        n_rows += (uint64_t)step->batch.n_tokens;
        for (uint32_t s = 0; s < step->n_samples; s++)
            step->samples[s].tokens[0] = (int32_t)(sim_mix(id, s) % 50000);
        rf_scheduler_commit(sched, elapsed + step->n_prefill * 20000);
        ns[i] = rf_clock_ns() - start;
        sum += ns[i];
    }
    qsort(ns, STEPS, sizeof ns[0], compare);
    printf("%d sequences, %d blocks: %.1f us a step (p50 %.1f, p99 %.1f) of %.0f rows\n", SEQS,
           BLOCKS, (double)sum / STEPS / 1e3, (double)ns[STEPS / 2] / 1e3,
           (double)ns[STEPS / 100 * 99] / 1e3, (double)n_rows / STEPS);
    rf_scheduler_destroy(sched);
    return 0;
}
