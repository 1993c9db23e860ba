/* How many drafts pay, by injected costs; what prompt lookup finds; what drafts may not take. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "engine/draft_choice.h"

/* ---- choice -------------------------------------------------------------------------------- */

/* A machine on which a step takes base_ns and row_ns for each row after the first. */
typedef struct machine {
    double base_ns, row_ns, token_ns; /* token_ns: a draft model's run, 0: lookup */
    double chance;                    /* that a draft comes true */
    rf_draft_costs costs;
    rf_draft_record record;
    uint64_t luck;
    double ns;
    uint32_t n_tokens, n_drafts, n_steps_with;
} machine;

static double roll(machine *m) {
    m->luck = m->luck * 6364136223846793005u + 1442695040888963407u;
    return (double)(m->luck >> 33) / (double)(1u << 31);
}

static void run(machine *m, uint32_t n_steps, uint32_t n_most) {
    m->ns = 0;
    m->n_tokens = m->n_drafts = m->n_steps_with = 0;
    for (uint32_t i = 0; i < n_steps; i++) {
        rf_draft_offer offer = {
            .record = &m->record, .n_most = n_most, .from_model = m->token_ns > 0};
        rf_draft_choose(&m->costs, 1, 17, &offer, 1);
        uint32_t n = offer.n_chosen, n_true = 0;
        assert_in_range(n, 0, n_most);
        while (n_true < n && roll(m) < m->chance)
            n_true++;
        double step_ns = m->base_ns + n * m->row_ns;
        rf_draft_costs_learn(&m->costs, 1 + n, n, (uint64_t)step_ns);
        if (n > 0 && m->token_ns > 0)
            rf_draft_costs_learn_token(&m->costs, (uint64_t)m->token_ns);
        if (n > 0)
            rf_draft_record_learn(&m->record, 0.0625f, 0, n, n_true, false);
        m->ns += step_ns + n * m->token_ns;
        m->n_tokens += 1 + n_true;
        m->n_drafts += n;
        m->n_steps_with += n > 0;
    }
}

static machine make(double row_ns, double token_ns, double chance) {
    return (machine){.base_ns = 1e6,
                     .row_ns = row_ns,
                     .token_ns = token_ns,
                     .chance = chance,
                     .record = rf_draft_record_make(RF_DRAFT_MODEL)};
}

static double gain(const machine *m) { return m->n_tokens * m->base_ns / m->ns; }

static void test_drafts_that_pay(void **state) {
    (void)state;
    machine m = make(0.05e6, 0, 0.9);
    run(&m, 300, 8);
    run(&m, 2000, 8);
    assert_true(gain(&m) > 3); /* 8 of them: 6.1 tokens in 1.4 steps */
    assert_true(m.n_drafts > 2000 * 6);
    m = make(0.05e6, 0.1e6, 0.8);
    run(&m, 300, 8);
    run(&m, 2000, 8);
    assert_true(gain(&m) > 1.9);
    assert_in_range(m.n_drafts, 2000 * 5 / 2,
                    2000 * 7); /* not all 8: the last ones are not likely */
}

static void test_drafts_that_lose(void **state) {
    (void)state;
    const struct {
        double row_ns, token_ns, chance;
        uint32_t least; /* steps with drafts: none where even true ones would lose */
    } cases[] = {
        {0.05e6, 0, 0, 1}, {1e6, 0, 0.9, 0}, {0.05e6, 1e6, 0.9, 0}, {0.2e6, 0.2e6, 0.2, 1}};
    for (int i = 0; i < 4; i++) {
        machine m = make(cases[i].row_ns, cases[i].token_ns, cases[i].chance);
        run(&m, 1000, 8);
        run(&m, 8000, 8);
        /* now and then, ever more seldom */
        assert_in_range(m.n_steps_with, cases[i].least, 8000 / 300);
        assert_true(gain(&m) > 0.99);
    }
}

