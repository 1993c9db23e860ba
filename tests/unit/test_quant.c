#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "gguf/gguf.h"
#include "quant/blocks.h"
#include "quant/quant.h"
#include "tests/lib/golden_blocks.h"

/* Raw blocks T against T.f32, to the bit, from an unaligned source and one block at a time. */
static void test_golden_blocks(void **state) {
    (void)state;
    int n_types = 0;
    for (int t = 0; t < RF_QTYPE_COUNT; t++) {
        const rf_qtype_info *info = rf_qtype_get((rf_qtype)t);
        const rf_gguf_tensor *raw = golden_blocks_find(info->name, ""),
                             *want = golden_blocks_find(info->name, ".f32");
        if (!raw || !want)
            continue;
        n_types++;
        assert_int_equal(raw->type_id, info->gguf_id);
        size_t n = (size_t)want->n_elements, n_blocks = n / info->block_weights;
        assert_int_equal(raw->n_elements, n);
        assert_int_equal(raw->bytes, n_blocks * info->block_bytes);
        char *copy = rf_alloc((size_t)raw->bytes + 1);
        float *got = rf_alloc(n * sizeof *got);
        assert_non_null(copy);
        assert_non_null(got);
        memcpy(copy + 1, raw->data, (size_t)raw->bytes);
        info->dequant(copy + 1, got, n);
        if (memcmp(got, want->data, n * sizeof *got) != 0)
            fail_msg("%s differs from the golden weights", info->name);
        memset(got, 0xff, n * sizeof *got);
        for (size_t b = 0; b < n_blocks; b++)
            info->dequant(raw->data + b * info->block_bytes, got + b * info->block_weights,
                          info->block_weights);
        assert_memory_equal(got, want->data, n * sizeof *got);
        rf_free(copy);
        rf_free(got);
    }
    assert_int_equal(n_types, 23); /* all but F32 and F16 */
}

static void test_table(void **state) {
    (void)state;
    rf_qtype found;
    uint64_t bytes;
    for (int t = 0; t < RF_QTYPE_COUNT; t++) {
        const rf_qtype_info *info = rf_qtype_get((rf_qtype)t);
        char lower[16] = {0};
        for (size_t i = 0; info->name[i]; i++)
            lower[i] =
                (char)(info->name[i] | 0x20 * (info->name[i] >= 'A' && info->name[i] <= 'Z'));
        assert_true(rf_qtype_from_gguf(info->gguf_id, &found) && found == (rf_qtype)t);
        assert_true(rf_qtype_from_name(rf_str_of(lower), &found) && found == (rf_qtype)t);
        assert_true(rf_qtype_row_bytes((rf_qtype)t, 512, &bytes));
        assert_int_equal(bytes, 512 / info->block_weights * info->block_bytes);
        assert_int_equal(rf_qtype_row_bytes((rf_qtype)t, 33, &bytes), info->block_weights == 1);
    }
    assert_false(rf_qtype_from_gguf(4, &found)); /* Q4_2, withdrawn */
    assert_false(rf_qtype_from_gguf(UINT32_MAX, &found));
    assert_false(rf_qtype_from_name(RF_STR("q4_"), &found));
    assert_false(rf_qtype_from_name(RF_STR(""), &found));
    assert_false(rf_qtype_row_bytes(RF_QTYPE_F32, UINT64_MAX / 4 + 1, &bytes));
    assert_false(rf_qtype_row_bytes(RF_QTYPE_Q8_0, UINT64_MAX / 32 * 32, &bytes));
}

/* The value of a half by the definition of IEEE 754 binary16. */
static double half_value(uint32_t half) {
    int exponent = (int)(half >> 10 & 31), fraction = (int)(half & 1023);
    double magnitude = exponent == 0 ? ldexp(fraction, -24) : ldexp(1024 + fraction, exponent - 25);
    return half & 0x8000 ? -magnitude : magnitude;
}

static void test_every_half(void **state) {
    (void)state;
    for (uint32_t half = 0; half < 65536; half++) {
        float value = rf_half_to_float((uint16_t)half);
        uint32_t magnitude = half & 0x7fff;
        assert_int_equal(signbit(value) != 0, half >> 15);
        if (magnitude > 0x7c00) {
            assert_true(isnan(value));
            assert_int_equal(rf_float_bits(value) >> 13 & 0x3ff, magnitude & 0x3ff);
        } else if (magnitude == 0x7c00) {
            assert_true(isinf(value));
        } else if ((double)value != half_value(half)) {
            fail_msg("half %04x is %a", half, (double)value);
        }
        assert_int_equal(rf_float_to_half(value), half);
    }
}

/* Floats around every half and around the middles between neighbours round to nearest even. */
static void test_half_rounding(void **state) {
    (void)state;
    for (uint32_t half = 0; half < 0x7c00; half++) {
        double low = half_value(half), high = half + 1 < 0x7c00 ? half_value(half + 1) : 65536;
        float middle = (float)((low + high) / 2); /* exact: 12 bits */
        uint32_t even = half & 1 ? half + 1 : half;
        assert_int_equal(rf_float_to_half(middle), even);
        assert_int_equal(rf_float_to_half(nextafterf(middle, 0)), half);
        assert_int_equal(rf_float_to_half(nextafterf(middle, INFINITY)), half + 1);
        assert_int_equal(rf_float_to_half(-middle), even | 0x8000);
    }
    assert_int_equal(rf_float_to_half(65536), 0x7c00);
    assert_int_equal(rf_float_to_half(3e38f), 0x7c00);
    assert_int_equal(rf_float_to_half(-INFINITY), 0xfc00);
    assert_int_equal(rf_float_to_half(1e-45f), 0);
    assert_int_equal(rf_float_to_half(rf_bits_float(0x7f800001)) & 0x7c00, 0x7c00);
    assert_true(rf_float_to_half(rf_bits_float(0x7f800001)) & 0x3ff); /* still a NaN */
}

