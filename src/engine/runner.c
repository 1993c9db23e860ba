#include "engine/runner.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "kv/block_table.h"

typedef struct sequence {
    bool open, fed;  /* fed: part of the step being built */
    uint32_t length; /* tokens in the cache */
    rf_block_table tables[RF_KV_MAX_GROUPS];
} sequence;

struct rf_runner {
    rf_backend *backend;       /* owned */
    const rf_program *program; /* borrowed */
    rf_limits limits;
    rf_block_pool *pools[RF_KV_MAX_GROUPS];
    sequence *seqs;      /* [max_seqs] */
    uint32_t max_blocks; /* of a sequence */
    /* The batch of a step, for the largest legal one. */
    int32_t *tokens, *positions; /* [max_tokens] */
    int32_t *seq_start;          /* [max_seqs + 1] */
    int32_t *output_rows;        /* [max_outputs] */
    int32_t *block_tables;       /* [n_groups * max_seqs * max_blocks] */
    float *logits;               /* [max_outputs][n_vocab], 64-byte aligned */
    uint64_t *op_ns;             /* borrowed, or NULL */
    const rf_observer *observer; /* likewise */
};

static uint32_t blocks_for(const rf_runner *runner, uint32_t n_tokens) {
    return (uint32_t)rf_ceil_div(n_tokens, runner->limits.block_tokens);
}

/* ---- life ---------------------------------------------------------------------------------- */

static void release(rf_runner *runner) {
    for (uint32_t s = 0; runner->seqs && s < runner->limits.max_seqs; s++) {
        for (uint32_t g = 0; g < runner->program->n_kv_groups; g++)
            rf_block_table_deinit(&runner->seqs[s].tables[g]);
    }
    for (uint32_t g = 0; g < RF_KV_MAX_GROUPS; g++)
        rf_block_pool_destroy(runner->pools[g]);
    rf_free(runner->seqs);
    rf_free(runner->tokens);
    rf_free(runner->positions);
    rf_free(runner->seq_start);
    rf_free(runner->output_rows);
    rf_free(runner->block_tables);
    rf_free_aligned(runner->logits);
    rf_free(runner);
}

static rf_status take_batch_memory(rf_runner *runner, rf_error *err) {
    const rf_limits *limits = &runner->limits;
    size_t n_tables = 0, n_logits = 0;
    bool fits = rf_mul_size((size_t)runner->program->n_kv_groups * limits->max_seqs,
                            runner->max_blocks, &n_tables) &&
                rf_mul_size(limits->max_outputs, runner->program->n_vocab, &n_logits) &&
                rf_mul_size(n_logits, sizeof(float), &n_logits);
    if (fits) {
        runner->tokens = rf_calloc(limits->max_tokens, sizeof(int32_t));
        runner->positions = rf_calloc(limits->max_tokens, sizeof(int32_t));
        runner->seq_start = rf_calloc((size_t)limits->max_seqs + 1, sizeof(int32_t));
        runner->output_rows = rf_calloc(limits->max_outputs, sizeof(int32_t));
        runner->block_tables = rf_calloc(n_tables, sizeof(int32_t));
        runner->logits = rf_alloc_aligned(64, n_logits);
    }
    if (!runner->tokens || !runner->positions || !runner->seq_start || !runner->output_rows ||
        !runner->block_tables || !runner->logits)
        return rf_fail(err, RF_ERR_NO_MEMORY,
                       "out of memory for a step of %u tokens with %u rows of %u logits",
                       limits->max_tokens, limits->max_outputs, runner->program->n_vocab);
    return RF_OK;
}

static rf_status take_memory(rf_runner *runner, rf_error *err) {
    const rf_limits *limits = &runner->limits;
    runner->max_blocks = blocks_for(runner, limits->max_context);
    runner->seqs = rf_calloc(limits->max_seqs, sizeof *runner->seqs);
    if (!runner->seqs)
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for %u sequences", limits->max_seqs);
    for (uint32_t g = 0; g < runner->program->n_kv_groups; g++) {
        RF_TRY(rf_block_pool_create(limits->n_blocks[g], &runner->pools[g], err));
        for (uint32_t s = 0; s < limits->max_seqs; s++)
            RF_TRY(rf_block_table_init(&runner->seqs[s].tables[g], runner->max_blocks, err));
    }
    return take_batch_memory(runner, err);
}

