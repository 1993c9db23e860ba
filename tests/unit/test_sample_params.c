#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sample/sample_params.h"

static rf_error err;

static void expect_usage(rf_status status, const char *text) {
    assert_int_equal(status, RF_ERR_USAGE);
    assert_int_equal(err.code, RF_ERR_USAGE);
    if (!strstr(err.text, text))
        fail_msg("\"%s\" does not say \"%s\"", err.text, text);
}

/* llama.cpp's defaults (common/common.h and its server's documentation). */
static void test_defaults(void **state) {
    (void)state;
    rf_sample_params p = rf_sample_params_default();
    assert_int_equal(rf_sample_params_validate(&p, 10, &err), RF_OK);
    assert_true(p.temp == 0.8f && p.top_p == 0.95f && p.min_p == 0.05f && p.typical_p == 1);
    assert_true(p.repeat_penalty == 1 && p.presence_penalty == 0 && p.frequency_penalty == 0);
    assert_true(p.dry_base == 1.75f && p.dry_multiplier == 0 && p.xtc_threshold == 0.1f);
    assert_true(p.mirostat_tau == 5 && p.mirostat_eta == 0.1f && p.dynatemp_exponent == 1);
    assert_int_equal(p.top_k, 40);
    assert_int_equal(p.repeat_last_n, 64);
    assert_int_equal(p.dry_allowed_length, 2);
    assert_int_equal(p.dry_penalty_last_n, -1);
    assert_int_equal(p.seed, -1);
    static const uint8_t chain[] = {
        RF_SAMPLER_PENALTIES, RF_SAMPLER_DRY,   RF_SAMPLER_TOP_N_SIGMA,
        RF_SAMPLER_TOP_K,     RF_SAMPLER_TYP_P, RF_SAMPLER_TOP_P,
        RF_SAMPLER_MIN_P,     RF_SAMPLER_XTC,   RF_SAMPLER_TEMPERATURE,
    };
    assert_int_equal(p.n_order, sizeof chain);
    assert_memory_equal(p.order, chain, sizeof chain);
}

static void test_table(void **state) {
    (void)state;
    for (size_t i = 0; i < RF_SAMPLE_PARAM_COUNT; i++) {
        const rf_sample_param_info *info = rf_sample_param_at(i);
        assert_true(info->def >= info->min && info->def <= info->max);
        assert_true(strlen(info->json) > 0 && strlen(info->help) > 0);
        for (size_t j = 0; j < i; j++) {
            const rf_sample_param_info *other = rf_sample_param_at(j);
            assert_string_not_equal(info->json, other->json);
            assert_string_not_equal(info->flags, other->flags);
            assert_true(info->offset != other->offset);
        }
    }
}

static void test_ranges(void **state) {
    (void)state;
    for (size_t i = 0; i < RF_SAMPLE_PARAM_COUNT; i++) {
        const rf_sample_param_info *info = rf_sample_param_at(i);
        rf_sample_params p = rf_sample_params_default(), before = p;
        expect_usage(rf_sample_param_set_float(&p, i, (double)NAN, &err), info->json);
        expect_usage(rf_sample_param_set_float(&p, i, (double)INFINITY, &err), info->json);
        expect_usage(rf_sample_param_set_float(&p, i, -1e300, &err), info->json);
        expect_usage(rf_sample_param_set_float(&p, i, info->min - 1, &err), info->json);
        if (i != RF_SAMPLE_PARAM_seed)
            expect_usage(rf_sample_param_set_float(&p, i, info->max + 1, &err), info->json);
        if (info->kind == RF_SAMPLE_PARAM_INT)
            expect_usage(rf_sample_param_set_float(&p, i, 1.5, &err), "integer");
        expect_usage(rf_sample_param_set_int(&p, i, INT64_MIN, &err), info->json);
        assert_memory_equal(&p, &before, sizeof p);
        assert_int_equal(rf_sample_param_set_float(&p, i, info->min, &err), RF_OK);
        assert_int_equal(rf_sample_params_validate(&p, 10, &err), RF_OK);
        if (i != RF_SAMPLE_PARAM_seed)
            assert_int_equal(rf_sample_param_set_float(&p, i, info->max, &err), RF_OK);
        assert_int_equal(rf_sample_params_validate(&p, 10, &err), RF_OK);
    }
    rf_sample_params p = rf_sample_params_default();
    assert_int_equal(rf_sample_param_set_int(&p, RF_SAMPLE_PARAM_seed, INT64_MAX, &err), RF_OK);
    assert_true(p.seed == INT64_MAX);
    assert_int_equal(rf_sample_param_set_int(&p, RF_SAMPLE_PARAM_temp, 1, &err), RF_OK);
    assert_true(p.temp == 1);
    p.top_p = NAN; /* set past the setter */
    expect_usage(rf_sample_params_validate(&p, 10, &err), "top_p is nan; expected 0 to 1");
}

