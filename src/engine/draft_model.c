/* A draft model: its cache follows the sequences it is asked about, then it goes on greedily. */
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/clock.h"
#include "base/map.h"
#include "engine/drafter.h"

/* Rows of a run: what is caught up of prompts between two steps of the engine. */
enum { RUN_TOKENS = 256 };

/* One sequence as the draft model knows it. */
typedef struct draft_seq {
    bool open;
    uint64_t job, last_call;
    uint32_t choice;
    /* Drafts whose rows are stored behind what is committed; the sequence may have become another.
     */
    int32_t ahead[RF_DRAFTS_MAX];
    uint32_t n_ahead;
    uint32_t n_wanted; /* drafts of this call that there is room for */
} draft_seq;

struct rf_draft_model {
    rf_backend *backend; /* borrowed */
    const rf_program *program;
    rf_limits limits;
    rf_kv_cache *cache;
    draft_seq *seqs; /* [max_seqs] */
    uint64_t n_calls, token_ns;
    float *logits; /* [max_outputs][n_vocab] */
    /* The run that is being built. */
    rf_batch batch;
    int32_t *tokens, *positions;    /* [max_tokens] */
    int32_t *seq_start;             /* [max_seqs + 1] */
    int32_t *output_rows;           /* [max_outputs] */
    int32_t *block_tables;          /* [n_groups][max_seqs][max_blocks] */
    int32_t *batch_seqs;            /* [max_seqs]: whose rows */
    uint32_t *output_asks, *n_rows; /* [max_outputs] and [max_seqs] of a run */
};

/* ---- life ---------------------------------------------------------------------------------- */

rf_limits rf_draft_model_limits(const rf_program *program, const rf_limits *engine) {
    rf_limits limits = *engine;
    uint32_t most = RUN_TOKENS > limits.max_context ? limits.max_context : RUN_TOKENS;
    limits.max_tokens = most > limits.max_seqs ? most : limits.max_seqs;
    limits.max_outputs = limits.max_seqs;
    uint32_t pool = 0;
    for (uint32_t g = 0; g < RF_KV_MAX_GROUPS; g++)
        pool = engine->n_blocks[g] > pool ? engine->n_blocks[g] : pool;
    for (uint32_t g = 0; g < RF_KV_MAX_GROUPS; g++)
        limits.n_blocks[g] = g < program->n_kv_groups ? pool : 0;
    return limits;
}

static rf_status take_memory(rf_draft_model *d, rf_error *err) {
    const rf_limits *limits = &d->limits;
    size_t n_logits, n_tables, n_seqs = limits->max_seqs;
    uint64_t seed = rf_hash_random_seed();
    rf_kv_config config = {.n_groups = d->program->n_kv_groups,
                           .block_tokens = limits->block_tokens,
                           .max_seqs = limits->max_seqs,
                           .max_context = limits->max_context,
                           .key = {rf_hash(&seed, sizeof seed, seed), rf_hash("k1", 2, seed)}};
    for (uint32_t g = 0; g < config.n_groups; g++) {
        config.windows[g] = d->program->kv_groups[g].window;
        config.n_blocks[g] = limits->n_blocks[g];
    }
    RF_TRY(rf_kv_cache_create(&config, &d->cache, err));
    size_t max_blocks = rf_ceil_div(limits->max_context, limits->block_tokens);
    bool fits = rf_mul_size(limits->max_outputs, d->program->n_vocab * sizeof(float), &n_logits) &&
                rf_mul_size(n_seqs * config.n_groups, max_blocks, &n_tables);
    d->seqs = rf_calloc(n_seqs, sizeof *d->seqs);
    d->logits = fits ? rf_alloc_aligned(64, n_logits) : NULL;
    d->tokens = rf_calloc(limits->max_tokens, sizeof *d->tokens);
    d->positions = rf_calloc(limits->max_tokens, sizeof *d->positions);
    d->seq_start = rf_calloc(n_seqs + 1, sizeof *d->seq_start);
    d->output_rows = rf_calloc(limits->max_outputs, sizeof *d->output_rows);
    d->block_tables = fits ? rf_calloc(n_tables, sizeof *d->block_tables) : NULL;
    d->batch_seqs = rf_calloc(n_seqs, sizeof *d->batch_seqs);
    d->output_asks = rf_calloc(limits->max_outputs, sizeof *d->output_asks);
    d->n_rows = rf_calloc(n_seqs, sizeof *d->n_rows);
    bool taken = d->seqs && d->logits && d->tokens && d->positions && d->seq_start &&
                 d->output_rows && d->block_tables && d->batch_seqs && d->output_asks && d->n_rows;
    return taken ? RF_OK
                 : rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for drafts of %u sequences",
                           limits->max_seqs);
}

