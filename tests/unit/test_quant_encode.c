#include <float.h>
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "gguf/gguf.h"
#include "quant/encode.h"
#include "tests/lib/golden_blocks.h"

enum { COLS = 1024, MAX_ROW_BYTES = COLS * 4 };

static rf_status encode(rf_qtype qtype, const float *src, const float *importance, size_t n_rows,
                        size_t n_cols, void *out, rf_error *err) {
    rf_encode_rows_args args = {.qtype = qtype,
                                .src = src,
                                .importance = importance,
                                .n_rows = n_rows,
                                .n_cols = n_cols,
                                .out = out};
    return rf_encode_rows(&args, err);
}

static bool same_bits(const void *a, const void *b, size_t n) { return memcmp(a, b, n) == 0; }

static void test_golden_blocks(void **state) {
    (void)state;
    int n_types = 0;
    for (int t = 0; t < RF_QTYPE_COUNT; t++) {
        const rf_qtype_info *info = rf_qtype_get((rf_qtype)t);
        const rf_gguf_tensor *in = golden_blocks_find(info->name, ".in"),
                             *want = golden_blocks_find(info->name, ".enc");
        if (!in)
            continue;
        n_types++;
        rf_error err = {0};
        char *got = rf_alloc((size_t)want->bytes + 1);
        assert_non_null(got);
        assert_int_equal(encode((rf_qtype)t, (const float *)(const void *)in->data, NULL,
                                (size_t)in->ne[1], (size_t)in->ne[0], got + 1, &err),
                         RF_OK);
        if (!same_bits(got + 1, want->data, (size_t)want->bytes))
            fail_msg("%s differs from the golden blocks", info->name);
        rf_free(got);
    }
    assert_int_equal(n_types, 7);
}

/* Σ w (decoded - x)² / Σ w x², its root, over rows of COLS. */
static double error_of(rf_qtype qtype, const float *x, const float *importance, const float *w,
                       size_t n_rows) {
    static uint8_t row[MAX_ROW_BYTES];
    static float decoded[COLS];
    double miss = 0, all = 0;
    for (size_t r = 0; r < n_rows; r++, x += COLS) {
        rf_error err = {0};
        if (encode(qtype, x, importance, 1, COLS, row, &err) != RF_OK)
            fail_msg("%s", err.text);
        rf_qtype_get(qtype)->dequant(row, decoded, COLS);
        for (size_t i = 0; i < COLS; i++) {
            double weight = w ? (double)w[i] : 1, e = (double)decoded[i] - (double)x[i];
            miss += weight * e * e;
            all += weight * (double)x[i] * (double)x[i];
        }
    }
    return sqrt(miss / all);
}

/* No type is worse than ggml's encoder. The file gives six digits. */
static void test_golden_errors(void **state) {
    (void)state;
    json_t *root = json_load_file("tests/golden/types/encoders.json", 0, NULL), *limit;
    assert_non_null(root);
    const rf_gguf_tensor *in = golden_blocks_find("encode.in", "");
    assert_int_equal(in->ne[0], COLS);
    const char *name;
    int n_types = 0;
    json_object_foreach(json_object_get(root, "relative_rms_error"), name, limit) {
        rf_qtype qtype;
        assert_true(rf_qtype_from_name(rf_str_of(name), &qtype));
        double error =
            error_of(qtype, (const float *)(const void *)in->data, NULL, NULL, (size_t)in->ne[1]);
        if (!(error <= json_real_value(limit) + 5e-7))
            fail_msg("%s: error %.6f, at most %.6f", name, error, json_real_value(limit));
        n_types++;
    }
    assert_int_equal(n_types, 13);
    json_decref(root);
}

/* Columns that matter come out better, by their own measure, than without being told. */
static void test_importance(void **state) {
    (void)state;
    rf_rng rng = rf_rng_make(7, 0);
    static float x[8 * COLS], importance[COLS], none[COLS];
    for (size_t i = 0; i < 8 * COLS; i++)
        x[i] = 0.05f * rf_rng_normal(&rng);
    for (size_t i = 0; i < COLS; i++)
        importance[i] = powf(10, 2 * rf_rng_normal(&rng) / 3);
    for (int t = 0; t < RF_QTYPE_COUNT; t++) {
        const rf_qtype_info *info = rf_qtype_get((rf_qtype)t);
        if (!rf_encode_can((rf_qtype)t) || info->block_weights == 1)
            continue;
        double plain = error_of((rf_qtype)t, x, NULL, importance, 8);
        double told = error_of((rf_qtype)t, x, importance, importance, 8);
        bool chooses = t != RF_QTYPE_Q8_0 && t != RF_QTYPE_MXFP4;
        if (chooses ? !(told < 0.97 * plain) : told != plain)
            fail_msg("%s: weighted error %.6f with importance, %.6f without", info->name, told,
                     plain);
        /* nothing that matters is no reason to lose the block */
        assert_true(error_of((rf_qtype)t, x, none, NULL, 8) < 0.4);
    }
}

