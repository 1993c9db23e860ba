/*
 * The tokens that a sampler chain still considers, and the memory that a step needs: one for each
 * thread that samples, shared by its sequences in turn. Logits here are finite. Candidates stand in
 * ascending order of their ids until a sampler ranks them. Nothing here allocates after create.
 */
#ifndef RF_SAMPLE_CANDIDATES_H
#define RF_SAMPLE_CANDIDATES_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/status.h"

typedef struct rf_candidates {
    uint32_t n_vocab; /* capacity */
    uint32_t n;
    bool dense;     /* candidate i is token i; ids is then unused */
    bool ranked;    /* best first */
    int32_t *ids;   /* [n] */
    float *logits;  /* [n] */
    float *probs;   /* [n] after rf_candidates_softmax, until the next change */
    float *saved;   /* [n] adaptive-p: probs before its change of the logits */
    uint64_t *keys; /* result of rf_rank */
    uint64_t *spare;
    uint32_t *counts; /* [n_vocab] zero between samplers */
} rf_candidates;

RF_NODISCARD rf_status rf_candidates_create(uint32_t n_vocab, rf_candidates **out, rf_error *err);
void rf_candidates_destroy(rf_candidates *cand);

static inline int32_t rf_candidate_id(const rf_candidates *cand, uint32_t i) {
    return cand->dense ? (int32_t)i : cand->ids[i];
}

/* A key sorts ascending by logit from the best down, then by the low word (an id or an index);
 * 0.0 and -0.0 are equal. */
static inline uint64_t rf_key_make(float logit, uint32_t low) {
    float value = logit + 0.0f;
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t rising = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
    return (uint64_t)~rising << 32 | low;
}

static inline float rf_key_logit(uint64_t key) {
    uint32_t rising = ~(uint32_t)(key >> 32);
    uint32_t bits = rising & 0x80000000u ? rising & 0x7fffffffu : ~rising;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

/* Sorts n keys ascending; spare has room for n. Linear. */
void rf_keys_sort(uint64_t *keys, uint64_t *spare, uint32_t n);

/* Puts the keys of at least the k best of n logits into cand->keys, sorted, and returns how many
 * stand there. ids NULL: logit i is token i. Sorts only what may belong to the k best. */
uint32_t rf_rank(rf_candidates *cand, const float *logits, const int32_t *ids, uint32_t n,
                 uint32_t k);

/* Makes the first n keys the candidates, ranked. */
void rf_candidates_adopt(rf_candidates *cand, uint32_t n);
/* Keeps the k best (k >= 1), ranked. */
void rf_candidates_keep_best(rf_candidates *cand, uint32_t k);
/* Keeps logits >= floor, in their order; if fewer than min_keep, the min_keep best. */
void rf_candidates_keep_from(rf_candidates *cand, float floor, uint32_t min_keep);

float rf_candidates_max(const rf_candidates *cand);
/* Fills probs; returns the log of the sum of exp(logit - best logit). */
double rf_candidates_softmax(rf_candidates *cand);
double rf_candidates_entropy(const rf_candidates *cand); /* nats, of probs */

/* e^x for x <= 0, relative error below 2e-7; 0 below -87. Same bits on every machine. */
static inline float rf_exp_negative(float x) {
    /* Range reduction and polynomial of Cephes' expf (S. L. Moshier). */
    float clamped = x > -87.0f ? x : -87.0f;
    float turns = clamped * 1.44269504f + 12582912.0f; /* 1.5 * 2^23: rounds to an integer */
    uint32_t bits;
    memcpy(&bits, &turns, sizeof bits);
    turns -= 12582912.0f;
    float r = clamped - turns * 0.693359375f + turns * 2.12194440e-4f;
    float y = 1.9875691500e-4f;
    y = y * r + 1.3981999507e-3f;
    y = y * r + 8.3334519073e-3f;
    y = y * r + 4.1665795894e-2f;
    y = y * r + 1.6666665459e-1f;
    y = y * r + 5.0000001201e-1f;
    y = y * r * r + r + 1.0f;
    uint32_t scale_bits = (bits << 23) + 0x3f800000u;
    float scale;
    memcpy(&scale, &scale_bits, sizeof scale);
    return x > -87.0f ? y * scale : 0.0f;
}

/* log of the sum of exp(logits - max) over n logits, -INFINITY among them allowed. */
double rf_log_sum_exp(const float *logits, uint32_t n, float max);

#endif
