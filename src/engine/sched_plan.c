/* Builds a step: decode rows by urgency, then rows of prompts by urgency. */
#include <string.h>

#include "engine/sched_state.h"

static uint32_t least(uint32_t a, uint32_t b) { return a < b ? a : b; }

/* The least urgent running sequence that is not part of the step yet, or -1. */
static int32_t victim(const rf_scheduler *sched) {
    for (uint32_t i = sched->n_running; i-- > 0;)
        if (!sched->seqs[sched->running[i]].planned)
            return sched->running[i];
    return -1;
}

/* Blocks for up to `most` rows; where there are none for a single one, less urgent sequences give
 * theirs. 0: this one has been paused, or must let the step pass. */
static uint32_t reserve(rf_scheduler *sched, int32_t seq, uint32_t most) {
    for (;;) {
        uint32_t n = most > 1 ? least(most, rf_kv_cache_room(sched->cache, seq, 0)) : most;
        if (n > 0 && rf_kv_cache_reserve(sched->cache, seq, n))
            return n;
        int32_t last = victim(sched);
        /* The step has rows of others, who will end or be behind this one in a later step. */
        if (last < 0 || (last == seq && sched->step.batch.n_seqs > 0))
            return 0;
        rf_sched_pause(sched, last);
        if (last == seq)
            return 0;
    }
}

static void add_samples(rf_scheduler *sched, int32_t seq, uint32_t entry) {
    const sched_seq *s = &sched->seqs[seq];
    uint32_t n_drafts = sched->step.entries[entry].n_drafts;
    uint32_t output = (uint32_t)sched->step.batch.n_outputs - 1 - n_drafts;
    bool forks = s->n_generated == 0 && sched->jobs[s->job].job.n_choices > 1;
    sched->forks |= forks;
    for (int32_t at = forks ? 0 : seq; at < (int32_t)sched->config.kv.max_seqs; at++) {
        const sched_seq *other = &sched->seqs[at];
        bool belongs = at == seq || (other->state == SEQ_HELD && other->job == s->job);
        if (belongs) {
            /* field by field: a sample's tokens, most of it, need not be cleared */
            rf_step_sample *sample = &sched->step.samples[sched->step.n_samples++];
            sample->job = s->id;
            sample->tag = s->tag;
            sample->entry = entry;
            sample->output = output;
            sample->seq = at;
            sample->choice = other->choice;
            sample->i_token = s->n_generated;
            sample->drafts = s->tokens + s->n_tokens;
            sample->n_drafts = n_drafts;
            sample->n_tokens = 1;
            sample->stop = sample->failed = false;
            sample->finish = RF_FINISH_NONE;
        }
        if (!forks)
            return;
    }
}

/* n rows of a sequence go into the step, the last n_drafts of them drafts; their blocks are
 * reserved. */
static void add_rows(rf_scheduler *sched, int32_t seq, uint32_t n, uint32_t n_drafts,
                     bool is_decode) {
    sched_seq *s = &sched->seqs[seq];
    rf_step *step = &sched->step;
    rf_batch *batch = &step->batch;
    uint32_t i_entry = (uint32_t)batch->n_seqs++, length = rf_kv_cache_length(sched->cache, seq);
    rf_step_entry *entry = &step->entries[i_entry];
    *entry = (rf_step_entry){.job = s->id,
                             .arrived_ns = s->arrived_ns,
                             .tag = s->tag,
                             .seq = seq,
                             .first_row = (uint32_t)batch->n_tokens,
                             .n_rows = n,
                             .first_output = (uint32_t)batch->n_outputs,
                             .first_output_position = s->rows_next,
                             .is_decode = is_decode,
                             .n_drafts = n_drafts};
    for (uint32_t p = length; p < length + n; p++) {
        if (p >= s->rows_next) {
            sched->output_rows[batch->n_outputs++] = batch->n_tokens;
            entry->n_outputs++;
        }
        sched->rows_tokens[batch->n_tokens] = s->tokens[p];
        sched->rows_positions[batch->n_tokens++] = (int32_t)p;
    }
    sched->seq_start[batch->n_seqs] = batch->n_tokens;
    *(is_decode ? &step->n_decode : &step->n_prefill) += n - n_drafts;
    step->n_draft += n_drafts;
    s->planned = true;
    if (length + n - n_drafts == s->n_tokens && s->n_new > 0)
        add_samples(sched, seq, i_entry);
}

static uint32_t n_decoding(const rf_scheduler *sched) {
    uint32_t n = 0;
    for (uint32_t i = 0; i < sched->n_running; i++)
        n += rf_sched_decodes(sched, sched->running[i]);
    return n;
}

