/* Drafts behind decode rows: where they can follow, and how many of them a step takes. */
#include <string.h>

#include "engine/sched_state.h"

static uint32_t least(uint32_t a, uint32_t b) { return a < b ? a : b; }

/* The last token that is generated needs no row, and a draft's row is for a token after it. */
static uint32_t most_drafts(const rf_scheduler *sched, const sched_seq *s) {
    uint32_t n_new = sched->jobs[s->job].job.n_new, context = sched->config.kv.max_context;
    if (s->n_generated + 1 >= n_new || s->n_tokens + 1 >= context)
        return 0;
    uint32_t n = least(n_new - s->n_generated - 1, context - s->n_tokens - 1);
    return least(n, RF_DRAFTS_MAX);
}

uint32_t rf_scheduler_draft_places(const rf_scheduler *sched, rf_draft_place *out, uint32_t most) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < sched->n_running; i++)
        if (!rf_sched_decodes(sched, sched->running[i]))
            return 0;
    if (sched->in_step || rf_sched_budget(sched, sched->n_running) == 0)
        return 0;
    for (; n < sched->n_running && n < most; n++) {
        int32_t seq = sched->running[n];
        const sched_seq *s = &sched->seqs[seq];
        const rf_job *job = &sched->jobs[s->job].job;
        out[n] = (rf_draft_place){.job = job->id,
                                  .salt = job->salt,
                                  .tag = job->tag,
                                  .choice = s->choice,
                                  .seq = seq,
                                  .tokens = s->tokens,
                                  .n_tokens = s->n_tokens,
                                  .n_most = most_drafts(sched, s),
                                  .keeps_private = job->keeps_private};
    }
    return n;
}

void rf_scheduler_propose(rf_scheduler *sched, int32_t seq, const int32_t *drafts, uint32_t n) {
    sched_seq *s = &sched->seqs[seq];
    if (sched->in_step || s->state != SEQ_RUNNING || !rf_sched_decodes(sched, seq))
        return;
    s->n_drafts = least(n, most_drafts(sched, s));
    sched->proposed = true;
    memcpy(s->tokens + s->n_tokens, drafts, s->n_drafts * sizeof *drafts);
}

uint32_t rf_sched_drafts(const rf_scheduler *sched, int32_t seq, uint32_t n_others) {
    const rf_batch *batch = &sched->step.batch;
    uint32_t taken = 1 + n_others, n = sched->seqs[seq].n_drafts;
    n = least(n, sched->config.max_tokens - (uint32_t)batch->n_tokens - taken);
    n = least(n, sched->config.max_outputs - (uint32_t)batch->n_outputs - taken);
    /* A decode row takes one block of a group at most, new or as a copy. */
    uint32_t room = n > 0 ? rf_kv_cache_room(sched->cache, seq, n_others) : 0;
    return least(n, room > 0 ? room - 1 : 0);
}
