/* The CPU backend on a small program that uses every op. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/cpu_features.h"
#include "cpu/backend_cpu.h"
#include "tests/lib/tiny_program.h"

enum { N = 90 };

typedef struct engine {
    tiny_program tiny;
    rf_backend *backend;
} engine;

static const rf_cpu_options fast = {.n_threads = 2, .features = UINT32_MAX};
static const rf_cpu_options reference = {.n_threads = 1, .reference = true};

static void engine_open(engine *e, const rf_cpu_options *options, rf_qtype qtype, rf_kv_type kv) {
    rf_error err = {0};
    rf_limits limits = tiny_limits(8, kv);
    rf_memory_plan plan;
    assert_true(tiny_program_open(&e->tiny, 7, qtype));
    assert_int_equal(rf_cpu_backend_create(options, &e->backend, &err), RF_OK);
    assert_int_equal(e->backend->api->plan(e->backend, &e->tiny.program, &limits, &plan, &err),
                     RF_OK);
    size_t before = rf_alloc_live_bytes();
    rf_status status =
        e->backend->api->bind(e->backend, &e->tiny.program, &limits, NULL, NULL, &err);
    assert_string_equal(err.text, "");
    assert_int_equal(status, RF_OK);
    uint64_t planned = plan.weights_bytes + plan.kv_bytes + plan.workspace_bytes;
    uint64_t taken = rf_alloc_live_bytes() - before;
    /* beyond the plan: its own tables, and up to a huge page for each of three areas */
    assert_in_range(taken, planned, planned + (7 << 20));
}

static void engine_close(engine *e) {
    e->backend->api->destroy(e->backend);
    tiny_program_close(&e->tiny);
}

/* Feeds sequence id its first n tokens in pieces of `chunk`; logits: [n][TINY_VOCAB]. */
static void feed(engine *e, int32_t id, int32_t n, int32_t chunk, float *logits) {
    for (int32_t at = 0; at < n; at += chunk) {
        rf_error err = {0};
        int32_t count = n - at < chunk ? n - at : chunk;
        rf_status status =
            tiny_step(e->backend, 1, &id, &at, &count, logits + (size_t)at * TINY_VOCAB, &err);
        assert_string_equal(err.text, "");
        assert_int_equal(status, RF_OK);
    }
}

static double relative(const float *got, const float *want, size_t n) {
    double error = 0, mean = 0, var = 0;
    for (size_t i = 0; i < n; i++)
        mean += (double)want[i] / (double)n;
    for (size_t i = 0; i < n; i++) {
        error += pow((double)got[i] - (double)want[i], 2);
        var += pow((double)want[i] - mean, 2);
    }
    return sqrt(error / var);
}

static float want[N * TINY_VOCAB], got[N * TINY_VOCAB], several[3 * N * TINY_VOCAB];

static void fast_meets_reference(void **state) {
    (void)state;
    const uint32_t masks[] = {0, RF_CPU_LEVEL_AVX2, RF_CPU_LEVEL_AVX512, UINT32_MAX};
    engine ref, e;
    engine_open(&ref, &reference, RF_QTYPE_F32, RF_KV_F32);
    feed(&ref, 0, N, N, want);
    for (size_t i = 0; i < 4; i++) {
        rf_cpu_options options = {.n_threads = 2, .features = masks[i]};
        engine_open(&e, &options, RF_QTYPE_F32, RF_KV_F32);
        feed(&e, 0, N, N, got);
        assert_true(relative(got, want, N * TINY_VOCAB) < 1e-5);
        engine_close(&e);
    }
    engine_close(&ref);
}

static void quantised_weights_stay_near(void **state) {
    (void)state;
    engine ref, e;
    engine_open(&ref, &reference, RF_QTYPE_Q8_0, RF_KV_F32);
    engine_open(&e, &fast, RF_QTYPE_Q8_0, RF_KV_F32);
    feed(&ref, 0, N, N, want);
    feed(&e, 0, N, N, got);
    assert_true(relative(got, want, N * TINY_VOCAB) < 0.1);
    engine_close(&ref);
    engine_close(&e);
}