rf_status rf_runner_create(rf_backend *backend, const rf_program *program,
                           const rf_runner_options *options, rf_progress_fn progress, void *user,
                           rf_runner **out, rf_error *err) {
    *out = NULL;
    rf_limits limits;
    RF_TRY(rf_runner_limits(program, options, &limits, err));
    rf_runner *runner = rf_calloc(1, sizeof *runner);
    if (!runner)
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the runner");
    runner->program = program;
    runner->limits = limits;
    rf_status status = take_memory(runner, err);
    if (status == RF_OK)
        status = backend->api->bind(backend, program, &limits, progress, user, err);
    if (status != RF_OK) {
        release(runner);
        return status;
    }
    runner->backend = backend;
    *out = runner;
    return RF_OK;
}

void rf_runner_destroy(rf_runner *runner) {
    if (!runner)
        return;
    runner->backend->api->destroy(runner->backend);
    release(runner);
}

const rf_limits *rf_runner_get_limits(const rf_runner *runner) { return &runner->limits; }

void rf_runner_trace(rf_runner *runner, uint64_t *op_ns) { runner->op_ns = op_ns; }

void rf_runner_observe(rf_runner *runner, const rf_observer *observer) {
    runner->observer = observer;
}

/* ---- sequences ----------------------------------------------------------------------------- */

static sequence *open_seq(const rf_runner *runner, int32_t seq) {
    bool valid = seq >= 0 && (uint32_t)seq < runner->limits.max_seqs && runner->seqs[seq].open;
    return valid ? &runner->seqs[seq] : NULL;
}

/* Makes every table as long as the sequence, giving back what lies beyond. */
static void fit_tables(rf_runner *runner, sequence *seq) {
    for (uint32_t g = 0; g < runner->program->n_kv_groups; g++)
        rf_block_table_shrink(&seq->tables[g], runner->pools[g], blocks_for(runner, seq->length));
}

rf_status rf_runner_open(rf_runner *runner, int32_t *out_seq, rf_error *err) {
    for (uint32_t s = 0; s < runner->limits.max_seqs; s++) {
        if (!runner->seqs[s].open) {
            runner->seqs[s].open = true;
            *out_seq = (int32_t)s;
            return RF_OK;
        }
    }
    return rf_fail(err, RF_ERR_LIMIT, "all %u sequences are open", runner->limits.max_seqs);
}

void rf_runner_close(rf_runner *runner, int32_t seq) {
    sequence *s = open_seq(runner, seq);
    if (!s)
        return;
    s->length = 0;
    fit_tables(runner, s);
    s->open = false;
}

uint32_t rf_runner_length(const rf_runner *runner, int32_t seq) {
    const sequence *s = open_seq(runner, seq);
    return s ? s->length : 0;
}

/* Blocks that lie wholly before every position that a row at `length` or later can see. */
static uint32_t n_passed(const rf_runner *runner, uint32_t group, uint32_t length) {
    uint32_t window = runner->program->kv_groups[group].window;
    return window == 0 || length < window ? 0 : (length - window + 1) / runner->limits.block_tokens;
}

void rf_runner_truncate(rf_runner *runner, int32_t seq, uint32_t n_tokens) {
    sequence *s = open_seq(runner, seq);
    if (!s || n_tokens >= s->length)
        return;
    s->length = n_tokens;
    for (uint32_t g = 0; g < runner->program->n_kv_groups; g++) {
        if (s->tables[g].n_passed > n_passed(runner, g, n_tokens))
            s->length = 0;
    }
    fit_tables(runner, s);
}

/* ---- one step ------------------------------------------------------------------------------ */

static uint32_t n_wanted(const rf_feed *feed) {
    return feed->want == RF_WANT_ALL ? feed->n_tokens : feed->want == RF_WANT_LAST ? 1 : 0;
}

