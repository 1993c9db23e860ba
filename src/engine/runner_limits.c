#include "base/checked.h"
#include "engine/runner.h"

/* 32 tokens: a block of one head's F16 keys (head_dim 64 to 128) is 4 to 8 KiB, one or two pages,
 * and a sequence wastes half a block on average. */
enum { BLOCK_TOKENS = 32, DEFAULT_BATCH_TOKENS = 512, MAX_SEQS = 65536 };

/*
 * Blocks that all sequences together can need in a group. Without a window, each sequence may leave
 * its last block almost empty. With one, a step's rows need what the first of them sees, so a
 * sequence with n new tokens holds window - 1 + n positions, cut at both ends by blocks.
 */
static uint64_t group_blocks(uint32_t window, uint64_t kv_tokens, uint64_t batch_tokens,
                             uint64_t max_seqs) {
    uint64_t all = rf_ceil_div(kv_tokens, BLOCK_TOKENS) + max_seqs - 1;
    if (window == 0)
        return all;
    uint64_t seen = max_seqs * (rf_ceil_div(window - 1, BLOCK_TOKENS) + 2) +
                    rf_ceil_div(batch_tokens, BLOCK_TOKENS);
    return seen < all ? seen : all;
}

rf_status rf_runner_limits(const rf_program *program, const rf_runner_options *options,
                           rf_limits *out, rf_error *err) {
    uint32_t n_ctx = options->n_ctx ? options->n_ctx : program->n_ctx_train;
    uint32_t batch = options->batch_tokens ? options->batch_tokens : DEFAULT_BATCH_TOKENS;
    uint32_t kv_tokens = options->kv_tokens ? options->kv_tokens : n_ctx;
    uint32_t seqs = options->max_seqs ? options->max_seqs : 1;
    uint32_t outputs = options->max_outputs ? options->max_outputs : batch;
    if (n_ctx == 0 || n_ctx > INT32_MAX || batch > INT32_MAX || kv_tokens > INT32_MAX)
        return rf_fail(err, RF_ERR_INVALID,
                       "a context of %u, a pool of %u and a step of %u tokens; expected 1 to %d",
                       n_ctx, kv_tokens, batch, INT32_MAX);
    if (seqs > MAX_SEQS)
        return rf_fail(err, RF_ERR_INVALID, "%u sequences, expected 1 to %d", seqs, MAX_SEQS);
    if ((unsigned)options->type_k >= RF_KV_TYPE_COUNT ||
        (unsigned)options->type_v >= RF_KV_TYPE_COUNT)
        return rf_fail(err, RF_ERR_INVALID, "cache types %u and %u, expected 0 to %d",
                       (unsigned)options->type_k, (unsigned)options->type_v, RF_KV_TYPE_COUNT - 1);
    *out = (rf_limits){.max_tokens = batch,
                       .max_seqs = seqs,
                       .max_outputs = outputs < batch ? outputs : batch,
                       .max_context = n_ctx,
                       .block_tokens = BLOCK_TOKENS,
                       .type_k = options->type_k,
                       .type_v = options->type_v};
    for (uint32_t g = 0; g < program->n_kv_groups; g++)
        out->n_blocks[g] =
            (uint32_t)group_blocks(program->kv_groups[g].window, kv_tokens, batch, seqs);
    return RF_OK;
}
