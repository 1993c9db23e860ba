/* rf_program_check and rf_batch_check: every field that is wrong is named. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/tiny_program.h"

static tiny_program tiny;

static rf_op *op_of(rf_op_kind kind) { return &tiny.ops[tiny_program_op(&tiny, kind)]; }

/* Each spoils the program in one place. */
#define SPOILS(X)                                                                                  \
    X(op_of(RF_OP_EMBED)->u.embed.table = 999, "table is weight 999")                              \
    X(op_of(RF_OP_EMBED)->u.embed.scale = NAN, "scale is nan")                                     \
    X(op_of(RF_OP_NORM)->u.norm.in = -7, "in is value -7")                                         \
    X(op_of(RF_OP_NORM)->u.norm.weight = op_of(RF_OP_EMBED)->u.embed.table, "weight is")           \
    X(op_of(RF_OP_MATMUL)->u.matmul.n_parts = 4, "4 parts, expected 1 to 3")                       \
    X(op_of(RF_OP_MATMUL)->u.matmul.out_col[2] = 1000, "part 2 writes columns 1000 to")            \
    X(op_of(RF_OP_MATMUL)->u.matmul.out_col[1] = 3, "parts 0 and 1 overlap in 'qkv'")              \
    X(op_of(RF_OP_MATMUL)->u.matmul.scale = 0, "scale is 0")                                       \
    X(op_of(RF_OP_MATMUL)->u.matmul.in = tiny.program.logits, "reads the logits")                  \
    X(op_of(RF_OP_MATMUL)->u.matmul.row_gate = 0, "row_gate has 64 columns, expected 1")           \
    X(op_of(RF_OP_ROPE_STORE)->u.rope_store.rope = 2, "rope is 2 of 2")                            \
    X(op_of(RF_OP_ROPE_STORE)->u.rope_store.n_head = 3, "3 heads are no multiple of 2")            \
    X(tiny.ropes[0].n_dims = 34, "rotates 34 of 32 dimensions")                                    \
    X(op_of(RF_OP_ATTENTION)->u.attention.kv_layer = 9, "kv_layer is 9 of 2")                      \
    X(op_of(RF_OP_ATTENTION)->u.attention.out = 0, "out has 64 columns, expected 128")             \
    X(tiny.program.kv_groups[1].window = 5, "window 20 is larger than the 5 positions")            \
    X(op_of(RF_OP_GATED_MATMUL)->u.gated_matmul.up = 0, "up is")                                   \
    X(op_of(RF_OP_MOE_ROUTE)->u.moe_route.n_used = 9, "out has 4 columns, expected 18")            \
    X(op_of(RF_OP_MOE_GATED_MATMUL)->u.moe_gated_matmul.route = 1, "route has 64 columns")         \
    X(op_of(RF_OP_MOE_MATMUL)->u.moe_matmul.down = op_of(RF_OP_EMBED)->u.embed.table, "weight is") \
    X(op_of(RF_OP_MOE_ROUTE)->kind = (rf_op_kind)77, "unknown kind 77")                            \
    X(tiny.weights[3].row_bytes++, "is no matrix that a program can hold")                         \
    X(tiny.weights[3].n_rows = UINT64_MAX / 2, "is no matrix that a program can hold")             \
    X(tiny.weights[3].data = NULL, "is no matrix that a program can hold")                         \
    X(tiny.values[2].n_cols = 0, "value 'qkv' has 0 columns")                                      \
    X(tiny.kv_layers[1].group = 5, "in group 5 of 2")                                              \
    X(tiny.kv_layers[1].n_head_kv = 0, "0 heads of 32")                                            \
    X(tiny.program.n_vocab = 51, "logits is value")                                                \
    X(tiny.program.hidden = 0, "hidden is value 0")                                                \
    X(tiny.program.n_kv_groups = 9, "9 groups of KV layers")

static void programs_are_checked(void **state) {
    (void)state;
    rf_error err = {0};
    assert_true(tiny_program_open(&tiny, 1, RF_QTYPE_F32));
    assert_int_equal(rf_program_check(&tiny.program, &err), RF_OK);
    tiny_program_close(&tiny);
#define X(spoil, expected)                                                   \
    assert_true(tiny_program_open(&tiny, 1, RF_QTYPE_F32));                  \
    spoil;                                                                   \
    assert_int_equal(rf_program_check(&tiny.program, &err), RF_ERR_INVALID); \
    if (!strstr(err.text, expected))                                         \
        fail_msg("\"%s\" does not hold \"%s\"", err.text, expected);         \
    tiny_program_close(&tiny);
    SPOILS(X)
#undef X
}

