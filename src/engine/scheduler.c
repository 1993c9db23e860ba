#include "engine/scheduler.h"

#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "engine/sched_state.h"

/* ---- life ---------------------------------------------------------------------------------- */

static rf_status check(const rf_sched_config *config, rf_error *err) {
    uint32_t seqs = config->kv.max_seqs;
    if (config->max_tokens < seqs || config->max_outputs < seqs)
        return rf_fail(err, RF_ERR_INVALID,
                       "steps of %u rows with %u results for %u sequences; expected at least one "
                       "of each for a sequence",
                       config->max_tokens, config->max_outputs, seqs);
    if (config->max_waiting == 0 || config->max_waiting > INT32_MAX / 4)
        return rf_fail(err, RF_ERR_INVALID, "a queue of %u jobs; expected 1 to %d",
                       config->max_waiting, INT32_MAX / 4);
    return RF_OK;
}

static bool take_memory(rf_scheduler *sched) {
    const rf_kv_config *kv = &sched->config.kv;
    size_t n_seqs = kv->max_seqs, n_tokens, n_tables;
    sched->token_stride = ((size_t)kv->max_context + 15) / 16 * 16 | 16;
    if (!rf_mul_size(n_seqs, sched->token_stride, &n_tokens) ||
        !rf_mul_size(n_seqs * kv->n_groups, sched->max_blocks, &n_tables))
        return false;
    sched->jobs = rf_calloc(sched->n_jobs_max, sizeof *sched->jobs);
    sched->seqs = rf_calloc(n_seqs, sizeof *sched->seqs);
    sched->tokens = rf_calloc(n_tokens, sizeof *sched->tokens);
    sched->waits = rf_calloc(sched->n_jobs_max + n_seqs, sizeof *sched->waits);
    sched->running = rf_calloc(n_seqs, sizeof *sched->running);
    sched->paused = rf_calloc(n_seqs, sizeof *sched->paused);
    sched->rows_tokens = rf_calloc(sched->config.max_tokens, sizeof(int32_t));
    sched->rows_positions = rf_calloc(sched->config.max_tokens, sizeof(int32_t));
    sched->seq_start = rf_calloc(n_seqs + 1, sizeof(int32_t));
    sched->output_rows = rf_calloc(sched->config.max_outputs, sizeof(int32_t));
    sched->block_tables = rf_calloc(n_tables, sizeof(int32_t));
    sched->step.entries = rf_calloc(n_seqs, sizeof *sched->step.entries);
    sched->step.samples = rf_calloc(n_seqs, sizeof *sched->step.samples);
    return sched->jobs && sched->seqs && sched->tokens && sched->waits && sched->running &&
           sched->paused && sched->rows_tokens && sched->rows_positions && sched->seq_start &&
           sched->output_rows && sched->block_tables && sched->step.entries && sched->step.samples;
}

static void clear(rf_scheduler *sched) {
    sched->first = sched->last = sched->failed_head = -1;
    for (uint32_t i = 0; i < sched->n_jobs_max; i++)
        sched->jobs[i].next = i + 1 < sched->n_jobs_max ? (int32_t)i + 1 : -1;
    sched->quiet_ns = -1;
    sched->prefill_rows = RF_SCHED_FIRST_ROWS;
    sched->n_free_seqs = sched->config.kv.max_seqs;
    for (uint32_t s = 0; s < sched->n_free_seqs; s++)
        sched->seqs[s].tokens = sched->tokens + s * sched->token_stride;
}

