/* The scheduler's promises one by one; tests/sim asks the same of random mixes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/scheduler.h"

enum { CONTEXT = 4096 };

static int32_t text[2 * CONTEXT];
static uint64_t now_ns;

static rf_scheduler *make(uint32_t max_seqs, uint32_t n_blocks) {
    rf_sched_config config = {.kv = {.n_groups = 1,
                                     .n_blocks = {n_blocks},
                                     .block_tokens = 32,
                                     .max_seqs = max_seqs,
                                     .max_context = CONTEXT,
                                     .key = {3, 4}},
                              .max_tokens = 512,
                              .max_outputs = 512,
                              .max_waiting = 100,
                              .max_waiting_tokens = 100000};
    rf_scheduler *sched = NULL;
    rf_error err = {0};
    if (rf_scheduler_create(&config, &sched, &err) != RF_OK)
        fail_msg("%s", err.text);
    for (uint32_t i = 0; i < 2 * CONTEXT; i++)
        text[i] = (int32_t)(i * 7919 % 10007);
    now_ns = 1000000000;
    return sched;
}

static rf_job job_of(uint64_t id, const int32_t *tokens, uint32_t n_tokens, uint32_t n_new) {
    return (rf_job){.id = id,
                    .tokens = tokens,
                    .n_tokens = n_tokens,
                    .n_new = n_new,
                    .n_choices = 1,
                    .rows_from = n_tokens - 1,
                    .rows_to = n_tokens};
}

static rf_status submit(rf_scheduler *sched, const rf_job *job) {
    rf_error err = {0};
    return rf_scheduler_submit(sched, job, now_ns, &err);
}

/* A step of 5 ms and 1 ms for each prompt row; token: what every sample gets. */
static uint64_t step(rf_scheduler *sched, int32_t token) {
    rf_step *plan;
    if (!rf_scheduler_plan(sched, &plan))
        return 0;
    uint64_t ns = 5000000 + (uint64_t)plan->n_prefill * 1000000;
    for (uint32_t i = 0; i < plan->n_samples; i++)
        plan->samples[i].tokens[0] = token;
    rf_scheduler_commit(sched, ns);
    now_ns += ns;
    return ns;
}

static void test_refusals(void **state) {
    (void)state;
    rf_scheduler *sched = make(4, 10);
    rf_job job = job_of(1, text, 100, 10);
    job.n_tokens = 0;
    assert_int_equal(submit(sched, &job), RF_ERR_INVALID);
    job = job_of(1, text, 330, 1); /* the pool holds 320 */
    assert_int_equal(submit(sched, &job), RF_ERR_INVALID);
    job = job_of(1, text, 310, 11); /* the last one is never stored */
    assert_int_equal(submit(sched, &job), RF_OK);
    job = job_of(1, text, 100, 10);
    assert_int_equal(submit(sched, &job), RF_ERR_INVALID); /* the id is taken */
    job = job_of(2, text, 100, 10);
    job.n_choices = 5;
    assert_int_equal(submit(sched, &job), RF_ERR_INVALID);
    job = job_of(2, text, 300, RF_NEW_TOKENS_MAX);
    assert_int_equal(submit(sched, &job), RF_OK);
    for (uint64_t id = 3; id <= 100; id++) {
        job = job_of(id, text, 10, 10);
        assert_int_equal(submit(sched, &job), RF_OK);
    }
    job = job_of(101, text, 10, 10);
    assert_int_equal(submit(sched, &job), RF_ERR_LIMIT);
    for (uint64_t id = 1; id <= 100; id++)
        assert_true(rf_scheduler_cancel(sched, id));
    assert_false(rf_scheduler_cancel(sched, 1));
    assert_int_equal(rf_scheduler_n_jobs(sched), 0);
    assert_true(rf_scheduler_is_sound(sched));
    rf_scheduler_destroy(sched);
}

/* Each turn sends all that was said before: what is computed again is next to nothing. */
static void test_conversation(void **state) {
    (void)state;
    rf_scheduler *sched = make(4, 1000);
    uint64_t sent_again = 0, n_said = 0;
    uint32_t n = 0;
    for (uint64_t turn = 0; turn < 20; turn++) {
        uint32_t n_user = 20 + (uint32_t)turn * 13 % 60, n_answer = 30 + (uint32_t)turn * 7 % 50;
        sent_again += n;
        n += n_user;
        rf_job job = job_of(turn, text, n, n_answer);
        assert_int_equal(submit(sched, &job), RF_OK);
        for (uint32_t i = 0; rf_scheduler_n_jobs(sched) > 0; i++)
            (void)step(sched, text[n + i]);
        n_said += n_user + n_answer;
        n += n_answer;
    }
    rf_sched_counters counters = rf_scheduler_counters(sched);
    uint64_t computed = counters.n_prefill_rows + counters.n_decode_rows;
    assert_in_range(computed, n_said - 20, n_said + sent_again / 50);
    rf_scheduler_destroy(sched);
}

