/* What ops read and compute, over a program of one op a kind that matters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "op/backend.h"
#include "op/op_view.h"

enum { N_EMBD = 64, N_VOCAB = 100, N_FF = 32, N_EXPERT = 8 };

#define MATRIX(cols, rows, experts)                                                        \
    {                                                                                      \
        .qtype = RF_QTYPE_F32, .n_cols = (cols), .n_rows = (rows), .n_experts = (experts), \
        .row_bytes = 4 * (cols), .expert_stride_rows = (rows)                              \
    }

static const rf_weight weights[] = {MATRIX(N_EMBD, N_VOCAB, 1), MATRIX(N_EMBD, N_EMBD, 1),
                                    MATRIX(N_EMBD, 1, 1), MATRIX(N_EMBD, N_FF, N_EXPERT),
                                    MATRIX(N_EMBD, N_FF, N_EXPERT)};
static const rf_value values[] = {{"x", N_EMBD, RF_ROWS_TOKENS},
                                  {"route", 4, RF_ROWS_TOKENS},
                                  {"g", 2 * N_FF, RF_ROWS_TOKENS},
                                  {"logits", N_VOCAB, RF_ROWS_OUTPUT}};
static const rf_op ops[] = {
    {.kind = RF_OP_EMBED, .u.embed = {.out = 0, .table = 0, .scale = 1}},
    {.kind = RF_OP_MATMUL,
     .u.matmul = {.in = 0, .out = 0, .n_parts = 1, .weight = {1}, .bias = {2}, .scale = 1}},
    {.kind = RF_OP_MOE_GATED_MATMUL,
     .u.moe_gated_matmul = {.in = 0, .route = 1, .out = 2, .gate = 3, .up = 4, .n_used = 2}},
    {.kind = RF_OP_MATMUL,
     .u.matmul = {.in = 0, .out = 3, .n_parts = 1, .weight = {0}, .bias = {RF_NONE}, .scale = 1}},
};
static const rf_program program = {
    .n_ops = 4, .n_values = 4, .n_weights = 5, .ops = ops, .values = values, .weights = weights};

static uint64_t read_bytes(uint32_t op, uint64_t n_rows) {
    rf_op_view view = rf_op_look(&program, &ops[op]);
    return rf_op_read_bytes(&program, &view, n_rows);
}

static void ops_name_what_they_touch(void **state) {
    (void)state;
    rf_op_view view = rf_op_look(&program, &ops[1]);
    assert_int_equal(view.n_weights, 2);
    assert_int_equal(view.weights[1], 2);
    assert_int_equal(view.rows, RF_ROWS_TOKENS);
    assert_int_equal(rf_op_look(&program, &ops[3]).rows, RF_ROWS_OUTPUT);
    assert_int_equal(rf_op_bytes(&program, &view), 4 * (N_EMBD * N_EMBD + N_EMBD));
}

/* Shared weights are read once, rows of a table and experts as far as rows meet different ones. */
static void rows_share_what_they_read(void **state) {
    (void)state;
    uint64_t expert = 2 * 4 * N_EMBD * N_FF;
    assert_int_equal(read_bytes(1, 0), 0);
    assert_int_equal(read_bytes(1, 1), read_bytes(1, 100));
    assert_int_equal(read_bytes(0, 1), 4 * N_EMBD);
    assert_int_equal(read_bytes(2, 1), 2 * expert);
    assert_in_range(read_bytes(2, 2), 3 * expert, 4 * expert - 1);
    assert_in_range(read_bytes(2, 1000), 8 * expert - 1, 8 * expert);
    assert_in_range(read_bytes(0, 50), 4 * N_EMBD * 38, 4 * N_EMBD * 41);
    assert_int_equal(rf_program_step_bytes(&program),
                     read_bytes(0, 1) + read_bytes(1, 1) + read_bytes(2, 1) + read_bytes(3, 1));
}

static void products_are_counted(void **state) {
    (void)state;
    assert_int_equal(rf_op_product_ops(&program, &ops[0]), 0);
    assert_int_equal(rf_op_product_ops(&program, &ops[1]), 2 * N_EMBD * N_EMBD);
    assert_int_equal(rf_op_product_ops(&program, &ops[2]), 2 * 2 * 2 * N_EMBD * N_FF);
}

static void cache_types_have_sizes(void **state) {
    (void)state;
    assert_int_equal(rf_kv_type_bytes(RF_KV_F32, 64), 256);
    assert_int_equal(rf_kv_type_bytes(RF_KV_F16, 64), 128);
    assert_int_equal(rf_kv_type_bytes(RF_KV_Q8_0, 64), 68);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ops_name_what_they_touch),
        cmocka_unit_test(rows_share_what_they_read),
        cmocka_unit_test(products_are_counted),
        cmocka_unit_test(cache_types_have_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
