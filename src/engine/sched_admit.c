/* Who begins: the most urgent of those that wait and those that pause, if its blocks fit. */
#include <string.h>

#include "engine/sched_state.h"

/* A job of the queue, or a paused sequence. */
typedef struct candidate {
    int32_t job;
    int32_t seq; /* paused, or -1 */
    const int32_t *tokens;
    uint32_t n_tokens;
    uint32_t limit; /* tokens that may come from the cache: the first wanted row is computed */
    uint32_t end;   /* rows until its first result of all */
    sched_wait *wait;
} candidate;

static candidate of_job(rf_scheduler *sched, int32_t job) {
    const rf_job *j = &sched->jobs[job].job;
    return (candidate){job,          -1,         j->tokens,         j->n_tokens,
                       j->rows_from, j->rows_to, &sched->waits[job]};
}

static candidate of_seq(rf_scheduler *sched, int32_t seq) {
    const sched_seq *s = &sched->seqs[seq];
    return (candidate){s->job,
                       seq,
                       s->tokens,
                       s->n_tokens,
                       s->rows_next,
                       s->rows_end,
                       &sched->waits[sched->n_jobs_max + (uint32_t)seq]};
}

/* ---- prefixes that another is computing ---------------------------------------------------- */

static bool still_waits(const rf_scheduler *sched, const sched_wait *wait) {
    if (wait->seq < 0)
        return false;
    const sched_seq *s = &sched->seqs[wait->seq];
    return s->state == SEQ_RUNNING && s->serial == wait->serial &&
           rf_kv_cache_length(sched->cache, wait->seq) < wait->n_tokens;
}

static uint32_t common(const int32_t *a, const int32_t *b, uint32_t n) {
    uint32_t i = 0;
    while (i < n && a[i] == b[i])
        i++;
    return i;
}

/* Whether a sequence is computing more of the candidate's prompt than the cache has. */
static bool must_wait(rf_scheduler *sched, const candidate *c, uint32_t n_cached) {
    const rf_job *job = &sched->jobs[c->job].job;
    uint32_t least = sched->config.kv.block_tokens / 8;
    for (uint32_t i = 0; i < sched->n_running; i++) {
        int32_t seq = sched->running[i];
        const sched_seq *s = &sched->seqs[seq];
        const rf_job *other = &sched->jobs[s->job].job;
        uint32_t n = s->rows_end < c->limit ? s->rows_end : c->limit;
        if (rf_sched_decodes(sched, seq) || n <= n_cached + least || other->keeps_private ||
            other->salt != job->salt || s->tokens[n_cached] != c->tokens[n_cached])
            continue;
        uint32_t same = common(s->tokens, c->tokens, n);
        if (same <= n_cached + least || rf_kv_cache_length(sched->cache, seq) >= same)
            continue;
        *c->wait = (sched_wait){seq, s->serial, same};
        sched->counters.n_awaited++;
        return true;
    }
    return false;
}

/* ---- room ---------------------------------------------------------------------------------- */

/* Besides what the candidate needs, a block stays for each sequence that runs: else the next step
 * would pause someone. */
static bool fits(const rf_scheduler *sched, const candidate *c, const rf_kv_match *match) {
    for (uint32_t g = 0; g < sched->config.kv.n_groups; g++) {
        uint32_t most = sched->config.kv.n_blocks[g] / 8;
        uint32_t spare = sched->n_running < most ? sched->n_running : most;
        if (rf_kv_cache_need(sched->cache, g, match, c->end) + spare >
            rf_kv_cache_available(sched->cache, g))
            return false;
    }
    return true;
}

/* Pauses the least urgent sequence of a lower priority than the candidate's. */
static bool make_room(rf_scheduler *sched, const candidate *c) {
    int32_t priority = sched->jobs[c->job].job.priority;
    for (uint32_t i = sched->n_running; i-- > 0;) {
        int32_t seq = sched->running[i], job = sched->seqs[seq].job;
        if (sched->seqs[seq].planned || sched->jobs[job].job.priority >= priority ||
            !rf_sched_before(sched, c->job, job))
            continue;
        rf_sched_pause(sched, seq);
        return true;
    }
    return false;
}

/* ---- beginning ----------------------------------------------------------------------------- */

