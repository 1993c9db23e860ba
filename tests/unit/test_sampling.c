/* Whole steps: choice, order, draws, bans, probabilities, hostile logits, speed. */
#include <float.h>
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
#include "base/clock.h"
#include "base/rng.h"
#include "sample/sampler.h"

enum { BIG = 131072 };

static rf_sample_scratch *scratch;
static float *big; /* [BIG] */
static rf_error err;

static rf_sampler *make(const rf_sample_params *params, uint32_t n_vocab, uint64_t stream) {
    rf_sampler *sampler = NULL;
    err = (rf_error){0};
    if (rf_sampler_create(params, n_vocab, 4096, stream, &sampler, &err) != RF_OK)
        fail_msg("%s", err.text);
    return sampler;
}

static rf_sampled step(rf_sampler *sampler, const float *logits, const uint32_t *allowed) {
    rf_sampled out;
    err = (rf_error){0};
    if (rf_sampler_sample(sampler, scratch, logits, allowed, &out, &err) != RF_OK)
        fail_msg("%s", err.text);
    return out;
}

static int32_t once(const rf_sample_params *params, uint32_t n, const float *logits) {
    rf_sampler *sampler = make(params, n, 0);
    int32_t token = step(sampler, logits, NULL).token;
    rf_sampler_destroy(sampler);
    return token;
}

static void order(rf_sample_params *params, const char *names) {
    if (rf_sample_order_from_names(params, rf_str_of(names), &err) != RF_OK)
        fail_msg("%s", err.text);
}

static void test_greedy(void **state) {
    (void)state;
    rf_sample_params p = rf_sample_params_default();
    p.temp = 0;
    p.xtc_probability = 1; /* none of these may change the choice */
    p.xtc_threshold = 0;
    p.typical_p = 0.01f;
    p.mirostat = 2;
    static const float ties[] = {-1, -0.0f, 0.0f, -INFINITY, 0.0f, -3};
    assert_int_equal(once(&p, 6, ties), 1);
    for (int i = 0; i < BIG; i++)
        big[i] = -5;
    big[70000] = big[70001] = big[100000] = -4.9999f;
    assert_int_equal(once(&p, BIG, big), 70000);
    /* penalties and bias do move it */
    rf_sampler *sampler;
    p.presence_penalty = 1;
    sampler = make(&p, BIG, 0);
    rf_sampler_prompt(sampler, (const int32_t[]){70000}, 1);
    rf_sampler_accept(sampler, 70001);
    assert_int_equal(step(sampler, big, NULL).token, 100000);
    rf_sampler_destroy(sampler);
    p.logit_bias = (const rf_logit_bias[]){{5, 0.5f}, {9, 0.6f}};
    p.n_logit_bias = 2;
    assert_int_equal(once(&p, BIG, big), 9);
}

static void test_order(void **state) {
    (void)state;
    /* After "temperature" 0.5 the gap of 2 between the best two is 4: outside min-p's e^-3. */
    static const float logits[] = {5, 3, 3, 3, 3, 3, 3, 3};
    rf_sample_params p = rf_sample_params_default();
    p.temp = 0.5f;
    p.min_p = 0.0497871f;
    int others = 0;
    for (int64_t seed = 0; seed < 200; seed++) {
        p.seed = seed;
        order(&p, "temperature;min_p");
        assert_int_equal(once(&p, 8, logits), 0);
        order(&p, "Min-P; temp");
        others += once(&p, 8, logits) != 0;
    }
    assert_in_range(others, 5, 60); /* expected 23 of 200 */
    p.top_k = 1;
    order(&p, "");
    for (int64_t seed = others = 0; seed < 50; seed++) {
        p.seed = seed;
        others += once(&p, 8, logits) != 0;
    }
    assert_true(others > 5); /* no sampler at all: top-k does not act */
}

static void test_draws(void **state) {
    (void)state;
    static const float logits[16] = {0};
    rf_sample_params p = rf_sample_params_default();
    p.seed = 42;
    order(&p, "");
    rf_sampler *a = make(&p, 16, 0), *b = make(&p, 16, 0), *c = make(&p, 16, 1);
    assert_int_equal(rf_sampler_seed(a), 42);
    int differ = 0, same = 0, last = -1;
    for (int i = 0; i < 64; i++) {
        int32_t token = step(a, logits, NULL).token;
        assert_int_equal(step(a, logits, NULL).token, token); /* nothing happens before accept */
        /* the draw is that of Philox at (seed, stream, number of tokens) */
        uint32_t words[4];
        rf_philox4x32(42, 0, (uint64_t)i, words);
        assert_int_equal(token, words[1] >> 28);
        assert_int_equal(step(b, logits, NULL).token, token);
        differ += step(c, logits, NULL).token != token;
        same += token == last;
        last = token;
        rf_sampler_accept(a, token);
        rf_sampler_accept(b, 15 - token); /* an imposed token counts as one, too */
        rf_sampler_accept(c, token);
    }
    assert_in_range(differ, 50, 64);
    assert_in_range(same, 0, 12);
    rf_sampler_destroy(a);
    rf_sampler_destroy(b);
    rf_sampler_destroy(c);
    p.seed = -1;
    a = make(&p, 16, 0);
    b = make(&p, 16, 0);
    assert_true(rf_sampler_seed(a) != rf_sampler_seed(b));
    rf_sampler_destroy(a);
    rf_sampler_destroy(b);
}