static void test_order(void **state) {
    (void)state;
    rf_sample_params p = rf_sample_params_default();
    assert_int_equal(
        rf_sample_order_from_names(&p, RF_STR(" top_k; Temp ;nucleus;TYPICAL-P;xtc"), &err), RF_OK);
    static const uint8_t want[] = {RF_SAMPLER_TOP_K, RF_SAMPLER_TEMPERATURE, RF_SAMPLER_TOP_P,
                                   RF_SAMPLER_TYP_P, RF_SAMPLER_XTC};
    assert_int_equal(p.n_order, 5);
    assert_memory_equal(p.order, want, 5);
    expect_usage(rf_sample_order_from_names(&p, RF_STR("top_k;topp"), &err), "\"topp\"");
    assert_non_null(strstr(err.text, "min_p")); /* the known ones */
    expect_usage(rf_sample_order_from_names(&p, RF_STR("top_k;;xtc"), &err), "\"\"");
    assert_int_equal(p.n_order, 5); /* as it was */
    assert_int_equal(rf_sample_order_from_letters(&p, RF_STR("edskypmxt"), &err), RF_OK);
    rf_sample_params standard = rf_sample_params_default();
    assert_int_equal(p.n_order, standard.n_order);
    assert_memory_equal(p.order, standard.order, p.n_order);
    expect_usage(rf_sample_order_from_letters(&p, RF_STR("kz"), &err), "\"z\"");
    expect_usage(
        rf_sample_order_from_letters(&p, RF_STR("kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"), &err),
        "more than 32");
    assert_int_equal(rf_sample_order_from_names(&p, RF_STR(""), &err), RF_OK);
    assert_int_equal(p.n_order, 0);
    for (int i = 0; i < RF_SAMPLER_COUNT; i++) {
        rf_str name = rf_str_of(rf_sampler_name((rf_sampler_kind)i));
        assert_int_equal(rf_sample_order_from_names(&p, name, &err), RF_OK);
        assert_int_equal(p.order[0], i);
    }
}

static void test_lists(void **state) {
    (void)state;
    rf_sample_params p = rf_sample_params_default();
    rf_logit_bias bias = {9, -INFINITY};
    p.logit_bias = &bias;
    p.n_logit_bias = 1;
    assert_int_equal(rf_sample_params_validate(&p, 10, &err), RF_OK);
    expect_usage(rf_sample_params_validate(&p, 9, &err), "token 9; expected 0 to 8");
    bias = (rf_logit_bias){-1, 0};
    expect_usage(rf_sample_params_validate(&p, 10, &err), "token -1");
    bias = (rf_logit_bias){1, NAN};
    expect_usage(rf_sample_params_validate(&p, 10, &err), "token 1 is nan");
    bias.bias = INFINITY;
    expect_usage(rf_sample_params_validate(&p, 10, &err), "token 1 is inf");
    p.n_logit_bias = RF_SAMPLE_MAX_BIASES + 1;
    expect_usage(rf_sample_params_validate(&p, 10, &err), "65537 entries");
    p.n_logit_bias = 0;
    static const int32_t tokens[] = {3, 12};
    rf_token_span span = {tokens, 2};
    p.dry_breakers = &span;
    p.n_dry_breakers = 1;
    expect_usage(rf_sample_params_validate(&p, 10, &err), "breaker 0 holds token 12");
    span.n_tokens = 0;
    expect_usage(rf_sample_params_validate(&p, 10, &err), "breaker 0 has 0 tokens");
    p.n_dry_breakers = 0;
    p.n_order = 1;
    p.order[0] = RF_SAMPLER_COUNT;
    expect_usage(rf_sample_params_validate(&p, 10, &err), "sampler 0 of the order");
    assert_int_equal(rf_sample_params_validate(&p, 0, &err), RF_ERR_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults), cmocka_unit_test(test_table),
        cmocka_unit_test(test_ranges),   cmocka_unit_test(test_order),
        cmocka_unit_test(test_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