/* One value everywhere, ramps and single spikes: what searches stumble over. */
static void test_plain_shapes(void **state) {
    (void)state;
    static float x[COLS];
    static const float values[] = {1, -1, 0.001f, -0.001f, 300, -300, 60000, -60000};
    for (int t = 0; t < RF_QTYPE_COUNT; t++) {
        if (!rf_encode_can((rf_qtype)t))
            continue;
        for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
            for (int i = 0; i < COLS; i++)
                x[i] = values[v];
            double flat = error_of((rf_qtype)t, x, NULL, NULL, 1);
            for (int i = 0; i < COLS; i++)
                x[i] = i % 256 == 77 ? values[v] : 0;
            double spike = error_of((rf_qtype)t, x, NULL, NULL, 1);
            bool iq4 = t == RF_QTYPE_IQ4_NL || t == RF_QTYPE_IQ4_XS;
            /* E2M1 has 4 and 6 but not 5; IQ4's smallest level is 1 / 127 of its largest */
            double limit = t == RF_QTYPE_MXFP4 ? 0.3 : iq4 ? 0.05 : 0.02;
            if (!(flat <= limit && spike <= limit))
                fail_msg("%s, value %g: error %.4f flat, %.4f as a spike",
                         rf_qtype_get((rf_qtype)t)->name, (double)values[v], flat, spike);
        }
    }
}

static void test_zeros(void **state) {
    (void)state;
    static float x[COLS], decoded[COLS];
    static uint8_t row[MAX_ROW_BYTES];
    static const float tiny[] = {0, -0.0f, FLT_TRUE_MIN, -1e-42f, 1e-30f};
    rf_error err = {0};
    for (int t = 0; t < RF_QTYPE_COUNT; t++)
        for (size_t v = 0; rf_encode_can((rf_qtype)t) && v < sizeof tiny / sizeof *tiny; v++) {
            for (int i = 0; i < COLS; i++)
                x[i] = tiny[v];
            assert_int_equal(encode((rf_qtype)t, x, NULL, 1, COLS, row, &err), RF_OK);
            rf_qtype_get((rf_qtype)t)->dequant(row, decoded, COLS);
            for (int i = 0; i < COLS; i++)
                assert_true(fabsf(decoded[i]) <= fabsf(tiny[v]) * 1.21f); /* 5 of E2M1 is 6 */
        }
}

static void test_refusals(void **state) {
    (void)state;
    static float x[3 * COLS];
    static uint8_t out[3 * MAX_ROW_BYTES];
    static const float bad[] = {NAN, INFINITY, -INFINITY};
    static const char *const shown[] = {"found nan,", "found inf,", "found -inf,"};
    for (int t = 0; t < RF_QTYPE_COUNT; t++) {
        rf_error err = {0};
        if (!rf_encode_can((rf_qtype)t)) {
            assert_false(rf_qtype_get((rf_qtype)t)->native);
            assert_int_equal(encode((rf_qtype)t, x, NULL, 1, COLS, out, &err), RF_ERR_UNSUPPORTED);
            assert_non_null(strstr(err.text, rf_qtype_get((rf_qtype)t)->name));
            continue;
        }
        for (int i = 0; i < 3; i++) {
            x[COLS + 5] = bad[i];
            x[2 * COLS + 1] = NAN; /* the first one is named */
            rf_encode_rows_args args = {.qtype = (rf_qtype)t,
                                        .src = x,
                                        .n_rows = 3,
                                        .n_cols = COLS,
                                        .first = 10 * COLS,
                                        .out = out};
            assert_int_equal(rf_encode_rows(&args, &err), RF_ERR_INVALID);
            assert_non_null(strstr(err.text, "weight 11269 (row 11, column 5)"));
            assert_non_null(strstr(err.text, shown[i]));
        }
        x[COLS + 5] = x[2 * COLS + 1] = 0;
        if (rf_qtype_get((rf_qtype)t)->block_weights > 1) {
            assert_int_equal(encode((rf_qtype)t, x, NULL, 1, 33, out, &err), RF_ERR_INVALID);
            assert_non_null(strstr(err.text, "33"));
        }
        /* 3e38 is a float, and BF16's and E8M0's, but no half times a code */
        x[COLS + 7] = -3e38f;
        bool holds = t == RF_QTYPE_F32 || t == RF_QTYPE_BF16 || t == RF_QTYPE_MXFP4;
        assert_int_equal(encode((rf_qtype)t, x, NULL, 3, COLS, out, &err),
                         holds ? RF_OK : RF_ERR_INVALID);
        if (!holds)
            assert_non_null(strstr(err.text, "weight 1031 (row 1, column 7)"));
        x[COLS + 7] = 0;
    }
    rf_error err = {0};
    x[0] = FLT_MAX; /* rounds to infinity as BF16 */
    assert_int_equal(encode(RF_QTYPE_BF16, x, NULL, 1, COLS, out, &err), RF_ERR_INVALID);
    assert_int_equal(encode(RF_QTYPE_F32, x, NULL, 1, COLS, out, &err), RF_OK);
    x[0] = 0;
}