static void cache_types_stay_near(void **state) {
    (void)state;
    const double bounds[] = {1e-5, 5e-3, 5e-2};
    engine ref, e;
    engine_open(&ref, &reference, RF_QTYPE_F32, RF_KV_F32);
    feed(&ref, 0, N, N, want);
    for (int type = 0; type < RF_KV_TYPE_COUNT; type++) {
        engine_open(&e, &fast, RF_QTYPE_F32, (rf_kv_type)type);
        feed(&e, 0, N, N, got);
        assert_true(relative(got, want, N * TINY_VOCAB) < bounds[type]);
        engine_close(&e);
    }
    engine_close(&ref);
}

/* Bits do not depend on chunks, threads, or other sequences of the batch. */
static void rows_are_independent(const rf_cpu_options *base, rf_qtype qtype, rf_kv_type kv) {
    const int32_t chunks[] = {N, 1, 7, 33};
    engine e;
    engine_open(&e, base, qtype, kv);
    feed(&e, 0, N, N, want);
    engine_close(&e);
    for (uint32_t i = 0; i < 4; i++) {
        rf_cpu_options options = *base;
        options.n_threads = i + 1;
        engine_open(&e, &options, qtype, kv);
        feed(&e, 0, N, chunks[i], got);
        assert_memory_equal(got, want, sizeof want);
        /* sequences 3, 0 and 5 side by side, 0 in the middle at its own pace */
        for (int32_t at = 0; at < N; at += 30) {
            rf_error err = {0};
            int32_t ids[] = {3, 0, 5}, starts[] = {at / 3, at, at / 6}, counts[] = {10, 30, 5};
            assert_int_equal(tiny_step(e.backend, 3, ids, starts, counts, several, &err), RF_OK);
            assert_memory_equal(several + 10 * TINY_VOCAB, want + at * TINY_VOCAB,
                                30 * TINY_VOCAB * sizeof(float));
        }
        engine_close(&e);
    }
}

static void reference_rows_are_independent(void **state) {
    (void)state;
    rows_are_independent(&reference, RF_QTYPE_F32, RF_KV_F32);
}

static void fast_rows_are_independent(void **state) {
    (void)state;
    rows_are_independent(&fast, RF_QTYPE_F32, RF_KV_F16);
    rows_are_independent(&fast, RF_QTYPE_Q8_0, RF_KV_Q8_0);
}

/* Positions beyond one part of attention: parts side by side or in turn, the same bits. */
static void long_sequences_are_independent(void **state) {
    (void)state;
    enum { LONG = 1100, LAST = 3 };
    static float long_want[LONG * TINY_VOCAB], long_got[LONG * TINY_VOCAB];
    for (uint32_t n_threads = 1; n_threads <= 3; n_threads++) {
        const rf_cpu_options options = {.n_threads = n_threads, .features = UINT32_MAX};
        engine e;
        engine_open(&e, &options, RF_QTYPE_F32, RF_KV_F16);
        feed(&e, 0, LONG - LAST, n_threads == 1 ? 512 : 77, long_got);
        for (int32_t at = LONG - LAST; at < LONG; at++) {
            const int32_t id = 0, one = 1;
            rf_error err = {0};
            assert_int_equal(
                tiny_step(e.backend, 1, &id, &at, &one, long_got + (size_t)at * TINY_VOCAB, &err),
                RF_OK);
        }
        if (n_threads == 1)
            memcpy(long_want, long_got, sizeof long_want);
        assert_memory_equal(long_got, long_want, sizeof long_want);
        engine_close(&e);
    }
    engine ref;
    engine_open(&ref, &reference, RF_QTYPE_F32, RF_KV_F16);
    feed(&ref, 0, LONG, 512, long_got);
    assert_true(relative(long_got, long_want, LONG * TINY_VOCAB) < 1e-3);
    engine_close(&ref);
}