/* Chi-square over 20,000 draws with a fixed seed: 1 % points are 21.7 (9 degrees) and 9.2 (2). */
static void test_frequencies(void **state) {
    (void)state;
    enum { N = 10, DRAWS = 20000 };
    float logits[N];
    rf_sample_params p = rf_sample_params_default();
    p.seed = 1;
    p.temp = 0.7f;
    for (int kept = N; kept >= 3; kept -= 7) {
        double prob[N], sum = 0, chi = 0;
        int count[N] = {0};
        p.top_k = kept;
        order(&p, "top_k;temperature");
        for (int i = 0; i < N; i++) {
            logits[i] = (float)((i * 7) % N) * 0.3f;
            prob[i] = (i * 7) % N >= N - kept ? exp((double)logits[i] / 0.7) : 0;
            sum += prob[i];
        }
        rf_sampler *sampler = make(&p, N, 0);
        for (int i = 0; i < DRAWS; i++) {
            int32_t token = step(sampler, logits, NULL).token;
            count[token]++;
            rf_sampler_accept(sampler, token);
        }
        rf_sampler_destroy(sampler);
        for (int i = 0; i < N; i++) {
            double expected = prob[i] / sum * DRAWS;
            if (prob[i] == 0)
                assert_int_equal(count[i], 0);
            else
                chi += pow(count[i] - expected, 2) / expected;
        }
        assert_true(chi < (kept == N ? 21.7 : 9.2));
        assert_true(chi > 0.01); /* draws that fit too well are not draws */
    }
}

static void test_xtc_chance(void **state) {
    (void)state;
    static const float logits[] = {2, 2.1f, -9};
    rf_sample_params p = rf_sample_params_default();
    p.seed = 3;
    p.xtc_probability = 0.25f;
    p.top_k = 2;
    p.temp = 0.0001f; /* the better of those that are left */
    order(&p, "top_k;xtc;temperature");
    rf_sampler *sampler = make(&p, 3, 0);
    int excluded = 0;
    for (int i = 0; i < 4000; i++) {
        int32_t token = step(sampler, logits, NULL).token;
        assert_in_range(token, 0, 1);
        excluded += token == 0;
        rf_sampler_accept(sampler, token);
    }
    rf_sampler_destroy(sampler);
    assert_in_range(excluded, 890, 1110); /* 1000, four deviations of 27 */
}

/* Mirostat's promise: the mean surprise of the chosen tokens comes out at tau. */
static void test_mirostat(void **state) {
    (void)state;
    rf_rng rng = rf_rng_make(11, 0);
    for (int i = 0; i < 20000; i++)
        big[i] = rf_rng_normal(&rng) * 2;
    for (int version = 1; version <= 2; version++) {
        rf_sample_params p = rf_sample_params_default();
        p.seed = 5;
        p.temp = 1;
        p.mirostat = version;
        p.mirostat_tau = 6;
        p.n_probs = 1;
        rf_sampler *sampler = make(&p, 20000, 0);
        double surprise = 0;
        for (int i = 0; i < 600; i++) {
            rf_sampled out = step(sampler, big, NULL);
            if (i >= 200) /* of the whole distribution: what truncation adds is below a bit here */
                surprise -= (double)out.logprob / log(2) / 400;
            rf_sampler_accept(sampler, out.token);
        }
        rf_sampler_destroy(sampler);
        assert_true(surprise > 6 && surprise < 11);
    }
}

/* Adaptive-p: the chosen tokens' probabilities average near the target. */
static void test_adaptive_p(void **state) {
    (void)state;
    float logits[12];
    rf_sample_params p = rf_sample_params_default();
    p.seed = 2;
    p.temp = 1;
    p.n_probs = 1;
    order(&p, "adaptive_p;temperature"); /* runs last in any place */
    for (int i = 0; i < 12; i++)
        logits[i] = -0.6f * (float)i;
    double mean[2] = {0};
    for (int t = 0; t < 2; t++) {
        p.adaptive_target = t ? 0.3f : 0.1f;
        rf_sampler *sampler = make(&p, 12, 0);
        for (int i = 0; i < 2000; i++) {
            rf_sampled out = step(sampler, logits, NULL);
            mean[t] += exp((double)out.logprob) / 2000;
            rf_sampler_accept(sampler, out.token);
        }
        rf_sampler_destroy(sampler);
        assert_true(fabs(mean[t] - (double)p.adaptive_target) < 0.05);
    }
    assert_true(mean[0] < mean[1]);
}

