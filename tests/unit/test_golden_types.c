/* A layer of every weight type against logits of its decoded weights: the reference with float
 * activations, the kernels of every feature mask with 8-bit ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/cpu_features.h"
#include "tests/lib/golden_model.h"

static const double REFERENCE_BOUND = 2e-5, FAST_BOUND = 4e-2;

static void open_engine(row_engine *engine, const golden_model *golden, const rf_cpu_options *cpu,
                        rf_kv_type kv) {
    assert_true(golden_engine_open(engine, golden, cpu, kv, 1, 0));
}

static float *run(const golden_model *golden, row_engine *engine, uint32_t piece) {
    float *got = golden_run(golden, engine, piece, NULL);
    assert_non_null(got);
    return got;
}

/* Native types have a model each; F32 has those of test_golden_models. */
static bool has_model(int type) {
    return type != RF_QTYPE_F32 && rf_qtype_get((rf_qtype)type)->native;
}

static void open_type(golden_model *golden, int type) {
    char name[32];
    (void)snprintf(name, sizeof name, "type-%s", rf_qtype_get((rf_qtype)type)->name);
    for (char *c = name; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    assert_true(golden_model_open(golden, "types", name));
}

static double rel(const golden_model *golden, const float *got) {
    return golden_rel(got, golden->logits, (size_t)golden->n_tokens * golden->n_vocab);
}

static void test_reference(void **state) {
    (void)state;
    for (int i = 0; i < RF_QTYPE_COUNT; i++) {
        golden_model golden;
        if (!has_model(i))
            continue;
        open_type(&golden, i);
        rf_cpu_options cpu = {.n_threads = 1, .features = UINT32_MAX, .reference = true};
        row_engine engine;
        open_engine(&engine, &golden, &cpu, RF_KV_F32);
        float *got = run(&golden, &engine, golden.n_tokens);
        double r = rel(&golden, got);
        print_message("%s reference: rel %.3g\n", rf_qtype_get((rf_qtype)i)->name, r);
        if (r > REFERENCE_BOUND ||
            golden_n_best_differ(got, golden.logits, golden.n_tokens, golden.n_vocab))
            fail_msg("%s: rel %.3g, bound %.3g", rf_qtype_get((rf_qtype)i)->name, r,
                     REFERENCE_BOUND);
        rf_free(got);
        row_engine_close(&engine);
        golden_model_close(&golden);
    }
}

/* Every mask, both cache types that models of this head size use, whole and token by token: the
 * same bits in any split. */
static void test_kernels(void **state) {
    (void)state;
    static const uint32_t masks[] = {0, RF_CPU_LEVEL_AVX2, UINT32_MAX};
    static const rf_kv_type caches[] = {RF_KV_F32, RF_KV_F16, RF_KV_Q8_0};
    for (int i = 0; i < RF_QTYPE_COUNT; i++) {
        golden_model golden;
        if (!has_model(i))
            continue;
        open_type(&golden, i);
        size_t n = (size_t)golden.n_tokens * golden.n_vocab;
        for (int m = 0; m < 3; m++) {
            for (int c = 0; c < 3; c++) {
                rf_cpu_options cpu = {.n_threads = 2, .features = masks[m]};
                row_engine engine;
                open_engine(&engine, &golden, &cpu, caches[c]);
                float *got = run(&golden, &engine, golden.n_tokens);
                float *split = run(&golden, &engine, 1 + (uint32_t)(m + c));
                double r = rel(&golden, got);
                if (r > FAST_BOUND)
                    fail_msg("%s, mask %d, %s cache: rel %.3g, bound %.3g",
                             rf_qtype_get((rf_qtype)i)->name, m, rf_kv_type_name(caches[c]), r,
                             FAST_BOUND);
                if (memcmp(got, split, n * sizeof *got) != 0)
                    fail_msg("%s, mask %d, %s cache: splits differ by %.3g",
                             rf_qtype_get((rf_qtype)i)->name, m, rf_kv_type_name(caches[c]),
                             golden_rel(split, got, n));
                if (c == 0)
                    print_message("%s mask %d: rel %.3g\n", rf_qtype_get((rf_qtype)i)->name, m, r);
                rf_free(got);
                rf_free(split);
                row_engine_close(&engine);
            }
        }
        golden_model_close(&golden);
    }
}

/* What a Q8_0 cache alone costs: 1 part in 254 of the largest of 32 values. */
static void test_q8_cache(void **state) {
    (void)state;
    golden_model golden;
    assert_true(golden_model_open(&golden, "types", "type-f16"));
    rf_cpu_options cpu = {.n_threads = 1, .reference = true};
    row_engine engine;
    open_engine(&engine, &golden, &cpu, RF_KV_Q8_0);
    float *got = run(&golden, &engine, 5);
    double r = rel(&golden, got);
    print_message("q8_0 cache: rel %.3g\n", r);
    assert_true(r < 1e-2 && r > 1e-5);
    rf_free(got);
    row_engine_close(&engine);
    golden_model_close(&golden);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference),
        cmocka_unit_test(test_kernels),
        cmocka_unit_test(test_q8_cache),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
