/* What an engine's options come to, and creations that fail or are called off: they leave the
 * backend to the caller and nothing else behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/alloc.h"
#include "tests/lib/golden_model.h"
#include "tests/lib/tiny_program.h"

static const rf_program windowed = {
    .n_kv_groups = 2, .kv_groups = {{40}, {0}}, .n_vocab = 50, .n_embd = 8, .n_ctx_train = 400};

static void test_limits(void **state) {
    (void)state;
    rf_limits limits;
    rf_error err = {0};
    assert_int_equal(rf_engine_limits(&windowed, &(rf_engine_options){0}, &limits, &err), RF_OK);
    assert_int_equal(limits.max_context, 400);
    assert_int_equal(limits.max_tokens, 512);
    assert_int_equal(limits.max_seqs, 16);
    assert_int_equal(limits.max_outputs, 16);
    assert_int_equal(limits.n_blocks[1], (400 + 31) / 32);
    assert_int_equal(limits.n_blocks[0], limits.n_blocks[1]); /* no more than all of it */
    /* A window of 40 spans two blocks and cuts one at each end, in each sequence. */
    rf_engine_options long_one = {.n_ctx = 1 << 20, .batch_tokens = 64, .max_seqs = 2};
    assert_int_equal(rf_engine_limits(&windowed, &long_one, &limits, &err), RF_OK);
    assert_int_equal(limits.n_blocks[1], 1 << 15);
    assert_int_equal(limits.n_blocks[0], 2 * (2 + 2) + 2);
    /* A step has a row for each sequence, and its result. */
    rf_engine_options many = {.batch_tokens = 3, .max_outputs = 2, .max_seqs = 9};
    assert_int_equal(rf_engine_limits(&windowed, &many, &limits, &err), RF_OK);
    assert_int_equal(limits.max_tokens, 9);
    assert_int_equal(limits.max_outputs, 9);
}

static rf_backend *make_backend(void) {
    rf_backend *backend = NULL;
    rf_error err = {0};
    rf_cpu_options cpu = {.n_threads = 2, .features = UINT32_MAX};
    assert_int_equal(rf_cpu_backend_create(&cpu, &backend, &err), RF_OK);
    return backend;
}

static void test_refused_options(void **state) {
    (void)state;
    static const struct {
        rf_engine_options options;
        const char *says;
    } cases[] = {
        {{.n_ctx = UINT32_MAX}, "a context of 4294967295"},
        {{.batch_tokens = UINT32_MAX}, "a step of 4294967295 tokens"},
        {{.kv_tokens = (uint32_t)INT32_MAX + 1}, "a pool of 2147483648"},
        {{.max_seqs = 1000000}, "1000000 sequences, expected 1 to 65536"},
        {{.type_k = RF_KV_TYPE_COUNT}, "cache types 3 and 0"},
        {{.type_v = (rf_kv_type)77}, "cache types 0 and 77"},
        {{.max_waiting = INT32_MAX}, "a queue of 2147483647 jobs"},
    };
    tiny_program tiny;
    assert_true(tiny_program_open(&tiny, 3, RF_QTYPE_F32));
    size_t live = rf_alloc_live_bytes();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        rf_backend *backend = make_backend();
        rf_engine *engine = NULL;
        rf_error err = {0};
        assert_int_equal(
            rf_engine_create(backend, &tiny.program, &cases[i].options, NULL, NULL, &engine, &err),
            RF_ERR_INVALID);
        assert_null(engine);
        if (!strstr(err.text, cases[i].says))
            fail_msg("\"%s\" does not say \"%s\"", err.text, cases[i].says);
        backend->api->destroy(backend);
        assert_int_equal(rf_alloc_live_bytes(), live);
    }
    tiny_program_close(&tiny);
}

static bool go_on(void *user, uint64_t done, uint64_t total) {
    int *n_left = user;
    assert_in_range(done, 0, total);
    return --*n_left >= 0;
}

/* Called off at the n-th report of the load; a new backend then loads the same weights whole. */
static void test_interrupted_load(void **state) {
    (void)state;
    tiny_program tiny;
    assert_true(tiny_program_open(&tiny, 3, RF_QTYPE_F32));
    size_t live = rf_alloc_live_bytes();
    rf_status status = RF_ERR_INTERRUPTED;
    for (int n = 0; status != RF_OK; n++) {
        rf_engine_options options = {.n_ctx = 64, .max_seqs = 2};
        rf_cpu_options cpu = {.n_threads = 1, .features = UINT32_MAX};
        rf_backend *backend = NULL;
        rf_engine *engine = NULL;
        rf_error err = {0};
        int n_left = n;
        assert_true(n < 1000);
        assert_int_equal(rf_cpu_backend_create(&cpu, &backend, &err), RF_OK);
        status = rf_engine_create(backend, &tiny.program, &options, go_on, &n_left, &engine, &err);
        if (status == RF_OK) {
            assert_true(n > 2);
            rf_engine_destroy(engine);
        } else {
            assert_int_equal(status, RF_ERR_INTERRUPTED);
            assert_non_null(strstr(err.text, "interrupted"));
            assert_null(engine);
            backend->api->destroy(backend);
        }
        assert_int_equal(rf_alloc_live_bytes(), live);
    }
    tiny_program_close(&tiny);
}

