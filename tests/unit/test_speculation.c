/* Speculation on the CPU backend: with drafts that come true, that never do, and that are looked
 * up, every row and token is the one that comes without; what fails while drafting fails nobody. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/alloc.h"
#include "cpu/backend_cpu.h"
#include "tests/lib/engine_bench.h"
#include "tests/lib/tiny_program.h"

static rf_backend *cpu_backend(void) {
    rf_cpu_options cpu = {.n_threads = 1, .features = UINT32_MAX};
    rf_backend *backend = NULL;
    rf_error err = {0};
    if (rf_cpu_backend_create(&cpu, &backend, &err) != RF_OK)
        fail_msg("%s", err.text);
    return backend;
}

/* The records in all mixes; the numbers of drafts add up in the bench. */
static void run_mixes(bench *b, const rf_draft_options *draft, const char *what) {
    b->n_drafted = b->n_accepted = 0;
    for (uint32_t m = 0; m < N_MIXES; m++) {
        rf_engine_options options = bench_mixes[m];
        options.draft = *draft;
        options.draft.backend = draft->program ? cpu_backend() : NULL;
        b->draft = draft->program ? RF_DRAFT_MODEL : RF_DRAFT_LOOKUP;
        bench_open(b, &options, 1);
        for (uint32_t round = 0; round < 2; round++) {
            b->first_id = 1 + (uint64_t)round * N_REQUESTS;
            for (uint32_t i = 0; i < N_REQUESTS; i++)
                (void)bench_submit_record(b, &b->records[i], i);
            bench_take(b, N_REQUESTS);
            if (b->n_differ > 0)
                fail_msg("%s, mix %u, round %u: %u rows or tokens differ", what, m, round,
                         b->n_differ);
        }
        assert_int_equal(rf_engine_get_counters(b->engine).n_draft_failures, 0);
        bench_close(b);
    }
    b->draft = RF_DRAFT_NONE;
}

static void test_output_is_unchanged(void **state) {
    (void)state;
    static bench b;
    tiny_program tiny, other;
    assert_true(bench_begin(&b, &tiny, 5));
    assert_true(tiny_program_open(&other, 99, RF_QTYPE_F32));
    bench_make_records(&b, 1, true);
    bench_run_alone(&b);
    rf_draft_options draft = {.n_max = 5, .always = true};
    run_mixes(&b, &draft, "lookup");
    assert_true(b.n_drafted > 100 && b.n_accepted > 0 && b.n_accepted < b.n_drafted);
    draft.program = &tiny.program;
    run_mixes(&b, &draft, "the same model");
    double perfect = (double)b.n_accepted / (double)b.n_drafted;
    assert_true(b.n_drafted > 500);
    draft.program = &other.program;
    run_mixes(&b, &draft, "another model");
    double bad = (double)b.n_accepted / (double)b.n_drafted;
    assert_true(perfect > 2 * bad);
    draft.always = false; /* whatever the timings say */
    draft.n_max = RF_DRAFTS_MAX;
    run_mixes(&b, &draft, "another model, as it pays");
    tiny_program_close(&other);
    bench_end(&b, &tiny);
    assert_int_equal(rf_alloc_n_forbidden(), 0);
}

/* ---- one request --------------------------------------------------------------------------- */

typedef struct answers {
    int32_t got[4][40];
    uint32_t n_got[4];
    rf_event last;
} answers;

static answers run_request(bench *b, const rf_engine_options *options, const rf_request *request) {
    answers a = {0};
    bench_open(b, options, 1);
    (void)bench_submit(b, request);
    do {
        a.last = bench_next(b);
        if (a.last.kind == RF_EVENT_TOKEN)
            a.got[a.last.choice][a.n_got[a.last.choice]++] = a.last.token;
    } while (!a.last.last);
    bench_close(b);
    return a;
}

static void test_perfect_drafts_stop_and_fork(void **state) {
    (void)state;
    static bench b;
    tiny_program tiny;
    assert_true(bench_begin(&b, &tiny, 7));
    b.first_id = 1000;
    int32_t prompt[50];
    for (int i = 0; i < 50; i++)
        prompt[i] = i * 7 % TINY_VOCAB;
    rf_sample_params params = rf_sample_params_default();
    params.temp = 0;
    rf_request request = {.tokens = prompt, .n_tokens = 50, .n_new = 30, .params = &params};
    rf_engine_options plain = {.n_ctx = MAX_TOKENS, .kv_tokens = 640, .max_seqs = 4},
                      drafting = plain;
    answers without = run_request(&b, &plain, &request);
    drafting.draft = (rf_draft_options){
        .n_max = 4, .always = true, .program = &tiny.program, .backend = cpu_backend()};
    request.draft = RF_DRAFT_MODEL;
    answers with = run_request(&b, &drafting, &request);
    assert_int_equal(with.n_got[0], 30);
    assert_memory_equal(with.got[0], without.got[0], sizeof with.got[0]);
    assert_int_equal(with.last.finish, RF_FINISH_LENGTH);
    assert_int_equal(with.last.n_accepted, with.last.n_drafted);
    assert_in_range(with.last.n_accepted, 20, 29); /* 30 tokens in 7 steps or so */
    /* A token that ends it lies inside a run of drafts that all come true. */
    for (uint32_t i = 2; i < 12; i++) {
        uint32_t first = 0;
        while (without.got[0][first] != without.got[0][i])
            first++;
        request.stop_tokens = &without.got[0][i];
        request.n_stop = 1;
        drafting.draft.backend = cpu_backend();
        with = run_request(&b, &drafting, &request);
        assert_int_equal(with.n_got[0], first + 1);
        assert_memory_equal(with.got[0], without.got[0], (first + 1) * sizeof(int32_t));
        assert_int_equal(with.last.finish, RF_FINISH_STOP);
    }
    request.n_stop = 0;
    params.temp = 1;
    params.seed = 3;
    request.n_choices = 4;
    request.draft = RF_DRAFT_NONE;
    without = run_request(&b, &plain, &request);
    request.draft = RF_DRAFT_MODEL;
    drafting.draft.backend = cpu_backend();
    with = run_request(&b, &drafting, &request);
    assert_memory_equal(with.got, without.got, sizeof with.got);
    bench_end(&b, &tiny);
}

