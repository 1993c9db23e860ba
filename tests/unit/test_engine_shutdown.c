/* An engine that nobody takes events from, whose orders nobody reads, or that runs with a full
 * batch: it waits, loses nothing, and ends when it is told to, with all its memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "tests/lib/engine_bench.h"

enum { N_SEQS = 6, N_NEW = 120, N_PROMPT = 20 };

/* A step, once it has run, waits here while the gate is shut. */
typedef struct gate {
    bench b; /* first: callbacks get its address */
    tiny_program tiny;
    size_t live; /* bytes before the engine was there */
    int32_t prompt[N_PROMPT];
    atomic_bool shut, waits;
    atomic_uint n_steps;
} gate;

static void rest_ms(long ms) {
    struct timespec pause = {.tv_nsec = ms * 1000000};
    (void)nanosleep(&pause, NULL);
}

static void on_step(void *user, const rf_step_report *report) {
    gate *g = user;
    (void)report;
    atomic_fetch_add(&g->n_steps, 1);
    while (atomic_load(&g->shut)) {
        atomic_store(&g->waits, true);
        rest_ms(1);
    }
}

static gate *begin(const rf_engine_options *options) {
    static gate g;
    rf_engine_options with = *options;
    memset(&g, 0, sizeof g);
    assert_true(bench_begin(&g.b, &g.tiny, 15));
    g.b.first_id = UINT64_MAX / 2; /* rows are of no interest */
    with.on_step = on_step;
    g.live = rf_alloc_live_bytes();
    bench_open(&g.b, &with, 1);
    return &g;
}

static void finish(gate *g) {
    bench_close(&g->b);
    assert_int_equal(rf_alloc_live_bytes(), g->live);
    assert_int_equal(rf_alloc_n_forbidden(), 0);
    bench_end(&g->b, &g->tiny);
}

/* Each with a prompt of its own, so that none waits for another's. */
static uint64_t submit(gate *g, int32_t number) {
    g->prompt[0] = number;
    return bench_submit(&g->b,
                        &(rf_request){.tokens = g->prompt, .n_tokens = N_PROMPT, .n_new = N_NEW});
}

static const rf_engine_options crowd = {
    .n_ctx = MAX_TOKENS, .kv_tokens = N_SEQS * MAX_TOKENS, .max_seqs = N_SEQS, .max_waiting = 16};

/* Until the engine has stopped for want of room. */
static uint32_t wait_for_rest(gate *g) {
    uint32_t before = UINT32_MAX, now, n_same = 0;
    while (n_same < 20) {
        rest_ms(5);
        now = atomic_load(&g->n_steps);
        n_same = now == before && now > 0 ? n_same + 1 : 0;
        before = now;
    }
    return before;
}

/* Nobody takes events: the engine waits before it would lose one, and goes on when it may. */
static void test_full_notices(void **state) {
    (void)state;
    for (int taken = 0; taken < 2; taken++) {
        gate *g = begin(&crowd);
        uint64_t ids[N_SEQS];
        atomic_store(&g->shut, true); /* they run together, however slowly they come */
        for (int32_t i = 0; i < N_SEQS; i++)
            ids[i] = submit(g, i);
        atomic_store(&g->shut, false);
        uint32_t n_steps = wait_for_rest(g);
        assert_in_range(n_steps, 1, N_NEW - 1);
        uint32_t n_got[N_SEQS] = {0}, n_left = taken ? N_SEQS : 0;
        while (n_left > 0) {
            rf_event event = bench_next(&g->b);
            uint32_t i = (uint32_t)(event.id - ids[0]);
            assert_in_range(i, 0, N_SEQS - 1);
            if (event.kind == RF_EVENT_TOKEN) {
                n_got[i]++;
                continue;
            }
            assert_int_equal(event.finish, RF_FINISH_LENGTH);
            assert_int_equal(n_got[i], N_NEW);
            n_left--;
        }
        finish(g);
    }
}

static void *open_gate(void *arg) {
    gate *g = arg;
    rest_ms(20);
    atomic_store(&g->shut, false);
    return NULL;
}

/* The engine is in a step, its orders are full: who orders more is told so, and the order to end
 * gets through as soon as there is room. */
static void test_full_orders(void **state) {
    (void)state;
    gate *g = begin(&crowd);
    rf_error err = {0};
    pthread_t thread;
    rf_status status = RF_OK;
    atomic_store(&g->shut, true);
    uint64_t id = submit(g, 0);
    while (!atomic_load(&g->waits))
        rest_ms(1);
    uint32_t n_cancels = 0;
    while (n_cancels < 1 << 20 && (status = rf_engine_cancel(g->b.engine, 999999, &err)) == RF_OK)
        n_cancels++;
    assert_int_equal(status, RF_ERR_LIMIT);
    assert_non_null(strstr(err.text, "has not read its orders"));
    assert_in_range(n_cancels, 64, 4096);
    rf_request request = {.tokens = g->prompt, .n_tokens = N_PROMPT, .n_new = 1};
    assert_int_equal(rf_engine_submit(g->b.engine, &request, &id, &err), RF_ERR_LIMIT);
    assert_true(err.text[0]);
    assert_int_equal(pthread_create(&thread, NULL, open_gate, g), 0);
    finish(g);
    assert_int_equal(pthread_join(thread, NULL), 0);
}

/* Both: no room for notices, and orders that wait for it. */
static void test_full_rings(void **state) {
    (void)state;
    gate *g = begin(&crowd);
    rf_error err = {0};
    for (int32_t i = 0; i < N_SEQS; i++)
        (void)submit(g, i);
    (void)wait_for_rest(g);
    rf_request never = {.tokens = g->prompt, .n_tokens = N_PROMPT, .n_new = MAX_TOKENS};
    uint64_t id;
    for (uint32_t i = 0; i < 100000; i++) /* each is refused with a notice, then there is no room */
        if (rf_engine_submit(g->b.engine, &never, &id, &err) != RF_OK)
            break;
    for (uint32_t i = 0; i < 100000; i++)
        if (rf_engine_cancel(g->b.engine, 999999, &err) != RF_OK)
            break;
    finish(g);
}

/* In the midst of steps of a full batch, prompts and tokens, at many moments. */
static void test_full_batch(void **state) {
    (void)state;
    for (uint32_t n_events = 0; n_events < 24; n_events++) {
        gate *g = begin(&crowd);
        for (int32_t i = 0; i < N_SEQS + 4; i++)
            (void)submit(g, i);
        for (uint32_t i = 0; i < n_events * n_events; i++)
            (void)bench_next(&g->b);
        finish(g);
        assert_true(n_events == 0 || atomic_load(&g->n_steps) > 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_full_notices),
        cmocka_unit_test(test_full_orders),
        cmocka_unit_test(test_full_rings),
        cmocka_unit_test(test_full_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