/* The n-th allocation fails, from the creation of the backend to the first logits. */
static void test_allocation_faults(void **state) {
    (void)state;
    golden_model golden;
    assert_true(golden_model_open(&golden, "models", "gemma3"));
    float *row = rf_calloc(golden.n_vocab, sizeof *row);
    assert_non_null(row);
    size_t live = rf_alloc_live_bytes();
    rf_status status = RF_ERR_NO_MEMORY;
    for (uint64_t n = 1; status != RF_OK; n++) {
        rf_cpu_options cpu = {.n_threads = 2, .features = UINT32_MAX};
        rf_engine_options options = {.n_ctx = 64, .max_waiting = 2, .times_ops = true};
        row_engine engine;
        row_feed feed = {.tokens = golden.tokens, .n_tokens = 9, .from = 8, .rows = row};
        rf_error err = {0};
        rf_alloc_fail_at(n, 0);
        status = row_engine_open(&engine, rf_model_program(golden.model), &cpu, &options, &err);
        if (status == RF_OK)
            status = row_engine_run(&engine, &feed, 1, &err);
        rf_alloc_fail_at(0, 0);
        row_engine_close(&engine);
        assert_int_equal(rf_alloc_live_bytes(), live);
        assert_true(status == RF_OK ? n > 40 : status == RF_ERR_NO_MEMORY && err.text[0]);
    }
    rf_free(row);
    golden_model_close(&golden);
}

/* The whole pool can be used by one sequence or by all, beside a window's small one, and nobody
 * has to pause. */
static void test_pool_suffices(void **state) {
    (void)state;
    enum { POOL = 160 };
    tiny_program tiny;
    assert_true(tiny_program_open(&tiny, 3, RF_QTYPE_F32));
    float *rows = rf_calloc((size_t)POOL * TINY_VOCAB, sizeof *rows);
    int32_t tokens[POOL];
    assert_non_null(rows);
    for (int32_t i = 0; i < POOL; i++)
        tokens[i] = i * i % TINY_VOCAB;
    for (uint32_t n_seqs = 1; n_seqs <= 5; n_seqs++) {
        rf_cpu_options cpu = {.n_threads = 1, .features = UINT32_MAX};
        rf_engine_options options = {
            .n_ctx = 400, .kv_tokens = POOL, .batch_tokens = 37, .max_seqs = n_seqs};
        row_engine engine;
        row_feed feeds[5];
        rf_error err = {0};
        uint32_t each = POOL / n_seqs / 32 * 32;
        for (uint32_t s = 0; s < n_seqs; s++)
            feeds[s] = (row_feed){.tokens = tokens,
                                  .n_tokens = each,
                                  .salt = s,
                                  .rows = rows + (size_t)s * each * TINY_VOCAB};
        assert_int_equal(row_engine_open(&engine, &tiny.program, &cpu, &options, &err), RF_OK);
        if (row_engine_run(&engine, feeds, n_seqs, &err) != RF_OK)
            fail_msg("%u sequences: %s", n_seqs, err.text);
        for (uint32_t s = 1; s < n_seqs; s++)
            assert_memory_equal(feeds[s].rows, feeds[0].rows,
                                each * TINY_VOCAB * sizeof *feeds[0].rows);
        assert_int_equal(rf_engine_get_counters(engine.engine).sched.n_preempted, 0);
        feeds[0].n_tokens = POOL + 1; /* never fits */
        feeds[0].tokens = (int32_t[POOL + 1]){0};
        assert_int_equal(row_engine_run(&engine, feeds, 1, &err), RF_ERR_INVALID);
        assert_non_null(strstr(err.text, "the cache, which holds 160"));
        row_engine_close(&engine);
    }
    rf_free(rows);
    tiny_program_close(&tiny);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limits),           cmocka_unit_test(test_refused_options),
        cmocka_unit_test(test_interrupted_load), cmocka_unit_test(test_allocation_faults),
        cmocka_unit_test(test_pool_suffices),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