static void test_switches_off_and_on_again(void **state) {
    (void)state;
    machine m = make(0.1e6, 0, 0.9);
    run(&m, 500, 4);
    assert_true(m.n_steps_with > 400);
    m.chance = 0.02;
    run(&m, 200, 4);
    run(&m, 2000, 4);
    assert_true(m.n_steps_with < 2000 / 60);
    m.chance = 0.95;
    run(&m, 8000, 4);
    run(&m, 500, 4);
    assert_true(m.n_steps_with > 400);
    m.row_ns = 2e6; /* the same drafts on a machine that has become busy */
    run(&m, 3000, 4);
    run(&m, 2000, 4);
    assert_true(m.n_steps_with < 2000 / 60);
}

/* Rows go where they are likeliest to count, and not beyond what the step can take. */
static void test_rows_are_shared_out(void **state) {
    (void)state;
    rf_draft_costs costs = {0};
    rf_draft_record sure = rf_draft_record_make(RF_DRAFT_MODEL), unsure = sure;
    for (uint32_t i = 0; i < RF_DRAFTS_MAX; i++) {
        sure.chance[0][i] = 0.9f;
        unsure.chance[0][i] = 0.3f;
    }
    rf_draft_offer offers[] = {{.record = &unsure, .n_most = 8}, {.record = &sure, .n_most = 8}};
    rf_draft_choose(&costs, 2, 12, offers, 2);
    assert_int_equal(offers[0].n_chosen + offers[1].n_chosen, 0); /* nothing is known yet */
    rf_draft_costs_learn(&costs, 2, 0, 1000000);
    rf_draft_costs_learn(&costs, 12, 0, 1100000);
    rf_draft_choose(&costs, 2, 8, offers, 2);
    assert_int_equal(offers[0].n_chosen + offers[1].n_chosen, 6);
    assert_true(offers[1].n_chosen >= 5);
    rf_draft_costs_learn(&costs, 12, 0, 2200000);
    rf_draft_costs dear = costs;
    for (int i = 0; i < 50; i++)
        rf_draft_costs_learn(&dear, 12, 0, 9000000);
    rf_draft_choose(&dear, 2, 12, offers, 2);
    assert_int_equal(offers[0].n_chosen, 0);
    rf_draft_choose(&costs, RF_DRAFT_ROWS, 2 * RF_DRAFT_ROWS, offers, 2);
    assert_int_equal(offers[0].n_chosen + offers[1].n_chosen, 0);
}

/* ---- lookup -------------------------------------------------------------------------------- */

static rf_draft_ask look(const int32_t *tokens, uint32_t n, uint32_t n_wanted) {
    rf_draft_ask ask = {.place = {.tokens = tokens, .n_tokens = n}, .n_wanted = n_wanted};
    rf_draft_lookup(&ask, 1);
    return ask;
}

static void test_lookup(void **state) {
    (void)state;
    const int32_t text[] = {1, 2, 3, 4, 5, 9, 9, 3, 4, 6, 1, 2, 3, 4};
    rf_draft_ask ask = look(text, 14, 3); /* 1 2 3 4 once: longer than the later 3 4 */
    assert_int_equal(ask.n_drafts, 3);
    assert_int_equal(ask.grade, 3);
    const int32_t after[] = {5, 9, 9};
    assert_memory_equal(ask.drafts, after, sizeof after);
    ask = look(text + 1, 8, 8); /* 3 4 */
    assert_int_equal(ask.grade, 1);
    assert_int_equal(ask.n_drafts, 5); /* what lies between, and no more */
    assert_int_equal(ask.drafts[4], 4);
    ask = look(text, 10, 8);
    assert_int_equal(ask.n_drafts, 0); /* 6 is new */
    ask = look(text, 7, 8);
    assert_int_equal(ask.n_drafts, 1); /* a run of one token goes on */
    assert_int_equal(ask.drafts[0], 9);
    assert_int_equal(look(text, 1, 8).n_drafts, 0);
    assert_int_equal(look(text, 14, 0).n_drafts, 0);
}

/* ---- the scheduler's side ------------------------------------------------------------------ */

typedef struct counts {
    uint64_t n_preempted, n_accepted, n_drafted, n_steps;
} counts;

