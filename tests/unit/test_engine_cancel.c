/* A request that is cancelled has no row in a later step, and its blocks are free for the next one:
 * in the midst of its prompt, while it generates, and while it waits. Steps are counted and held by
 * a gate; no clock is asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <semaphore.h>
#include <string.h>

#include "tests/lib/engine_bench.h"

enum { ROWS = 16, POOL = MAX_TOKENS / 32 };

typedef struct turnstile {
    bench b; /* first: callbacks get its address */
    tiny_program tiny;
    sem_t ran, go; /* a step has run; the engine may go on */
    /* Of the step that ran last; read while the engine waits. */
    uint32_t n_steps, n_available;
    uint64_t job;
} turnstile;

static void on_step(void *user, const rf_step_report *report) {
    turnstile *t = user;
    t->n_steps++;
    t->n_available = report->n_blocks_available;
    t->job = report->n_entries == 1 ? report->entries[0].job : 0;
    (void)sem_post(&t->ran);
    (void)sem_wait(&t->go);
}

static turnstile *begin(void) {
    static turnstile t;
    memset(&t, 0, sizeof t);
    (void)sem_init(&t.ran, 0, 0);
    (void)sem_init(&t.go, 0, 0);
    assert_true(bench_begin(&t.b, &t.tiny, 21));
    t.b.first_id = UINT64_MAX / 2; /* rows are of no interest */
    rf_engine_options options = {.n_ctx = MAX_TOKENS,
                                 .kv_tokens = MAX_TOKENS,
                                 .max_seqs = 4,
                                 .batch_tokens = ROWS,
                                 .on_step = on_step};
    bench_open(&t.b, &options, 1);
    return &t;
}

static uint64_t submit(turnstile *t, int32_t first, uint32_t n_tokens, uint32_t n_new) {
    int32_t prompt[MAX_TOKENS];
    for (int32_t i = 0; i < MAX_TOKENS; i++)
        prompt[i] = (first + i * 3) % TINY_VOCAB;
    return bench_submit(&t->b,
                        &(rf_request){.tokens = prompt, .n_tokens = n_tokens, .n_new = n_new});
}

/* n steps, the engine waiting after the last. */
static void steps(turnstile *t, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        if (i > 0)
            (void)sem_post(&t->go);
        (void)sem_wait(&t->ran);
    }
}

/* Cancels while the engine waits behind its last step, and runs to the end of the request. */
static void cancel(turnstile *t, uint64_t id) {
    rf_error err = {0};
    assert_int_equal(rf_engine_cancel(t->b.engine, id, &err), RF_OK);
    (void)sem_post(&t->go);
    rf_event event;
    do
        event = bench_next(&t->b);
    while (event.kind == RF_EVENT_TOKEN);
    assert_true(event.id == id && event.last && event.finish == RF_FINISH_CANCELLED);
}

/* The whole pool is there for one that needs it, without pausing anybody. */
static void take_whole_pool(turnstile *t) {
    uint32_t before = t->n_steps;
    uint64_t id = submit(t, 7, MAX_TOKENS - 1, 1);
    uint32_t n = (MAX_TOKENS - 1 + ROWS - 1) / ROWS;
    steps(t, n);
    assert_int_equal(t->n_steps, before + n); /* none of the cancelled one's */
    assert_true(t->job == id);
    (void)sem_post(&t->go);
    rf_event event = bench_next(&t->b);
    assert_int_equal(event.kind, RF_EVENT_TOKEN);
    event = bench_next(&t->b);
    assert_true(event.id == id && event.finish == RF_FINISH_LENGTH);
    assert_int_equal(rf_engine_get_counters(t->b.engine).sched.n_preempted, 0);
}

static void end(turnstile *t) {
    bench_close(&t->b);
    bench_end(&t->b, &t->tiny);
    (void)sem_destroy(&t->ran);
    (void)sem_destroy(&t->go);
}

static void test_in_the_prompt(void **state) {
    (void)state;
    turnstile *t = begin();
    uint64_t id = submit(t, 1, 150, 5);
    steps(t, 2);
    assert_int_equal(t->n_available, POOL - 1);
    cancel(t, id);
    assert_int_equal(t->n_steps, 2);
    take_whole_pool(t);
    end(t);
}

static void test_while_it_generates(void **state) {
    (void)state;
    turnstile *t = begin();
    uint64_t id = submit(t, 1, 40, 100);
    steps(t, 10);
    cancel(t, id);
    assert_int_equal(t->n_steps, 10);
    take_whole_pool(t);
    end(t);
}

/* One that waits for room goes, and one that nobody knows changes nothing. */
static void test_while_it_waits(void **state) {
    (void)state;
    turnstile *t = begin();
    rf_error err = {0};
    uint64_t first = submit(t, 1, 120, 5);
    steps(t, 1);
    uint64_t second = submit(t, 2, 120, 5);
    assert_int_equal(rf_engine_cancel(t->b.engine, 12345, &err), RF_OK);
    cancel(t, second);
    steps(t, 1);
    assert_true(t->job == first);
    cancel(t, first);
    take_whole_pool(t);
    end(t);
}

/* A token that ends a choice may be its first, and a prompt may be a single token. */
static void test_first_token_stops(void **state) {
    (void)state;
    turnstile *t = begin();
    int32_t prompt = 3, every[TINY_VOCAB];
    for (int32_t i = 0; i < TINY_VOCAB; i++)
        every[i] = i;
    (void)bench_submit(&t->b, &(rf_request){.tokens = &prompt,
                                            .n_tokens = 1,
                                            .n_new = 50,
                                            .stop_tokens = every,
                                            .n_stop = TINY_VOCAB});
    steps(t, 1);
    (void)sem_post(&t->go);
    assert_int_equal(bench_next(&t->b).kind, RF_EVENT_TOKEN);
    rf_event event = bench_next(&t->b);
    assert_int_equal(event.finish, RF_FINISH_STOP);
    assert_int_equal(event.n_generated, 1);
    take_whole_pool(t);
    end(t);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_the_prompt), cmocka_unit_test(test_while_it_generates),
        cmocka_unit_test(test_while_it_waits), cmocka_unit_test(test_first_token_stops)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