void rf_draft_model_destroy(rf_draft_model *d) {
    if (!d)
        return;
    rf_kv_cache_destroy(d->cache);
    rf_free(d->seqs);
    rf_free_aligned(d->logits);
    rf_free(d->tokens);
    rf_free(d->positions);
    rf_free(d->seq_start);
    rf_free(d->output_rows);
    rf_free(d->block_tables);
    rf_free(d->batch_seqs);
    rf_free(d->output_asks);
    rf_free(d->n_rows);
    rf_free(d);
}

rf_status rf_draft_model_create(rf_backend *backend, const rf_program *program,
                                const rf_limits *engine, rf_progress_fn progress, void *user,
                                rf_draft_model **out, rf_error *err) {
    *out = NULL;
    rf_draft_model *d = rf_calloc(1, sizeof *d);
    if (!d)
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the draft model");
    d->program = program;
    d->limits = rf_draft_model_limits(program, engine);
    rf_status status = take_memory(d, err);
    if (status == RF_OK)
        status = backend->api->bind(backend, program, &d->limits, progress, user, err);
    if (status != RF_OK) {
        rf_draft_model_destroy(d);
        return status;
    }
    d->backend = backend;
    *out = d;
    return RF_OK;
}

uint64_t rf_draft_model_token_ns(const rf_draft_model *drafter) { return drafter->token_ns; }

/* ---- following the sequences --------------------------------------------------------------- */

static void open_seq(rf_draft_model *d, const rf_draft_place *place) {
    draft_seq *s = &d->seqs[place->seq];
    if (s->open)
        rf_kv_cache_close(d->cache, place->seq);
    rf_kv_match match = {.node = RF_PREFIX_ROOT, .tail = -1};
    if (!place->keeps_private)
        match = rf_kv_cache_lookup(d->cache, place->salt, place->tokens, place->n_tokens - 1);
    (void)rf_kv_cache_open(d->cache, place->seq, place->salt, &match, !place->keeps_private);
    *s = (draft_seq){.open = true, .job = place->job, .choice = place->choice};
}

/* What was drafted and has come true need not be run again; the last token is, for its row. */
static void follow(rf_draft_model *d, const rf_draft_place *place) {
    draft_seq *s = &d->seqs[place->seq];
    if (!s->open || s->job != place->job || s->choice != place->choice)
        open_seq(d, place);
    s->last_call = d->n_calls;
    if (s->n_ahead == 0)
        return;
    uint32_t length = rf_kv_cache_length(d->cache, place->seq), n = 0;
    while (n < s->n_ahead && length + n + 1 < place->n_tokens &&
           s->ahead[n] == place->tokens[length + n])
        n++;
    rf_kv_cache_commit(d->cache, place->seq, place->tokens, n);
    s->n_ahead = 0;
}