/* Sequences that fill the pool to its last block, with drafts that come true or never do. */
static counts fill_pool(uint32_t n_drafts, bool right) {
    enum { SEQS = 3, PROMPT = 8, NEW = 24 };
    rf_sched_config config = {.kv = {.n_groups = 2,
                                     .windows = {0, 6},
                                     .n_blocks = {SEQS * 8, SEQS * 5},
                                     .block_tokens = 4,
                                     .max_seqs = SEQS,
                                     .max_context = PROMPT + NEW,
                                     .key = {3, 4}},
                              .max_tokens = 100,
                              .max_outputs = 30,
                              .max_waiting = SEQS,
                              .max_waiting_tokens = 1000};
    rf_scheduler *sched = NULL;
    rf_error err = {0};
    int32_t prompt[SEQS][PROMPT];
    counts n = {0};
    assert_int_equal(rf_scheduler_create(&config, &sched, &err), RF_OK);
    for (uint32_t s = 0; s < SEQS; s++) {
        for (uint32_t t = 0; t < PROMPT; t++)
            prompt[s][t] = (int32_t)(1000 * s + t);
        rf_job job = {.id = s + 1,
                      .tokens = prompt[s],
                      .n_tokens = PROMPT,
                      .n_new = NEW,
                      .n_choices = 1,
                      .rows_from = PROMPT - 1,
                      .rows_to = PROMPT};
        assert_int_equal(rf_scheduler_submit(sched, &job, 1, &err), RF_OK);
    }
    for (;; n.n_steps++) {
        rf_draft_place places[SEQS];
        rf_step *step;
        uint32_t n_places = rf_scheduler_draft_places(sched, places, SEQS);
        for (uint32_t i = 0; i < n_places; i++) {
            int32_t drafts[RF_DRAFTS_MAX];
            for (uint32_t k = 0; k < n_drafts; k++) /* each token is the one before and 1 */
                drafts[k] = places[i].tokens[places[i].n_tokens - 1] + (int32_t)(right ? k + 1 : 0);
            rf_scheduler_propose(sched, places[i].seq, drafts, n_drafts);
        }
        if (!rf_scheduler_plan(sched, &step))
            break;
        assert_true((uint32_t)step->batch.n_outputs <= config.max_outputs);
        for (uint32_t i = 0; i < step->n_samples; i++) {
            rf_step_sample *sample = &step->samples[i];
            const rf_step_entry *entry = &step->entries[sample->entry];
            uint32_t row = entry->first_row + entry->n_rows - 1 - sample->n_drafts;
            for (uint32_t k = 0; k <= sample->n_drafts; k++) {
                sample->tokens[k] = step->batch.tokens[row + k] + 1;
                sample->n_tokens = k + 1;
                if (k < sample->n_drafts && sample->tokens[k] != sample->drafts[k])
                    break;
            }
        }
        rf_scheduler_commit(sched, 1000000);
        assert_true(rf_scheduler_is_sound(sched));
    }
    rf_sched_counters counters = rf_scheduler_counters(sched);
    assert_int_equal(rf_scheduler_n_jobs(sched), 0);
    assert_int_equal(rf_kv_cache_available(rf_scheduler_cache(sched), 0), config.kv.n_blocks[0]);
    n.n_preempted = counters.n_preempted;
    n.n_accepted = counters.n_accepted;
    n.n_drafted = counters.n_draft_rows;
    rf_scheduler_destroy(sched);
    return n;
}

static void test_drafts_pause_nobody(void **state) {
    (void)state;
    counts without = fill_pool(0, false), wrong = fill_pool(8, false), right = fill_pool(8, true);
    assert_int_equal(without.n_preempted, 0);
    assert_int_equal(wrong.n_preempted, 0);
    assert_int_equal(right.n_preempted, 0);
    assert_int_equal(wrong.n_accepted, 0);
    assert_true(wrong.n_drafted > 100);
    assert_int_equal(wrong.n_steps, without.n_steps);
    assert_int_equal(right.n_accepted, right.n_drafted);
    assert_true(right.n_steps < without.n_steps / 2);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_drafts_that_pay),
                                       cmocka_unit_test(test_drafts_that_lose),
                                       cmocka_unit_test(test_switches_off_and_on_again),
                                       cmocka_unit_test(test_rows_are_shared_out),
                                       cmocka_unit_test(test_lookup),
                                       cmocka_unit_test(test_drafts_pause_nobody)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