rf_status rf_scheduler_create(const rf_sched_config *config, rf_scheduler **out, rf_error *err) {
    *out = NULL;
    RF_TRY(check(config, err));
    rf_scheduler *sched = rf_calloc(1, sizeof *sched);
    if (!sched)
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the scheduler");
    sched->config = *config;
    if (sched->config.aging_ns == 0)
        sched->config.aging_ns = 1000000000;
    sched->n_jobs_max = config->max_waiting + config->kv.max_seqs;
    rf_status status = rf_kv_cache_create(&config->kv, &sched->cache, err);
    if (status == RF_OK) {
        sched->max_blocks = (uint32_t)rf_ceil_div(config->kv.max_context, config->kv.block_tokens);
        if (!take_memory(sched))
            status = rf_fail(err, RF_ERR_NO_MEMORY,
                             "out of memory for %u sequences of %u tokens and steps of %u rows",
                             config->kv.max_seqs, config->kv.max_context, config->max_tokens);
    }
    if (status != RF_OK) {
        rf_scheduler_destroy(sched);
        return status;
    }
    clear(sched);
    *out = sched;
    return RF_OK;
}

void rf_scheduler_destroy(rf_scheduler *sched) {
    if (!sched)
        return;
    rf_kv_cache_destroy(sched->cache);
    rf_free(sched->jobs);
    rf_free(sched->seqs);
    rf_free(sched->tokens);
    rf_free(sched->waits);
    rf_free(sched->running);
    rf_free(sched->paused);
    rf_free(sched->rows_tokens);
    rf_free(sched->rows_positions);
    rf_free(sched->seq_start);
    rf_free(sched->output_rows);
    rf_free(sched->block_tables);
    rf_free(sched->step.entries);
    rf_free(sched->step.samples);
    rf_free(sched);
}

/* ---- lists --------------------------------------------------------------------------------- */

static bool seq_before(const rf_scheduler *sched, int32_t a, int32_t b) {
    const sched_seq *x = &sched->seqs[a], *y = &sched->seqs[b];
    return x->job != y->job ? rf_sched_before(sched, x->job, y->job) : x->choice < y->choice;
}

void rf_sched_insert(const rf_scheduler *sched, int32_t *list, uint32_t *n, int32_t seq) {
    uint32_t i = (*n)++;
    for (; i > 0 && seq_before(sched, seq, list[i - 1]); i--)
        list[i] = list[i - 1];
    list[i] = seq;
}

void rf_sched_remove(int32_t *list, uint32_t *n, int32_t seq) {
    uint32_t i = 0;
    while (i < *n && list[i] != seq)
        i++;
    if (i == *n)
        return;
    memmove(list + i, list + i + 1, (*n - i - 1) * sizeof *list);
    --*n;
}

static void queue_insert(rf_scheduler *sched, int32_t job) {
    int32_t after = sched->last;
    while (after >= 0 && rf_sched_before(sched, job, after))
        after = sched->jobs[after].prev;
    sched_job *j = &sched->jobs[job];
    j->prev = after;
    j->next = after >= 0 ? sched->jobs[after].next : sched->first;
    *(after >= 0 ? &sched->jobs[after].next : &sched->first) = job;
    *(j->next >= 0 ? &sched->jobs[j->next].prev : &sched->last) = job;
    j->waits = true;
    sched->n_waiting++;
    sched->n_waiting_tokens += j->job.n_tokens;
}

void rf_sched_queue_remove(rf_scheduler *sched, int32_t job) {
    sched_job *j = &sched->jobs[job];
    *(j->prev >= 0 ? &sched->jobs[j->prev].next : &sched->first) = j->next;
    *(j->next >= 0 ? &sched->jobs[j->next].prev : &sched->last) = j->prev;
    j->waits = false;
    sched->n_waiting--;
    sched->n_waiting_tokens -= j->job.n_tokens;
}

/* ---- jobs ---------------------------------------------------------------------------------- */

