/* What goes wrong on an engine stays with the request that it happened to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/alloc.h"
#include "tests/lib/engine_bench.h"
#include "tests/lib/tiny_program.h"

/* The n-th call of the backend fails: who was in that step ends with an error, the others' tokens
 * are the ones they get without it. */
static void test_failing_calls(void **state) {
    (void)state;
    static bench b;
    tiny_program tiny;
    assert_true(bench_begin(&b, &tiny, 8));
    bench_make_records(&b, 4, true);
    bench_run_alone(&b);
    uint32_t n_failed = 0, n_whole = 0;
    for (uint64_t n = 1; n <= 60; n += 7) {
        bench_open(&b, &bench_mixes[2], 1);
        b.backend.fail_at = n;
        b.first_id = 1;
        for (uint32_t i = 0; i < N_REQUESTS; i++)
            (void)bench_submit_record(&b, &b.records[i], i);
        bench_take(&b, N_REQUESTS);
        for (uint32_t i = 0; i < N_REQUESTS; i++) {
            bool failed = b.records[i].finish == RF_FINISH_FAILED;
            n_failed += failed;
            n_whole += !failed;
            if (!failed)
                assert_int_equal(b.records[i].n_got, b.records[i].n_new);
        }
        assert_int_equal(b.n_differ, 0);
        bench_close(&b);
    }
    assert_true(n_failed > 0 && n_whole > 100);
    bench_end(&b, &tiny);
}

/* The n-th allocation fails while requests come in: theirs ends with an error, the others' tokens
 * and rows are the ones they get without it. */
static void test_failing_allocations(void **state) {
    (void)state;
    static bench b;
    tiny_program tiny;
    assert_true(bench_begin(&b, &tiny, 8));
    bench_make_records(&b, 4, true);
    bench_run_alone(&b);
    uint32_t n_failed = 0;
    for (uint64_t n = 1; n <= 90; n += 4) {
        bench_open(&b, &bench_mixes[1], 1);
        b.first_id = 1;
        rf_alloc_fail_at(n, 0);
        for (uint32_t i = 0; i < N_REQUESTS; i++)
            (void)bench_submit_record(&b, &b.records[i], i);
        bench_take(&b, N_REQUESTS);
        rf_alloc_fail_at(0, 0);
        uint32_t n_here = 0;
        for (uint32_t i = 0; i < N_REQUESTS; i++) {
            bool failed = b.records[i].finish == RF_FINISH_FAILED;
            n_here += failed;
            assert_int_equal(b.records[i].n_got, failed ? 0 : b.records[i].n_new);
        }
        assert_in_range(n_here, 0, 1);
        n_failed += n_here;
        assert_int_equal(b.n_differ, 0);
        bench_close(&b);
    }
    assert_in_range(n_failed, 15, 23);
    bench_end(&b, &tiny);
}

static void test_nan_ends_one_request(void **state) {
    (void)state;
    static bench b;
    tiny_program tiny;
    assert_true(bench_begin(&b, &tiny, 8));
    bench_make_records(&b, 4, true);
    bench_run_alone(&b);
    b.records[5].prompt[b.records[5].n_prompt - 1] = 49; /* no other prompt ends so */
    b.compares = false;
    for (uint32_t i = 0; i < N_REQUESTS; i++)
        b.records[i].n_new = 1;
    bench_open(&b, &bench_mixes[0], 1);
    b.backend.spoils_token = 49;
    b.first_id = 1;
    for (uint32_t i = 0; i < N_REQUESTS; i++)
        (void)bench_submit_record(&b, &b.records[i], i);
    bench_take(&b, N_REQUESTS);
    for (uint32_t i = 0; i < N_REQUESTS; i++) {
        bool ends_so = b.records[i].prompt[b.records[i].n_prompt - 1] == 49;
        assert_int_equal(b.records[i].finish, ends_so ? RF_FINISH_FAILED : RF_FINISH_LENGTH);
    }
    bench_close(&b);
    bench_end(&b, &tiny);
}

static void test_cancel_refuse_and_shutdown(void **state) {
    (void)state;
    static bench b;
    tiny_program tiny;
    rf_error err = {0};
    uint64_t id;
    assert_true(bench_begin(&b, &tiny, 8));
    bench_make_records(&b, 4, false);
    rf_engine_options options = {
        .n_ctx = MAX_TOKENS, .kv_tokens = 96, .max_seqs = 2, .max_waiting = 4};
    bench_open(&b, &options, 1);
    b.first_id = 1000;
    int32_t prompt[MAX_TOKENS] = {0};
    rf_request request = {.tokens = prompt, .n_tokens = 40, .n_new = 100};
    (void)bench_submit(&b, &request); /* never fits into 96 tokens */
    rf_event event = bench_next(&b);
    assert_int_equal(event.finish, RF_FINISH_FAILED);
    assert_int_equal(event.status, RF_ERR_INVALID);
    assert_non_null(strstr(event.error, "96"));
    request.n_new = 0;
    assert_int_equal(rf_engine_submit(b.engine, &request, &id, &err), RF_ERR_INVALID);
    request.n_new = 50;
    prompt[3] = TINY_VOCAB;
    assert_int_equal(rf_engine_submit(b.engine, &request, &id, &err), RF_ERR_INVALID);
    prompt[3] = 0;
    rf_status status = RF_OK;
    uint32_t n_there = 0, n_ended = 0;
    while ((status = rf_engine_submit(b.engine, &request, &id, &err)) == RF_OK && n_there < 100)
        n_there++;
    assert_int_equal(status, RF_ERR_LIMIT);
    for (uint64_t i = id - n_there + 1; i <= id; i++)
        assert_int_equal(rf_engine_cancel(b.engine, i, &err), RF_OK);
    while (n_ended < n_there) {
        event = bench_next(&b);
        n_ended += event.kind == RF_EVENT_FINISH && event.last;
    }
    assert_false(rf_engine_next(b.engine, &event, 0));
    for (int i = 0; i < 4; i++)
        (void)bench_submit(&b, &request);
    bench_close(&b); /* with a full batch */
    assert_int_equal(rf_alloc_n_forbidden(), 0);
    bench_end(&b, &tiny);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_failing_calls),
                                       cmocka_unit_test(test_failing_allocations),
                                       cmocka_unit_test(test_nan_ends_one_request),
                                       cmocka_unit_test(test_cancel_refuse_and_shutdown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