static void test_refusals(void **state) {
    (void)state;
    static bench b;
    tiny_program tiny;
    rf_error err = {0};
    uint64_t id;
    assert_true(bench_begin(&b, &tiny, 7));
    rf_engine_options options = {.n_ctx = MAX_TOKENS, .draft.n_max = RF_DRAFTS_MAX};
    int32_t prompt[1] = {1};
    rf_request request = {.tokens = prompt, .n_tokens = 1, .n_new = 1, .draft = RF_DRAFT_MODEL};
    bench_open(&b, &options, 1);
    assert_int_equal(rf_engine_submit(b.engine, &request, &id, &err), RF_ERR_INVALID);
    assert_non_null(strstr(err.text, "draft model"));
    bench_close(&b);
    rf_engine *engine = NULL;
    rf_backend *backend = cpu_backend();
    options.draft.n_max = RF_DRAFTS_MAX + 1;
    assert_int_equal(rf_engine_create(backend, &tiny.program, &options, NULL, NULL, &engine, &err),
                     RF_ERR_INVALID);
    rf_program other = tiny.program;
    other.n_vocab--;
    options.draft = (rf_draft_options){.n_max = 2, .program = &other, .backend = cpu_backend()};
    assert_int_equal(rf_engine_create(backend, &tiny.program, &options, NULL, NULL, &engine, &err),
                     RF_ERR_INVALID);
    assert_non_null(strstr(err.text, "49"));
    options.draft.backend->api->destroy(options.draft.backend);
    backend->api->destroy(backend);
    bench_end(&b, &tiny);
}

/* ---- faults -------------------------------------------------------------------------------- */

static void test_a_failing_draft_model(void **state) {
    (void)state;
    static bench b;
    tiny_program tiny;
    assert_true(bench_begin(&b, &tiny, 8));
    bench_make_records(&b, 4, true);
    bench_run_alone(&b);
    for (uint64_t n = 1; n <= 60; n += 13) {
        static faulty_backend faulty;
        faulty_backend_init(&faulty, cpu_backend(), TINY_VOCAB);
        faulty.fail_at = n;
        faulty.spoils_token = (int32_t)n % TINY_VOCAB; /* NaN before that */
        rf_engine_options options = bench_mixes[2];
        options.draft = (rf_draft_options){
            .n_max = 3, .always = true, .program = &tiny.program, .backend = &faulty.base};
        b.draft = RF_DRAFT_MODEL;
        bench_open(&b, &options, 1);
        b.first_id = 1;
        for (uint32_t i = 0; i < N_REQUESTS; i++)
            (void)bench_submit_record(&b, &b.records[i], i);
        bench_take(&b, N_REQUESTS);
        for (uint32_t i = 0; i < N_REQUESTS; i++)
            assert_int_equal(b.records[i].n_got, b.records[i].n_new);
        assert_int_equal(b.n_differ, 0);
        assert_int_equal(rf_engine_get_counters(b.engine).n_draft_failures, 1);
        bench_close(&b);
    }
    bench_end(&b, &tiny);
}

static void test_memory_failures(void **state) {
    (void)state;
    tiny_program tiny;
    assert_true(tiny_program_open(&tiny, 8, RF_QTYPE_F32));
    rf_status status = RF_ERR_NO_MEMORY;
    size_t live = rf_alloc_live_bytes();
    for (uint64_t n = 1; status != RF_OK; n++) {
        rf_backend *backend = cpu_backend();
        rf_engine_options options = {.n_ctx = 64, .max_seqs = 2, .max_waiting = 2};
        options.draft =
            (rf_draft_options){.n_max = 2, .program = &tiny.program, .backend = cpu_backend()};
        rf_engine *engine = NULL;
        rf_error err = {0};
        assert_true(n < 500);
        rf_alloc_fail_at(n, 0);
        status = rf_engine_create(backend, &tiny.program, &options, NULL, NULL, &engine, &err);
        rf_alloc_fail_at(0, 0);
        if (status == RF_OK) {
            rf_engine_destroy(engine);
        } else {
            backend->api->destroy(backend);
            options.draft.backend->api->destroy(options.draft.backend);
        }
        assert_int_equal(rf_alloc_live_bytes(), live);
    }
    tiny_program_close(&tiny);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_output_is_unchanged),
        cmocka_unit_test(test_perfect_drafts_stop_and_fork), cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_a_failing_draft_model), cmocka_unit_test(test_memory_failures)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
