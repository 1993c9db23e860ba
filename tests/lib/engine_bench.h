/*
 * Requests of many kinds on an engine over the CPU backend, with a record of what each one got: the
 * rows of logits and the tokens, alone first and then in company. Test code; one test at a time.
 * What cannot be gone on from ends the program.
 */
#ifndef RF_TESTS_ENGINE_BENCH_H
#define RF_TESTS_ENGINE_BENCH_H

#include "engine/engine.h"
#include "tests/lib/faulty_backend.h"
#include "tests/lib/tiny_program.h"

enum { N_REQUESTS = 24, MAX_TOKENS = 160, N_MIXES = 4 };

/* What requests are, and what each of them got. */
typedef struct record {
    int32_t prompt[MAX_TOKENS];
    uint32_t n_prompt, n_new;
    int32_t got[MAX_TOKENS];
    uint32_t n_got;
    rf_finish finish;
    float *rows; /* [MAX_TOKENS][n_vocab] by position */
    bool has_row[MAX_TOKENS];
} record;

typedef struct bench {
    const rf_program *program;
    rf_engine *engine;
    faulty_backend backend;
    record records[N_REQUESTS];
    uint64_t first_id; /* of the requests of this round */
    bool compares;     /* rows must equal those that are there */
    uint32_t n_differ;
    rf_kv_type kv_type;  /* of engines that are opened */
    rf_draft_kind draft; /* of records that are submitted */
    uint64_t n_drafted, n_accepted;
} bench;

/* A bench that runs the tiny program with weights of a seed; false: no memory. */
bool bench_begin(bench *b, tiny_program *tiny, uint64_t seed);
void bench_end(bench *b, tiny_program *tiny); /* and its records */

/* Differing rows and tokens count in n_differ while b->compares, unless the options have an on_row
 * of their own; the user of callbacks is b. */
void bench_open(bench *b, const rf_engine_options *options, uint32_t n_threads);
void bench_close(bench *b);
uint64_t bench_submit(bench *b, const rf_request *request);
uint64_t bench_submit_record(bench *b, record *r, uint32_t seed);
rf_event bench_next(bench *b);
/* Takes events until n requests have ended. */
void bench_take(bench *b, uint32_t n);
/* Prompts of three families that share beginnings of any length. */
void bench_make_records(bench *b, uint64_t seed, bool alloc);
void bench_free_records(bench *b);
/* Each request alone, on an engine that has seen nothing: what all others must equal. */
void bench_run_alone(bench *b);
/* Engines with room for all, for a few, for chunks of a few rows. */
extern const rf_engine_options bench_mixes[N_MIXES];

#endif