/* 64 requests of one prefix of 1,000 tokens compute it once, though they come together. */
static void test_shared_prefix(void **state) {
    (void)state;
    rf_scheduler *sched = make(64, 1000);
    static int32_t prompts[64][1010];
    for (uint64_t id = 0; id < 64; id++) {
        memcpy(prompts[id], text, 1000 * sizeof text[0]);
        for (int32_t i = 0; i < 10; i++)
            prompts[id][1000 + i] = (int32_t)id;
        rf_job job = job_of(id, prompts[id], 1010, 5);
        assert_int_equal(submit(sched, &job), RF_OK);
    }
    while (rf_scheduler_n_jobs(sched) > 0)
        assert_true(step(sched, 1) > 0);
    rf_sched_counters counters = rf_scheduler_counters(sched);
    assert_int_equal(counters.n_prefill_rows, 1000 + 64 * 10);
    assert_int_equal(counters.n_awaited, 63);
    assert_int_equal(counters.n_preempted, 0);
    rf_scheduler_destroy(sched);
}

/* A long prompt makes no step of a running stream longer than thrice the quiet one. */
static void test_gaps(void **state) {
    (void)state;
    rf_scheduler *sched = make(4, 1000);
    rf_job stream = job_of(1, text, 40, 1000), prompt = job_of(2, text + 100, 4000, 1);
    assert_int_equal(submit(sched, &stream), RF_OK);
    for (int i = 0; i < 30; i++)
        (void)step(sched, 2);
    assert_int_equal(submit(sched, &prompt), RF_OK);
    uint32_t n_steps = 0;
    for (; rf_scheduler_n_jobs(sched) > 1; n_steps++) {
        uint64_t ns = step(sched, 3);
        assert_in_range(ns, 5000000, 15000000);
    }
    assert_in_range(n_steps, 1, 1100);
    rf_scheduler_destroy(sched);
}

/* What SmolLM2-135M costs on two threads: the first row of a prompt reads all that is before it,
 * the others read it with that one. Now and then another program has the processor. */
static void test_gaps_of_a_model(void **state) {
    (void)state;
    enum { QUIET_US = 4000, OUTLIER = 53 };
    rf_scheduler *sched = make(4, 1000);
    rf_job stream = job_of(1, text, 40, 3000), prompt = job_of(2, text + 100, 4000, 1);
    assert_int_equal(submit(sched, &stream), RF_OK);
    uint32_t n_steps = 0, n_late = 0, n_outliers = 0;
    for (uint32_t i = 0; i < 30 || rf_scheduler_n_jobs(sched) > 1; i++) {
        if (i == 29)
            assert_int_equal(submit(sched, &prompt), RF_OK);
        rf_step *plan;
        assert_true(rf_scheduler_plan(sched, &plan));
        uint64_t us = QUIET_US;
        for (int32_t k = 0; k < plan->batch.n_seqs; k++) {
            const rf_step_entry *e = &plan->entries[k];
            uint64_t before = (uint64_t)plan->batch.positions[e->first_row];
            us += e->is_decode ? 0 : 700 * e->n_rows + before * 8 / 5;
        }
        n_steps += i > 29;
        n_late += i > 29 && us > 3 * QUIET_US;
        bool outlier = i > 29 && i % OUTLIER == 0;
        n_outliers += outlier;
        for (uint32_t k = 0; k < plan->n_samples; k++)
            plan->samples[k].tokens[0] = (int32_t)i;
        rf_scheduler_commit(sched, us * (outlier ? 20 : 1) * 1000);
    }
    assert_true(n_outliers > 5);
    assert_in_range(n_late, 0, n_steps / 100);
    assert_in_range(n_steps, 400, 2100);
    rf_scheduler_destroy(sched);
}

/* A beam: a further request whose tokens are another's prompt and what it has generated so far has
 * its blocks, also while that one runs; and the one that it came from goes on as before. */