static void test_bans(void **state) {
    (void)state;
    enum { N = 100 };
    float logits[N];
    uint32_t allowed[4] = {0};
    rf_sample_params p = rf_sample_params_default();
    for (int i = 0; i < N; i++)
        logits[i] = (float)i * 0.01f;
    allowed[0] = 1u << 7;
    allowed[2] = 1u << 3; /* 67 */
    rf_sampler *sampler = make(&p, N, 0);
    for (int i = 0; i < 50; i++) {
        int32_t token = step(sampler, logits, allowed).token;
        assert_true(token == 7 || token == 67);
        rf_sampler_accept(sampler, token);
    }
    allowed[2] = 0;
    assert_int_equal(step(sampler, logits, allowed).token, 7);
    rf_sampler_destroy(sampler);
    p.logit_bias = (const rf_logit_bias[]){{7, -INFINITY}};
    p.n_logit_bias = 1;
    p.n_probs = 3;
    sampler = make(&p, N, 0);
    rf_sampled out;
    assert_int_equal(rf_sampler_sample(sampler, scratch, logits, allowed, &out, &err),
                     RF_ERR_INVALID);
    assert_non_null(strstr(err.text, "no token is left"));
    for (int i = 0; i < N; i++)
        logits[i] = -INFINITY;
    assert_int_equal(rf_sampler_sample(sampler, scratch, logits, NULL, &out, &err), RF_ERR_INVALID);
    logits[7] = 1;
    assert_int_equal(rf_sampler_sample(sampler, scratch, logits, NULL, &out, &err), RF_ERR_INVALID);
    logits[8] = 1;
    out = step(sampler, logits, NULL);
    assert_int_equal(out.token, 8);
    assert_int_equal(out.n_top, 2); /* raw probabilities: the ban does not show, -infinity does */
    assert_int_equal(out.top[0].token, 7);
    assert_true(fabs((double)out.logprob - log(0.5)) < 1e-6);
    rf_sampler_destroy(sampler);
}

static void test_bad_logits(void **state) {
    (void)state;
    static const float bad[] = {NAN, INFINITY, -NAN};
    rf_sample_params p = rf_sample_params_default();
    for (int greedy = 0; greedy < 2; greedy++) {
        p.temp = greedy ? 0 : 1;
        rf_sampler *sampler = make(&p, 333, 0);
        for (int i = 0; i < 3; i++)
            for (int at = 0; at < 333; at += 83) {
                rf_sampled out;
                char name[32];
                (void)snprintf(name, sizeof name, "token %d is", at);
                memset(big, 0, 333 * sizeof *big);
                big[at] = bad[i];
                assert_int_equal(rf_sampler_sample(sampler, scratch, big, NULL, &out, &err),
                                 RF_ERR_INVALID);
                assert_non_null(strstr(err.text, name));
                big[at] = 1; /* and the sequence can go on */
                (void)step(sampler, big, NULL);
            }
        rf_sampler_destroy(sampler);
    }
}

/* Whatever is in range works on whatever is finite: some token comes out, and memory holds. */
static void test_extremes(void **state) {
    (void)state;
    rf_rng rng = rf_rng_make(99, 0);
    static const float values[] = {FLT_MAX, -FLT_MAX, 0, FLT_MIN, 1e-45f, -1, 1, 88, -INFINITY};
    for (int round = 0; round < 3000; round++) {
        rf_sample_params p = rf_sample_params_default();
        for (size_t i = 0; i < RF_SAMPLE_PARAM_COUNT; i++) {
            const rf_sample_param_info *info = rf_sample_param_at(i);
            uint32_t pick = rf_rng_below(&rng, 5);
            double value = pick == 0   ? info->min
                           : pick == 1 ? info->max
                           : pick == 2 ? (info->kind == RF_SAMPLE_PARAM_INT ? 3 : 1e-30)
                                       : info->def;
            if (value >= info->min && value <= info->max && i != RF_SAMPLE_PARAM_seed)
                assert_int_equal(rf_sample_param_set_float(&p, i, value, &err), RF_OK);
        }
        uint32_t n = 1 + rf_rng_below(&rng, 200);
        for (uint32_t i = 0; i < n; i++)
            big[i] = rf_rng_below(&rng, 2) ? values[rf_rng_below(&rng, 9)] : rf_rng_normal(&rng);
        big[n - 1] = 2;
        rf_sampler *sampler = make(&p, n, 0);
        for (int i = 0; i < 5; i++) {
            rf_sampled out = step(sampler, big, NULL);
            assert_in_range(out.token, 0, n - 1);
            assert_true(big[out.token] > -INFINITY);
            assert_true(!isnan(out.logprob));
            rf_sampler_accept(sampler, (int32_t)rf_rng_below(&rng, n) % 3);
        }
        rf_sampler_destroy(sampler);
    }
    rf_sample_params p = rf_sample_params_default();
    static const float close[] = {20, 20.001f, 3};
    p.temp = 1e-30f; /* no overflow into a tie */
    for (p.seed = 0; p.seed < 20; p.seed++)
        assert_int_equal(once(&p, 3, close), 1);
}

