#include "tests/lib/sampler_reference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int32_t ref_history[REF_MAX_HISTORY];
uint32_t ref_n_history;
double ref_mu;

static int better(const void *a, const void *b) {
    const ref_item *x = a, *y = b;
    if (x->logit != y->logit)
        return x->logit > y->logit ? -1 : 1;
    return x->id - y->id;
}
static int by_key(const void *a, const void *b) {
    const ref_item *x = a, *y = b;
    if (x->key != y->key)
        return x->key < y->key ? -1 : 1;
    return better(a, b);
}
int ref_by_id(const void *a, const void *b) {
    return ((const ref_item *)a)->id - ((const ref_item *)b)->id;
}

void ref_sort(ref_list *l) { qsort(l->items, l->n, sizeof *l->items, better); }

static void softmax(ref_list *l) {
    double max = -INFINITY, sum = 0;
    for (size_t i = 0; i < l->n; i++)
        max = fmax(max, l->items[i].logit);
    for (size_t i = 0; i < l->n; i++)
        sum += l->items[i].prob = exp(l->items[i].logit - max);
    for (size_t i = 0; i < l->n; i++)
        l->items[i].prob /= sum;
}

static double entropy(const ref_list *l) {
    double h = 0;
    for (size_t i = 0; i < l->n; i++)
        if (l->items[i].prob > 0)
            h -= l->items[i].prob * log(l->items[i].prob);
    return h;
}

void ref_top_k(const rf_sample_params *p, ref_list *l) {
    ref_sort(l);
    if (p->top_k > 0 && (size_t)p->top_k < l->n)
        l->n = (size_t)p->top_k;
}

void ref_top_p(const rf_sample_params *p, ref_list *l) {
    if (p->top_p >= 1)
        return;
    ref_sort(l);
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

void ref_min_p(const rf_sample_params *p, ref_list *l) {
    if (p->min_p <= 0)
        return;
    ref_sort(l);
    softmax(l);
    size_t n = 1;
    while (n < l->n &&
           (l->items[n].prob >= (double)p->min_p * l->items[0].prob || n < (size_t)p->min_keep))
        n++;
    l->n = n;
}

void ref_typ_p(const rf_sample_params *p, ref_list *l) {
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

void ref_top_n_sigma(const rf_sample_params *p, ref_list *l) {
    if (p->top_n_sigma <= 0 || l->n < 2)
        return;
    double mean = 0, var = 0;
    for (size_t i = 0; i < l->n; i++)
        mean += l->items[i].logit / (double)l->n;
    for (size_t i = 0; i < l->n; i++)
        var += pow(l->items[i].logit - mean, 2) / (double)l->n;
    ref_sort(l);
    size_t n = 1;
    while (n < l->n && l->items[n].logit >= l->items[0].logit - (double)p->top_n_sigma * sqrt(var))
        n++;
    l->n = n;
}

/* Always taken: the tests set its chance to 1. */
void ref_xtc(const rf_sample_params *p, ref_list *l) {
    if (l->n < 2 || p->xtc_threshold > 0.5f)
        return;
    ref_sort(l);
    softmax(l);
    size_t above = 0;
    while (above < l->n && l->items[above].prob >= (double)p->xtc_threshold)
        above++;
    if (above < 2 || l->n - (above - 1) < (size_t)p->min_keep)
        return;
    l->n -= above - 1;
    memmove(l->items, l->items + above - 1, l->n * sizeof *l->items);
}

void ref_temperature(const rf_sample_params *p, ref_list *l) {
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

void ref_mirostat(const rf_sample_params *p, ref_list *l) {
    ref_sort(l);
    softmax(l);
    if (p->mirostat == 2) {
        size_t n = 1;
        while (n < l->n && -log2(l->items[n].prob) <= ref_mu)
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
    double k = pow(eps * pow(2, ref_mu) / (1 - pow(REF_MAX_VOCAB, -eps)), 1 / s);
    if (l->n > 1 && k < (double)l->n)
        l->n = k < 1 ? 1 : (size_t)k;
}

void ref_penalties(const rf_sample_params *p, ref_list *l) {
    for (size_t i = 0; i < l->n; i++) {
        int count = 0;
        for (uint32_t j = 0; j < ref_n_history; j++)
            count += ref_history[j] == l->items[i].id &&
                     (p->repeat_last_n < 0 || ref_n_history - j <= (uint64_t)p->repeat_last_n);
        if (!count)
            continue;
        double r = (double)p->repeat_penalty, *v = &l->items[i].logit;
        *v = *v <= 0 ? *v * r : *v / r;
        *v -= count * (double)p->frequency_penalty + (double)p->presence_penalty;
    }
}

/* Quadratic, by the description: compares the end of the text with every earlier place. */
void ref_dry(const rf_sample_params *p, ref_list *l) {
    uint32_t first = 0, limit;
    if (p->dry_penalty_last_n >= 0 && (uint64_t)p->dry_penalty_last_n < ref_n_history)
        first = ref_n_history - (uint32_t)p->dry_penalty_last_n;
    const int32_t *text = ref_history + first;
    uint32_t n = ref_n_history - first;
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
