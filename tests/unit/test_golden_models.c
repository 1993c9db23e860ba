/* Logits of every golden model against those of transformers in float64, by every backend, cache
 * type, split of the tokens and company in the batch. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cpu_features.h"
#include "base/rng.h"
#include "tests/lib/golden_model.h"

static const char *const names[] = {"llama",    "llama3-rope", "mixtral", "qwen2", "qwen3",
                                    "qwen3moe", "gemma2",      "gemma3",  "phi3"};
enum { N_NAMES = sizeof names / sizeof names[0], N_SEQS = 3 };

static const rf_cpu_options backends[] = {
    {.n_threads = 1, .features = UINT32_MAX, .reference = true},
    {.n_threads = 1, .features = 0},
    {.n_threads = 2, .features = RF_CPU_LEVEL_AVX2},
    {.n_threads = 2, .features = UINT32_MAX},
};
enum { N_BACKENDS = sizeof backends / sizeof backends[0] };

/* The README's bounds for F32 and F16 caches; heads of 16 have no Q8_0 one (test_golden_types). */
static const double bounds[] = {2e-5, 3e-3};
enum { N_CACHES = sizeof bounds / sizeof bounds[0] };

static void open_engine(row_engine *engine, const golden_model *golden, int backend, rf_kv_type kv,
                        uint32_t n_seqs, uint32_t batch_tokens) {
    assert_true(golden_engine_open(engine, golden, &backends[backend], kv, n_seqs, batch_tokens));
}

static float *run(const golden_model *golden, row_engine *engine, uint32_t largest, rf_rng *rng) {
    float *got = golden_run(golden, engine, largest, rng);
    assert_non_null(got);
    return got;
}

static void check(const golden_model *golden, const float *got, rf_kv_type kv_type,
                  const char *name, const char *what) {
    size_t n = (size_t)golden->n_tokens * golden->n_vocab;
    double rel = golden_rel(got, golden->logits, n);
    uint32_t differ = golden_n_best_differ(got, golden->logits, golden->n_tokens, golden->n_vocab);
    if (rel > bounds[kv_type] || (kv_type == RF_KV_F32 && differ))
        fail_msg("%s, %s cache, %s: rel %.3g (bound %.3g), %u rows with another best token", name,
                 rf_kv_type_name(kv_type), what, rel, bounds[kv_type], differ);
}

static void test_backends_and_caches(void **state) {
    (void)state;
    for (int i = 0; i < N_NAMES; i++) {
        golden_model golden;
        assert_true(golden_model_open(&golden, "models", names[i]));
        for (int b = 0; b < N_BACKENDS; b++) {
            for (int kv = 0; kv < N_CACHES; kv++) {
                row_engine engine;
                open_engine(&engine, &golden, b, (rf_kv_type)kv, 1, 0);
                float *got = run(&golden, &engine, golden.n_tokens, NULL);
                check(&golden, got, (rf_kv_type)kv, names[i], "one batch");
                rf_free(got);
                row_engine_close(&engine);
                assert_int_equal(engine.n_steps, 1);
            }
        }
        golden_model_close(&golden);
    }
}

static void compare(const golden_model *golden, float *got, const float *whole, int i, int b,
                    uint32_t size) {
    size_t n = (size_t)golden->n_tokens * golden->n_vocab;
    if (memcmp(got, whole, n * sizeof *got) != 0)
        fail_msg("%s, backend %d: splits of up to %u differ from one batch, rel %.3g", names[i], b,
                 size, golden_rel(got, whole, n));
    rf_free(got);
}

/* A prompt cut by the scheduler into steps of a size. */
static float *run_in_steps(const golden_model *golden, int b, rf_kv_type kv, uint32_t size) {
    row_engine engine;
    open_engine(&engine, golden, b, kv, 1, size);
    float *got = run(golden, &engine, golden->n_tokens, NULL);
    row_engine_close(&engine);
    assert_int_equal(engine.most_rows, size < golden->n_tokens ? size : golden->n_tokens);
    assert_int_equal(engine.n_steps, (golden->n_tokens + size - 1) / size);
    return got;
}

/* The same bits token by token, in pieces of random sizes that go on from the cache, and in steps
 * of any size. */
static void test_splits(void **state) {
    (void)state;
    rf_rng rng = rf_rng_make(7, 0);
    for (int i = 0; i < N_NAMES; i++) {
        golden_model golden;
        assert_true(golden_model_open(&golden, "models", names[i]));
        for (int b = 0; b < N_BACKENDS; b++) {
            rf_kv_type kv = b % 2 ? RF_KV_F16 : RF_KV_F32;
            row_engine engine;
            open_engine(&engine, &golden, b, kv, 1, 0);
            float *whole = run(&golden, &engine, golden.n_tokens, NULL);
            check(&golden, whole, kv, names[i], "whole");
            for (uint32_t size = 1; size <= 29; size += 7) {
                float *got = run(&golden, &engine, size, size == 1 ? NULL : &rng);
                compare(&golden, got, whole, i, b, size);
                compare(&golden, run_in_steps(&golden, b, kv, size), whole, i, b, size);
            }
            rf_free(whole);
            row_engine_close(&engine);
        }
        golden_model_close(&golden);
    }
}