static void test_logprobs(void **state) {
    (void)state;
    rf_rng rng = rf_rng_make(4, 0);
    rf_sample_params p = rf_sample_params_default();
    p.n_probs = 20;
    p.temp = 0;
    double max = -INFINITY, sum = 0;
    for (int i = 0; i < BIG; i++) {
        big[i] = rf_rng_normal(&rng) * 4;
        max = fmax(max, (double)big[i]);
    }
    for (int i = 0; i < BIG; i++)
        sum += exp((double)big[i] - max);
    p.logit_bias = (const rf_logit_bias[]){{77, 100}};
    p.n_logit_bias = 1;
    rf_sampler *sampler = make(&p, BIG, 0);
    rf_sampled out = step(sampler, big, NULL);
    rf_sampler_destroy(sampler);
    assert_int_equal(out.token, 77);
    assert_true(fabs((double)out.logprob - ((double)big[77] - max - log(sum))) < 2e-6);
    assert_int_equal(out.n_top, 20);
    for (uint32_t i = 0; i < 20; i++) {
        int above = 0;
        for (int j = 0; j < BIG; j++)
            above += big[j] > big[out.top[i].token];
        assert_int_equal(above, i);
        double want = (double)big[out.top[i].token] - max - log(sum);
        assert_true(fabs((double)out.top[i].logprob - want) < 2e-6);
    }
}

static void test_memory_and_time(void **state) {
    (void)state;
    rf_rng rng = rf_rng_make(8, 0);
    for (int i = 0; i < BIG; i++)
        big[i] = rf_rng_normal(&rng) * 3;
    rf_sample_params p = rf_sample_params_default();
    p.repeat_penalty = 1.1f;
    p.dry_multiplier = 0.8f;
    rf_sampler *sampler = make(&p, BIG, 0);
    uint64_t calls = rf_alloc_count(), best = UINT64_MAX;
    for (int i = 0; i < 200; i++) {
        uint64_t start = rf_clock_ns();
        rf_sampled out = step(sampler, big, NULL);
        uint64_t took = rf_clock_ns() - start;
        best = took < best ? took : best;
        rf_sampler_accept(sampler, out.token);
    }
    assert_int_equal(rf_alloc_count(), calls);
    rf_sampler_destroy(sampler);
    print_message("a step over %d tokens with top-k 40: %.3f ms\n", BIG, (double)best * 1e-6);
    assert_true(best < 20000000); /* aim 0.2 ms; the bound allows sanitizers and busy machines */

    rf_sampler *none = NULL;
    for (uint64_t n = 1; n < 5; n++) { /* each allocation of create fails once */
        size_t live = rf_alloc_live_bytes();
        rf_alloc_fail_at(n, 0);
        rf_status status = rf_sampler_create(&p, BIG, 4096, 0, &none, &err);
        rf_alloc_fail_at(0, 0);
        assert_int_equal(status, RF_ERR_NO_MEMORY);
        assert_int_equal(rf_alloc_live_bytes(), live);
    }
}

int main(void) {
    big = rf_calloc(BIG, sizeof *big);
    if (!big || rf_sample_scratch_create(BIG, &scratch, &err) != RF_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_greedy),     cmocka_unit_test(test_order),
        cmocka_unit_test(test_draws),      cmocka_unit_test(test_frequencies),
        cmocka_unit_test(test_xtc_chance), cmocka_unit_test(test_mirostat),
        cmocka_unit_test(test_adaptive_p), cmocka_unit_test(test_bans),
        cmocka_unit_test(test_bad_logits), cmocka_unit_test(test_extremes),
        cmocka_unit_test(test_logprobs),   cmocka_unit_test(test_memory_and_time),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rf_sample_scratch_destroy(scratch);
    rf_free(big);
    return failed;
}
