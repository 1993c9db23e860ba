/* Many threads on one engine: submit, take, cancel and close in any order, and shut down with a
 * full batch. Under ThreadSanitizer and LeakSanitizer too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#include "tests/lib/api_bench.h"

enum { N_THREADS = 8, N_EACH = 6, N_ALL = N_THREADS * N_EACH, N_TOKENS = 12 };

/* Prompt i: a few tokens that only it has. */
static rocmforge_status submit(uint32_t i, uint32_t n_tokens, rocmforge_request **out) {
    int32_t tokens[24];
    rocmforge_prompt prompt = rocmforge_prompt_init();
    rocmforge_request_options options = rocmforge_request_options_init();
    for (uint32_t t = 0; t < 24; t++)
        tokens[t] = (int32_t)(40 + (i * 7 + t * (1 + i % 5)) % 200);
    prompt.tokens = tokens;
    prompt.n_tokens = 4 + i % 20;
    options.prompt = &prompt;
    options.n_tokens = n_tokens;
    options.sampling = "temperature=0";
    options.ignore_end = 1;
    options.user = (void *)(uintptr_t)(i + 1);
    return rocmforge_submit(bench.engine, &options, out);
}

static void take_all(rocmforge_request *request, api_answer *answer) {
    rocmforge_event event = rocmforge_event_init();
    do {
        assert_int_equal(rocmforge_request_next(request, &event, -1), ROCMFORGE_OK);
        api_answer_add(answer, &event);
    } while (!event.last);
}

static api_answer alone[N_ALL], shared[N_ALL];
static rocmforge_request *requests[N_ALL];
static atomic_uint n_wrong;

static void *submit_many(void *arg) {
    uint32_t first = (uint32_t)(uintptr_t)arg * N_EACH;
    for (uint32_t i = first; i < first + N_EACH; i++)
        if (submit(i, N_TOKENS, &requests[i]) != ROCMFORGE_OK)
            atomic_fetch_add(&n_wrong, 1);
    return NULL;
}

static void run_threads(void *(*run)(void *)) {
    pthread_t threads[N_THREADS];
    for (uintptr_t i = 0; i < N_THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, run, (void *)i), 0);
    for (int i = 0; i < N_THREADS; i++)
        pthread_join(threads[i], NULL);
}

static void *take_from_any(void *arg) {
    (void)arg;
    for (uint32_t n_ended = 0; n_ended < N_ALL;) {
        rocmforge_request *request;
        rocmforge_event event = rocmforge_event_init();
        if (rocmforge_engine_wait(bench.engine, &request, -1) != ROCMFORGE_OK ||
            rocmforge_request_next(request, &event, 0) != ROCMFORGE_OK) {
            if (rocmforge_last_rule() != ROCMFORGE_RULE_NONE)
                atomic_fetch_add(&n_wrong, 1);
            continue;
        }
        api_answer_add(&shared[(uintptr_t)event.user - 1], &event);
        n_ended += (uint32_t)event.last;
    }
    return NULL;
}

/* Eight threads submit while one takes events of all; every answer is what it is alone. */
static void test_one_takes(void **state) {
    (void)state;
    for (uint32_t i = 0; i < N_ALL; i++) {
        rocmforge_request *request;
        assert_int_equal(submit(i, N_TOKENS, &request), ROCMFORGE_OK);
        take_all(request, &alone[i]);
        assert_int_equal(alone[i].n_tokens[0], N_TOKENS);
        assert_int_equal(rocmforge_request_close(request), ROCMFORGE_OK);
    }
    pthread_t taker;
    assert_int_equal(pthread_create(&taker, NULL, take_from_any, NULL), 0);
    run_threads(submit_many);
    pthread_join(taker, NULL);
    assert_int_equal(atomic_load(&n_wrong), 0);
    for (uint32_t i = 0; i < N_ALL; i++) {
        assert_memory_equal(shared[i].tokens[0], alone[i].tokens[0], sizeof alone[i].tokens[0]);
        assert_string_equal(shared[i].text[0], alone[i].text[0]);
        assert_int_equal(rocmforge_request_close(requests[i]), ROCMFORGE_OK);
    }
}

