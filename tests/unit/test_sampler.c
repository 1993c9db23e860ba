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

enum { MAX_VOCAB = 5000, N_CTX = 512 };

typedef struct item {
    int id;
    double logit, prob, key;
} item;

typedef struct list {
    item items[MAX_VOCAB];
    size_t n;
} list;

static list want;
static float logits[MAX_VOCAB];
static rf_sample_scratch *scratch;
static const uint32_t sizes[] = {1, 2, 3, 17, 64, 65, 1000, MAX_VOCAB};

static int better(const void *a, const void *b) {
    const item *x = a, *y = b;
    if (x->logit != y->logit)
        return x->logit > y->logit ? -1 : 1;
    return x->id - y->id;
}
static int by_key(const void *a, const void *b) {
    const item *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return better(a, b);
}
static int by_id(const void *a, const void *b) {
    return ((const item *)a)->id - ((const item *)b)->id;
}

static void sort_best(list *l) { qsort(l->items, l->n, sizeof *l->items, better); }

static void softmax(list *l) {
    double max = -INFINITY, sum = 0;
    for (size_t i = 0; i < l->n; i++)
        max = fmax(max, l->items[i].logit);
    for (size_t i = 0; i < l->n; i++)
        sum += l->items[i].prob = exp(l->items[i].logit - max);
    for (size_t i = 0; i < l->n; i++)
        l->items[i].prob /= sum;
}

static double entropy(const list *l) {
    double h = 0;
    for (size_t i = 0; i < l->n; i++)
        if (l->items[i].prob > 0)
            h -= l->items[i].prob * log(l->items[i].prob);
    return h;
}

/* ---- definitions ---- */

static void ref_top_k(const rf_sample_params *p, list *l) {
    sort_best(l);
    if (p->top_k > 0 && (size_t)p->top_k < l->n)
        l->n = (size_t)p->top_k;
}

static void ref_top_p(const rf_sample_params *p, list *l) {
    if (p->top_p >= 1)
        return;
    sort_best(l);
    softmax(l);
    double sum = 0;
    for (size_t i = 0; i < l->n; i++) {
        sum += l->items[i].prob;
        if (sum >= (double)p->top_p && i + 1 >= (size_t)p->min_keep) {
            l->n = i + 1;
            return;
        }
    }
}

static void ref_min_p(const rf_sample_params *p, list *l) {
    if (p->min_p <= 0)
        return;
    sort_best(l);
    softmax(l);
    size_t n = 1;
    while (n < l->n &&
           (l->items[n].prob >= (double)p->min_p * l->items[0].prob || n < (size_t)p->min_keep))
        n++;
    l->n = n;
}

static void ref_typ_p(const rf_sample_params *p, list *l) {
    if (p->typical_p >= 1)
        return;
    softmax(l);
    double h = entropy(l), sum = 0;
    for (size_t i = 0; i < l->n; i++)
        l->items[i].key = fabs(-log(l->items[i].prob) - h);
    qsort(l->items, l->n, sizeof *l->items, by_key);
    for (size_t i = 0; i < l->n; i++) {
        sum += l->items[i].prob;
        if (sum > (double)p->typical_p && i + 1 >= (size_t)p->min_keep) {
            l->n = i + 1;
            return;
        }
    }
}

static void ref_top_n_sigma(const rf_sample_params *p, list *l) {
    if (p->top_n_sigma <= 0 || l->n < 2)
        return;
    double mean = 0, var = 0;
    for (size_t i = 0; i < l->n; i++)
        mean += l->items[i].logit / (double)l->n;
    for (size_t i = 0; i < l->n; i++)
        var += pow(l->items[i].logit - mean, 2) / (double)l->n;
    sort_best(l);
    size_t n = 1;
    while (n < l->n && l->items[n].logit >= l->items[0].logit - (double)p->top_n_sigma * sqrt(var))
        n++;
    l->n = n;
}

/* Always taken: the tests set its chance to 1. */
static void ref_xtc(const rf_sample_params *p, list *l) {
    if (l->n < 2 || p->xtc_threshold > 0.5f)
        return;
    sort_best(l);
    softmax(l);
    size_t above = 0;
    while (above < l->n && l->items[above].prob >= (double)p->xtc_threshold)
        above++;
    if (above < 2 || l->n - (above - 1) < (size_t)p->min_keep)
        return;
    l->n -= above - 1;
    memmove(l->items, l->items + above - 1, l->n * sizeof *l->items);
}

