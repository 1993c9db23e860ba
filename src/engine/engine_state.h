/*
 * The engine as its own files see it; private to engine/. The region and the rings are shared; the
 * client's half is guarded by its lock; the core is the engine's thread's alone.
 */
#ifndef RF_ENGINE_ENGINE_STATE_H
#define RF_ENGINE_ENGINE_STATE_H

#include <pthread.h>

#include "engine/draft_choice.h"
#include "engine/engine.h"
#include "engine/ring.h"
#include "engine/ring_messages.h"
#include "engine/span_arena.h"
#include "grammar/constraint.h"

/* A choice's drafts. */
typedef struct core_draft {
    rf_draft_record record;
    uint32_t grade; /* of those in the step that runs */
} core_draft;

typedef struct engine_drafts {
    rf_draft_model *model; /* owned; NULL: none, or it has failed */
    rf_draft_costs costs;
    rf_draft_record records[RF_DRAFT_COUNT]; /* by kind: where requests begin */
    rf_draft_place *places;                  /* [RF_DRAFT_ROWS] */
    rf_draft_ask *asks;                      /* [RF_DRAFT_ROWS]: lookups first, then the model's */
    rf_draft_offer *offers;                  /* [RF_DRAFT_ROWS] */
} engine_drafts;

/* A constraint and the requests that use it. */
typedef struct core_constraint {
    rf_constraint *constraint; /* owned; NULL: free */
    uint32_t n_refs;
    uint64_t used; /* when last */
} core_constraint;

/* A request that the engine has taken. */
typedef struct core_request {
    bool used;
    rf_order order;
    rf_sampler **samplers;       /* GENERATE: [n_choices], owned */
    uint32_t *n_generated;       /* [n_choices], owned */
    core_draft *drafts;          /* [n_choices], owned; NULL: without */
    core_constraint *constraint; /* the core's; NULL: none */
    uint32_t *states;            /* [n_choices], owned: the constraint's */
    uint32_t n_left;             /* choices that have not ended */
    uint32_t n_cached;
    uint64_t began_ns;                /* when it had its first rows; 0: not yet */
    char error[RF_NOTICE_TEXT_BYTES]; /* why the step's rows of it are of no use */
    rf_status status;
} core_request;

typedef struct engine_core {
    rf_backend *backend;       /* owned */
    const rf_program *program; /* borrowed */
    rf_limits limits;
    rf_kv_shape kv_shape;
    rf_scheduler *sched;
    rf_sample_scratch *scratch;
    core_request *requests; /* [n_requests_max] */
    uint32_t n_requests_max;
    float *logits;               /* [max_outputs][n_vocab] */
    float *hidden;               /* [max_outputs][n_embd] */
    bool has_logits, has_hidden; /* of the step that runs */
    uint64_t *op_ns;             /* [n_ops + 1], or NULL */
    engine_drafts drafts;
    rf_token_trie *trie;          /* owned; NULL: no constraints */
    core_constraint *constraints; /* owned: more than requests */
    uint32_t *mask;               /* owned: [n_vocab / 32], with the tokens that end */
    uint64_t n_constrained;
    rf_engine_options options;
    rf_engine_counters counters;
    /* Ends of the step that runs: they go out when its report and counters have. */
    rf_notice *ends; /* owned: [2 * max_seqs] */
    uint32_t n_ends;
    bool in_step;
} engine_core;

typedef struct engine_client {
    pthread_mutex_t lock;
    rf_span_arena spans;
    struct client_request {
        uint64_t id, span; /* id 0: free */
        rf_request_kind kind;
        uint64_t result_at;
    } * requests; /* [max_requests] */
    uint32_t max_requests;
    uint64_t n_submitted; /* the last id */
    uint64_t given_back;  /* id whose span is given back at the next call of next; 0: none */
} engine_client;

struct rf_engine {
    unsigned char *region; /* owned: prompts and results */
    rf_ring *orders, *notices;
    rf_bell core_bell, client_bell;
    atomic_bool ended; /* the core has done its last step */
    engine_client client;
    engine_core core;
    pthread_t thread;
    bool has_lock, has_thread;
    pthread_mutex_t counters_lock;
    rf_engine_counters counters; /* copy of the core's, under that lock */
};

/* Notices that a step can cause at most: there is room for them before it begins. */
uint32_t rf_core_most_notices(const engine_core *core);
void rf_core_notify(rf_engine *engine, const rf_notice *notice);

/* Serves EXPORT and IMPORT, with their only notice. Takes no memory. */
void rf_core_move(rf_engine *engine, const rf_order *order);

/* Takes what has been ordered; false: to shut down. */
bool rf_core_take_orders(rf_engine *engine);
void rf_core_tell_end(const engine_core *core, uint64_t id, rf_finish finish);
/* Ends a request with one notice for all its choices that are left. */
void rf_core_end(rf_engine *engine, core_request *request, rf_finish finish, rf_status status,
                 const char *text);
void rf_core_free_request(core_request *request);
/* Runs one step; false: there was nothing to run. */
bool rf_core_step(rf_engine *engine);

RF_NODISCARD rf_status rf_core_drafts_init(engine_core *core, rf_progress_fn progress, void *user,
                                           rf_error *err);
void rf_core_drafts_deinit(engine_core *core);
/* A record for each choice of a request that wants drafts. */
RF_NODISCARD rf_status rf_core_drafts_begin(engine_core *core, core_request *request,
                                            rf_error *err);
/* Proposes drafts for the next step; what came of them, and the time of its run, is learnt. */
void rf_core_drafts_propose(engine_core *core);
void rf_core_drafts_learn(engine_core *core, const rf_step *step, uint64_t run_ns);

/* The tree of the vocabulary, where the options have one. */
RF_NODISCARD rf_status rf_core_constraints_init(engine_core *core, rf_error *err);
void rf_core_constraints_deinit(engine_core *core);
/* A request's constraint, if it has one; may take memory. */
RF_NODISCARD rf_status rf_core_constrain(rf_engine *engine, core_request *request, rf_error *err);
void rf_core_unconstrain(core_request *request);
/* Tokens that a choice may take next; NULL: all. Valid until the next call. */
RF_NODISCARD rf_status rf_core_mask(rf_engine *engine, core_request *request, uint32_t choice,
                                    const uint32_t **mask, rf_error *err);
/* A choice has taken a token; true: nothing may follow it. */
bool rf_core_is_over(core_request *request, uint32_t choice, int32_t token);

/* Results of a step's rows go to the request's place in the region. False: they are of no use, and
 * the request says why. */
bool rf_core_take_rows(rf_engine *engine, core_request *request, const rf_step_entry *entry);
/* An embedding is whole: pooled, normalised, as floats. */
void rf_core_finish_rows(rf_engine *engine, core_request *request);

#endif