/* A batch of two sequences, 3 and 2 tokens, whose parts a test may spoil. */
typedef struct case_batch {
    int32_t tokens[5], positions[5], seq_start[3], output_rows[2], tables[8];
    rf_batch batch;
} case_batch;

static void batch_init(case_batch *c) {
    *c = (case_batch){{1, 2, 3, 4, 5}, {14, 15, 16, 0, 1},         {0, 3, 5},
                      {2, 4},          {0, 1, 2, -1, 3, 4, 5, -1}, {0}};
    c->batch =
        (rf_batch){5, 2, 2, c->tokens, c->positions, c->seq_start, c->output_rows, c->tables, 2};
}

#define BATCH_SPOILS(X)                                                               \
    X(c.batch.n_tokens = 0, "0 tokens, expected 1 to 512")                            \
    X(c.batch.n_tokens = 513, "513 tokens")                                           \
    X(c.batch.n_seqs = 3, "3 sequences, expected 1 to 2")                             \
    X(c.batch.n_outputs = -1, "-1 output rows")                                       \
    X(c.tokens[1] = 50, "token 50 of row 1 is not below 50")                          \
    X(c.tokens[1] = -1, "token -1 of row 1")                                          \
    X(c.positions[2] = 18, "position 18 of row 2 does not follow 15")                 \
    X(c.positions[3] = -1, "position -1 of row 3")                                    \
    X(c.positions[3] = 1200, "position 1200 of row 3 is not below 1200")              \
    X(c.positions[4] = 0, "position 0 of row 4 does not follow 0")                    \
    X(c.seq_start[1] = 0, "sequence 0 has rows 0 to 0")                               \
    X(c.seq_start[2] = 4, "cover rows 0 to 4 of 5")                                   \
    X(c.output_rows[1] = 2, "output row 1 is 2, expected 3 to 4")                     \
    X(c.output_rows[1] = 5, "output row 1 is 5")                                      \
    X(c.tables[1] = -1, "block 1 of sequence 0 in group 0 is -1")                     \
    X(c.tables[2] = 600, "block 0 of sequence 1 in group 0 is 600, the pool has 600") \
    X(c.tables[6] = -1, "block 0 of sequence 1 in group 1 is -1")                     \
    X(c.batch.table_stride = 1, "needs block 1 of its table, which has 1")

static void batches_are_checked(void **state) {
    (void)state;
    rf_error err = {0};
    case_batch c;
    rf_limits limits = tiny_limits(2, RF_KV_F32);
    assert_true(tiny_program_open(&tiny, 1, RF_QTYPE_F32));
    batch_init(&c);
    assert_int_equal(rf_batch_check(&c.batch, &tiny.program, &limits, &err), RF_OK);
#define X(spoil, expected)                                                               \
    batch_init(&c);                                                                      \
    spoil;                                                                               \
    assert_int_not_equal(rf_batch_check(&c.batch, &tiny.program, &limits, &err), RF_OK); \
    if (!strstr(err.text, expected))                                                     \
        fail_msg("\"%s\" does not hold \"%s\"", err.text, expected);
    BATCH_SPOILS(X)
#undef X
    /* a block that the window has passed is not asked for */
    batch_init(&c);
    for (int i = 0; i < 3; i++)
        c.positions[i] = 52 + i;
    int32_t tables[] = {0, 1, 2, 3, 4, 5, 6, 7, -1, -1, 2, 3, 4, 5, 6, 7};
    c.batch.block_tables = tables;
    c.batch.table_stride = 4;
    assert_int_equal(rf_batch_check(&c.batch, &tiny.program, &limits, &err), RF_OK);
    tables[10] = -1;
    assert_int_equal(rf_batch_check(&c.batch, &tiny.program, &limits, &err), RF_ERR_INVALID);
    tiny_program_close(&tiny);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(programs_are_checked),
        cmocka_unit_test(batches_are_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
