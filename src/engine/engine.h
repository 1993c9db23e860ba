/*
 * The engine: one thread that owns a backend and its cache and runs every request. Its only
 * interface are two rings of messages (engine/ring_messages.h) and a region of memory for prompts
 * and results; the functions here are the client's side of them. Any thread may submit and cancel;
 * one thread at a time takes events. Nothing here blocks but rf_engine_next and rf_engine_destroy.
 *
 * The engine waits when nobody takes events, so that what it keeps is bounded. A step allocates no
 * memory; what a request needs besides its blocks (a sampler) is taken when it comes in.
 */
#ifndef RF_ENGINE_ENGINE_H
#define RF_ENGINE_ENGINE_H

#include "engine/request.h"
#include "grammar/token_trie.h"
#include "op/backend.h"

typedef struct rf_engine rf_engine;

/* A row with results, before anything is chosen from it; rows are valid during the call. logits or
 * hidden is NULL when the step has none. On the engine's thread. */
typedef void (*rf_engine_row_fn)(void *user, uint64_t id, uint32_t position, const float *logits,
                                 const float *hidden);

typedef struct rf_engine_counters {
    rf_sched_counters sched;
    uint64_t n_requests, n_finished, n_failed, n_cancelled, n_generated;
    uint64_t draft_ns; /* drafting, a part of step_ns */
    uint64_t n_draft_failures;
    uint64_t step_ns;            /* all steps together */
    uint64_t last_step_ns;       /* the last one */
    uint32_t n_blocks_available; /* of the first group: free, or kept for later only */
} rf_engine_counters;

/* What a step was; all of it valid during the call. On the engine's thread, before the events of
 * requests that end with the step. */
typedef struct rf_step_report {
    uint64_t start_ns, ns; /* rf_clock_ns when it was planned; until its results were taken */
    rf_status status;      /* RF_OK, or what the backend said: its requests have failed */
    uint32_t n_decode, n_draft, n_prefill, n_copies;
    const rf_step_entry *entries;           /* sequences with rows in it: [n_entries] */
    uint32_t n_entries, n_blocks_available; /* of the first group: free, or kept for later only */
    const uint64_t *op_ns;              /* rf_outputs.op_ns where options.times_ops, else NULL */
    const rf_engine_counters *counters; /* with this step */
} rf_step_report;
typedef void (*rf_engine_step_fn)(void *user, const rf_step_report *report);
/* A request has ended: before on_step of the step that ended it, or between two steps. On the
 * engine's thread. */
typedef void (*rf_engine_end_fn)(void *user, uint64_t id, rf_finish finish);

/* Speculation: engine/scheduler.h says why it changes nothing but the time. */
typedef struct rf_draft_options {
    uint32_t n_max; /* drafts of a sequence in a step, up to RF_DRAFTS_MAX; 0: none at all */
    bool always;    /* as many as there are, whether they pay or not */
    /* A draft model with the same vocabulary, or NULL. The backend is the engine's on success and
     * stays the caller's on failure; program is borrowed until destroy. */
    rf_backend *backend;
    const rf_program *program;
} rf_draft_options;

typedef struct rf_engine_options {
    uint32_t n_ctx;               /* longest request, tokens; 0 = trained */
    uint32_t kv_tokens;           /* the pool, tokens over all requests; 0 = n_ctx */
    uint32_t batch_tokens;        /* rows of a step; 0 = 512 */
    uint32_t max_seqs;            /* that run at once; 0 = 16 */
    uint32_t max_outputs;         /* rows with results of a step; 0 = max_seqs, at least 16 */
    uint32_t max_waiting;         /* requests; 0 = 256 */
    uint64_t max_waiting_tokens;  /* of their prompts; 0 = 16 * n_ctx */
    uint64_t target_ns, aging_ns; /* see engine/scheduler.h */
    rf_kv_type type_k, type_v;
    rf_draft_options draft;
    rf_engine_row_fn on_row; /* or NULL */
    rf_engine_step_fn on_step;
    rf_engine_end_fn on_end;
    void *user;
    const rf_observer *observer; /* rf_outputs.observer, or NULL; borrowed until destroy */
    /* What tokens add to a text, for constraints; NULL: requests cannot have any. Borrowed until
     * create returns. */
    const rf_token_bytes *vocab;
    bool times_ops;
} rf_engine_options;

/* What the options come to for a program: what rf_backend_api.plan takes. */
RF_NODISCARD rf_status rf_engine_limits(const rf_program *program, const rf_engine_options *options,
                                        rf_limits *out, rf_error *err);

/* Sets kv_tokens to the largest pool that takes at most kv_bytes on a backend, all groups together.
 * RF_ERR_LIMIT with the bytes of one block if that is too little for any. */
RF_NODISCARD rf_status rf_engine_fit_pool(const rf_backend *backend, const rf_program *program,
                                          rf_engine_options *options, uint64_t kv_bytes,
                                          rf_error *err);
/* What the engine takes beside its backend: rings, prompts, rows of results, the scheduler's lists.
 * Found by taking it for a moment, while no other thread takes memory. */
RF_NODISCARD rf_status rf_engine_own_bytes(const rf_program *program,
                                           const rf_engine_options *options, uint64_t *bytes,
                                           rf_error *err);

/* Binds backend to program, takes all memory, starts the thread. backend is owned by the engine on
 * success and stays the caller's on failure; program is borrowed until destroy. */
RF_NODISCARD rf_status rf_engine_create(rf_backend *backend, const rf_program *program,
                                        const rf_engine_options *options, rf_progress_fn progress,
                                        void *user, rf_engine **out, rf_error *err);
/* Ends after the step that runs; requests that are left get no more events. NULL is a no-op. */
void rf_engine_destroy(rf_engine *engine);

/* RF_ERR_LIMIT: too much is there already. What the scheduler refuses (a prompt that never fits:
 * RF_ERR_INVALID) comes as the request's only event. */
RF_NODISCARD rf_status rf_engine_submit(rf_engine *engine, const rf_request *request,
                                        uint64_t *out_id, rf_error *err);
/* Its event follows, unless it has ended meanwhile. Unknown ids are ignored. RF_ERR_LIMIT: the
 * engine has not read its orders yet, try again. */
RF_NODISCARD rf_status rf_engine_cancel(rf_engine *engine, uint64_t id, rf_error *err);
/* The next event; false: none within timeout_ns (UINT64_MAX: wait for ever). */
bool rf_engine_next(rf_engine *engine, rf_event *out, uint64_t timeout_ns);

rf_engine_counters rf_engine_get_counters(rf_engine *engine); /* any thread */
const rf_limits *rf_engine_get_limits(const rf_engine *engine);
const rf_kv_shape *rf_engine_get_kv_shape(const rf_engine *engine);

#endif
