/*
 * An engine on a backend of its own that hands back rows of logits. A sequence is fed in pieces
 * of any size: each is a request for the text so far, of which the engine finds all but the piece
 * in its cache under the same salt. Test code; one thread.
 */
#ifndef RF_TESTS_ROW_ENGINE_H
#define RF_TESTS_ROW_ENGINE_H

#include "cpu/backend_cpu.h"
#include "engine/engine.h"

typedef struct row_feed {
    const int32_t *tokens; /* from the sequence's beginning */
    uint32_t n_tokens;
    uint32_t from; /* rows after this token and later ones */
    uint64_t salt; /* of the sequence */
    float *rows;   /* [n_tokens - from][n_vocab], written */
    /* answers */
    uint32_t n_rows, n_cached;
} row_feed;

typedef struct row_engine {
    rf_engine *engine; /* owned */
    uint32_t n_vocab;
    row_feed *feeds; /* of the run under way, borrowed */
    uint32_t n_feeds;
    uint64_t last_id, last_salt;
    /* Of all steps; to be read once the engine is closed. */
    uint32_t n_steps, most_rows, most_seqs;
} row_engine;

/* Room for n_seqs sequences of n_ctx tokens, cached ones besides, and for all rows in one step. */
rf_engine_options row_engine_options(rf_kv_type kv_type, uint32_t n_ctx, uint32_t n_seqs);
/* cpu NULL: on the first GPU. e must not move until it is closed; nothing is to be closed after a
 * failure. */
RF_NODISCARD rf_status row_engine_open(row_engine *e, const rf_program *program,
                                       const rf_cpu_options *cpu, const rf_engine_options *options,
                                       rf_error *err);
void row_engine_close(row_engine *e);
/* Runs up to max_seqs feeds, together if the engine sleeps already; what the first one that failed
 * said. After a failure there is nothing to do but close. */
RF_NODISCARD rf_status row_engine_run(row_engine *e, row_feed *feeds, uint32_t n_feeds,
                                      rf_error *err);
/* Whether a feed found all that came before `from`, but what is not worth a copy: less than an
 * eighth of a block. */
bool row_engine_found(const row_engine *e, const row_feed *feed);

#endif
