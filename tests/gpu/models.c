/*
 * Golden models and types on the first GPU that a driver shows, or on the emulator where
 * LD_LIBRARY_PATH leads to it: logits against those of independent implementations, few rows and
 * many, every cache. With the argument 0 or 1, half of it and less.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <ctype.h>
#include <stdio.h>

#include "base/alloc.h"
#include "tests/lib/golden_model.h"

/* On the emulator: every other model and type, one cache, two ways to cut the rows. */
static bool quick;
static int odd;

static const char *const names[] = {"llama",    "llama3-rope", "mixtral", "qwen2", "qwen3",
                                    "qwen3moe", "gemma2",      "gemma3",  "phi3"};
enum { N_NAMES = sizeof names / sizeof names[0] };

/* F32 weights meet floats, quantised ones 16-bit integers (few rows) or halves (many). */
static const double F32_BOUND = 2e-5, F16_CACHE_BOUND = 3e-3, TYPE_BOUND = 3e-3,
                    Q8_CACHE_BOUND = 4e-2;

static double run(const golden_model *golden, rf_kv_type kv, uint32_t piece, uint32_t *n_differ) {
    row_engine engine;
    assert_true(golden_engine_open(&engine, golden, NULL, kv, 1, 0));
    float *got = golden_run(golden, &engine, piece, NULL);
    assert_non_null(got);
    double rel = golden_rel(got, golden->logits, (size_t)golden->n_tokens * golden->n_vocab);
    *n_differ = golden_n_best_differ(got, golden->logits, golden->n_tokens, golden->n_vocab);
    rf_free(got);
    row_engine_close(&engine);
    return rel;
}

static void test_models(void **state) {
    (void)state;
    for (int i = 0; i < N_NAMES; i++) {
        golden_model golden;
        if (quick && i % 2 != odd)
            continue;
        assert_true(golden_model_open(&golden, "models", names[i]));
        for (int kv = quick ? i / 2 % 2 : 0; kv < (quick ? i / 2 % 2 + 1 : 2); kv++)
            for (uint32_t piece = golden.n_tokens;; piece = piece > 5 ? 5 : 1) {
                uint32_t differ;
                double rel = run(&golden, (rf_kv_type)kv, piece, &differ);
                print_message("%s, %s cache, %u at once: rel %.3g, %u rows differ\n", names[i],
                              rf_kv_type_name((rf_kv_type)kv), piece, rel, differ);
                if (!(rel <= (kv == RF_KV_F32 ? F32_BOUND : F16_CACHE_BOUND)) ||
                    (kv == RF_KV_F32 && differ))
                    fail();
                if (piece == 1 || (quick && piece < golden.n_tokens))
                    break;
            }
        golden_model_close(&golden);
    }
}

static void test_types(void **state) {
    (void)state;
    static const rf_kv_type caches[] = {RF_KV_F32, RF_KV_Q8_0};
    for (int type = 0; type < RF_QTYPE_COUNT; type++) {
        golden_model golden;
        char name[32];
        if ((quick && type % 2 != odd) || type == RF_QTYPE_F32 ||
            !rf_qtype_get((rf_qtype)type)->native)
            continue;
        (void)snprintf(name, sizeof name, "type-%s", rf_qtype_get((rf_qtype)type)->name);
        for (char *c = name; *c; c++)
            *c = (char)tolower((unsigned char)*c);
        assert_true(golden_model_open(&golden, "types", name));
        for (int kv = quick ? type / 2 % 2 : 0; kv < (quick ? type / 2 % 2 + 1 : 2); kv++)
            for (uint32_t piece = golden.n_tokens;; piece = piece > 3 ? 3 : 1) {
                uint32_t differ;
                double rel = run(&golden, caches[kv], piece, &differ);
                print_message("%s, %s cache, %u at once: rel %.3g, %u rows differ\n", name,
                              rf_kv_type_name(caches[kv]), piece, rel, differ);
                if (!(rel <= (kv ? Q8_CACHE_BOUND : TYPE_BOUND)))
                    fail();
                if (piece == 1 || (quick && piece < golden.n_tokens))
                    break;
            }
        golden_model_close(&golden);
    }
}

int main(int argc, char **argv) {
    quick = argc > 1;
    odd = quick && argv[1][0] == '1';
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_models),
        cmocka_unit_test(test_types),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