static void test_beam(void **state) {
    (void)state;
    rf_scheduler *sched = make(4, 1000);
    static int32_t beam[200];
    rf_job first = job_of(1, text, 100, 500), second = job_of(2, beam, 141, 20);
    assert_int_equal(submit(sched, &first), RF_OK);
    for (int i = 0; i < 50; i++)
        (void)step(sched, 1000 + i);
    rf_step *plan;
    assert_true(rf_scheduler_plan(sched, &plan));
    uint32_t n;
    int32_t seq = plan->entries[0].seq;
    const int32_t *tokens = rf_scheduler_tokens(sched, seq, &n);
    assert_int_equal(n, 150);
    memcpy(beam, tokens, 140 * sizeof *beam);
    beam[140] = 7; /* and goes another way */
    plan->samples[0].tokens[0] = 1050;
    rf_scheduler_commit(sched, 1000000);
    uint32_t before = rf_kv_cache_available(rf_scheduler_cache(sched), 0);
    uint64_t n_rows = rf_scheduler_counters(sched).n_prefill_rows;
    assert_int_equal(submit(sched, &second), RF_OK);
    assert_true(rf_scheduler_plan(sched, &plan));
    assert_int_equal(plan->n_prefill, 1);
    assert_int_equal(plan->n_copies, 1); /* of the block that both write */
    int32_t other = plan->entries[0].job == 2 ? plan->entries[0].seq : plan->entries[1].seq;
    const int32_t *a = rf_kv_cache_table(rf_scheduler_cache(sched), seq, 0, &n);
    const int32_t *b = rf_kv_cache_table(rf_scheduler_cache(sched), other, 0, &n);
    assert_memory_equal(a, b, 4 * sizeof *a);
    assert_int_not_equal(a[4], b[4]);
    assert_int_equal(rf_kv_cache_available(rf_scheduler_cache(sched), 0), before - 1);
    for (uint32_t i = 0; i < plan->n_samples; i++)
        plan->samples[i].tokens[0] = 9;
    rf_scheduler_commit(sched, 1000000);
    assert_int_equal(rf_scheduler_counters(sched).n_prefill_rows, n_rows + 1);
    assert_true(rf_scheduler_is_sound(sched));
    rf_scheduler_destroy(sched);
}

/* The least of everything: one slot, prompts of one token, one token to generate, and a prompt that
 * is cached whole, whose last row is computed all the same. */
static void test_least(void **state) {
    (void)state;
    rf_scheduler *sched = make(1, 4);
    for (uint64_t id = 1; id <= 4; id++) {
        rf_job job = job_of(id, text, id % 2 ? 1 : 64, 1);
        assert_int_equal(submit(sched, &job), RF_OK);
        rf_step *plan;
        assert_true(rf_scheduler_plan(sched, &plan));
        assert_int_equal(plan->n_samples, 1);
        assert_int_equal(plan->n_prefill, id == 2 ? 64 : 1);
        plan->samples[0].tokens[0] = 5;
        rf_scheduler_commit(sched, 1000);
        assert_int_equal(plan->samples[0].finish, RF_FINISH_LENGTH);
        assert_int_equal(rf_scheduler_n_jobs(sched), 0);
        assert_true(rf_scheduler_is_sound(sched));
    }
    assert_false(rf_scheduler_cancel(sched, 99));
    rf_scheduler_destroy(sched);
}

/* No slots: one request may have the whole pool, and two hundred short ones share it. */
static void test_one_pool(void **state) {
    (void)state;
    enum { BLOCKS = 130, SHORT = 200 };
    rf_scheduler *sched = make(SHORT, BLOCKS);
    rf_job whole = job_of(1, text, 4000, 96);
    assert_int_equal(submit(sched, &whole), RF_OK);
    while (rf_scheduler_n_jobs(sched) > 0)
        assert_true(step(sched, 3) > 0);
    assert_int_equal(rf_scheduler_counters(sched).n_preempted, 0);
    uint32_t most = 0;
    for (uint64_t id = 2; id < 2 + SHORT || rf_scheduler_n_jobs(sched) > 0;) {
        rf_job job = job_of(id, text + id, 1, 30);
        while (id < 2 + SHORT && submit(sched, &job) == RF_OK) {
            id++;
            job = job_of(id, text + id, 1, 30);
        }
        assert_true(step(sched, 4) > 0);
        uint32_t n = rf_scheduler_counters(sched).n_running;
        most = n > most ? n : most;
    }
    assert_in_range(most, BLOCKS * 3 / 4, SHORT);
    rf_scheduler_destroy(sched);
}

