/* What is predicted of an engine's memory is what it takes, and pools fit their bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/alloc.h"
#include "cpu/backend_cpu.h"
#include "engine/engine.h"
#include "tests/lib/golden_model.h"

static rf_backend *make_backend(void) {
    rf_backend *backend = NULL;
    rf_error err = {0};
    rf_cpu_options cpu = {.n_threads = 2, .features = UINT32_MAX};
    assert_int_equal(rf_cpu_backend_create(&cpu, &backend, &err), RF_OK);
    return backend;
}

static uint64_t predict(const rf_program *program, const rf_engine_options *options) {
    rf_backend *backend = make_backend();
    rf_limits limits;
    rf_memory_plan plan;
    uint64_t own;
    rf_error err = {0};
    assert_int_equal(rf_engine_limits(program, options, &limits, &err), RF_OK);
    assert_int_equal(backend->api->plan(backend, program, &limits, &plan, &err), RF_OK);
    assert_int_equal(rf_engine_own_bytes(program, options, &own, &err), RF_OK);
    backend->api->destroy(backend);
    return plan.weights_bytes + plan.kv_bytes + plan.workspace_bytes + own;
}

static void check(const char *name, const rf_program *program, const rf_engine_options *options) {
    uint64_t expected = predict(program, options);
    rf_backend *backend = make_backend();
    rf_engine *engine = NULL;
    rf_error err = {0};
    size_t before = rf_alloc_live_bytes();
    if (rf_engine_create(backend, program, options, NULL, NULL, &engine, &err) != RF_OK)
        fail_msg("%s: %s", name, err.text);
    uint64_t got = rf_alloc_live_bytes() - before;
    uint64_t distance = got > expected ? got - expected : expected - got;
    if (distance > expected / 100)
        fail_msg("%s, %u sequences of %u tokens, pool of %u: %llu bytes, expected %llu", name,
                 options->max_seqs, options->n_ctx, options->kv_tokens, (unsigned long long)got,
                 (unsigned long long)expected);
    rf_engine_destroy(engine);
}

static void test_predictions(void **state) {
    (void)state;
    static const char *const names[] = {"llama", "gemma3", "qwen3moe"};
    static const rf_engine_options options[] = {
        {.n_ctx = 512, .max_seqs = 1, .max_outputs = 1},
        {.n_ctx = 4096,
         .kv_tokens = 20000,
         .max_seqs = 8,
         .type_k = RF_KV_F16,
         .type_v = RF_KV_F16},
        {.n_ctx = 2048, .kv_tokens = 500, .max_seqs = 64, .batch_tokens = 64, .max_waiting = 1000},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        golden_model golden;
        assert_true(golden_model_open(&golden, "models", names[i]));
        for (size_t k = 0; k < sizeof options / sizeof *options; k++)
            check(names[i], rf_model_program(golden.model), &options[k]);
        golden_model_close(&golden);
    }
}

static void test_pool_of_bytes(void **state) {
    (void)state;
    golden_model golden;
    assert_true(golden_model_open(&golden, "models", "gemma3"));
    const rf_program *program = rf_model_program(golden.model);
    rf_backend *backend = make_backend();
    rf_error err = {0};
    for (uint64_t bytes = 100000; bytes < 400000000; bytes *= 7) {
        rf_engine_options options = {.n_ctx = 1024, .max_seqs = 4, .type_k = RF_KV_F16};
        rf_limits limits;
        rf_memory_plan plan;
        assert_int_equal(rf_engine_fit_pool(backend, program, &options, bytes, &err), RF_OK);
        assert_int_equal(rf_engine_limits(program, &options, &limits, &err), RF_OK);
        assert_int_equal(backend->api->plan(backend, program, &limits, &plan, &err), RF_OK);
        assert_true(plan.kv_bytes <= bytes);
        options.kv_tokens += 32; /* one more block is too much */
        assert_int_equal(rf_engine_limits(program, &options, &limits, &err), RF_OK);
        assert_int_equal(backend->api->plan(backend, program, &limits, &plan, &err), RF_OK);
        assert_true(plan.kv_bytes > bytes);
    }
    rf_engine_options options = {.n_ctx = 1024};
    assert_int_equal(rf_engine_fit_pool(backend, program, &options, 100, &err), RF_ERR_LIMIT);
    assert_non_null(strstr(err.text, "a cache of 100 bytes: one block of 32 tokens takes"));
    backend->api->destroy(backend);
    golden_model_close(&golden);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_predictions),
                                       cmocka_unit_test(test_pool_of_bytes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
