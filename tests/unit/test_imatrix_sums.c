#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "model/imatrix.h"
#include "model/imatrix_sums.h"
#include "tests/lib/temp_path.h"

/* A tensor of gate and up with its two views, experts, a norm and the output matrix. */
enum { BOTH, GATE, UP, EXPERTS, NORM, OUTPUT, N_WEIGHTS };
static const rf_weight weights[N_WEIGHTS] = {
    {.name = {"blk.0.ffn_up.weight", 19}, .n_cols = 4, .n_rows = 6, .n_experts = 1},
    {.name = {"blk.0.ffn_up.weight", 19}, .n_cols = 4, .n_rows = 3, .n_experts = 1},
    {.name = {"blk.0.ffn_up.weight", 19}, .n_cols = 4, .n_rows = 3, .n_experts = 1},
    {.name = {"blk.0.ffn_down_exps.weight", 26}, .n_cols = 2, .n_rows = 4, .n_experts = 3},
    {.name = {"blk.0.attn_norm.weight", 22}, .n_cols = 4, .n_rows = 1, .n_experts = 1},
    {.name = {"output.weight", 13}, .n_cols = 4, .n_rows = 9, .n_experts = 1}};
static const rf_program program = {.n_weights = N_WEIGHTS, .weights = weights};
static const float rows[8] = {1, -2, 3, 0, 5, 6, -7, 8};

static void see_all(const rf_imatrix_sums *sums) {
    const rf_observer *observer = rf_imatrix_sums_observer(sums);
    for (int i = 0; i < 2; i++) {
        observer->see(observer->user, GATE, 0, rows, 2);
        observer->see(observer->user, UP, 0, rows, 2);
    }
    observer->see(observer->user, EXPERTS, 2, rows, 3);
    observer->see(observer->user, EXPERTS, 0, rows + 6, 1);
    observer->see(observer->user, NORM, 0, rows, 2);
    observer->see(observer->user, OUTPUT, 0, rows, 1);
}

static rf_status write_sums(bool with_output, rf_error *err) {
    static const rf_imatrix_source source = {{"some.txt", 8}, 7, 512};
    rf_imatrix_sums *sums = NULL;
    rf_status status = rf_imatrix_sums_create(&program, with_output, &sums, err);
    if (status != RF_OK)
        return status;
    see_all(sums);
    status = rf_imatrix_sums_write(sums, &source, temp_path, err);
    rf_imatrix_sums_destroy(sums);
    return status;
}

static const float *means(const rf_imatrix *imatrix, int i) {
    rf_error err = {0};
    const float *out = NULL;
    assert_int_equal(rf_imatrix_find(imatrix, weights[i].name, weights[i].n_cols,
                                     weights[i].n_experts, &out, &err),
                     RF_OK);
    return out;
}

static void the_reader_finds_the_means(void **state) {
    (void)state;
    for (int with_output = 0; with_output < 2; with_output++) {
        rf_error err = {0};
        rf_imatrix *imatrix = NULL;
        if (write_sums(with_output, &err) != RF_OK ||
            rf_imatrix_open(temp_path, &imatrix, &err) != RF_OK)
            fail_msg("%s", err.text);
        assert_int_equal(rf_imatrix_n_entries(imatrix), 2 + with_output);
        assert_int_equal(rf_imatrix_n_chunks(imatrix), 7);
        assert_true(rf_str_is(rf_imatrix_dataset(imatrix), "some.txt"));
        /* two views of one tensor that see the same rows count them once */
        static const float up[] = {13, 20, 29, 32};
        assert_memory_equal(means(imatrix, BOTH), up, sizeof up);
        /* an expert that saw nothing counts all columns alike */
        static const float experts[] = {49, 64, 1, 1, 35 / 3.0f, 40 / 3.0f};
        assert_memory_equal(means(imatrix, EXPERTS), experts, sizeof experts);
        assert_null(means(imatrix, NORM));
        assert_true((means(imatrix, OUTPUT) != NULL) == (with_output == 1));
        rf_imatrix_close(imatrix);
    }
}

static void overflow_is_refused(void **state) {
    static const float huge[] = {0, 1e30f, 0, 0};
    static const rf_imatrix_source source = {{"t", 1}, 1, 1};
    rf_error err = {0};
    rf_imatrix_sums *sums = NULL;
    (void)state;
    assert_int_equal(rf_imatrix_sums_create(&program, false, &sums, &err), RF_OK);
    const rf_observer *observer = rf_imatrix_sums_observer(sums);
    observer->see(observer->user, GATE, 0, huge, 1);
    assert_int_equal(rf_imatrix_sums_write(sums, &source, temp_path, &err), RF_ERR_INVALID);
    assert_non_null(strstr(err.text, "blk.0.ffn_up.weight"));
    assert_non_null(strstr(err.text, "column 1"));
    rf_imatrix_sums_destroy(sums);
}

static void failed_allocations_leave_nothing(void **state) {
    (void)state;
    size_t live = rf_alloc_live_bytes();
    for (uint64_t n = 1;; n++) {
        rf_error err = {0};
        rf_alloc_fail_at(n, 1);
        rf_status status = write_sums(true, &err);
        rf_alloc_fail_at(0, 0);
        assert_int_equal(rf_alloc_live_bytes(), live);
        if (status == RF_OK)
            break;
        assert_int_equal(status, RF_ERR_NO_MEMORY);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_reader_finds_the_means),
        cmocka_unit_test(overflow_is_refused),
        cmocka_unit_test(failed_allocations_leave_nothing),
    };
    return cmocka_run_group_tests(tests, temp_path_make, temp_path_drop);
}