static void blocks_are_copied_and_restored(void **state) {
    (void)state;
    engine e;
    rf_error err = {0};
    engine_open(&e, &fast, RF_QTYPE_F32, RF_KV_F16);
    const rf_backend_api *api = e.backend->api;
    feed(&e, 0, N, N, want);
    /* sequence 1's blocks become those of sequence 0: block 2 through memory, the others directly
     */
    for (uint32_t group = 0; group < 2; group++) {
        size_t bytes = api->kv_block_bytes(e.backend, group);
        void *saved = rf_alloc(bytes);
        assert_non_null(saved);
        for (uint32_t b = 0; b <= N / TINY_BLOCK; b++) {
            if (b != 2) {
                assert_int_equal(api->kv_copy(e.backend, group, 8 * b, 8 * b + 1, &err), RF_OK);
                continue;
            }
            assert_int_equal(api->kv_read(e.backend, group, 8 * b, TINY_BLOCK, saved, &err), RF_OK);
            assert_int_equal(api->kv_write(e.backend, group, 8 * b + 1, saved, &err), RF_OK);
        }
        assert_int_equal(api->kv_read(e.backend, group, 100000, 1, saved, &err), RF_ERR_INVALID);
        assert_int_equal(api->kv_copy(e.backend, group, 0, 100000, &err), RF_ERR_INVALID);
        rf_free(saved);
    }
    int32_t ids[] = {0, 1}, starts[] = {N, N}, counts[] = {1, 1};
    for (int i = 0; i < 2; i++)
        assert_int_equal(
            tiny_step(e.backend, 1, &ids[i], &starts[i], &counts[i], got + i * TINY_VOCAB, &err),
            RF_OK);
    /* their tokens differ, so their logits do: but the same token on either cache agrees */
    assert_int_not_equal(tiny_token(0, N), tiny_token(1, N));
    assert_memory_not_equal(got, got + TINY_VOCAB, TINY_VOCAB * sizeof(float));
    int32_t token = 5, position = N, start[] = {0, 1}, row = 0, tables[2][2 * TINY_BLOCKS];
    for (int s = 0; s < 2; s++) {
        for (int b = 0; b < 2 * TINY_BLOCKS; b++)
            tables[s][b] = s + b % TINY_BLOCKS * 8;
        rf_batch batch = {1, 1, 1, &token, &position, start, &row, tables[s], TINY_BLOCKS};
        rf_outputs outputs = {.logits = got + s * TINY_VOCAB};
        assert_int_equal(api->run(e.backend, &batch, &outputs, &err), RF_OK);
    }
    assert_memory_equal(got, got + TINY_VOCAB, TINY_VOCAB * sizeof(float));
    engine_close(&e);
}

/* The hidden rows times the last matrix are the logits; logits may be left out. */
static void outputs_are_optional(void **state) {
    (void)state;
    engine e;
    rf_error err = {0};
    static float hidden[TINY_EMBD], logits[TINY_VOCAB];
    engine_open(&e, &reference, RF_QTYPE_F32, RF_KV_F32);
    int32_t tokens[] = {1, 2, 3}, positions[] = {0, 1, 2}, start[] = {0, 3}, row = 1;
    int32_t tables[2 * TINY_BLOCKS] = {0};
    rf_batch batch = {3, 1, 1, tokens, positions, start, &row, tables, TINY_BLOCKS};
    rf_outputs both = {.logits = logits, .hidden = hidden}, none = {0};
    assert_int_equal(e.backend->api->run(e.backend, &batch, &both, &err), RF_OK);
    const rf_op_matmul *last = &e.tiny.ops[e.tiny.program.n_ops - 1].u.matmul;
    const rf_weight *w = &e.tiny.weights[last->weight[0]];
    for (uint32_t i = 0; i < TINY_VOCAB; i++) {
        double dot = 0;
        for (uint32_t d = 0; d < TINY_EMBD; d++) {
            float x;
            memcpy(&x, w->data + ((size_t)i * TINY_EMBD + d) * 4, 4);
            dot += (double)x * (double)hidden[d];
        }
        assert_true(fabs(30 * tanh(2 * dot / 30) - (double)logits[i]) < 1e-5);
    }
    assert_int_equal(e.backend->api->run(e.backend, &batch, &none, &err), RF_OK);
    batch.n_outputs = 0;
    assert_int_equal(e.backend->api->run(e.backend, &batch, &both, &err), RF_OK);
    engine_close(&e);
}

