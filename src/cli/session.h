/*
 * One model, loaded, on an engine: what generate, chat, logits, perplexity and imatrix run on. Main
 * thread. Everything in it is owned and freed by rf_session_close.
 */
#ifndef RF_CLI_SESSION_H
#define RF_CLI_SESSION_H

#include "cli/cli.h"
#include "engine/engine.h"
#include "model/model.h"
#include "text/vocab_bytes.h"
#include "tokenizer/tokenizer.h"
#include "trace/step_recorder.h"

typedef struct rf_session {
    rf_gguf *gguf;
    rf_tokenizer *tokenizer; /* NULL unless asked for */
    rf_model *model;         /* NULL with --device null */
    const rf_program *program;
    rf_program null_program; /* what program is then */
    rf_engine *engine;       /* NULL until rf_session_start */
    rf_gguf *draft_gguf;     /* of --draft, or NULL */
    rf_model *draft_model;
    rf_step_recorder *recorder; /* of --step-log and --step-trace, or NULL; made by start */
    rf_draft_kind draft;        /* what requests may ask for; set by open where may_draft */
    uint32_t n_ctx;             /* longest request, tokens */
    uint32_t n_batch;           /* most tokens of a step */
    uint32_t n_outputs;         /* most rows with logits of a step */
    uint64_t step_bytes;        /* weights that one token reads */
    uint32_t max_seqs;          /* sequences that run at once; set before open: 0 = --parallel */
    uint32_t default_ctx;   /* set before open: context when --ctx-size is 0; 0 = min(trained, 4096)
                             */
    uint32_t pool_contexts; /* set before start: the pool without --kv-tokens; 0 = 1 */
    uint32_t max_waiting;   /* set before start: requests; 0 = the engine's default */
    bool may_draft;         /* set before open: --draft and --lookup count */
    bool may_constrain;     /* set before open: --regex and --choice count */
    bool takes_constraints; /* set before start: requests may bring their own */
    rf_automaton *constraint; /* what these say of answers, or NULL; owned */
    /* Set before start. */
    bool wants_all_rows;         /* every row's logits are asked for */
    rf_engine_row_fn on_row;     /* or NULL; on the engine's thread */
    void *user;                  /* on_row's */
    const rf_observer *observer; /* or NULL; borrowed */
} rf_session;

/* Opens the file and binds the model; with_tokenizer builds the tokenizer too. */
RF_NODISCARD rf_status rf_session_open(rf_cli *cli, rf_session *session, bool with_tokenizer,
                                       rf_error *err);
/* Creates backend and engine, with a progress bar. */
RF_NODISCARD rf_status rf_session_start(rf_cli *cli, rf_session *session, rf_error *err);
void rf_session_close(rf_session *session); /* safe on a zeroed one */

bool rf_session_on_gpu(const rf_cli *cli); /* --device gpu */
/* What the options ask of engine and backend; rf_session_fit_pool adds --kv-bytes. */
rf_engine_options rf_session_engine_options(const rf_cli *cli, const rf_session *session);
RF_NODISCARD rf_status rf_session_fit_pool(const rf_cli *cli, const rf_session *session,
                                           const rf_backend *backend, rf_engine_options *engine,
                                           rf_error *err);
/* RF_CPU_… bits that --isa allows. */
RF_NODISCARD rf_status rf_session_features(const rf_cli *cli, uint32_t *out, rf_error *err);
/* n_threads: 0 = one for each processor. */
RF_NODISCARD rf_status rf_session_backend(const rf_cli *cli, uint32_t n_threads, rf_backend **out,
                                          rf_error *err);

/* An event of the requests that run, whose id is its place among them; *enough: no more are wanted,
 * they are cancelled. */
typedef rf_status (*rf_event_fn)(void *user, const rf_event *event, bool *enough, rf_error *err);
/* Submits n requests and waits until they have ended. What on_event (or NULL) answers with an
 * error, a signal (RF_ERR_INTERRUPTED) and a failing request end them all. */
RF_NODISCARD rf_status rf_session_run(rf_session *session, const rf_request *requests, size_t n,
                                      rf_event_fn on_event, void *user, rf_error *err);

static inline uint32_t rf_session_n_vocab(const rf_session *session) {
    return session->program->n_vocab;
}

#endif
