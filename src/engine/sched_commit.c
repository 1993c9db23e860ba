/* What a step has brought: tokens are appended, choices fork and end, and costs are learnt. */
#include <string.h>

#include "engine/sched_state.h"

/* ---- costs --------------------------------------------------------------------------------- */

/*
 * Rows of prompts cost what their number alone does not tell: the first of them reads all that
 * stands before it in the cache, the others share most of that. So no cost of a row is kept, but
 * the number of rows that last brought a step close to its target: a step that was too long lowers
 * it, one that was short raises it. One slow step (another program had the processor) must not
 * teach much: each change has a limit.
 *
 * Far into a long prompt the first row alone can take longer than a step may. Then few rows gain
 * nothing for those who wait and the prompt would never end: it gets HOPELESS_ROWS from time to
 * time.
 *
 * After QUIET_STEPS steps with rows of prompts, one without them shows again what decode rows alone
 * cost.
 */
enum { QUIET_STEPS = 64, LEAST_ROWS = 2, HOPELESS_STEPS = 4, HOPELESS_ROWS = 16 };
static const double fall_most = 0.5, rise_most = 1.25, hopeless = 4;

static double clamp(double x, double least, double most) {
    return x < least ? least : x > most ? most : x;
}

static double target_of(const rf_scheduler *sched) {
    double target = (double)sched->config.target_ns, quiet = sched->quiet_ns;
    if (target == 0)
        target = 1.75 * quiet;
    return target > 1.25 * quiet ? target : 1.25 * quiet; /* prompts must end some day */
}

/* The mean follows low readings fast and high ones slowly. With more rows a step is longer, at most
 * in proportion to them. */
static void learn_quiet(rf_scheduler *sched, double ns, uint32_t n_decode) {
    double *mean = &sched->quiet_ns, ratio = sched->n_quiet ? (double)n_decode / sched->n_quiet : 1;
    sched->n_loud = 0;
    sched->n_quiet = n_decode;
    if (*mean < 0)
        *mean = ns;
    else if (ratio != 1)
        *mean = clamp(ns, *mean * (ratio < 1 ? ratio : 1), *mean * (ratio > 1 ? ratio : 1));
    else
        *mean += ns < *mean ? (ns - *mean) / 4 : (clamp(ns, *mean, 1.5 * *mean) - *mean) / 8;
}

void rf_sched_learn(rf_scheduler *sched, uint64_t elapsed_ns) {
    const rf_step *step = &sched->step;
    double ns = (double)elapsed_ns;
    if (step->n_draft > 0 || step->n_decode == 0)
        return;
    if (step->n_prefill == 0) {
        learn_quiet(sched, ns, step->n_decode);
        return;
    }
    sched->n_loud++;
    double over = ns - sched->quiet_ns, room = target_of(sched) - sched->quiet_ns;
    double change = over > 0 ? clamp(room / over, fall_most, rise_most) : rise_most;
    double rows = sched->prefill_rows * change, most = sched->config.max_tokens;
    if (change > 1 && step->n_prefill < (uint32_t)sched->prefill_rows)
        return; /* it could have had more */
    sched->n_hopeless =
        step->n_prefill <= LEAST_ROWS && over > hopeless * room ? sched->n_hopeless + 1 : 0;
    if (sched->n_hopeless == HOPELESS_STEPS) {
        rows = HOPELESS_ROWS;
        sched->n_hopeless = 0;
    }
    sched->prefill_rows = clamp(rows, most < LEAST_ROWS ? most : LEAST_ROWS, most);
}

uint32_t rf_sched_budget(const rf_scheduler *sched, uint32_t n_decode) {
    uint32_t most = sched->config.max_tokens - n_decode;
    if (n_decode == 0)
        return most;
    if (sched->quiet_ns < 0 || sched->n_loud >= QUIET_STEPS || n_decode > 2 * sched->n_quiet)
        return 0;
    uint32_t rows = (uint32_t)sched->prefill_rows;
    return rows < most ? rows : most;
}

/* ---- results ------------------------------------------------------------------------------- */