/* Any finite floats: either blocks that decode to finite numbers, or a refusal. */
static void test_any_floats(void **state) {
    (void)state;
    static float x[COLS], importance[COLS], decoded[COLS];
    static uint8_t row[MAX_ROW_BYTES];
    rf_rng rng = rf_rng_make(11, 0);
    for (int round = 0; round < 60; round++) {
        for (int i = 0; i < COLS; i++) {
            uint32_t bits = (uint32_t)rf_rng_u64(&rng);
            if (round % 3 == 1) /* magnitudes near those of weights */
                bits = (bits & 0x87ffffff) | 0x38000000;
            if (round % 3 == 2) /* few different values */
                bits &= 0xff000000;
            if ((bits & 0x7f800000) == 0x7f800000)
                bits &= 0x80ffffff;
            x[i] = rf_bits_float(bits);
            importance[i] = (float)fabs(ldexp(rf_rng_double(&rng), (int)(bits % 60) - 30));
        }
        for (int t = 0; t < RF_QTYPE_COUNT; t++) {
            rf_error err = {0};
            if (!rf_encode_can((rf_qtype)t))
                continue;
            const float *told = round & 1 ? importance : NULL;
            if (encode((rf_qtype)t, x, told, 1, COLS, row, &err) != RF_OK)
                continue;
            rf_qtype_get((rf_qtype)t)->dequant(row, decoded, COLS);
            for (int i = 0; i < COLS; i++)
                assert_true(isfinite(decoded[i]));
        }
    }
}

/* A row alone, among others, or half of it gives the same bytes; nothing past the end is written.
 */
static void test_splits(void **state) {
    (void)state;
    const rf_gguf_tensor *in = golden_blocks_find("encode.in", "");
    const float *x = (const float *)(const void *)in->data;
    static uint8_t whole[4 * MAX_ROW_BYTES + 1], part[MAX_ROW_BYTES + 1];
    for (int t = 0; t < RF_QTYPE_COUNT; t++) {
        rf_error err = {0};
        uint64_t bytes, half;
        if (!rf_encode_can((rf_qtype)t))
            continue;
        assert_true(rf_qtype_row_bytes((rf_qtype)t, COLS, &bytes));
        assert_true(rf_qtype_row_bytes((rf_qtype)t, COLS / 2, &half));
        whole[4 * bytes] = 0xa5;
        assert_int_equal(encode((rf_qtype)t, x, x + COLS, 4, COLS, whole, &err), RF_OK);
        assert_int_equal(whole[4 * bytes], 0xa5);
        assert_int_equal(encode((rf_qtype)t, x + 3 * COLS, x + COLS, 1, COLS, part + 1, &err),
                         RF_OK);
        assert_true(same_bits(part + 1, whole + 3 * bytes, (size_t)bytes));
        assert_int_equal(encode((rf_qtype)t, x + 3 * COLS + COLS / 2, x + COLS + COLS / 2, 1,
                                COLS / 2, part, &err),
                         RF_OK);
        assert_true(same_bits(part, whole + 3 * bytes + half, (size_t)half));
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_blocks), cmocka_unit_test(test_golden_errors),
        cmocka_unit_test(test_importance),    cmocka_unit_test(test_plain_shapes),
        cmocka_unit_test(test_zeros),         cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_any_floats),    cmocka_unit_test(test_splits),
    };
    return cmocka_run_group_tests(tests, golden_blocks_open, golden_blocks_close);
}
