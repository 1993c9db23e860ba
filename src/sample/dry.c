#include <math.h>

#include "sample/chain.h"

/*
 * DRY ("don't repeat yourself", p-e-w, text-generation-webui pull request 5677): a token that would
 * lengthen a repetition of the text's end loses multiplier * base^(length - allowed_length).
 */

/* First breaker whose first token is at least this one (they are sorted, see rf_sampler_create). */
static uint32_t first_breaker(const rf_sample_params *params, int32_t token) {
    uint32_t low = 0, high = params->n_dry_breakers;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (params->dry_breakers[middle].tokens[0] < token)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Length of the longest breaker that starts at newest[i] and goes on towards the end; 0: none. */
static uint32_t breaker_at(const rf_sample_params *params, const int32_t *newest, uint32_t i) {
    uint32_t longest = 0;
    for (uint32_t b = first_breaker(params, newest[i]); b < params->n_dry_breakers; b++) {
        const rf_token_span *span = &params->dry_breakers[b];
        if (span->tokens[0] != newest[i] || span->n_tokens > i + 1)
            break; /* sorted by length, too */
        uint32_t j = 1;
        while (j < span->n_tokens && span->tokens[j] == newest[i - j])
            j++;
        if (j == span->n_tokens)
            longest = j;
    }
    return longest;
}

/* Tokens from the end back to the newest breaker: repetitions do not reach across it. */
static uint32_t reach(const rf_sample_params *params, const int32_t *newest, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        uint32_t length = breaker_at(params, newest, i);
        if (length > 0)
            return i + 1 - length;
    }
    return n;
}

/* repeat[k]: how many tokens from k on (backwards in time) equal those from 0 on. The Z-algorithm:
 * linear, because `right` never moves back. */
static void find_repeats(const int32_t *newest, uint32_t n, uint32_t *repeat) {
    uint32_t left = 0, right = 0; /* newest[left … right - 1] equals newest[0 … right - left - 1] */
    for (uint32_t k = 1; k < n; k++) {
        uint32_t len = 0;
        if (k < right)
            len = repeat[k - left] < right - k ? repeat[k - left] : right - k;
        while (k + len < n && newest[len] == newest[k + len])
            len++;
        repeat[k] = len;
        if (k + len > right) {
            left = k;
            right = k + len;
        }
    }
}

static bool breaks_alone(const rf_sample_params *params, int32_t token) {
    uint32_t b = first_breaker(params, token);
    return b < params->n_dry_breakers && params->dry_breakers[b].tokens[0] == token &&
           params->dry_breakers[b].n_tokens == 1;
}

static float punish(const rf_sample_params *params, float logit, uint32_t length) {
    double power = (double)length - (double)params->dry_allowed_length;
    double loss = (double)params->dry_multiplier * pow((double)params->dry_base, power);
    return rf_finite((double)logit - loss);
}

void rf_apply_dry(struct rf_sampler *sampler, rf_candidates *cand) {
    const rf_sample_params *params = &sampler->params;
    uint32_t n = rf_history_length(sampler, params->dry_penalty_last_n);
    int64_t allowed = params->dry_allowed_length;
    if (!sampler->window || (int64_t)n <= allowed)
        return;
    int32_t *newest = sampler->window;
    for (uint32_t i = 0; i < n; i++)
        newest[i] = rf_history_at(sampler, i);
    uint32_t limit = reach(params, newest, n);
    if ((int64_t)limit < allowed)
        return;
    find_repeats(newest, n, sampler->repeat);

    /* newest[k - 1] followed the repetition that ends at k: choosing it again lengthens it.
     * counts holds length + 1, so that 0 means none. */
    for (uint32_t k = 1; k < n; k++) {
        uint32_t length = sampler->repeat[k] < limit ? sampler->repeat[k] : limit;
        uint32_t *longest = &cand->counts[newest[k - 1]];
        if ((int64_t)length >= allowed && *longest < length + 1)
            *longest = length + 1;
    }
    if (!cand->dense)
        for (uint32_t i = 0; i < cand->n; i++) {
            uint32_t longest = cand->counts[cand->ids[i]];
            if (longest > 0 && !breaks_alone(params, cand->ids[i]))
                cand->logits[i] = punish(params, cand->logits[i], longest - 1);
        }
    for (uint32_t k = 1; k < n; k++) {
        int32_t token = newest[k - 1];
        uint32_t longest = cand->counts[token];
        cand->counts[token] = 0;
        if (cand->dense && longest > 0 && !breaks_alone(params, token))
            cand->logits[token] = punish(params, cand->logits[token], longest - 1);
    }
    cand->ranked = false;
}