static int32_t job_of(const rf_scheduler *sched, const rf_step_entry *entry) {
    const sched_seq *s = &sched->seqs[entry->seq];
    bool there = s->state != SEQ_FREE && sched->jobs[s->job].used &&
                 sched->jobs[s->job].job.id == entry->job;
    return there ? s->job : -1;
}

/* The further choices of a job take over what its first one has computed. */
static void fork_held(rf_scheduler *sched, const rf_step_sample *sample) {
    sched_seq *s = &sched->seqs[sample->seq];
    int32_t from = sched->step.entries[sample->entry].seq;
    const sched_seq *source = &sched->seqs[from];
    if (s->state != SEQ_HELD)
        return;
    uint32_t n = sched->jobs[s->job].job.n_tokens;
    memcpy(s->tokens, source->tokens, n * sizeof *s->tokens);
    s->n_tokens = n;
    s->rows_next = s->rows_end = n;
    rf_kv_cache_fork(sched->cache, from, sample->seq);
    s->state = SEQ_RUNNING;
    rf_sched_insert(sched, sched->running, &sched->n_running, sample->seq);
}

/* Drafts that came true lie behind the tokens already. */
static void take_tokens(rf_scheduler *sched, rf_step_sample *sample) {
    sched_seq *s = &sched->seqs[sample->seq];
    for (uint32_t i = 0; i < sample->n_tokens; i++)
        s->tokens[s->n_tokens++] = sample->tokens[i];
    s->n_generated += sample->n_tokens;
    s->rows_next = s->n_tokens - 1;
    s->rows_end = s->n_tokens;
    if (sample->stop)
        sample->finish = RF_FINISH_STOP;
    else if (s->n_generated == s->n_new || s->n_tokens == sched->config.kv.max_context)
        sample->finish = RF_FINISH_LENGTH;
}

/* Rows of drafts that are no tokens of the sequence leave nothing behind. */
static void judge_drafts(rf_scheduler *sched, rf_step_sample *sample) {
    rf_step_entry *entry = &sched->step.entries[sample->entry];
    entry->failed |= sample->failed;
    uint32_t n = 0;
    while (n < sample->n_drafts && n + 1 < sample->n_tokens &&
           sample->tokens[n] == sample->drafts[n])
        n++;
    sample->n_tokens = n + 1;
    entry->n_accepted = n;
    sched->counters.n_accepted += n;
}

static void commit_rows(rf_scheduler *sched, rf_step_entry *entry) {
    sched_seq *s = &sched->seqs[entry->seq];
    if (entry->failed) { /* nobody shall find what it has stored */
        entry->finish = RF_FINISH_FAILED;
        return;
    }
    uint32_t n_rows = entry->n_rows - entry->n_drafts + entry->n_accepted;
    rf_kv_cache_commit(sched->cache, entry->seq, s->tokens, n_rows);
    if (entry->n_outputs > 0)
        s->rows_next = entry->first_output_position + entry->n_outputs;
    if (s->n_new == 0 && rf_sched_rest(sched, entry->seq) == 0)
        entry->finish = RF_FINISH_ROWS;
}

static void commit_samples(rf_scheduler *sched) {
    rf_step *step = &sched->step;
    for (uint32_t i = 0; sched->forks && i < step->n_samples; i++)
        if (step->entries[step->samples[i].entry].finish == RF_FINISH_NONE)
            fork_held(sched, &step->samples[i]);
    for (uint32_t i = 0; i < step->n_samples; i++) {
        rf_step_sample *sample = &step->samples[i];
        if (step->entries[sample->entry].finish == RF_FINISH_NONE)
            take_tokens(sched, sample);
        if (sample->finish != RF_FINISH_NONE)
            rf_sched_end_seq(sched, sample->seq);
    }
}

static void end_jobs(rf_scheduler *sched) {
    for (int32_t i = 0; i < sched->step.batch.n_seqs; i++) {
        const rf_step_entry *entry = &sched->step.entries[i];
        int32_t job = entry->finish != RF_FINISH_NONE ? job_of(sched, entry) : -1;
        if (job >= 0)
            rf_sched_end_job(sched, job);
    }
}