/* Every op's end is written, in order, and nothing beyond. */
static void ops_are_timed(void **state) {
    (void)state;
    engine e;
    rf_error err = {0};
    static float logits[TINY_VOCAB];
    engine_open(&e, &fast, RF_QTYPE_Q8_0, RF_KV_F16);
    uint32_t n_ops = e.tiny.program.n_ops;
    uint64_t *op_ns = rf_calloc(n_ops + 2, sizeof *op_ns), before = rf_clock_ns();
    int32_t tokens[] = {1, 2, 3}, positions[] = {0, 1, 2}, start[] = {0, 3}, row = 2;
    int32_t tables[2 * TINY_BLOCKS] = {0};
    rf_batch batch = {3, 1, 1, tokens, positions, start, &row, tables, TINY_BLOCKS};
    rf_outputs outputs = {.logits = logits, .op_ns = op_ns};
    assert_int_equal(e.backend->api->run(e.backend, &batch, &outputs, &err), RF_OK);
    assert_true(op_ns[0] >= before);
    for (uint32_t i = 0; i < n_ops; i++)
        assert_true(op_ns[i + 1] >= op_ns[i]);
    assert_true(op_ns[n_ops] > op_ns[0] && op_ns[n_ops] <= rf_clock_ns());
    assert_int_equal(op_ns[n_ops + 1], 0);
    rf_free(op_ns);
    engine_close(&e);
}

static void steps_do_not_allocate(void **state) {
    (void)state;
    engine e;
    engine_open(&e, &fast, RF_QTYPE_Q8_0, RF_KV_F16);
    feed(&e, 0, 10, 10, got);
    uint64_t before = rf_alloc_count();
    feed(&e, 0, N, 11, got);
    assert_int_equal(rf_alloc_count(), before);
    engine_close(&e);
}

static void bad_weights_are_named(void **state) {
    (void)state;
    rf_error err = {0};
    tiny_program tiny;
    rf_backend *backend;
    rf_limits limits = tiny_limits(1, RF_KV_F32);
    const rf_qtype types[] = {RF_QTYPE_F32, RF_QTYPE_Q8_0};
    const char *const expected[] = {"tensor 'spoilt' (F32): weight 130 (row 2, column 2)",
                                    "tensor 'spoilt' (Q8_0): weight 128 (row 2, column 0)"};
    for (int i = 0; i < 2; i++) {
        assert_true(tiny_program_open(&tiny, 7, types[i]));
        rf_weight *w = &tiny.weights[tiny.ops[2].u.matmul.weight[1]];
        const float nan = NAN;
        const uint8_t infinite[] = {0x00, 0x7C};
        w->name = RF_STR("spoilt");
        if (i == 0)
            memcpy((uint8_t *)(uintptr_t)w->data + 2 * w->row_bytes + 8, &nan, 4);
        else
            memcpy((uint8_t *)(uintptr_t)w->data + 2 * w->row_bytes, infinite, 2);
        assert_int_equal(rf_cpu_backend_create(&fast, &backend, &err), RF_OK);
        assert_int_equal(backend->api->bind(backend, &tiny.program, &limits, NULL, NULL, &err),
                         RF_ERR_INVALID);
        err.text[strlen(expected[i])] = '\0';
        assert_string_equal(err.text, expected[i]);
        backend->api->destroy(backend);
        tiny_program_close(&tiny);
    }
}