static int32_t take_slot(rf_scheduler *sched, int32_t job, uint32_t choice, seq_state state) {
    int32_t seq = 0;
    while (sched->seqs[seq].state != SEQ_FREE)
        seq++;
    sched_seq *s = &sched->seqs[seq];
    s->state = state;
    s->job = job;
    s->id = sched->jobs[job].job.id;
    s->arrived_ns = sched->jobs[job].arrived_ns;
    s->tag = sched->jobs[job].job.tag;
    s->n_new = sched->jobs[job].job.n_new;
    s->choice = choice;
    s->n_tokens = s->n_generated = s->n_drafts = 0;
    s->planned = false;
    s->serial++;
    sched->n_free_seqs--;
    return seq;
}

/* Slots for all choices; the first of them computes the prompt. */
static int32_t take_slots(rf_scheduler *sched, int32_t job) {
    const rf_job *j = &sched->jobs[job].job;
    int32_t seq = take_slot(sched, job, 0, SEQ_HELD);
    sched_seq *s = &sched->seqs[seq];
    memcpy(s->tokens, j->tokens, j->n_tokens * sizeof *s->tokens);
    s->n_tokens = j->n_tokens;
    s->rows_next = j->rows_from;
    s->rows_end = j->rows_to;
    for (uint32_t choice = 1; choice < j->n_choices; choice++)
        (void)take_slot(sched, job, choice, SEQ_HELD);
    return seq;
}

static void begin(rf_scheduler *sched, const candidate *c, const rf_kv_match *match) {
    const rf_job *job = &sched->jobs[c->job].job;
    int32_t seq = c->seq;
    if (seq < 0) {
        rf_sched_queue_remove(sched, c->job);
        seq = take_slots(sched, c->job);
    } else {
        rf_sched_remove(sched->paused, &sched->n_paused, seq);
    }
    sched_seq *s = &sched->seqs[seq];
    s->state = SEQ_RUNNING;
    s->planned = false;
    s->began = true;
    s->serial++;
    uint32_t had = rf_kv_cache_open(sched->cache, seq, job->salt, match, !job->keeps_private);
    rf_sched_insert(sched, sched->running, &sched->n_running, seq);
    sched->counters.n_cached_tokens += had;
}

typedef enum verdict { BEGAN, WAITS, NO_ROOM } verdict;

static verdict try_begin(rf_scheduler *sched, const candidate *c) {
    const rf_job *job = &sched->jobs[c->job].job;
    if (still_waits(sched, c->wait))
        return WAITS;
    for (;;) {
        rf_kv_match match = {.node = RF_PREFIX_ROOT, .tail = -1};
        if (!job->keeps_private) {
            match = rf_kv_cache_lookup(sched->cache, job->salt, c->tokens, c->limit);
            if (must_wait(sched, c, match.n_tokens))
                return WAITS;
        }
        if (fits(sched, c, &match)) {
            begin(sched, c, &match);
            return BEGAN;
        }
        if (!make_room(sched, c))
            return NO_ROOM;
    }
}

/* Rows of prompts that go before a candidate's. */
static uint64_t rows_before(const rf_scheduler *sched, int32_t job) {
    uint64_t n = 0;
    for (uint32_t i = 0; i < sched->n_running; i++) {
        int32_t seq = sched->running[i];
        if (!rf_sched_decodes(sched, seq) && !rf_sched_before(sched, job, sched->seqs[seq].job))
            n += rf_sched_rest(sched, seq);
    }
    return n;
}

void rf_sched_admit(rf_scheduler *sched, uint32_t budget) {
    uint64_t released = rf_kv_cache_counters(sched->cache).n_released;
    int32_t job = sched->first;
    uint32_t i_paused = 0;
    for (;;) {
        /* A job that lacks slots lets only those pass that have theirs. */
        if (job >= 0 && sched->jobs[job].job.n_choices > sched->n_free_seqs)
            job = -1;
        int32_t seq = i_paused < sched->n_paused ? sched->paused[i_paused] : -1;
        if (job < 0 && seq < 0)
            return;
        bool queued = seq < 0 || (job >= 0 && rf_sched_before(sched, job, sched->seqs[seq].job));
        candidate c = queued ? of_job(sched, job) : of_seq(sched, seq);
        int32_t name = queued ? job : (int32_t)sched->n_jobs_max + seq;
        int32_t next = queued ? sched->jobs[job].next : job;
        if (rows_before(sched, c.job) >= budget)
            return;
        if (name == sched->failed_head && released == sched->released_at_failure)
            return;
        verdict v = try_begin(sched, &c);
        if (v == NO_ROOM) { /* nobody passes the one that lacks blocks */
            sched->failed_head = name;
            sched->released_at_failure = rf_kv_cache_counters(sched->cache).n_released;
            return;
        }
        job = next;
        i_paused += !queued && v == WAITS;
    }
}
