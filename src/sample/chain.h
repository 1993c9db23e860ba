/* State of a sampler as its chain sees it; private to sample/. A sequence's thread alone. */
#ifndef RF_SAMPLE_CHAIN_H
#define RF_SAMPLE_CHAIN_H

#include "base/rng.h"
#include "sample/candidates.h"
#include "sample/sample_params.h"

struct rf_sampler {
    rf_sample_params params; /* lists are owned */
    uint32_t n_vocab, n_ctx;
    uint64_t seed, stream;
    uint64_t n_generated; /* index of the next draw */

    /* The last tokens, as many as a sampler of this sequence looks at. */
    int32_t *ring; /* [ring_cap] */
    uint32_t ring_cap, ring_len, ring_at;
    int32_t *window;  /* [ring_cap] for DRY: newest first */
    uint32_t *repeat; /* [ring_cap] for DRY: length of the repetition that starts there */

    float mu;                        /* Mirostat: surprise allowed next, bits */
    double chosen_sum, chosen_count; /* adaptive-p: decayed sums over chosen tokens */
    /* What the last choice would change; done when that token is accepted. */
    int32_t pending_token; /* -1: nothing */
    float pending_mu, pending_prob;
};

enum rf_draw { RF_DRAW_CHOICE, RF_DRAW_XTC };

/* Uniform in [0, 1), fixed by seed, stream, number of generated tokens and purpose. */
static inline double rf_sampler_draw(const struct rf_sampler *sampler, enum rf_draw purpose) {
    uint32_t words[4];
    rf_philox4x32(sampler->seed, sampler->stream, sampler->n_generated, words);
    const uint32_t *w = words + 2 * purpose;
    return (double)(((uint64_t)w[1] << 32 | w[0]) >> 11) * 0x1p-53;
}

/* Tokens of the history within the last n (-1: all). */
static inline uint32_t rf_history_length(const struct rf_sampler *sampler, int64_t last_n) {
    uint32_t n = sampler->ring_len;
    return last_n >= 0 && last_n < (int64_t)n ? (uint32_t)last_n : n;
}

/* i = 0: the newest. */
static inline int32_t rf_history_at(const struct rf_sampler *sampler, uint32_t i) {
    uint32_t at = sampler->ring_at + sampler->ring_cap - 1 - i;
    return sampler->ring[at < sampler->ring_cap ? at : at - sampler->ring_cap];
}

static inline uint32_t rf_min_keep(const struct rf_sampler *sampler) {
    int64_t n = sampler->params.min_keep;
    return n < (int64_t)sampler->n_vocab ? (uint32_t)n : sampler->n_vocab;
}

static inline float rf_finite(double logit) {
    const double most = 3.4028234663852886e38; /* FLT_MAX */
    return (float)(logit > most ? most : logit < -most ? -most : logit);
}

#define X(id, name, others, letter, reshapes, standard) \
    void rf_apply_##name(struct rf_sampler *sampler, rf_candidates *cand);
#include "sample/samplers.def"
#undef X

/* Draws an index by probs, which need not add up to 1. */
uint32_t rf_choose(const struct rf_sampler *sampler, const rf_candidates *cand);
/* Truncates, chooses and notes the next mu. Returns the index of the choice. */
uint32_t rf_choose_mirostat(struct rf_sampler *sampler, rf_candidates *cand);

#endif