void rf_scheduler_commit(rf_scheduler *sched, uint64_t elapsed_ns) {
    if (!sched->in_step)
        return;
    rf_step *step = &sched->step;
    sched->in_step = false;
    rf_kv_cache_copies_done(sched->cache);
    for (uint32_t i = 0; i < step->n_samples; i++)
        judge_drafts(sched, &step->samples[i]);
    for (int32_t i = 0; i < step->batch.n_seqs; i++)
        commit_rows(sched, &step->entries[i]);
    commit_samples(sched);
    end_jobs(sched);
    rf_sched_learn(sched, elapsed_ns);
    sched->counters.n_steps++;
    sched->counters.n_decode_rows += step->n_decode;
    sched->counters.n_prefill_rows += step->n_prefill;
    sched->counters.n_draft_rows += step->n_draft;
}

void rf_scheduler_abort(rf_scheduler *sched) {
    if (!sched->in_step)
        return;
    sched->in_step = false;
    rf_kv_cache_copies_done(sched->cache);
    for (int32_t i = 0; i < sched->step.batch.n_seqs; i++)
        sched->step.entries[i].finish = RF_FINISH_FAILED;
    end_jobs(sched);
    /* Who was admitted without rows yet may have begun with a copy that was not made. */
    for (uint32_t i = sched->n_running; i-- > 0;) {
        int32_t seq = sched->running[i];
        if (sched->seqs[seq].began && !sched->seqs[seq].planned)
            rf_sched_pause(sched, seq);
    }
}

/* ---- soundness ----------------------------------------------------------------------------- */

static bool list_is_sound(const rf_scheduler *sched, const int32_t *list, uint32_t n,
                          seq_state state) {
    for (uint32_t i = 0; i < n; i++) {
        if (sched->seqs[list[i]].state != state)
            return false;
        int32_t job = sched->seqs[list[i]].job;
        if (i > 0 && rf_sched_before(sched, job, sched->seqs[list[i - 1]].job))
            return false;
    }
    return true;
}

static bool queue_is_sound(const rf_scheduler *sched) {
    uint32_t n = 0;
    uint64_t n_tokens = 0;
    int32_t prev = -1;
    for (int32_t i = sched->first; i >= 0; prev = i, i = sched->jobs[i].next) {
        const sched_job *job = &sched->jobs[i];
        if (!job->used || !job->waits || job->prev != prev || ++n > sched->n_waiting ||
            (prev >= 0 && rf_sched_before(sched, i, prev)))
            return false;
        n_tokens += job->job.n_tokens;
    }
    return n == sched->n_waiting && prev == sched->last && n_tokens == sched->n_waiting_tokens;
}

bool rf_scheduler_is_sound(const rf_scheduler *sched) {
    uint32_t n[SEQ_PAUSED + 1] = {0}, n_used = 0, n_seqs = sched->config.kv.max_seqs;
    for (uint32_t s = 0; s < n_seqs; s++) {
        const sched_seq *seq = &sched->seqs[s];
        n[seq->state]++;
        if (seq->state == SEQ_FREE)
            continue;
        if (!sched->jobs[seq->job].used || sched->jobs[seq->job].waits)
            return false;
        if (seq->state == SEQ_RUNNING &&
            rf_kv_cache_length(sched->cache, (int32_t)s) >= seq->rows_end)
            return false;
    }
    for (uint32_t i = 0; i < sched->n_jobs_max; i++)
        n_used += sched->jobs[i].used;
    return n[SEQ_FREE] == sched->n_free_seqs && n[SEQ_RUNNING] == sched->n_running &&
           n[SEQ_PAUSED] == sched->n_paused && n_used == sched->n_jobs && queue_is_sound(sched) &&
           list_is_sound(sched, sched->running, sched->n_running, SEQ_RUNNING) &&
           list_is_sound(sched, sched->paused, sched->n_paused, SEQ_PAUSED) &&
           rf_kv_cache_is_sound(sched->cache);
}
