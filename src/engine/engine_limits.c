#include "base/checked.h"
#include "engine/engine.h"

/* 32 tokens: a block of one head's F16 keys (head_dim 64 to 128) is 4 to 8 KiB, one or two pages,
 * and a sequence wastes half a block on average. */
enum { BLOCK_TOKENS = 32, DEFAULT_BATCH = 512, DEFAULT_SEQS = 16, MAX_SEQS = 65536 };
/* Of a step, all sequences together: with many of them drafts do not pay. */
enum { MOST_DRAFT_ROWS = 48 };

static uint32_t or_default(uint32_t value, uint32_t otherwise) {
    return value > 0 ? value : otherwise;
}

/*
 * Blocks of a group's pool. Without a window: what was asked for, whatever the number of sequences;
 * whoever lacks a block pauses. With one, a step's rows need what the first of them sees, so a
 * sequence with n new tokens holds window - 1 + n positions, cut at both ends by blocks: no pool
 * needs to be larger than that of all sequences.
 */
static uint32_t group_blocks(uint32_t window, uint32_t kv_tokens, const rf_limits *limits) {
    uint64_t pool = rf_ceil_div(kv_tokens, BLOCK_TOKENS);
    uint64_t seen = limits->max_seqs * (rf_ceil_div(window - 1, BLOCK_TOKENS) + 2) +
                    rf_ceil_div(limits->max_tokens, BLOCK_TOKENS);
    return (uint32_t)(window == 0 || seen > pool ? pool : seen);
}

rf_status rf_engine_limits(const rf_program *program, const rf_engine_options *options,
                           rf_limits *out, rf_error *err) {
    uint32_t n_ctx = or_default(options->n_ctx, program->n_ctx_train);
    uint32_t kv_tokens = or_default(options->kv_tokens, n_ctx);
    uint32_t seqs = or_default(options->max_seqs, DEFAULT_SEQS);
    uint32_t batch = or_default(options->batch_tokens, DEFAULT_BATCH);
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
    if (options->draft.n_max > RF_DRAFTS_MAX)
        return rf_fail(err, RF_ERR_INVALID, "%u drafts, expected 0 to %d", options->draft.n_max,
                       RF_DRAFTS_MAX);
    batch = batch > seqs ? batch : seqs;
    uint32_t outputs = or_default(options->max_outputs, seqs > 16 ? seqs : 16);
    outputs = outputs > seqs ? outputs : seqs;
    uint64_t drafts = (uint64_t)seqs * options->draft.n_max;
    outputs += (uint32_t)(drafts < MOST_DRAFT_ROWS ? drafts : MOST_DRAFT_ROWS);
    outputs = outputs < MAX_SEQS ? outputs : MAX_SEQS; /* the ring of notices holds what they say */
    *out = (rf_limits){.max_tokens = batch,
                       .max_seqs = seqs,
                       .max_outputs = outputs < batch ? outputs : batch,
                       .max_context = n_ctx,
                       .block_tokens = BLOCK_TOKENS,
                       .type_k = options->type_k,
                       .type_v = options->type_v};
    for (uint32_t g = 0; g < program->n_kv_groups; g++)
        out->n_blocks[g] = group_blocks(program->kv_groups[g].window, kv_tokens, out);
    return RF_OK;
}

static rf_status pool_bytes(const rf_backend *backend, const rf_program *program,
                            const rf_engine_options *options, uint64_t *bytes, rf_error *err) {
    rf_limits limits;
    rf_memory_plan plan;
    RF_TRY(rf_engine_limits(program, options, &limits, err));
    RF_TRY(backend->api->plan(backend, program, &limits, &plan, err));
    *bytes = plan.kv_bytes;
    return RF_OK;
}

rf_status rf_engine_fit_pool(const rf_backend *backend, const rf_program *program,
                             rf_engine_options *options, uint64_t kv_bytes, rf_error *err) {
    uint32_t fits = 0, least = 1, most = INT32_MAX / BLOCK_TOKENS;
    uint64_t bytes = 0, block = 0;
    while (least <= most) {
        uint32_t middle = fits == 0 && block == 0 ? 1 : least + (most - least) / 2;
        options->kv_tokens = middle * BLOCK_TOKENS;
        RF_TRY(pool_bytes(backend, program, options, &bytes, err));
        block = block > 0 ? block : bytes;
        if (bytes <= kv_bytes) {
            fits = middle;
            least = middle + 1;
        } else {
            most = middle - 1;
        }
    }
    if (fits == 0)
        return rf_fail(err, RF_ERR_LIMIT,
                       "a cache of %llu bytes: one block of %d tokens takes %llu",
                       (unsigned long long)kv_bytes, BLOCK_TOKENS, (unsigned long long)block);
    options->kv_tokens = fits * BLOCK_TOKENS;
    return RF_OK;
}