static void *run_own(void *arg) {
    uint32_t first = (uint32_t)(uintptr_t)arg * N_EACH;
    for (uint32_t i = first; i < first + N_EACH; i++) {
        rocmforge_request *request;
        rocmforge_event event = rocmforge_event_init();
        memset(&shared[i], 0, sizeof shared[i]);
        if (submit(i, N_TOKENS, &request) != ROCMFORGE_OK) {
            atomic_fetch_add(&n_wrong, 1);
            continue;
        }
        while (!event.last && rocmforge_request_next(request, &event, -1) == ROCMFORGE_OK) {
            api_answer_add(&shared[i], &event);
            if (i % 6 == 5 && shared[i].n_tokens[0] == 3 &&
                rocmforge_request_cancel(request) != ROCMFORGE_OK)
                atomic_fetch_add(&n_wrong, 1);
            if (i % 6 == 4 && shared[i].n_tokens[0] == 5)
                break;
        }
        if (rocmforge_request_close(request) != ROCMFORGE_OK)
            atomic_fetch_add(&n_wrong, 1);
    }
    return NULL;
}

/* Each of eight threads takes its own answers; some cancel, some close half-way. */
static void test_each_takes_its_own(void **state) {
    (void)state;
    run_threads(run_own);
    assert_int_equal(atomic_load(&n_wrong), 0);
    for (uint32_t i = 0; i < N_ALL; i++) {
        assert_memory_equal(shared[i].tokens[0], alone[i].tokens[0],
                            shared[i].n_tokens[0] * sizeof(int32_t));
        assert_true(shared[i].n_tokens[0] == N_TOKENS || i % 6 >= 4);
    }
}

/* ---- two threads on one handle --------------------------------------------------------------- */

static rocmforge_request *slow;
static rocmforge_status taker_status;

static void *wait_for_slow(void *arg) {
    (void)arg;
    rocmforge_event event = rocmforge_event_init();
    do
        taker_status = rocmforge_request_next(slow, &event, -1);
    while (taker_status == ROCMFORGE_OK && !event.last);
    return NULL;
}

static void test_two_takers(void **state) {
    (void)state;
    pthread_t thread;
    rocmforge_status status;
    rocmforge_event event = rocmforge_event_init();
    for (uint32_t i = 0; i < 8; i++) /* they go first */
        assert_int_equal(submit(i, 0, &requests[i]), ROCMFORGE_OK);
    assert_int_equal(submit(1, 4, &slow), ROCMFORGE_OK);
    assert_int_equal(pthread_create(&thread, NULL, wait_for_slow, NULL), 0);
    uint32_t n_seen = 0;
    do { /* both take; as long as the other one waits, this one must not */
        status = rocmforge_request_next(slow, &event, 0);
        if (status == ROCMFORGE_MISUSE) {
            assert_int_equal(rocmforge_last_rule(), ROCMFORGE_RULE_ONE_THREAD);
            n_seen++;
        }
    } while (status != ROCMFORGE_END && n_seen == 0);
    pthread_join(thread, NULL);
    assert_true(n_seen > 0 || taker_status == ROCMFORGE_MISUSE);
    assert_int_equal(rocmforge_request_close(slow), ROCMFORGE_OK);
    for (uint32_t i = 0; i < 8; i++)
        assert_int_equal(rocmforge_request_close(requests[i]), ROCMFORGE_OK);
}

