/* Allocation failures from the creation of a backend to the first logits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "tests/lib/golden_model.h"

static void test_allocation_faults(void **state) {
    (void)state;
    golden_model golden;
    assert_true(golden_model_open(&golden, "models", "gemma3"));
    const rf_program *real = rf_model_program(golden.model);
    size_t live = rf_alloc_live_bytes();
    for (uint64_t n = 1;; n++) {
        rf_backend *backend = NULL;
        rf_runner *runner = NULL;
        rf_error err = {0};
        int32_t seq = -1;
        const float *logits = NULL;
        rf_alloc_fail_at(n, 0);
        rf_status status = rf_cpu_backend_create(
            &(rf_cpu_options){.n_threads = 2, .features = UINT32_MAX}, &backend, &err);
        if (status == RF_OK)
            status = rf_runner_create(backend, real, &(rf_runner_options){.n_ctx = 64}, NULL, NULL,
                                      &runner, &err);
        rf_feed feed = {0, golden.tokens, 9, RF_WANT_LAST};
        if (status == RF_OK)
            status = rf_runner_open(runner, &seq, &err);
        if (status == RF_OK)
            status = rf_runner_step(runner, &feed, 1, &logits, &err);
        rf_alloc_fail_at(0, 0);
        if (runner)
            rf_runner_destroy(runner);
        else if (backend)
            backend->api->destroy(backend);
        assert_int_equal(rf_alloc_live_bytes(), live);
        if (status == RF_OK) {
            assert_true(n > 20);
            break;
        }
        assert_int_equal(status, RF_ERR_NO_MEMORY);
    }
    golden_model_close(&golden);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_allocation_faults)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
