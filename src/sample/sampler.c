#include "sample/sampler.h"

#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/map.h"
#include "sample/chain.h"
#include "sample/logprobs.h"

static const struct {
    void (*apply)(struct rf_sampler *sampler, rf_candidates *cand);
    bool reshapes;
} table[] = {
#define X(id, name, others, letter, reshapes, standard) {rf_apply_##name, reshapes},
#include "sample/samplers.def"
#undef X
};

rf_status rf_sample_scratch_create(uint32_t n_vocab, rf_sample_scratch **out, rf_error *err) {
    return rf_candidates_create(n_vocab, out, err);
}

void rf_sample_scratch_destroy(rf_sample_scratch *scratch) { rf_candidates_destroy(scratch); }

static bool in_order(const rf_sample_params *params, rf_sampler_kind kind) {
    for (uint32_t i = 0; i < params->n_order; i++)
        if (params->order[i] == kind)
            return true;
    return false;
}

/* Tokens of history that a sampler with these settings looks at. */
static uint32_t history_need(const rf_sample_params *params, uint32_t n_ctx, bool *dry) {
    bool penalties = in_order(params, RF_SAMPLER_PENALTIES) &&
                     (params->repeat_penalty != 1 || params->presence_penalty != 0 ||
                      params->frequency_penalty != 0);
    *dry = in_order(params, RF_SAMPLER_DRY) && params->dry_multiplier > 0 &&
           params->dry_base >= 1 && params->dry_penalty_last_n != 0;
    int64_t need = 0;
    if (penalties)
        need = params->repeat_last_n < 0 ? (int64_t)n_ctx : params->repeat_last_n;
    if (*dry) {
        int64_t n = params->dry_penalty_last_n < 0 ? (int64_t)n_ctx : params->dry_penalty_last_n;
        need = n > need ? n : need;
    }
    return need < (int64_t)n_ctx ? (uint32_t)need : n_ctx;
}

static bool copy_biases(rf_sample_params *params) {
    if (params->n_logit_bias == 0) {
        params->logit_bias = NULL;
        return true;
    }
    rf_logit_bias *copy = rf_calloc(params->n_logit_bias, sizeof *copy);
    if (copy)
        memcpy(copy, params->logit_bias, params->n_logit_bias * sizeof *copy);
    params->logit_bias = copy;
    return copy != NULL;
}

/* By first token, then by length: what dry.c searches by. */
static int compare_breakers(const void *a, const void *b) {
    const rf_token_span *x = a, *y = b;
    if (x->tokens[0] != y->tokens[0])
        return x->tokens[0] < y->tokens[0] ? -1 : 1;
    return (x->n_tokens > y->n_tokens) - (x->n_tokens < y->n_tokens);
}

/* Spans, sorted, and their tokens in one allocation. */
static bool copy_breakers(rf_sample_params *params) {
    if (params->n_dry_breakers == 0) {
        params->dry_breakers = NULL;
        return true;
    }
    size_t n_tokens = 0, n = params->n_dry_breakers;
    for (size_t i = 0; i < n; i++)
        n_tokens += params->dry_breakers[i].n_tokens;
    rf_token_span *spans = rf_alloc(n * sizeof *spans + n_tokens * sizeof(int32_t));
    int32_t *at = spans ? (int32_t *)(void *)(spans + n) : NULL;
    for (size_t i = 0; spans && i < n; i++) {
        const rf_token_span *from = &params->dry_breakers[i];
        memcpy(at, from->tokens, from->n_tokens * sizeof *at);
        spans[i] = (rf_token_span){at, from->n_tokens};
        at += from->n_tokens;
    }
    if (spans)
        qsort(spans, n, sizeof *spans, compare_breakers);
    params->dry_breakers = spans;
    return spans != NULL;
}

int64_t rf_sample_draw_seed(void) {
    static atomic_uint_fast64_t n_drawn;
    uint32_t words[4];
    rf_philox4x32(rf_hash_random_seed(), 0, atomic_fetch_add(&n_drawn, 1), words);
    return (int64_t)(((uint64_t)words[1] << 32 | words[0]) >> 1);
}

