/* Each sampler against a plain definition of it in doubles, written from its paper or from
 * llama.cpp's behaviour. */
#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/rng.h"
#include "sample/chain.h"
#include "sample/sampler.h"
#include "tests/lib/sampler_reference.h"

static ref_list want;
static float logits[REF_MAX_VOCAB];
static rf_sample_scratch *scratch;
static const uint32_t sizes[] = {1, 2, 3, 17, 64, 65, 1000, REF_MAX_VOCAB};

static void fast_mirostat(struct rf_sampler *sampler, rf_candidates *cand) {
    sampler->mu = (float)ref_mu;
    uint32_t chosen = rf_choose_mirostat(sampler, cand);
    double surprise = -log2((double)cand->probs[chosen]);
    double next = ref_mu - (double)sampler->params.mirostat_eta *
                               (surprise - (double)sampler->params.mirostat_tau);
    assert_true(fabs((double)sampler->pending_mu - next) < 1e-4);
    assert_true((double)sampler->mu == (double)(float)ref_mu); /* until it is accepted */
}

typedef void (*ref_fn)(const rf_sample_params *p, ref_list *l);
typedef void (*fast_fn)(struct rf_sampler *sampler, rf_candidates *cand);

static rf_sampler *make(const rf_sample_params *params, uint32_t n_vocab) {
    rf_sampler *sampler = NULL;
    rf_error err = {0};
    if (rf_sampler_create(params, n_vocab, REF_MAX_HISTORY, 0, &sampler, &err) != RF_OK)
        fail_msg("%s", err.text);
    rf_sampler_prompt(sampler, ref_history, ref_n_history);
    return sampler;
}

static void fill(rf_rng *rng, uint32_t n, float spread) {
    want.n = n;
    scratch->n = n;
    scratch->dense = true;
    scratch->ranked = false;
    for (uint32_t i = 0; i < n; i++) {
        logits[i] = scratch->logits[i] = rf_rng_normal(rng) * spread;
        want.items[i] = (ref_item){.id = (int)i, .logit = (double)logits[i]};
    }
}

static void compare(const char *what, uint32_t n) {
    static ref_item got[REF_MAX_VOCAB];
    if (scratch->n != want.n)
        fail_msg("%s of %u: %u left, expected %zu", what, n, scratch->n, want.n);
    for (uint32_t i = 0; i < scratch->n; i++)
        got[i] = (ref_item){.id = rf_candidate_id(scratch, i), .logit = (double)scratch->logits[i]};
    qsort(got, scratch->n, sizeof *got, ref_by_id);
    qsort(want.items, want.n, sizeof *want.items, ref_by_id);
    for (size_t i = 0; i < want.n; i++) {
        assert_int_equal(got[i].id, want.items[i].id);
        if (fabs(got[i].logit - want.items[i].logit) > 2e-5 * (1 + fabs(want.items[i].logit)))
            fail_msg("%s of %u: token %d %g, expected %g", what, n, got[i].id, got[i].logit,
                     want.items[i].logit);
    }
}

/* Runs one sampler at every size, from the whole vocabulary and from its ranked better half. */
static void check(const char *what, rf_sample_params params, fast_fn fast, ref_fn ref) {
    rf_rng rng = rf_rng_make(7, 0);
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int round = 0; round < 4; round++) {
            rf_sampler *sampler = make(&params, REF_MAX_VOCAB);
            fill(&rng, sizes[s], round < 2 ? 3 : 0.5f);
            if (round % 2) {
                rf_candidates_keep_best(scratch, (sizes[s] + 1) / 2);
                ref_sort(&want);
                want.n = (sizes[s] + 1) / 2;
            }
            fast(sampler, scratch);
            ref(&params, &want);
            compare(what, sizes[s]);
            rf_sampler_destroy(sampler);
        }
}

static void test_truncation(void **state) {
    (void)state;
    rf_sample_params base = rf_sample_params_default();
    ref_n_history = 0;
    static const int64_t ks[] = {-1, 0, 1, 2, 40, 300, 4000, INT32_MAX};
    static const float shares[] = {0, 1e-6f, 0.05f, 0.3f, 0.7f, 0.95f, 0.999f, 1};
    for (size_t i = 0; i < 8; i++) {
        rf_sample_params p = base;
        p.min_keep = i % 2 ? 5 : 0;
        p.top_k = ks[i];
        p.top_p = p.min_p = p.typical_p = shares[i];
        p.top_n_sigma = 3 * shares[i];
        p.xtc_probability = 1;
        p.xtc_threshold = shares[i] / 10;
        check("top_k", p, rf_apply_top_k, ref_top_k);
        check("top_p", p, rf_apply_top_p, ref_top_p);
        check("min_p", p, rf_apply_min_p, ref_min_p);
        check("typ_p", p, rf_apply_typ_p, ref_typ_p);
        check("top_n_sigma", p, rf_apply_top_n_sigma, ref_top_n_sigma);
        check("xtc", p, rf_apply_xtc, ref_xtc);
    }
}