static void ref_temperature(const rf_sample_params *p, list *l) {
    double t = (double)p->temp, range = (double)p->dynatemp_range;
    if (range > 0) {
        if (l->n < 2)
            return;
        softmax(l);
        double low = fmax(0, t - range), high = t + range;
        t = low + (high - low) * pow(entropy(l) / log((double)l->n), (double)p->dynatemp_exponent);
    }
    for (size_t i = 0; i < l->n; i++)
        l->items[i].logit /= t;
}

static double mu;

static void fast_mirostat(struct rf_sampler *sampler, rf_candidates *cand) {
    sampler->mu = (float)mu;
    uint32_t chosen = rf_choose_mirostat(sampler, cand);
    double surprise = -log2((double)cand->probs[chosen]);
    double next = mu - (double)sampler->params.mirostat_eta *
                           (surprise - (double)sampler->params.mirostat_tau);
    assert_true(fabs((double)sampler->pending_mu - next) < 1e-4);
    assert_true((double)sampler->mu == (double)(float)mu); /* until it is accepted */
}

static void ref_mirostat(const rf_sample_params *p, list *l) {
    sort_best(l);
    softmax(l);
    if (p->mirostat == 2) {
        size_t n = 1;
        while (n < l->n && -log2(l->items[n].prob) <= mu)
            n++;
        l->n = n;
        return;
    }
    double tb = 0, tt = 0;
    for (size_t i = 0; i + 1 < l->n && i < 99; i++) {
        double t = log((double)(i + 2) / (double)(i + 1));
        tb += t * log(l->items[i].prob / l->items[i + 1].prob);
        tt += t * t;
    }
    double s = tb / tt, eps = s - 1;
    double k = pow(eps * pow(2, mu) / (1 - pow(MAX_VOCAB, -eps)), 1 / s);
    if (l->n > 1 && k < (double)l->n)
        l->n = k < 1 ? 1 : (size_t)k;
}

static int32_t history[N_CTX];
static uint32_t n_history;

static void ref_penalties(const rf_sample_params *p, list *l) {
    for (size_t i = 0; i < l->n; i++) {
        int count = 0;
        for (uint32_t j = 0; j < n_history; j++)
            count += history[j] == l->items[i].id &&
                     (p->repeat_last_n < 0 || n_history - j <= (uint64_t)p->repeat_last_n);
        if (!count)
            continue;
        double r = (double)p->repeat_penalty, *v = &l->items[i].logit;
        *v = *v <= 0 ? *v * r : *v / r;
        *v -= count * (double)p->frequency_penalty + (double)p->presence_penalty;
    }
}

/* Quadratic, by the description: compares the end of the text with every earlier place. */
static void ref_dry(const rf_sample_params *p, list *l) {
    uint32_t first = 0, limit;
    if (p->dry_penalty_last_n >= 0 && (uint64_t)p->dry_penalty_last_n < n_history)
        first = n_history - (uint32_t)p->dry_penalty_last_n;
    const int32_t *text = history + first;
    uint32_t n = n_history - first;
    if ((int64_t)n <= p->dry_allowed_length)
        return;
    limit = n;
    for (uint32_t from = n; from-- > 0 && limit == n;) {
        uint32_t longest = 0;
        for (uint32_t b = 0; b < p->n_dry_breakers; b++) {
            const rf_token_span *s = &p->dry_breakers[b];
            if (s->n_tokens <= n - from && s->n_tokens > longest &&
                !memcmp(s->tokens, text + from, s->n_tokens * sizeof *text))
                longest = s->n_tokens;
        }
        if (longest > 0)
            limit = n - from - longest;
    }
    if ((int64_t)limit < p->dry_allowed_length)
        return;
    for (size_t i = 0; i < l->n; i++) {
        int64_t longest = -1;
        for (uint32_t at = 1; at < n; at++) { /* text[at] is the token; what stands before it? */
            uint32_t len = 0;
            if (text[at] != l->items[i].id)
                continue;
            while (len < limit && len < at && text[at - 1 - len] == text[n - 1 - len])
                len++;
            longest = (int64_t)len > longest ? (int64_t)len : longest;
        }
        bool breaker = false;
        for (uint32_t b = 0; b < p->n_dry_breakers; b++)
            breaker |=
                p->dry_breakers[b].n_tokens == 1 && p->dry_breakers[b].tokens[0] == l->items[i].id;
        if (!breaker && longest >= p->dry_allowed_length && longest >= 0)
            l->items[i].logit -=
                (double)p->dry_multiplier *
                pow((double)p->dry_base, (double)(longest - p->dry_allowed_length));
    }
}

/* ---- comparison ---- */

typedef void (*ref_fn)(const rf_sample_params *p, list *l);
typedef void (*fast_fn)(struct rf_sampler *sampler, rf_candidates *cand);