rf_status rf_sampler_create(const rf_sample_params *params, uint32_t n_vocab, uint32_t n_ctx,
                            uint64_t stream, rf_sampler **out, rf_error *err) {
    RF_TRY(rf_sample_params_validate(params, n_vocab, err));
    rf_sampler *sampler = rf_calloc(1, sizeof *sampler);
    if (!sampler)
        return rf_fail(err, RF_ERR_NO_MEMORY, "sampler: out of memory");
    bool dry;
    sampler->params = *params;
    sampler->n_vocab = n_vocab;
    sampler->seed = (uint64_t)(params->seed < 0 ? rf_sample_draw_seed() : params->seed);
    sampler->stream = stream;
    sampler->mu = 2 * params->mirostat_tau;
    sampler->chosen_count = 1 / (1 - (double)params->adaptive_decay);
    sampler->chosen_sum = (double)params->adaptive_target * sampler->chosen_count;
    sampler->pending_token = -1;
    uint32_t cap = sampler->ring_cap = history_need(params, n_ctx, &dry);
    bool biases = copy_biases(&sampler->params), breakers = copy_breakers(&sampler->params);
    sampler->ring = cap > 0 ? rf_calloc(cap, sizeof *sampler->ring) : NULL;
    sampler->window = dry && cap > 0 ? rf_calloc(cap, sizeof *sampler->window) : NULL;
    sampler->repeat = dry && cap > 0 ? rf_calloc(cap, sizeof *sampler->repeat) : NULL;
    if (!biases || !breakers ||
        (cap > 0 && (!sampler->ring || (dry && (!sampler->window || !sampler->repeat))))) {
        rf_sampler_destroy(sampler);
        return rf_fail(err, RF_ERR_NO_MEMORY, "sampler: out of memory for %u tokens of history",
                       cap);
    }
    *out = sampler;
    return RF_OK;
}

void rf_sampler_destroy(rf_sampler *sampler) {
    if (!sampler)
        return;
    rf_free((void *)(uintptr_t)sampler->params.logit_bias);
    rf_free((void *)(uintptr_t)sampler->params.dry_breakers);
    rf_free(sampler->ring);
    rf_free(sampler->window);
    rf_free(sampler->repeat);
    rf_free(sampler);
}

uint64_t rf_sampler_seed(const rf_sampler *sampler) { return sampler->seed; }

static void remember(rf_sampler *sampler, int32_t token) {
    if (sampler->ring_cap == 0 || token < 0 || (uint32_t)token >= sampler->n_vocab)
        return;
    sampler->ring[sampler->ring_at] = token;
    sampler->ring_at = sampler->ring_at + 1 < sampler->ring_cap ? sampler->ring_at + 1 : 0;
    if (sampler->ring_len < sampler->ring_cap)
        sampler->ring_len++;
}

void rf_sampler_prompt(rf_sampler *sampler, const int32_t *tokens, uint32_t n_tokens) {
    for (uint32_t i = 0; i < n_tokens; i++)
        remember(sampler, tokens[i]);
}

void rf_sampler_accept(rf_sampler *sampler, int32_t token) {
    remember(sampler, token);
    sampler->n_generated++;
    if (token == sampler->pending_token) {
        double decay = (double)sampler->params.adaptive_decay;
        sampler->mu = sampler->pending_mu;
        if (sampler->pending_prob >= 0) {
            sampler->chosen_sum = (double)sampler->pending_prob + decay * sampler->chosen_sum;
            sampler->chosen_count = 1 + decay * sampler->chosen_count;
        }
    }
    sampler->pending_token = -1;
}

/* Refuses NaN and +infinity. Counts in lanes of integers, so that it becomes vector code. */
static rf_status check_logits(const float *logits, uint32_t n, bool *any_masked, rf_error *err) {
    uint32_t bad = 0, masked = 0;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t bits;
        memcpy(&bits, &logits[i], sizeof bits);
        uint32_t magnitude = bits & 0x7fffffffu;
        bad |= (uint32_t)(magnitude > 0x7f800000u) | (uint32_t)(bits == 0x7f800000u);
        masked |= (uint32_t)(bits == 0xff800000u);
    }
    *any_masked = masked != 0;
    if (!bad)
        return RF_OK;
    uint32_t i = 0;
    while (!isnan(logits[i]) && logits[i] != INFINITY)
        i++;
    return rf_fail(err, RF_ERR_INVALID, "logit of token %u is %s; expected a finite number", i,
                   isnan(logits[i]) ? "NaN" : "infinite");
}