/* Urgent jobs go first, but a plain one is passed over for as long as its waiting is worth. */
static void test_aging(void **state) {
    (void)state;
    rf_scheduler *sched = make(1, 1000);
    rf_job plain = job_of(1, text, 40, 1);
    plain.keeps_private = true;
    uint64_t id = 2, urgent_before = 0;
    rf_job urgent = job_of(id, text, 40, 1);
    urgent.priority = 2;
    assert_int_equal(submit(sched, &urgent), RF_OK);
    assert_int_equal(submit(sched, &plain), RF_OK);
    uint64_t start = now_ns;
    for (bool done = false; !done; urgent_before++) {
        urgent.id = ++id;
        urgent.keeps_private = true;
        assert_int_equal(submit(sched, &urgent), RF_OK);
        rf_step *plan;
        assert_true(rf_scheduler_plan(sched, &plan));
        done = plan->entries[0].job == 1;
        rf_scheduler_commit(sched, 1);
        now_ns += 100000000;
        assert_true(now_ns - start < 3000000000u);
    }
    assert_in_range(urgent_before, 19, 22); /* two levels are worth two seconds */
    rf_scheduler_destroy(sched);
}

/* An urgent job takes the blocks of a less urgent one, which then ends as if nothing had been. */
static void test_urgent_takes_blocks(void **state) {
    (void)state;
    rf_scheduler *sched = make(2, 12);
    rf_job plain = job_of(1, text, 300, 20), urgent = job_of(2, text + 1000, 300, 2);
    urgent.priority = 1;
    assert_int_equal(submit(sched, &plain), RF_OK);
    for (int i = 0; i < 3; i++)
        (void)step(sched, 5);
    assert_int_equal(submit(sched, &urgent), RF_OK);
    (void)step(sched, 5);
    rf_sched_counters counters = rf_scheduler_counters(sched);
    assert_int_equal(counters.n_preempted, 1);
    assert_int_equal(counters.n_running, 1);
    assert_int_equal(counters.n_paused, 1);
    int n_steps = 0;
    while (rf_scheduler_n_jobs(sched) > 0 && n_steps++ < 100)
        assert_true(step(sched, 5) > 0);
    counters = rf_scheduler_counters(sched);
    assert_true(counters.n_preempted >= 1);
    assert_true(rf_scheduler_is_sound(sched));
    rf_scheduler_destroy(sched);
}

static void test_no_allocation(void **state) {
    (void)state;
    rf_scheduler *sched = make(16, 60);
    uint64_t before = rf_alloc_count();
    for (uint64_t id = 0; id < 40; id++) {
        rf_job job = job_of(id, text + id * 11, 50 + (uint32_t)id, 200);
        job.n_choices = 1 + (uint32_t)(id % 3);
        assert_int_equal(submit(sched, &job), RF_OK);
    }
    while (rf_scheduler_n_jobs(sched) > 0)
        assert_true(step(sched, 6) > 0);
    assert_int_equal(rf_alloc_count(), before);
    assert_true(rf_scheduler_counters(sched).n_preempted > 0);
    rf_scheduler_destroy(sched);
}

static void test_memory_failures(void **state) {
    (void)state;
    rf_sched_config config = {.kv = {.n_groups = 2,
                                     .n_blocks = {8, 8},
                                     .windows = {0, 40},
                                     .block_tokens = 32,
                                     .max_seqs = 2,
                                     .max_context = 100},
                              .max_tokens = 16,
                              .max_outputs = 16,
                              .max_waiting = 4,
                              .max_waiting_tokens = 100};
    size_t live = rf_alloc_live_bytes();
    rf_status status = RF_ERR_NO_MEMORY;
    for (uint64_t n = 1; status != RF_OK; n++) {
        rf_scheduler *sched = NULL;
        rf_error err = {0};
        assert_true(n < 100);
        rf_alloc_fail_at(n, 0);
        status = rf_scheduler_create(&config, &sched, &err);
        rf_alloc_fail_at(0, 0);
        assert_true(status == RF_OK ? sched != NULL : !sched && status == RF_ERR_NO_MEMORY);
        rf_scheduler_destroy(sched);
        assert_int_equal(rf_alloc_live_bytes(), live);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refusals),        cmocka_unit_test(test_conversation),
        cmocka_unit_test(test_shared_prefix),   cmocka_unit_test(test_gaps),
        cmocka_unit_test(test_gaps_of_a_model), cmocka_unit_test(test_beam),
        cmocka_unit_test(test_least),           cmocka_unit_test(test_one_pool),
        cmocka_unit_test(test_aging),           cmocka_unit_test(test_urgent_takes_blocks),
        cmocka_unit_test(test_no_allocation),   cmocka_unit_test(test_memory_failures)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