/* The sequence that was asked about longest ago, before this call, gives its blocks back. */
static bool reclaim(rf_draft_model *d) {
    int32_t oldest = -1;
    for (uint32_t i = 0; i < d->limits.max_seqs; i++) {
        const draft_seq *s = &d->seqs[i];
        if (s->open && s->last_call != d->n_calls &&
            (oldest < 0 || s->last_call < d->seqs[oldest].last_call))
            oldest = (int32_t)i;
    }
    if (oldest < 0)
        return false;
    rf_kv_cache_close(d->cache, oldest);
    d->seqs[oldest].open = false;
    return true;
}

/* Room for up to n rows behind what is committed; returns for how many. */
static uint32_t reserve(rf_draft_model *d, int32_t seq, uint32_t n) {
    uint32_t room = rf_kv_cache_room(d->cache, seq, 0);
    while (room < n && reclaim(d))
        room = rf_kv_cache_room(d->cache, seq, 0);
    n = n < room ? n : room;
    return n > 0 && rf_kv_cache_reserve(d->cache, seq, n) ? n : 0;
}

/* ---- runs ---------------------------------------------------------------------------------- */

static void begin_run(rf_draft_model *d) {
    d->batch = (rf_batch){.tokens = d->tokens,
                          .positions = d->positions,
                          .seq_start = d->seq_start,
                          .output_rows = d->output_rows,
                          .block_tables = d->block_tables};
    d->seq_start[0] = 0;
}

static void add_rows(rf_draft_model *d, int32_t seq, const int32_t *tokens, uint32_t position,
                     uint32_t n) {
    rf_batch *batch = &d->batch;
    for (uint32_t i = 0; i < n; i++) {
        d->tokens[batch->n_tokens] = tokens[i];
        d->positions[batch->n_tokens++] = (int32_t)(position + i);
    }
    d->n_rows[batch->n_seqs] = n;
    d->batch_seqs[batch->n_seqs++] = seq;
    d->seq_start[batch->n_seqs] = batch->n_tokens;
}

/* The last row that was added gives the next draft of an ask. */
static void want_draft(rf_draft_model *d, uint32_t i_ask) {
    d->output_asks[d->batch.n_outputs] = i_ask;
    d->output_rows[d->batch.n_outputs++] = d->batch.n_tokens - 1;
}

static void fill_tables(rf_draft_model *d) {
    uint32_t n_seqs = (uint32_t)d->batch.n_seqs, stride = 0, n;
    for (uint32_t i = 0; i < n_seqs; i++) {
        (void)rf_kv_cache_table(d->cache, d->batch_seqs[i], 0, &n);
        stride = n > stride ? n : stride;
    }
    int32_t *at = d->block_tables;
    for (uint32_t g = 0; g < d->program->n_kv_groups; g++) {
        for (uint32_t i = 0; i < n_seqs; i++, at += stride) {
            const int32_t *table = rf_kv_cache_table(d->cache, d->batch_seqs[i], g, &n);
            memcpy(at, table, n * sizeof *at);
            for (uint32_t k = n; k < stride; k++)
                at[k] = -1;
        }
    }
    d->batch.table_stride = (int32_t)stride;
}

/* A NaN is never the greatest: what is drafted then is checked like any other draft. */
static int32_t greatest(const float *logits, uint32_t n) {
    uint32_t best = 0;
    for (uint32_t i = 1; i < n; i++)
        if (logits[i] > logits[best])
            best = i;
    return (int32_t)best;
}