static rf_status check_feed(const rf_runner *runner, const rf_feed *feed, rf_error *err) {
    sequence *seq = open_seq(runner, feed->seq);
    if (!seq)
        return rf_fail(err, RF_ERR_INVALID, "sequence %d is not open", feed->seq);
    if (seq->fed)
        return rf_fail(err, RF_ERR_INVALID, "sequence %d is twice in one step", feed->seq);
    if (feed->n_tokens == 0 || !feed->tokens)
        return rf_fail(err, RF_ERR_INVALID, "sequence %d: a step needs at least one token",
                       feed->seq);
    if (feed->n_tokens > runner->limits.max_context - seq->length)
        return rf_fail(err, RF_ERR_LIMIT,
                       "sequence %d: %u tokens after %u do not fit into the context of %u",
                       feed->seq, feed->n_tokens, seq->length, runner->limits.max_context);
    for (uint32_t i = 0; i < feed->n_tokens; i++) {
        if (feed->tokens[i] < 0 || (uint32_t)feed->tokens[i] >= runner->program->n_vocab)
            return rf_fail(err, RF_ERR_INVALID,
                           "sequence %d: token %u is %d, expected an id from 0 to %u", feed->seq, i,
                           feed->tokens[i], runner->program->n_vocab - 1);
    }
    seq->fed = true;
    return RF_OK;
}

static rf_status check_feeds(const rf_runner *runner, const rf_feed *feeds, uint32_t n_feeds,
                             rf_error *err) {
    const rf_limits *limits = &runner->limits;
    uint64_t n_tokens = 0, n_outputs = 0;
    if (n_feeds == 0 || n_feeds > limits->max_seqs)
        return rf_fail(err, RF_ERR_INVALID, "a step of %u sequences, expected 1 to %u", n_feeds,
                       limits->max_seqs);
    for (uint32_t i = 0; i < n_feeds; i++) {
        RF_TRY(check_feed(runner, &feeds[i], err));
        n_tokens += feeds[i].n_tokens;
        n_outputs += n_wanted(&feeds[i]);
    }
    if (n_tokens > limits->max_tokens)
        return rf_fail(err, RF_ERR_LIMIT, "a step of %llu tokens, expected at most %u",
                       (unsigned long long)n_tokens, limits->max_tokens);
    if (n_outputs > limits->max_outputs)
        return rf_fail(err, RF_ERR_LIMIT, "a step with %llu rows of logits, expected at most %u",
                       (unsigned long long)n_outputs, limits->max_outputs);
    return RF_OK;
}

/* Blocks that windows have passed are kept until they are needed, so that a sequence can be
 * truncated as long as there is room. */
static void reclaim(rf_runner *runner, uint32_t group) {
    for (uint32_t s = 0; s < runner->limits.max_seqs; s++) {
        sequence *seq = &runner->seqs[s];
        (void)rf_block_table_pass(&seq->tables[group], runner->pools[group],
                                  n_passed(runner, group, seq->length));
    }
}

static rf_status reserve(rf_runner *runner, const rf_feed *feed, rf_error *err) {
    sequence *seq = &runner->seqs[feed->seq];
    uint32_t need = blocks_for(runner, seq->length + feed->n_tokens);
    for (uint32_t g = 0; g < runner->program->n_kv_groups; g++) {
        if (rf_block_table_grow(&seq->tables[g], runner->pools[g], need))
            continue;
        reclaim(runner, g);
        if (!rf_block_table_grow(&seq->tables[g], runner->pools[g], need))
            return rf_fail(err, RF_ERR_LIMIT,
                           "the cache is full: sequence %d needs %u more blocks of %u tokens, but "
                           "%u of %u are free",
                           feed->seq, need - seq->tables[g].n_blocks, runner->limits.block_tokens,
                           rf_block_pool_n_free(runner->pools[g]),
                           rf_block_pool_n_blocks(runner->pools[g]));
    }
    return RF_OK;
}