static rf_status check_shape(const rf_scheduler *sched, const rf_job *job, rf_error *err) {
    uint32_t context = sched->config.kv.max_context;
    if (!job->tokens || job->n_tokens == 0)
        return rf_fail(err, RF_ERR_INVALID, "a request needs at least one token");
    if (job->n_tokens > context || (job->n_new > 0 && job->n_tokens == context))
        return rf_fail(err, RF_ERR_INVALID,
                       "a prompt of %u tokens leaves no room in the context of %u", job->n_tokens,
                       context);
    if (job->n_new != RF_NEW_TOKENS_MAX && job->n_new > context - job->n_tokens)
        return rf_fail(err, RF_ERR_INVALID,
                       "%u tokens of prompt and %u to generate do not fit into the context of %u",
                       job->n_tokens, job->n_new, context);
    if (job->rows_from >= job->rows_to || job->rows_to > job->n_tokens ||
        (job->n_new > 0 && job->rows_to != job->n_tokens))
        return rf_fail(err, RF_ERR_INVALID, "results of rows %u to %u of %u tokens", job->rows_from,
                       job->rows_to, job->n_tokens);
    if (job->n_choices < 1 || job->n_choices > sched->config.kv.max_seqs ||
        (job->n_choices > 1 && job->n_new == 0))
        return rf_fail(err, RF_ERR_INVALID, "%u choices, expected 1 to %u", job->n_choices,
                       job->n_new == 0 ? 1 : sched->config.kv.max_seqs);
    return RF_OK;
}

/* Tokens that one sequence alone can have in the cache. */
static uint64_t most_tokens(const rf_scheduler *sched) {
    const rf_kv_config *kv = &sched->config.kv;
    uint64_t most = kv->max_context;
    for (uint32_t g = 0; g < kv->n_groups; g++) {
        uint64_t fits = (uint64_t)kv->n_blocks[g] * kv->block_tokens;
        bool slides = kv->windows[g] != 0 &&
                      kv->n_blocks[g] >= rf_ceil_div(kv->windows[g], kv->block_tokens) + 2;
        most = !slides && fits < most ? fits : most;
    }
    return most;
}

/* Cuts an open n_new to what fits; the last token generated is never computed. */
static rf_status check_room(const rf_scheduler *sched, rf_job *job, rf_error *err) {
    uint64_t most = most_tokens(sched);
    uint32_t context = sched->config.kv.max_context;
    if (job->n_new == RF_NEW_TOKENS_MAX && job->n_tokens <= most) {
        uint64_t room = most + 1 - job->n_tokens;
        job->n_new = context - job->n_tokens;
        job->n_new = room < job->n_new ? (uint32_t)room : job->n_new;
    }
    uint64_t need = (uint64_t)job->n_tokens + (job->n_new > 0 ? job->n_new - 1 : 0);
    if (need > most)
        return rf_fail(err, RF_ERR_INVALID,
                       "%llu tokens do not fit into the cache, which holds %llu of one request",
                       (unsigned long long)need, (unsigned long long)most);
    return RF_OK;
}

static int32_t find_job(const rf_scheduler *sched, uint64_t id) {
    for (uint32_t i = 0, seen = 0; seen < sched->n_jobs; i++) {
        if (!sched->jobs[i].used)
            continue;
        if (sched->jobs[i].job.id == id)
            return (int32_t)i;
        seen++;
    }
    return -1;
}

rf_status rf_scheduler_submit(rf_scheduler *sched, const rf_job *job, uint64_t now_ns,
                              rf_error *err) {
    rf_job taken = *job;
    RF_TRY(check_shape(sched, job, err));
    RF_TRY(check_room(sched, &taken, err));
    if (find_job(sched, job->id) >= 0)
        return rf_fail(err, RF_ERR_INVALID, "request %llu is there already",
                       (unsigned long long)job->id);
    if (sched->n_waiting == sched->config.max_waiting ||
        (sched->n_waiting > 0 &&
         sched->n_waiting_tokens + job->n_tokens > sched->config.max_waiting_tokens))
        return rf_fail(err, RF_ERR_LIMIT,
                       "the queue is full: %u requests (at most %u) of %llu tokens (at most %llu)",
                       sched->n_waiting, sched->config.max_waiting,
                       (unsigned long long)sched->n_waiting_tokens,
                       (unsigned long long)sched->config.max_waiting_tokens);
    int32_t i = sched->first_free_job;
    sched_job *j = &sched->jobs[i];
    sched->first_free_job = j->next;
    int64_t credit = (int64_t)job->priority * (int64_t)sched->config.aging_ns;
    *j = (sched_job){.job = taken,
                     .used = true,
                     .urgency = (int64_t)now_ns - credit,
                     .number = sched->n_arrived++,
                     .arrived_ns = now_ns,
                     .n_left = job->n_choices};
    sched->waits[i] = (sched_wait){.seq = -1};
    sched->n_jobs++;
    queue_insert(sched, i);
    return RF_OK;
}

