/*
 * Which rows run next: jobs that wait, sequences that run, and the plan of each step. Each step
 * takes every decode row, then as much of the prompts as the time that running streams can be kept
 * waiting allows. A job is never refused once it was taken in: where blocks run out the one that is
 * least urgent gives its blocks back and is computed again later. Knows nothing of tensors, text
 * or threads: whoever drives it runs the plan (a model, or a simulation of one) and brings the
 * tokens back.
 *
 * Urgency is the time of arrival, earlier by aging_ns for each level of priority, and never
 * changes: whatever its priority, a job is passed over by a bounded number of others.
 *
 * A decode row may have drafts behind it, which someone proposes before the plan: guesses of the
 * tokens that follow, run in the same pass as further rows with results. The driver chooses a token
 * from the first row as ever, and from the next one only if that token is the draft that the next
 * row was fed. Each token is so drawn from the model's own distribution after the tokens before it,
 * with the random number that it has without drafts, and rows are bitwise independent of their
 * company: the output is the same bits with drafts and without, greedy or sampled. A draft x is
 * accepted with the probability p(x) that the model gives it. This is what rejection sampling comes
 * to for a proposal that is certain of x: min(1, p(x) / 1), and else a token drawn from p without x
 * (Leviathan, Kalman and Matias 2023; Chen et al. 2023); choosing and comparing does the same in
 * one draw. Drafts take what is left over: they pause nobody, and steps with rows of prompts have
 * none.
 *
 * One thread. No allocation after creation.
 */
#ifndef RF_ENGINE_SCHEDULER_H
#define RF_ENGINE_SCHEDULER_H

#include "kv/kv_cache.h"
#include "op/batch.h"

typedef struct rf_sched_config {
    rf_kv_config kv;             /* its max_seqs: sequences that run or pause at once */
    uint32_t max_tokens;         /* rows of a step, at least max_seqs */
    uint32_t max_outputs;        /* rows with results of a step, at least max_seqs */
    uint32_t max_waiting;        /* jobs that wait */
    uint64_t max_waiting_tokens; /* tokens of their prompts */
    uint64_t target_ns;          /* length of a step with decode rows; 0: 1.75 quiet ones */
    uint64_t aging_ns;           /* waiting that is worth a level of priority; 0: 1 s */
} rf_sched_config;

#define RF_NEW_TOKENS_MAX UINT32_MAX /* as many as fit */

typedef struct rf_job {
    uint64_t id;           /* the caller's; no two jobs have the same */
    uint32_t tag;          /* the caller's; comes back in plans */
    const int32_t *tokens; /* borrowed until the job ends */
    uint32_t n_tokens;     /* at least 1 */
    uint32_t n_new;        /* tokens to generate at most; 0: none, only rows */
    uint32_t n_choices;    /* sequences that go on from the prompt; at least 1 */
    int32_t priority;      /* greater is more urgent */
    /* Prompt rows rows_from … rows_to - 1 want results. What generates ends with its last row:
     * rows_to is n_tokens then. */
    uint32_t rows_from, rows_to;
    uint64_t salt;      /* jobs of another salt share nothing with this one */
    bool keeps_private; /* takes no cached prefix and leaves none */
} rf_job;

typedef enum rf_finish {
    RF_FINISH_NONE,
    RF_FINISH_STOP,   /* the driver said so */
    RF_FINISH_LENGTH, /* n_new tokens, or the context is full */
    RF_FINISH_ROWS,   /* every wanted row was computed */
    RF_FINISH_CANCELLED,
    RF_FINISH_FAILED,
    RF_FINISH_COUNT
} rf_finish;

enum { RF_DRAFTS_MAX = 16 }; /* of a sequence in a step */

/* A sequence whose next row is a decode row: drafts would follow its tokens. */
typedef struct rf_draft_place {
    uint64_t job, salt;
    uint32_t tag, choice;
    int32_t seq;
    const int32_t *tokens; /* [n_tokens], until the next plan */
    uint32_t n_tokens;
    uint32_t n_most; /* drafts that it could use */
    bool keeps_private;
} rf_draft_place;

/* One sequence's rows in a step. */
typedef struct rf_step_entry {
    uint64_t job, arrived_ns;
    uint32_t tag;
    int32_t seq;
    uint32_t first_row, n_rows; /* rows of drafts are the last */
    uint32_t first_output, n_outputs;
    uint32_t first_output_position; /* in the sequence */
    bool is_decode;
    uint32_t n_drafts, n_accepted; /* accepted: set by commit */
    bool failed;      /* the driver's answer: its results are of no use, the job ends */
    rf_finish finish; /* set by commit or abort: the whole job has ended */
} rf_step_entry;