/* Steps with rows of prompts, and those that show what decode rows alone cost, have no drafts. */
static void plan_decode(rf_scheduler *sched, uint32_t budget) {
    uint32_t n_left = sched->proposed ? n_decoding(sched) : 0; /* who else needs a row */
    bool drafts = sched->proposed && budget > 0 && n_left == sched->n_running;
    for (uint32_t i = 0; i < sched->n_running;) {
        int32_t seq = sched->running[i];
        bool decodes = rf_sched_decodes(sched, seq);
        n_left -= decodes && n_left > 0;
        if (decodes && reserve(sched, seq, 1) > 0) {
            uint32_t n = drafts ? rf_sched_drafts(sched, seq, n_left) : 0;
            if (n > 0 && !rf_kv_cache_reserve(sched->cache, seq, 1 + n))
                n = 0;
            add_rows(sched, seq, 1 + n, n, true);
        }
        i += i < sched->n_running && sched->running[i] == seq;
    }
}

/* Rows of a prompt within what is left of the step: those from rows_next on are results, of which
 * there may be too many for one step. */
static uint32_t chunk(const rf_scheduler *sched, int32_t seq, uint32_t budget) {
    const sched_seq *s = &sched->seqs[seq];
    uint32_t length = rf_kv_cache_length(sched->cache, seq);
    uint32_t silent = s->rows_next > length ? s->rows_next - length : 0;
    uint32_t n = least(rf_sched_rest(sched, seq), budget);
    return least(n, silent + sched->config.max_outputs - (uint32_t)sched->step.batch.n_outputs);
}

static void plan_prefill(rf_scheduler *sched, uint32_t budget) {
    if (sched->n_running == (uint32_t)sched->step.batch.n_seqs) /* all of them decode */
        return;
    for (uint32_t i = 0; i < sched->n_running && budget > 0;) {
        int32_t seq = sched->running[i];
        bool decodes = sched->seqs[seq].planned || rf_sched_decodes(sched, seq);
        uint32_t n = decodes ? 0 : chunk(sched, seq, budget);
        if (n > 0 && (n = reserve(sched, seq, n)) > 0) {
            add_rows(sched, seq, n, 0, false);
            budget -= n;
        }
        i += i < sched->n_running && sched->running[i] == seq;
    }
}

static void fill_tables(rf_scheduler *sched) {
    rf_step *step = &sched->step;
    uint32_t n_seqs = (uint32_t)step->batch.n_seqs, stride = 0, n;
    for (uint32_t i = 0; i < n_seqs; i++) {
        (void)rf_kv_cache_table(sched->cache, step->entries[i].seq, 0, &n);
        stride = n > stride ? n : stride;
    }
    int32_t *at = sched->block_tables;
    for (uint32_t g = 0; g < sched->config.kv.n_groups; g++) {
        for (uint32_t i = 0; i < n_seqs; i++, at += stride) {
            const int32_t *table = rf_kv_cache_table(sched->cache, step->entries[i].seq, g, &n);
            memcpy(at, table, n * sizeof *at);
            for (uint32_t k = n; k < stride; k++)
                at[k] = -1;
        }
    }
    step->batch.table_stride = (int32_t)stride;
}

/* Begins an empty step; returns how many sequences' next rows are decode rows. */
static uint32_t clear(rf_scheduler *sched) {
    uint32_t n = 0;
    rf_step *step = &sched->step;
    step->batch = (rf_batch){.tokens = sched->rows_tokens,
                             .positions = sched->rows_positions,
                             .seq_start = sched->seq_start,
                             .output_rows = sched->output_rows,
                             .block_tables = sched->block_tables};
    step->n_samples = step->n_decode = step->n_draft = step->n_prefill = 0;
    sched->forks = false;
    for (uint32_t i = 0; i < sched->n_running; i++) {
        int32_t seq = sched->running[i];
        sched->seqs[seq].planned = sched->seqs[seq].began = false;
        n += rf_sched_decodes(sched, seq);
    }
    sched->seq_start[0] = 0;
    return n;
}

static void plan_rows(rf_scheduler *sched, uint32_t n_decode) {
    uint32_t budget = rf_sched_budget(sched, n_decode);
    sched->counters.prefill_budget = budget;
    rf_sched_admit(sched, budget);
    plan_decode(sched, budget);
    plan_prefill(sched, least(budget, sched->config.max_tokens - sched->step.n_decode));
}

bool rf_scheduler_plan(rf_scheduler *sched, rf_step **step) {
    *step = NULL;
    if (sched->n_jobs == 0)
        return false;
    plan_rows(sched, clear(sched));
    if (sched->step.batch.n_seqs == 0) /* those that decode had to pause */
        plan_rows(sched, 0);
    for (uint32_t i = 0; sched->proposed && i < sched->n_running; i++)
        sched->seqs[sched->running[i]].n_drafts = 0;
    sched->proposed = false;
    if (sched->step.batch.n_seqs == 0)
        return false;
    fill_tables(sched);
    sched->step.copies = rf_kv_cache_copies(sched->cache, &sched->step.n_copies);
    sched->in_step = true;
    *step = &sched->step;
    return true;
}