/* Weights in a file's mapping whose pages bind gives back: the same bits. */
static void mapped_weights_are_released(void **state) {
    (void)state;
    rf_cpu_options options = fast;
    engine plain, e;
    rf_error err = {0};
    rf_limits limits = tiny_limits(8, RF_KV_F16);
    options.release_mapping = true;
    engine_open(&plain, &fast, RF_QTYPE_Q8_0, RF_KV_F16);
    feed(&plain, 0, N, N, want);
    assert_true(tiny_program_open(&e.tiny, 7, RF_QTYPE_Q8_0));
    int fd = memfd_create("weights", 0);
    assert_true(fd >= 0);
    size_t n = 0;
    for (uint32_t i = 0; i < e.tiny.program.n_weights; i++) {
        const rf_weight *w = &e.tiny.weights[i];
        size_t bytes = (size_t)(w->n_experts * w->n_rows * w->row_bytes);
        assert_int_equal(write(fd, w->data, bytes), bytes);
        n += bytes;
    }
    uint8_t *map = mmap(NULL, n, PROT_READ, MAP_PRIVATE, fd, 0), *at = map;
    assert_ptr_not_equal(map, MAP_FAILED);
    for (uint32_t i = 0; i < e.tiny.program.n_weights; i++) {
        rf_weight *w = &e.tiny.weights[i];
        w->data = at;
        at += w->n_experts * w->n_rows * w->row_bytes;
    }
    assert_int_equal(rf_cpu_backend_create(&options, &e.backend, &err), RF_OK);
    assert_int_equal(e.backend->api->bind(e.backend, &e.tiny.program, &limits, NULL, NULL, &err),
                     RF_OK);
    feed(&e, 0, N, N, got);
    assert_memory_equal(got, want, sizeof want);
    engine_close(&e);
    engine_close(&plain);
    munmap(map, n);
    close(fd);
}

static bool stop_at_once(void *user, uint64_t done, uint64_t total) {
    ++*(int *)user;
    assert_in_range(done, 0, total);
    return false;
}

static void binding_can_fail_and_be_stopped(void **state) {
    (void)state;
    rf_error err = {0};
    tiny_program tiny;
    rf_backend *backend;
    rf_limits limits = tiny_limits(1, RF_KV_F32);
    int calls = 0;
    assert_true(tiny_program_open(&tiny, 7, RF_QTYPE_F32));
    assert_int_equal(rf_cpu_backend_create(&fast, &backend, &err), RF_OK);
    const rf_backend_api *api = backend->api;
    assert_int_equal(api->bind(backend, &tiny.program, &limits, stop_at_once, &calls, &err),
                     RF_ERR_INTERRUPTED);
    assert_int_equal(calls, 1);
    size_t live = rf_alloc_live_bytes();
    for (uint64_t n = 1;; n++) {
        rf_alloc_fail_at(n, 0);
        rf_status status = api->bind(backend, &tiny.program, &limits, NULL, NULL, &err);
        rf_alloc_fail_at(0, 0);
        if (status == RF_OK)
            break;
        assert_int_equal(status, RF_ERR_NO_MEMORY);
        assert_int_equal(rf_alloc_live_bytes(), live);
        assert_in_range(n, 1, 50);
    }
    limits.block_tokens = 24;
    rf_memory_plan plan;
    assert_int_equal(api->plan(backend, &tiny.program, &limits, &plan, &err), RF_ERR_INVALID);
    api->destroy(backend);
    tiny_program_close(&tiny);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fast_meets_reference),
        cmocka_unit_test(quantised_weights_stay_near),
        cmocka_unit_test(cache_types_stay_near),
        cmocka_unit_test(reference_rows_are_independent),
        cmocka_unit_test(fast_rows_are_independent),
        cmocka_unit_test(long_sequences_are_independent),
        cmocka_unit_test(blocks_are_copied_and_restored),
        cmocka_unit_test(outputs_are_optional),
        cmocka_unit_test(ops_are_timed),
        cmocka_unit_test(steps_do_not_allocate),
        cmocka_unit_test(bad_weights_are_named),
        cmocka_unit_test(mapped_weights_are_released),
        cmocka_unit_test(binding_can_fail_and_be_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