static void test_temperature(void **state) {
    (void)state;
    rf_sample_params p = rf_sample_params_default();
    ref_n_history = 0;
    static const float temps[] = {0.1f, 0.8f, 1, 1.7f}, ranges[] = {0, 0.5f, 3};
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 3; j++) {
            p.temp = temps[i];
            p.dynatemp_range = ranges[j];
            p.dynatemp_exponent = j == 2 ? 1.5f : 1;
            check("temperature", p, rf_apply_temperature, ref_temperature);
        }
}

static void test_mirostat(void **state) {
    (void)state;
    rf_sample_params p = rf_sample_params_default();
    ref_n_history = 0;
    static const double mus[] = {-1, 0.5, 3, 6, 10, 40};
    for (int i = 0; i < 12; i++) {
        p.mirostat = i / 6 + 1;
        ref_mu = mus[i % 6];
        check(p.mirostat == 1 ? "mirostat 1" : "mirostat 2", p, fast_mirostat, ref_mirostat);
    }
}

static void make_history(uint32_t n, uint32_t n_tokens) {
    rf_rng rng = rf_rng_make(n, n_tokens);
    for (ref_n_history = 0; ref_n_history < n; ref_n_history++)
        ref_history[ref_n_history] = (int32_t)rf_rng_below(&rng, n_tokens);
}

static void test_penalties(void **state) {
    (void)state;
    rf_sample_params p = rf_sample_params_default();
    make_history(300, 20);
    static const float repeats[] = {1, 1.3f, 0.5f};
    static const int64_t lasts[] = {0, 1, 64, 299, -1};
    for (int i = 0; i < 15; i++) {
        p.repeat_penalty = repeats[i / 5];
        p.repeat_last_n = lasts[i % 5];
        p.presence_penalty = i / 5 == 1 ? 0.6f : 0;
        p.frequency_penalty = i / 5 == 1 ? -0.2f : 0.1f;
        check("penalties", p, rf_apply_penalties, ref_penalties);
    }
}

static void test_dry(void **state) {
    (void)state;
    rf_sample_params p = rf_sample_params_default();
    int n_punished = 0;
    p.dry_multiplier = 0.8f;
    for (uint32_t n = 0; n < 400; n++) {
        rf_rng rng = rf_rng_make(n, 9);
        int32_t tokens[24];
        rf_token_span breakers[8];
        make_history(n % 200, 2 + n % 4); /* few tokens: long repetitions */
        for (int i = 0; i < 24; i++)
            tokens[i] = (int32_t)rf_rng_below(&rng, 2 + n % 4);
        for (int i = 0; i < 8; i++)
            breakers[i] = (rf_token_span){tokens + 2 * i, 4 - (n + (uint32_t)i) % 2 - n % 3};
        p.dry_allowed_length = n % 5;
        p.dry_penalty_last_n = n % 3 ? -1 : (int64_t)(n % 200 / 2 + 1);
        p.dry_breakers = breakers;
        p.n_dry_breakers = n % 9;
        rf_sampler *sampler = make(&p, 64);
        fill(&rng, 64, 3);
        if (n % 2) {
            rf_candidates_keep_best(scratch, 32);
            ref_sort(&want);
            want.n = 32;
        }
        rf_apply_dry(sampler, scratch);
        ref_dry(&p, &want);
        compare("dry", n);
        for (uint32_t i = 0; i < scratch->n; i++)
            n_punished += scratch->logits[i] != logits[rf_candidate_id(scratch, i)];
        rf_sampler_destroy(sampler);
    }
    assert_in_range(n_punished, 100, 1500);
}

/* Texts of a b c c b c y a b c: after "c" comes nothing new, "b" would repeat two tokens. */
static void test_dry_by_hand(void **state) {
    (void)state;
    static const int32_t text[] = {0, 1, 2, 2, 1, 2, 3, 0, 1, 2};
    memcpy(ref_history, text, sizeof text);
    ref_n_history = 10;
    rf_sample_params p = rf_sample_params_default();
    p.dry_multiplier = 1;
    p.dry_base = 2;
    p.dry_allowed_length = 1;
    rf_sampler *sampler = make(&p, 5);
    scratch->n = 5;
    scratch->dense = true;
    memset(scratch->logits, 0, 5 * sizeof(float));
    rf_apply_dry(sampler, scratch);
    static const float expected[] = {0, -1, -4, -2, 0}; /* repeats of 0, 1, 3, 2 tokens, and none */
    assert_memory_equal(scratch->logits, expected, sizeof expected);
    rf_sampler_destroy(sampler);
}

int main(void) {
    rf_error err = {0};
    if (rf_sample_scratch_create(REF_MAX_VOCAB, &scratch, &err) != RF_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_truncation), cmocka_unit_test(test_temperature),
        cmocka_unit_test(test_penalties),  cmocka_unit_test(test_mirostat),
        cmocka_unit_test(test_dry),        cmocka_unit_test(test_dry_by_hand),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rf_sample_scratch_destroy(scratch);
    return failed;
}