static void fill_rows(rf_runner *runner, const rf_feed *feeds, uint32_t n_feeds, rf_batch *batch) {
    for (uint32_t i = 0; i < n_feeds; i++) {
        const rf_feed *feed = &feeds[i];
        uint32_t length = runner->seqs[feed->seq].length;
        runner->seq_start[i] = batch->n_tokens;
        for (uint32_t t = 0; t < feed->n_tokens; t++) {
            if (t + n_wanted(feed) >= feed->n_tokens)
                runner->output_rows[batch->n_outputs++] = batch->n_tokens;
            runner->tokens[batch->n_tokens] = feed->tokens[t];
            runner->positions[batch->n_tokens++] = (int32_t)(length + t);
        }
    }
    runner->seq_start[n_feeds] = batch->n_tokens;
}

/* The tables of the step's sequences, as wide as the longest of them needs. */
static void fill_tables(rf_runner *runner, const rf_feed *feeds, uint32_t n_feeds,
                        rf_batch *batch) {
    uint32_t stride = 0;
    for (uint32_t i = 0; i < n_feeds; i++) {
        uint32_t n = blocks_for(runner, runner->seqs[feeds[i].seq].length + feeds[i].n_tokens);
        stride = n > stride ? n : stride;
    }
    int32_t *at = runner->block_tables;
    for (uint32_t g = 0; g < runner->program->n_kv_groups; g++) {
        for (uint32_t i = 0; i < n_feeds; i++, at += stride) {
            const rf_block_table *table = &runner->seqs[feeds[i].seq].tables[g];
            memcpy(at, table->blocks, table->n_blocks * sizeof *at);
            for (uint32_t k = table->n_blocks; k < stride; k++)
                at[k] = -1;
        }
    }
    batch->table_stride = (int32_t)stride;
}

static bool all_finite(const float *row, size_t n) {
    bool finite = true;
    for (size_t i = 0; i < n; i++)
        finite &= isfinite(row[i]) != 0;
    return finite;
}

static rf_status check_logits(const rf_runner *runner, const rf_batch *batch, rf_error *err) {
    size_t n_vocab = runner->program->n_vocab;
    for (int32_t i = 0; i < batch->n_outputs; i++) {
        if (!all_finite(runner->logits + (size_t)i * n_vocab, n_vocab))
            return rf_fail(err, RF_ERR_INVALID,
                           "the logits after position %d are not finite: the model's weights hold "
                           "NaN or infinity, or values that overflow",
                           batch->positions[batch->output_rows[i]]);
    }
    return RF_OK;
}

static rf_status run(rf_runner *runner, const rf_feed *feeds, uint32_t n_feeds,
                     const float **logits, rf_error *err) {
    RF_TRY(check_feeds(runner, feeds, n_feeds, err));
    for (uint32_t i = 0; i < n_feeds; i++)
        RF_TRY(reserve(runner, &feeds[i], err));
    rf_batch batch = {.n_seqs = (int32_t)n_feeds,
                      .tokens = runner->tokens,
                      .positions = runner->positions,
                      .seq_start = runner->seq_start,
                      .output_rows = runner->output_rows,
                      .block_tables = runner->block_tables};
    fill_rows(runner, feeds, n_feeds, &batch);
    fill_tables(runner, feeds, n_feeds, &batch);
    rf_outputs outputs = {.logits = batch.n_outputs ? runner->logits : NULL,
                          .op_ns = runner->op_ns,
                          .observer = runner->observer};
    RF_TRY(runner->backend->api->run(runner->backend, &batch, &outputs, err));
    RF_TRY(check_logits(runner, &batch, err));
    *logits = outputs.logits;
    return RF_OK;
}

rf_status rf_runner_step(rf_runner *runner, const rf_feed *feeds, uint32_t n_feeds,
                         const float **logits, rf_error *err) {
    *logits = NULL;
    rf_status status = run(runner, feeds, n_feeds, logits, err);
    for (uint32_t i = 0; i < n_feeds; i++) {
        sequence *seq = open_seq(runner, feeds[i].seq);
        if (!seq || !seq->fed)
            continue;
        seq->fed = false;
        if (status == RF_OK)
            seq->length += feeds[i].n_tokens;
        else
            fit_tables(runner, seq);
    }
    return status;
}