static rf_status run(rf_draft_model *d, rf_draft_ask *asks, rf_error *err) {
    const rf_backend_api *api = d->backend->api;
    uint32_t n_copies, n_vocab = d->program->n_vocab;
    const rf_kv_copy *copies = rf_kv_cache_copies(d->cache, &n_copies);
    for (uint32_t i = 0; i < n_copies; i++)
        RF_TRY(api->kv_copy(d->backend, copies[i].group, (uint32_t)copies[i].from,
                            (uint32_t)copies[i].to, err));
    rf_kv_cache_copies_done(d->cache);
    fill_tables(d);
    rf_outputs outputs = {.logits = d->batch.n_outputs > 0 ? d->logits : NULL};
    uint64_t start = rf_clock_ns();
    RF_TRY(api->run(d->backend, &d->batch, &outputs, err));
    bool steps = d->batch.n_outputs == d->batch.n_seqs && d->batch.n_tokens <= 2 * d->batch.n_seqs;
    if (steps)
        d->token_ns = rf_clock_ns() - start;
    for (int32_t i = 0; i < d->batch.n_outputs; i++) {
        rf_draft_ask *ask = &asks[d->output_asks[i]];
        ask->drafts[ask->n_drafts++] = greatest(d->logits + (size_t)i * n_vocab, n_vocab);
    }
    return RF_OK;
}

/* What the sequences have said since, and so the first draft of each that has no more. */
static rf_status catch_up(rf_draft_model *d, rf_draft_ask *asks, uint32_t n_asks, rf_error *err) {
    uint32_t budget = d->limits.max_tokens;
    begin_run(d);
    for (uint32_t i = 0; i < n_asks && budget > 0; i++) {
        const rf_draft_place *place = &asks[i].place;
        if (asks[i].n_wanted == 0)
            continue;
        follow(d, place);
        uint32_t length = rf_kv_cache_length(d->cache, place->seq), rest = place->n_tokens - length;
        uint32_t n = reserve(d, place->seq, rest < budget ? rest : budget);
        if (n == 0)
            continue;
        add_rows(d, place->seq, place->tokens + length, length, n);
        budget -= n;
        if (n == rest)
            want_draft(d, i);
    }
    if (d->batch.n_seqs == 0)
        return RF_OK;
    RF_TRY(run(d, asks, err));
    for (uint32_t i = 0, k = 0; i < n_asks && k < (uint32_t)d->batch.n_seqs; i++) {
        if (asks[i].n_wanted == 0 || asks[i].place.seq != d->batch_seqs[k])
            continue;
        rf_kv_cache_commit(d->cache, d->batch_seqs[k], asks[i].place.tokens, d->n_rows[k]);
        k++;
    }
    return RF_OK;
}

/* The next draft of each ask that wants more; false in *more: there was none. */
static rf_status go_on(rf_draft_model *d, rf_draft_ask *asks, uint32_t n_asks, bool *more,
                       rf_error *err) {
    begin_run(d);
    for (uint32_t i = 0; i < n_asks; i++) {
        const rf_draft_place *place = &asks[i].place;
        draft_seq *s = &d->seqs[place->seq];
        uint32_t n = asks[i].n_drafts;
        if (n == 0 || n >= s->n_wanted)
            continue;
        s->ahead[s->n_ahead++] = asks[i].drafts[n - 1];
        add_rows(d, place->seq, &asks[i].drafts[n - 1], place->n_tokens + n - 1, 1);
        want_draft(d, i);
    }
    *more = d->batch.n_seqs > 0;
    return *more ? run(d, asks, err) : RF_OK;
}

rf_status rf_draft_model_draft(rf_draft_model *drafter, rf_draft_ask *asks, uint32_t n_asks,
                               rf_error *err) {
    drafter->n_calls++;
    drafter->token_ns = 0;
    for (uint32_t i = 0; i < n_asks; i++)
        asks[i].n_drafts = asks[i].grade = 0;
    RF_TRY(catch_up(drafter, asks, n_asks, err));
    for (uint32_t i = 0; i < n_asks; i++) {
        draft_seq *s = &drafter->seqs[asks[i].place.seq];
        if (asks[i].n_drafts == 0)
            continue;
        s->n_wanted = 1;
        if (asks[i].n_wanted > 1)
            s->n_wanted += reserve(drafter, asks[i].place.seq, asks[i].n_wanted - 1);
    }
    for (bool more = true; more;)
        RF_TRY(go_on(drafter, asks, n_asks, &more, err));
    return RF_OK;
}