static void free_job(rf_scheduler *sched, int32_t job) {
    sched->jobs[job].used = false;
    sched->jobs[job].next = sched->first_free_job;
    sched->first_free_job = job;
    sched->n_jobs--;
    if (sched->failed_head == job)
        sched->failed_head = -1;
}

static void free_seq(rf_scheduler *sched, int32_t seq) {
    sched_seq *s = &sched->seqs[seq];
    if (s->state == SEQ_RUNNING) {
        rf_sched_remove(sched->running, &sched->n_running, seq);
        rf_kv_cache_close(sched->cache, seq);
    }
    if (s->state == SEQ_PAUSED)
        rf_sched_remove(sched->paused, &sched->n_paused, seq);
    s->state = SEQ_FREE;
    s->serial++;
    sched->n_free_seqs++;
    sched->failed_head = -1; /* a slot is free: the head may fit now */
}

void rf_sched_end_seq(rf_scheduler *sched, int32_t seq) {
    int32_t job = sched->seqs[seq].job;
    free_seq(sched, seq);
    if (--sched->jobs[job].n_left == 0)
        free_job(sched, job);
}

void rf_sched_end_job(rf_scheduler *sched, int32_t job) {
    if (sched->jobs[job].waits) {
        rf_sched_queue_remove(sched, job);
    } else {
        for (uint32_t s = 0; s < sched->config.kv.max_seqs; s++)
            if (sched->seqs[s].state != SEQ_FREE && sched->seqs[s].job == job)
                free_seq(sched, (int32_t)s);
    }
    free_job(sched, job);
}

void rf_sched_pause(rf_scheduler *sched, int32_t seq) {
    sched_seq *s = &sched->seqs[seq];
    rf_sched_remove(sched->running, &sched->n_running, seq);
    rf_kv_cache_close(sched->cache, seq);
    s->state = SEQ_PAUSED;
    s->n_drafts = 0;
    s->serial++;
    sched->waits[sched->n_jobs_max + (uint32_t)seq] = (sched_wait){.seq = -1};
    rf_sched_insert(sched, sched->paused, &sched->n_paused, seq);
    sched->counters.n_preempted++;
}

bool rf_scheduler_cancel(rf_scheduler *sched, uint64_t id) {
    int32_t job = sched->in_step ? -1 : find_job(sched, id);
    if (job < 0)
        return false;
    rf_sched_end_job(sched, job);
    return true;
}

/* ---- what others may see ------------------------------------------------------------------- */

uint32_t rf_scheduler_n_jobs(const rf_scheduler *sched) { return sched->n_jobs; }

const int32_t *rf_scheduler_tokens(const rf_scheduler *sched, int32_t seq, uint32_t *n) {
    *n = sched->seqs[seq].n_tokens;
    return sched->seqs[seq].tokens;
}

rf_sched_counters rf_scheduler_counters(const rf_scheduler *sched) {
    rf_sched_counters counters = sched->counters;
    counters.n_running = sched->n_running;
    counters.n_paused = sched->n_paused;
    counters.n_waiting = sched->n_waiting;
    counters.n_waiting_tokens = sched->n_waiting_tokens;
    counters.kv = rf_kv_cache_counters(sched->cache);
    return counters;
}

const rf_kv_cache *rf_scheduler_cache(const rf_scheduler *sched) { return sched->cache; }

rf_kv_cache *rf_scheduler_import_cache(rf_scheduler *sched) { return sched->cache; }
