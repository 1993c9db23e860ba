/* The scheduler as its own files see it; private to engine/. One thread. */
#ifndef RF_ENGINE_SCHED_STATE_H
#define RF_ENGINE_SCHED_STATE_H

#include "engine/scheduler.h"

typedef struct sched_job {
    rf_job job;
    bool used;
    bool waits;      /* in the queue; else it has sequences */
    int64_t urgency; /* the lesser goes first */
    uint64_t number; /* of arrival: decides between equals */
    uint64_t arrived_ns;
    int32_t prev, next; /* in the queue, or -1; next: in the list of free ones too */
    uint32_t n_left;    /* choices that have not ended */
} sched_job;

typedef enum seq_state {
    SEQ_FREE,
    SEQ_HELD,    /* a further choice of a job whose prompt is not done */
    SEQ_RUNNING, /* has blocks */
    SEQ_PAUSED   /* has given its blocks back */
} seq_state;

typedef struct sched_seq {
    seq_state state;
    int32_t job; /* index into jobs; what each step asks of it is here too: */
    uint32_t tag, n_new;
    uint64_t id, arrived_ns;
    uint32_t choice;
    int32_t *tokens; /* [max_context]: prompt and what was generated */
    uint32_t n_tokens, n_generated;
    uint32_t n_drafts;            /* proposed for the next step; they lie behind the tokens */
    uint32_t rows_next, rows_end; /* rows whose results are still wanted */
    uint32_t serial;              /* rises whenever the slot changes hands */
    bool planned, began;          /* in the step that is being built: has rows, was admitted */
} sched_seq;

/* Someone computes the prefix that a job needs: wait until it has n_tokens. */
typedef struct sched_wait {
    int32_t seq; /* -1: nobody */
    uint32_t serial, n_tokens;
} sched_wait;

enum { RF_SCHED_FIRST_ROWS = 4 }; /* of prompts beside decode rows: the first try */

struct rf_scheduler {
    rf_sched_config config;
    rf_kv_cache *cache;
    sched_job *jobs; /* [max_waiting + max_seqs] */
    uint32_t n_jobs_max, n_jobs;
    int32_t first_free_job;
    int32_t first, last; /* the queue by urgency */
    uint32_t n_waiting;
    uint64_t n_waiting_tokens, n_arrived;
    sched_seq *seqs;     /* [max_seqs] */
    int32_t *tokens;     /* [max_seqs][token_stride] */
    size_t token_stride; /* max_context at least; an odd number of cache lines */
    sched_wait *waits;   /* [n_jobs_max] for queued jobs, then [max_seqs] for paused sequences */
    uint32_t n_free_seqs;
    int32_t *running, *paused; /* [max_seqs] by urgency */
    uint32_t n_running, n_paused;
    /* What steps cost; negative: not known yet. See sched_commit.c. */
    double quiet_ns;              /* decode rows alone, last n_quiet of them */
    double prefill_rows;          /* rows of prompts that bring a step to its target; at least 1 */
    uint32_t n_hopeless;          /* steps in a row that the first row of a prompt made too long */
    uint32_t n_quiet;             /* decode rows of the last step without others */
    uint32_t n_loud;              /* steps with rows of prompts since then */
    uint64_t released_at_failure; /* the cache's counter when the head did not fit */
    int32_t failed_head;          /* what did not fit then: see sched_admit.c */
    rf_sched_counters counters;
    /* The step. */
    bool in_step;
    bool proposed; /* drafts since the last plan */
    bool forks;    /* some job's choices begin with it */
    rf_step step;
    uint32_t max_blocks;
    int32_t *rows_tokens, *rows_positions; /* [max_tokens] */
    int32_t *seq_start;                    /* [max_seqs + 1] */
    int32_t *output_rows;                  /* [max_outputs] */
    int32_t *block_tables;                 /* [n_groups][max_seqs][max_blocks] */
};

static inline bool rf_sched_before(const rf_scheduler *sched, int32_t a, int32_t b) {
    const sched_job *x = &sched->jobs[a], *y = &sched->jobs[b];
    return x->urgency != y->urgency ? x->urgency < y->urgency : x->number < y->number;
}

/* Rows that a running sequence needs before it wants nothing more. */
static inline uint32_t rf_sched_rest(const rf_scheduler *sched, int32_t seq) {
    return sched->seqs[seq].rows_end - rf_kv_cache_length(sched->cache, seq);
}

static inline bool rf_sched_decodes(const rf_scheduler *sched, int32_t seq) {
    return sched->seqs[seq].n_generated > 0 && rf_sched_rest(sched, seq) == 1;
}

/* Sequences by urgency: insert into, remove from an array of n. */
void rf_sched_insert(const rf_scheduler *sched, int32_t *list, uint32_t *n, int32_t seq);
void rf_sched_remove(int32_t *list, uint32_t *n, int32_t seq);
void rf_sched_queue_remove(rf_scheduler *sched, int32_t job);
/* Ends one choice, or a job with all that is left of it. */
void rf_sched_end_seq(rf_scheduler *sched, int32_t seq);
void rf_sched_end_job(rf_scheduler *sched, int32_t job);
/* Gives a running sequence's blocks back; it will be computed again. */
void rf_sched_pause(rf_scheduler *sched, int32_t seq);
/* Lets what waits and fits begin; budget: rows of prompts that this step can take. */
void rf_sched_admit(rf_scheduler *sched, uint32_t budget);
/* Drafts of a sequence that the step can take beside its decode row and n_others further ones. */
uint32_t rf_sched_drafts(const rf_scheduler *sched, int32_t seq, uint32_t n_others);
/* Rows of prompts that fit beside n_decode decode rows; and what a step has taught. */
uint32_t rf_sched_budget(const rf_scheduler *sched, uint32_t n_decode);
void rf_sched_learn(rf_scheduler *sched, uint64_t elapsed_ns);

#endif