/* A token to choose, and further ones behind drafts that come true. The n_choices of a job are
 * chosen from one output row first. */
typedef struct rf_step_sample {
    uint64_t job;
    uint32_t tag;
    uint32_t entry, output; /* output: of the first token; that after draft i is output + 1 + i */
    int32_t seq;
    uint32_t choice, i_token; /* i_token: how many this choice has generated before */
    const int32_t *drafts;    /* [n_drafts] */
    uint32_t n_drafts;
    /* The driver's answer: tokens[i + 1] only where tokens[i] is drafts[i]. */
    int32_t tokens[RF_DRAFTS_MAX + 1];
    uint32_t n_tokens; /* 1 when planned */
    bool stop;         /* the last of them ends the choice */
    bool failed;       /* there is none further: the job ends */
    rf_finish finish;  /* set by commit: this choice has ended */
} rf_step_sample;

/* Valid until commit or abort returns; the arrays until the next plan. */
typedef struct rf_step {
    rf_batch batch;
    const rf_kv_copy *copies; /* to make first, in order */
    uint32_t n_copies;
    rf_step_entry *entries; /* [batch.n_seqs] */
    rf_step_sample *samples;
    uint32_t n_samples, n_decode, n_draft, n_prefill; /* rows of each kind */
} rf_step;

typedef struct rf_sched_counters {
    uint64_t n_steps, n_decode_rows, n_prefill_rows;
    uint64_t n_draft_rows, n_accepted; /* accepted: drafts that came true */
    uint64_t n_cached_tokens;          /* prompt tokens that were not computed */
    uint64_t n_preempted, n_awaited;   /* awaited: jobs that waited for another's prefix */
    uint64_t n_waiting_tokens;
    uint32_t n_running, n_paused, n_waiting;
    uint32_t prefill_budget; /* rows that the last step could take besides decode rows */
    rf_kv_counters kv;
} rf_sched_counters;

typedef struct rf_scheduler rf_scheduler;

RF_NODISCARD rf_status rf_scheduler_create(const rf_sched_config *config, rf_scheduler **out,
                                           rf_error *err);
void rf_scheduler_destroy(rf_scheduler *sched);

/* Takes a job in. RF_ERR_LIMIT: the queue is full, later it may not be. RF_ERR_INVALID: it could
 * never run, and why. */
RF_NODISCARD rf_status rf_scheduler_submit(rf_scheduler *sched, const rf_job *job, uint64_t now_ns,
                                           rf_error *err);
/* Ends a job at once; its blocks are given back. Not between plan and commit. False: no such job.
 */
bool rf_scheduler_cancel(rf_scheduler *sched, uint64_t id);
/* Between steps: the places of the first `most` sequences that run, most urgent first; returns how
 * many. None where the next step would take no drafts. */
uint32_t rf_scheduler_draft_places(const rf_scheduler *sched, rf_draft_place *out, uint32_t most);
/* Drafts of a place for the next plan, which takes as many of the first ones as fit. */
void rf_scheduler_propose(rf_scheduler *sched, int32_t seq, const int32_t *drafts, uint32_t n);
/* The next step, or false when no row can run: then no job is left either. */
bool rf_scheduler_plan(rf_scheduler *sched, rf_step **step);
/* The step was run and its samples answered. */
void rf_scheduler_commit(rf_scheduler *sched, uint64_t elapsed_ns);
/* The step was not run, or nobody knows how far: its jobs end, the others go on. */
void rf_scheduler_abort(rf_scheduler *sched);

uint32_t rf_scheduler_n_jobs(const rf_scheduler *sched);
const int32_t *rf_scheduler_tokens(const rf_scheduler *sched, int32_t seq, uint32_t *n);
rf_sched_counters rf_scheduler_counters(const rf_scheduler *sched);
const rf_kv_cache *rf_scheduler_cache(const rf_scheduler *sched);
/* Between steps: the cache, for contents that are moved in (rf_kv_cache_import_begin). */
rf_kv_cache *rf_scheduler_import_cache(rf_scheduler *sched);
/* For tests: every list, slot and block agrees. Allocates. Between steps. */
bool rf_scheduler_is_sound(const rf_scheduler *sched);

#endif
