/*
 * One model, loaded, with one sequence in its cache: what generate, chat, logits and perplexity
 * run on. Main thread. Everything in it is owned and freed by rf_session_close.
 */
#ifndef RF_CLI_SESSION_H
#define RF_CLI_SESSION_H

#include "cli/cli.h"
#include "engine/runner.h"
#include "model/model.h"
#include "tokenizer/tokenizer.h"

typedef struct rf_session {
    rf_gguf *gguf;
    rf_tokenizer *tokenizer; /* NULL unless asked for */
    rf_model *model;
    rf_runner *runner; /* NULL until rf_session_start */
    int32_t seq;
    uint32_t n_ctx;       /* longest sequence, tokens */
    uint32_t n_batch;     /* most tokens of a step */
    uint32_t n_outputs;   /* most rows with logits of a step */
    rf_tokens fed;        /* what the cache holds */
    uint64_t step_bytes;  /* weights that one token reads */
    bool wants_all_rows;  /* set before start: every row's logits are asked for */
    uint32_t default_ctx; /* set before open: context when --ctx-size is 0; 0 = min(trained, 4096)
                           */
} rf_session;

/* Opens the file and binds the model; with_tokenizer builds the tokenizer too. */
RF_NODISCARD rf_status rf_session_open(rf_cli *cli, rf_session *session, bool with_tokenizer,
                                       rf_error *err);
/* Creates backend and runner, with a progress bar. */
RF_NODISCARD rf_status rf_session_start(rf_cli *cli, rf_session *session, rf_error *err);
void rf_session_close(rf_session *session); /* safe on a zeroed one */

/* What the options ask of runner and backend. */
rf_runner_options rf_session_runner_options(const rf_cli *cli, const rf_session *session);
uint32_t rf_session_features(const rf_cli *cli); /* RF_CPU_… bits that --isa allows */
/* n_threads: 0 = one for each processor. */
RF_NODISCARD rf_status rf_session_backend(const rf_cli *cli, uint32_t n_threads, rf_backend **out,
                                          rf_error *err);

/* Rows [n_rows][n_vocab] of logits, the first of them after the token at index first. */
typedef rf_status (*rf_rows_fn)(void *user, size_t first, size_t n_rows, const float *logits,
                                rf_error *err);
/* Appends tokens to the sequence in steps of n_batch. RF_WANT_LAST: *logits is the last row, valid
 * until the next step. RF_WANT_ALL: on_rows gets every row. Stops with RF_ERR_INTERRUPTED between
 * steps. Tokens that do not fit into the context are RF_ERR_LIMIT with the numbers. */
RF_NODISCARD rf_status rf_session_feed(rf_session *session, const int32_t *tokens, size_t n,
                                       rf_want want, const float **logits, rf_error *err);
RF_NODISCARD rf_status rf_session_feed_rows(rf_session *session, const int32_t *tokens, size_t n,
                                            rf_rows_fn on_rows, void *user, rf_error *err);
/* Keeps the part of the cache that tokens begin with, at most n - 1 of them; returns its length.
 */
size_t rf_session_reuse(rf_session *session, const int32_t *tokens, size_t n);
void rf_session_forget(rf_session *session); /* empties the cache */

static inline uint32_t rf_session_n_vocab(const rf_session *session) {
    return rf_model_program(session->model)->n_vocab;
}

#endif