/* 32 candidates at a time: masks are mostly empty or mostly full. */
static void keep_allowed(rf_candidates *cand, const uint32_t *allowed, bool any_masked) {
    uint32_t kept = 0;
    for (uint32_t first = 0; first < cand->n; first += 32) {
        uint32_t n = cand->n - first < 32 ? cand->n - first : 32;
        uint32_t there = UINT32_MAX >> (32 - n);
        uint32_t bits = allowed ? allowed[first / 32] & there : there;
        const float *logits = cand->logits + first;
        if (bits == UINT32_MAX && !any_masked) {
            if (kept < first)
                memmove(cand->logits + kept, logits, 32 * sizeof *logits);
            for (uint32_t i = 0; i < 32; i++)
                cand->ids[kept + i] = (int32_t)(first + i);
            kept += 32;
            continue;
        }
        for (; bits != 0; bits &= bits - 1) {
            uint32_t i = (uint32_t)__builtin_ctz(bits);
            cand->ids[kept] = (int32_t)(first + i);
            cand->logits[kept] = logits[i];
            kept += logits[i] > -INFINITY;
        }
    }
    cand->dense = kept == cand->n;
    cand->n = kept;
}

/* Logits with biases, less what is banned or masked. */
static void load(const rf_sampler *sampler, rf_candidates *cand, const float *logits,
                 const uint32_t *allowed, bool any_masked) {
    const rf_sample_params *params = &sampler->params;
    memcpy(cand->logits, logits, sampler->n_vocab * sizeof *logits);
    cand->n = sampler->n_vocab;
    cand->dense = true;
    cand->ranked = false;
    for (uint32_t i = 0; i < params->n_logit_bias; i++) {
        float *logit = &cand->logits[params->logit_bias[i].token];
        float bias = params->logit_bias[i].bias;
        *logit = bias == -INFINITY || *logit == -INFINITY
                     ? -INFINITY
                     : rf_finite((double)*logit + (double)bias);
        any_masked |= *logit == -INFINITY;
    }
    if (any_masked || allowed)
        keep_allowed(cand, allowed, any_masked);
}

static uint32_t choose_greedy(rf_sampler *sampler, rf_candidates *cand) {
    const rf_sample_params *params = &sampler->params;
    for (uint32_t i = 0; i < params->n_order; i++)
        if (table[params->order[i]].reshapes)
            table[params->order[i]].apply(sampler, cand);
    float best = rf_candidates_max(cand);
    uint32_t i = 0; /* candidates still ascend by id */
    while (cand->logits[i] < best)
        i++;
    return i;
}

static uint32_t choose_by_chain(rf_sampler *sampler, rf_candidates *cand) {
    const rf_sample_params *params = &sampler->params;
    for (uint32_t i = 0; i < params->n_order; i++)
        if (params->order[i] != RF_SAMPLER_ADAPTIVE_P)
            table[params->order[i]].apply(sampler, cand);
    bool adaptive = params->adaptive_target >= 0 && in_order(params, RF_SAMPLER_ADAPTIVE_P);
    if (adaptive)
        rf_apply_adaptive_p(sampler, cand);
    (void)rf_candidates_softmax(cand);
    uint32_t chosen = rf_choose(sampler, cand);
    if (adaptive)
        sampler->pending_prob = cand->saved[chosen];
    return chosen;
}

rf_status rf_sampler_sample(rf_sampler *sampler, rf_sample_scratch *scratch, const float *logits,
                            const uint32_t *allowed, rf_sampled *out, rf_error *err) {
    bool any_masked;
    if (scratch->n_vocab < sampler->n_vocab)
        return rf_fail(err, RF_ERR_INTERNAL, "sampling memory for %u tokens; expected %u",
                       scratch->n_vocab, sampler->n_vocab);
    RF_TRY(check_logits(logits, sampler->n_vocab, &any_masked, err));
    load(sampler, scratch, logits, allowed, any_masked);
    if (scratch->n == 0)
        return rf_fail(err, RF_ERR_INVALID,
                       "no token is left: each has logit -infinity, is banned by "
                       "logit_bias or not allowed by the constraint");
    sampler->pending_mu = sampler->mu;
    sampler->pending_prob = -1;
    uint32_t chosen;
    if (sampler->params.temp <= 0) {
        chosen = choose_greedy(sampler, scratch);
    } else if (sampler->params.mirostat > 0) {
        rf_apply_temperature(sampler, scratch);
        chosen = rf_choose_mirostat(sampler, scratch);
    } else {
        chosen = choose_by_chain(sampler, scratch);
    }
    out->token = sampler->pending_token = rf_candidate_id(scratch, chosen);
    out->logprob = 0;
    out->n_top = 0;
    if (sampler->params.n_probs > 0)
        out->n_top = rf_logprobs(scratch, logits, sampler->n_vocab, out->token,
                                 (uint32_t)sampler->params.n_probs, &out->logprob, out->top);
    return RF_OK;
}