/* Closing a request, or the engine, under a thread that waits ends its call. */
static void test_close_while_waiting(void **state) {
    (void)state;
    pthread_t thread;
    assert_int_equal(submit(2, 0, &slow), ROCMFORGE_OK);
    assert_int_equal(pthread_create(&thread, NULL, wait_for_slow, NULL), 0);
    (void)usleep(2000);
    assert_int_equal(rocmforge_request_close(slow), ROCMFORGE_OK);
    pthread_join(thread, NULL);
    assert_true(taker_status == ROCMFORGE_CANCELLED || taker_status == ROCMFORGE_OK ||
                taker_status == ROCMFORGE_MISUSE);
    assert_int_equal(submit(2, 0, &slow), ROCMFORGE_OK);
    assert_int_equal(pthread_create(&thread, NULL, wait_for_slow, NULL), 0);
    (void)usleep(2000);
    api_bench_close(&bench);
    pthread_join(thread, NULL);
    assert_int_equal(taker_status, ROCMFORGE_OK); /* its last event says why */
    rocmforge_event event = rocmforge_event_init();
    assert_int_equal(rocmforge_request_next(slow, &event, -1), ROCMFORGE_END);
    assert_int_equal(rocmforge_request_close(slow), ROCMFORGE_OK);
    api_bench_open(&bench);
}

static void *wait_for_any(void *arg) {
    (void)arg;
    rocmforge_request *request;
    taker_status = rocmforge_engine_wait(bench.engine, &request, -1);
    return NULL;
}

static void test_shutdown_with_a_full_batch(void **state) {
    (void)state;
    pthread_t thread;
    for (int round = 0; round < 4; round++) {
        rocmforge_event event = rocmforge_event_init();
        for (uint32_t i = 0; i < N_ALL; i++)
            assert_int_equal(submit(i, 0, &requests[i]), ROCMFORGE_OK);
        for (int i = 0; i < 20 * round; i++)
            assert_int_equal(rocmforge_request_next(requests[0], &event, -1), ROCMFORGE_OK);
        api_bench_close(&bench);
        for (uint32_t i = 0; i < N_ALL; i += 1 + (uint32_t)round) { /* the others go unread */
            while (rocmforge_request_next(requests[i], &event, -1) == ROCMFORGE_OK) {
            }
            assert_true(event.last);
            assert_int_equal(event.finish, ROCMFORGE_FINISH_CLOSED);
        }
        for (uint32_t i = 0; i < N_ALL; i++)
            assert_int_equal(rocmforge_request_close(requests[i]), ROCMFORGE_OK);
        api_bench_open(&bench);
    }
    /* Somebody waits on an engine that has nothing to do. */
    assert_int_equal(pthread_create(&thread, NULL, wait_for_any, NULL), 0);
    (void)usleep(5000);
    api_bench_close(&bench);
    pthread_join(thread, NULL);
    assert_true(taker_status == ROCMFORGE_CANCELLED || taker_status == ROCMFORGE_MISUSE);
    api_bench_open(&bench);
}

static void test_timeouts_and_limits(void **state) {
    (void)state;
    rocmforge_request *request;
    rocmforge_event event = rocmforge_event_init();
    assert_int_equal(rocmforge_engine_wait(bench.engine, &request, 20), ROCMFORGE_TIMEOUT);
    /* What was closed and never taken does not stand in the way of what comes later. */
    for (uint32_t i = 0; i < 600; i++) {
        rocmforge_status status = submit(i, 1, &request);
        assert_true(status == ROCMFORGE_OK || status == ROCMFORGE_LIMIT);
        if (status == ROCMFORGE_OK)
            assert_int_equal(rocmforge_request_close(request), ROCMFORGE_OK);
    }
    static api_answer answer;
    memset(&answer, 0, sizeof answer);
    while (submit(3, N_TOKENS, &request) == ROCMFORGE_LIMIT)
        (void)usleep(1000);
    take_all(request, &answer);
    assert_memory_equal(answer.tokens[0], alone[3].tokens[0], sizeof answer.tokens[0]);
    assert_int_equal(rocmforge_request_next(request, &event, 0), ROCMFORGE_END);
    assert_int_equal(rocmforge_request_close(request), ROCMFORGE_OK);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_one_takes),
                                       cmocka_unit_test(test_each_takes_its_own),
                                       cmocka_unit_test(test_two_takers),
                                       cmocka_unit_test(test_close_while_waiting),
                                       cmocka_unit_test(test_shutdown_with_a_full_batch),
                                       cmocka_unit_test(test_timeouts_and_limits)};
    return cmocka_run_group_tests(tests, api_bench_setup, api_bench_teardown);
}