typedef struct company {
    uint32_t at; /* tokens fed */
    int32_t tokens[GOLDEN_CTX];
    float *logits; /* [n_tokens][n_vocab] */
} company;

static void feed_together(const golden_model *golden, row_engine *engine, company seqs[N_SEQS],
                          rf_rng *rng) {
    for (bool left = true; left;) {
        row_feed feeds[N_SEQS];
        uint32_t n_feeds = 0;
        left = false;
        for (int s = 0; s < N_SEQS; s++) {
            company *c = &seqs[s];
            uint32_t rest = golden->n_tokens - c->at, n = rf_rng_below(rng, 12);
            n = n > rest ? rest : n;
            left |= rest > 0;
            if (n == 0)
                continue;
            feeds[n_feeds++] = (row_feed){.tokens = c->tokens,
                                          .n_tokens = c->at + n,
                                          .from = c->at,
                                          .salt = engine->last_salt + 1 + (uint64_t)s,
                                          .rows = c->logits + (size_t)c->at * golden->n_vocab};
            c->at += n;
        }
        rf_error err = {0};
        if (row_engine_run(engine, feeds, n_feeds, &err) != RF_OK)
            fail_msg("%s", err.text);
        for (uint32_t k = 0; k < n_feeds; k++)
            assert_true(row_engine_found(engine, &feeds[k]));
    }
}

static void fill(const golden_model *golden, company seqs[N_SEQS], rf_rng *rng) {
    for (int s = 0; s < N_SEQS; s++) {
        seqs[s] = (company){
            .logits = rf_calloc((size_t)golden->n_tokens * golden->n_vocab, sizeof(float))};
        assert_non_null(seqs[s].logits);
        for (uint32_t t = 0; t < golden->n_tokens; t++)
            seqs[s].tokens[t] =
                s == 1 ? golden->tokens[t] : (int32_t)rf_rng_below(rng, golden->n_vocab);
    }
}

/* Bitwise what it is alone, whoever shares the batch. */
static void test_company(void **state) {
    (void)state;
    rf_rng rng = rf_rng_make(11, 0);
    uint32_t n_shared = 0;
    for (int i = 0; i < N_NAMES; i++) {
        golden_model golden;
        assert_true(golden_model_open(&golden, "models", names[i]));
        size_t n = (size_t)golden.n_tokens * golden.n_vocab;
        for (int b = 0; b < N_BACKENDS; b++) {
            row_engine engine;
            open_engine(&engine, &golden, b, RF_KV_F32, N_SEQS, 0);
            float *alone = run(&golden, &engine, golden.n_tokens, NULL);
            company seqs[N_SEQS];
            fill(&golden, seqs, &rng);
            feed_together(&golden, &engine, seqs, &rng);
            check(&golden, seqs[1].logits, RF_KV_F32, names[i], "in company");
            if (memcmp(seqs[1].logits, alone, n * sizeof *alone) != 0)
                fail_msg("%s, backend %d: others in the batch change the logits, rel %.3g",
                         names[i], b, golden_rel(seqs[1].logits, alone, n));
            for (int s = 0; s < N_SEQS; s++)
                rf_free(seqs[s].logits);
            rf_free(alone);
            row_engine_close(&engine);
            n_shared += engine.most_seqs == N_SEQS;
        }
        golden_model_close(&golden);
    }
    assert_true(n_shared > N_NAMES * N_BACKENDS / 2);
}

/* One row of logits alone, after a beginning of any length that another request has left, is the
 * same bits. */
static void test_prefixes(void **state) {
    (void)state;
    for (int i = 0; i < N_NAMES; i++) {
        golden_model golden;
        assert_true(golden_model_open(&golden, "models", names[i]));
        row_engine engine;
        open_engine(&engine, &golden, 3, RF_KV_F32, 1, 0);
        float *whole = run(&golden, &engine, golden.n_tokens, NULL);
        float *row = rf_calloc(golden.n_vocab, sizeof *row);
        assert_non_null(row);
        for (uint32_t cut = golden.n_tokens - 1; cut > 3; cut -= 9 < cut ? 9 : cut) {
            rf_error err = {0};
            row_feed feed = {.tokens = golden.tokens,
                             .n_tokens = cut + 1,
                             .from = cut,
                             .salt = engine.last_salt,
                             .rows = row};
            if (row_engine_run(&engine, &feed, 1, &err) != RF_OK)
                fail_msg("%s", err.text);
            assert_true(row_engine_found(&engine, &feed));
            assert_memory_equal(row, whole + (size_t)cut * golden.n_vocab,
                                golden.n_vocab * sizeof *row);
        }
        rf_free(row);
        rf_free(whole);
        row_engine_close(&engine);
        golden_model_close(&golden);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_backends_and_caches),
        cmocka_unit_test(test_splits),
        cmocka_unit_test(test_company),
        cmocka_unit_test(test_prefixes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
