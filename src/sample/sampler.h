/*
 * Chooses the next token of a sequence. An rf_sampler is the state of one sequence (parameters,
 * history, Mirostat's mu); an rf_sample_scratch is the memory of a step, one for each thread that
 * samples. Neither allocates after its creation. The choice is a function of parameters, seed,
 * stream, accepted tokens and logits alone: not of the thread, the batch or the machine.
 *
 * Order of a step: logit bias, allowed mask, then
 *   temperature 0: penalties and DRY where the chain names them, then the greatest logit, the
 *                  lowest id among equals (truncation, XTC and Mirostat have no say);
 *   Mirostat:      temperature, Mirostat (no chain, as in llama.cpp);
 *   otherwise:     the chain in its order, then one draw.
 * Tokens of logit -infinity take no part: entropies and deviations do not count them.
 */
#ifndef RF_SAMPLE_SAMPLER_H
#define RF_SAMPLE_SAMPLER_H

#include <stdint.h>

#include "sample/sample_params.h"

typedef struct rf_sampler rf_sampler;
typedef struct rf_candidates rf_sample_scratch;

typedef struct rf_token_logprob {
    int32_t token;
    float logprob;
} rf_token_logprob;

/* Log-probabilities are log-softmax of the logits as they came from the model: before bias, mask
 * and samplers. */
typedef struct rf_sampled {
    int32_t token;
    float logprob; /* of token; 0 unless params.n_probs > 0 */
    uint32_t n_top;
    rf_token_logprob top[RF_SAMPLE_MAX_PROBS]; /* the n_probs best, best first; [n_top] are set */
} rf_sampled;

RF_NODISCARD rf_status rf_sample_scratch_create(uint32_t n_vocab, rf_sample_scratch **out,
                                                rf_error *err);
void rf_sample_scratch_destroy(rf_sample_scratch *scratch); /* NULL is a no-op */

/* Validates params and copies them. n_ctx: tokens of the longest history (what -1 stands for).
 * stream: tells apart sequences that share a seed (the choices of one request). */
RF_NODISCARD rf_status rf_sampler_create(const rf_sample_params *params, uint32_t n_vocab,
                                         uint32_t n_ctx, uint64_t stream, rf_sampler **out,
                                         rf_error *err);
void rf_sampler_destroy(rf_sampler *sampler); /* NULL is a no-op */

/* What seed -1 stands for: another one each time, from the process's random one. Any thread. */
int64_t rf_sample_draw_seed(void);
uint64_t rf_sampler_seed(const rf_sampler *sampler); /* the drawn one where params say -1 */

/* Tokens of the prompt: penalties and DRY see them. */
void rf_sampler_prompt(rf_sampler *sampler, const int32_t *tokens, uint32_t n_tokens);
/* A generated token, chosen here or not. The n-th of them moves the random numbers to draw n. */
void rf_sampler_accept(rf_sampler *sampler, int32_t token);

/* Chooses from logits[n_vocab]. allowed: bit id % 32 of word id / 32 lets a token pass; NULL lets
 * all. Changes nothing that a later call sees until rf_sampler_accept. Fails with RF_ERR_INVALID
 * when a logit is NaN or +infinity (the text names the token) and when no token is left. */
RF_NODISCARD rf_status rf_sampler_sample(rf_sampler *sampler, rf_sample_scratch *scratch,
                                         const float *logits, const uint32_t *allowed,
                                         rf_sampled *out, rf_error *err);

#endif