static void test_bf16(void **state) {
    (void)state;
    for (uint32_t bits = 0; bits < 65536; bits++) {
        float value = rf_bf16_to_float((uint16_t)bits);
        assert_int_equal(rf_float_bits(value), bits << 16);
        if (!isnan(value)) {
            assert_int_equal(rf_float_to_bf16(value), bits);
            if (isfinite(value)) { /* a half unit above: to even; a hair more: up */
                uint32_t even = bits & 1 ? bits + 1 : bits;
                assert_int_equal(rf_float_to_bf16(rf_bits_float(bits << 16 | 0x8000)), even);
                assert_int_equal(rf_float_to_bf16(rf_bits_float(bits << 16 | 0x8001)), bits + 1);
                assert_int_equal(rf_float_to_bf16(rf_bits_float(bits << 16 | 0x7fff)), bits);
            }
        } else {
            assert_int_equal(rf_float_to_bf16(value), bits | 0x40); /* quiet */
        }
    }
    assert_true(isnan(rf_bf16_to_float(rf_float_to_bf16(rf_bits_float(0x7fffffff)))));
    assert_true(isnan(rf_bf16_to_float(rf_float_to_bf16(rf_bits_float(0x7f800001)))));
}

static void test_scalar_rows(void **state) {
    (void)state;
    enum { N = 37 };
    unsigned char bytes[4 * N + 1];
    float got[N], want[N];
    rf_rng rng = rf_rng_make(1, 0);
    for (int i = 0; i < N; i++)
        want[i] = rf_half_to_float(rf_float_to_half(rf_rng_normal(&rng)));
    memcpy(bytes + 1, want, sizeof want);
    rf_dequant_f32(bytes + 1, got, N);
    assert_memory_equal(got, want, sizeof want);
    for (int i = 0; i < N; i++) {
        uint16_t half = rf_float_to_half(want[i]);
        memcpy(bytes + 1 + 2 * i, &half, 2);
    }
    rf_dequant_f16(bytes + 1, got, N);
    assert_memory_equal(got, want, sizeof want);
}

/* Packing as the layout says (0 EEAAAAAA …), undone by the shared helpers. */
static void test_packed_scales(void **state) {
    (void)state;
    rf_rng rng = rf_rng_make(2, 0);
    for (int round = 0; round < 100; round++) {
        uint8_t s[8], m[8], got_s[8], got_m[8], packed[12] = {0};
        int8_t three[16], got_three[16], four[8], got_four[8];
        for (int i = 0; i < 8; i++) {
            s[i] = (uint8_t)rf_rng_below(&rng, 64);
            m[i] = (uint8_t)rf_rng_below(&rng, 64);
        }
        for (int i = 0; i < 4; i++) {
            packed[i] = (uint8_t)(s[i] | s[i + 4] >> 4 << 6);
            packed[i + 4] = (uint8_t)(m[i] | m[i + 4] >> 4 << 6);
            packed[i + 8] = (uint8_t)((s[i + 4] & 15) | m[i + 4] << 4);
        }
        rf_q4_k_scales(packed, got_s, got_m);
        assert_memory_equal(got_s, s, 8);
        assert_memory_equal(got_m, m, 8);

        rf_block_iq4_xs block = {0};
        memset(packed, 0, sizeof packed);
        for (int i = 0; i < 16; i++) {
            uint32_t v = rf_rng_below(&rng, 64);
            three[i] = (int8_t)((int)v - 32);
            packed[i % 8] = (uint8_t)(packed[i % 8] | (v & 15) << (i / 8 * 4));
            packed[8 + i % 4] = (uint8_t)(packed[8 + i % 4] | (v >> 4) << (i / 4 * 2));
        }
        rf_q3_k_scales(packed, got_three);
        assert_memory_equal(got_three, three, 16);
        for (int i = 0; i < 8; i++) {
            uint32_t v = rf_rng_below(&rng, 64);
            four[i] = (int8_t)((int)v - 32);
            block.scales_l[i / 2] = (uint8_t)(block.scales_l[i / 2] | (v & 15) << (i % 2 * 4));
            block.scales_h = (uint16_t)(block.scales_h | (v >> 4) << (2 * i));
        }
        rf_iq4_xs_scales(&block, got_four);
        assert_memory_equal(got_four, four, 8);
    }
    for (int e = 0; e < 255; e++) /* E8M0: 2^(e - 127), halved */
        assert_true((double)rf_e8m0_half((uint8_t)e) == ldexp(1, e - 128));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_blocks), cmocka_unit_test(test_table),
        cmocka_unit_test(test_every_half),    cmocka_unit_test(test_half_rounding),
        cmocka_unit_test(test_bf16),          cmocka_unit_test(test_scalar_rows),
        cmocka_unit_test(test_packed_scales),
    };
    return cmocka_run_group_tests(tests, golden_blocks_open, golden_blocks_close);
}
