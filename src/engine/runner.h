/*
 * Runs a program on a backend for several sequences: owns the backend, the block pool and each
 * sequence's block table, builds batches and steps them. Integers and floats only: no text. One
 * thread at a time (the engine's).
 */
#ifndef RF_ENGINE_RUNNER_H
#define RF_ENGINE_RUNNER_H

#include "op/backend.h"

typedef struct rf_runner rf_runner;

typedef struct rf_runner_options {
    uint32_t n_ctx;        /* longest sequence, tokens */
    uint32_t kv_tokens;    /* pool, tokens over all sequences; 0 = n_ctx */
    uint32_t batch_tokens; /* most rows of a step; 0 = 512 */
    uint32_t max_seqs;     /* sequences open at once; 0 = 1 */
    uint32_t max_outputs;  /* rows with logits of a step; 0 = batch_tokens */
    rf_kv_type type_k, type_v;
} rf_runner_options;

/* The limits that the options come to for a program (what rf_backend_api.plan takes). */
RF_NODISCARD rf_status rf_runner_limits(const rf_program *program, const rf_runner_options *options,
                                        rf_limits *out, rf_error *err);

/* Binds backend to program. backend is owned by the runner on success and stays the caller's on
 * failure; program is borrowed. */
RF_NODISCARD rf_status rf_runner_create(rf_backend *backend, const rf_program *program,
                                        const rf_runner_options *options, rf_progress_fn progress,
                                        void *user, rf_runner **out, rf_error *err);
void rf_runner_destroy(rf_runner *runner);
const rf_limits *rf_runner_get_limits(const rf_runner *runner);

/* Sequences are small integers below max_seqs. */
RF_NODISCARD rf_status rf_runner_open(rf_runner *runner, int32_t *out_seq, rf_error *err);
void rf_runner_close(rf_runner *runner, int32_t seq);            /* gives its blocks back */
uint32_t rf_runner_length(const rf_runner *runner, int32_t seq); /* tokens in its cache */
/* Forgets every token from n_tokens on; all of them where a windowed layer no longer has what the
 * next row would see. rf_runner_length says what is left. */
void rf_runner_truncate(rf_runner *runner, int32_t seq, uint32_t n_tokens);

typedef enum rf_want { RF_WANT_NONE, RF_WANT_LAST, RF_WANT_ALL } rf_want;

typedef struct rf_feed {
    int32_t seq;
    const int32_t *tokens; /* appended to the sequence */
    uint32_t n_tokens;     /* at least 1 */
    rf_want want;          /* which of these rows want logits */
} rf_feed;

/* Runs one batch made of feeds (each sequence at most once; n_tokens together at most
 * batch_tokens). *logits points at rows of n_vocab floats in the order of the feeds, owned by the
 * runner, valid until the next step; NULL when no feed wants any. On failure the sequences are as
 * they were. A full pool or a sequence beyond n_ctx: RF_ERR_LIMIT with the numbers. */
RF_NODISCARD rf_status rf_runner_step(rf_runner *runner, const rf_feed *feeds, uint32_t n_feeds,
                                      const float **logits, rf_error *err);

/* From now on each step writes its rf_outputs.op_ns to op_ns ([n_ops + 1] of the program,
 * borrowed); NULL ends that. */
void rf_runner_trace(rf_runner *runner, uint64_t *op_ns);
/* The same for rf_outputs.observer (borrowed). */
void rf_runner_observe(rf_runner *runner, const rf_observer *observer);

#endif