static rf_sampler *make(const rf_sample_params *params, uint32_t n_vocab) {
    rf_sampler *sampler = NULL;
    rf_error err = {0};
    if (rf_sampler_create(params, n_vocab, N_CTX, 0, &sampler, &err) != RF_OK)
        fail_msg("%s", err.text);
    rf_sampler_prompt(sampler, history, n_history);
    return sampler;
}

static void fill(rf_rng *rng, uint32_t n, float spread) {
    want.n = n;
    scratch->n = n;
    scratch->dense = true;
    scratch->ranked = false;
    for (uint32_t i = 0; i < n; i++) {
        logits[i] = scratch->logits[i] = rf_rng_normal(rng) * spread;
        want.items[i] = (item){.id = (int)i, .logit = (double)logits[i]};
    }
}

static void compare(const char *what, uint32_t n) {
    static item got[MAX_VOCAB];
    if (scratch->n != want.n)
        fail_msg("%s of %u: %u left, expected %zu", what, n, scratch->n, want.n);
    for (uint32_t i = 0; i < scratch->n; i++)
        got[i] = (item){.id = rf_candidate_id(scratch, i), .logit = (double)scratch->logits[i]};
    qsort(got, scratch->n, sizeof *got, by_id);
    qsort(want.items, want.n, sizeof *want.items, by_id);
    for (size_t i = 0; i < want.n; i++) {
        assert_int_equal(got[i].id, want.items[i].id);
        if (fabs(got[i].logit - want.items[i].logit) > 2e-5 * (1 + fabs(want.items[i].logit)))
            fail_msg("%s of %u: token %d %g, expected %g", what, n, got[i].id, got[i].logit,
                     want.items[i].logit);
    }
}

/* Runs one sampler at every size, from the whole vocabulary and from a shuffled remainder. */
static void check(const char *what, rf_sample_params params, fast_fn fast, ref_fn ref) {
    rf_rng rng = rf_rng_make(7, 0);
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++)
        for (int round = 0; round < 4; round++) {
            rf_sampler *sampler = make(&params, MAX_VOCAB);
            fill(&rng, sizes[s], round < 2 ? 3 : 0.5f);
            if (round % 2) {
                rf_candidates_keep_best(scratch, (sizes[s] + 1) / 2);
                sort_best(&want);
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
    n_history = 0;
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
    n_history = 0;
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
    n_history = 0;
    static const double mus[] = {-1, 0.5, 3, 6, 10, 40};
    for (int i = 0; i < 12; i++) {
        p.mirostat = i / 6 + 1;
        mu = mus[i % 6];
        check(p.mirostat == 1 ? "mirostat 1" : "mirostat 2", p, fast_mirostat, ref_mirostat);
    }
}

static void make_history(uint32_t n, uint32_t n_tokens) {
    rf_rng rng = rf_rng_make(n, n_tokens);
    for (n_history = 0; n_history < n; n_history++)
        history[n_history] = (int32_t)rf_rng_below(&rng, n_tokens);
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
    static const int32_t tokens[] = {3, 1, 2, 2};
    static const rf_token_span breakers[] = {{tokens, 1}, {tokens + 1, 2}, {tokens + 1, 3}};
    rf_sample_params p = rf_sample_params_default();
    p.dry_multiplier = 0.8f;
    for (uint32_t n = 0; n < 200; n++) {
        make_history(n, 2 + n % 4); /* few tokens: long repetitions */
        p.dry_allowed_length = n % 5;
        p.dry_penalty_last_n = n % 3 ? -1 : (int64_t)(n / 2 + 1);
        p.dry_breakers = breakers;
        p.n_dry_breakers = n % 4;
        rf_sampler *sampler = make(&p, 64);
        rf_rng rng = rf_rng_make(n, 9);
        fill(&rng, 64, 3);
        if (n % 2) {
            rf_candidates_keep_best(scratch, 32);
            sort_best(&want);
            want.n = 32;
        }
        rf_apply_dry(sampler, scratch);
        ref_dry(&p, &want);
        compare("dry", n);
        rf_sampler_destroy(sampler);
    }
}

/* Texts of a b c c b c y a b c: after "c" comes nothing new, "b" would repeat two tokens. */
static void test_dry_by_hand(void **state) {
    (void)state;
    static const int32_t text[] = {0, 1, 2, 2, 1, 2, 3, 0, 1, 2};
    memcpy(history, text, sizeof text);
    n_history = 10;
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
    if (rf_sample_scratch_create(MAX_VOCAB, &scratch, &err) != RF_OK)
        return 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_truncation),  cmocka_unit_test(test_temperature),
        cmocka_unit_test(test_penalties),   cmocka_unit_test(test_dry),
        cmocka_unit_test(test_dry_by_hand),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    rf_sample_scratch_destroy(scratch);
    return failed;
}
