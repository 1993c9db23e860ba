/*
 * What `bench` runs and finds, in llama-bench's terms: a test is a prefill of n_prompt tokens or a
 * decode of n_gen tokens in n_seqs sequences at once, with n_depth tokens in the cache before.
 * Main thread.
 */
#ifndef RF_CLI_BENCH_H
#define RF_CLI_BENCH_H

#include <jansson.h>

#include "base/outfile.h"
#include "cli/cli.h"
#include "cpu/peak.h"
#include "engine/engine.h"
#include "model/model.h"

typedef struct rf_bench_test {
    uint32_t n_prompt, n_gen; /* one of them is 0 */
    uint32_t n_depth, n_seqs;
} rf_bench_test;

/* How a model is set up for some tests. */
typedef struct rf_bench_setup {
    uint32_t n_threads, n_batch;
    rf_kv_type type_k, type_v;
} rf_bench_setup;

/* ---- tests (bench_tests.c) ----------------------------------------------------------------- */

/* Tests and setups that the options ask for. */
typedef struct rf_bench_plan {
    rf_bench_test *tests; /* owned */
    size_t n_tests;
    rf_bench_setup *setups; /* owned */
    size_t n_setups;
    uint32_t n_reps;
    uint32_t n_ctx;    /* longest sequence of any test */
    uint32_t max_seqs; /* most sequences of any test */
} rf_bench_plan;

RF_NODISCARD rf_status rf_bench_plan_make(const rf_options *options, rf_bench_plan *out,
                                          rf_error *err);
void rf_bench_plan_deinit(rf_bench_plan *plan); /* safe on a zeroed one */

static inline uint32_t rf_bench_test_context(const rf_bench_test *test) {
    return test->n_depth + test->n_prompt + test->n_gen;
}
static inline uint64_t rf_bench_test_tokens(const rf_bench_test *test) {
    return (uint64_t)test->n_prompt + (uint64_t)test->n_gen * test->n_seqs;
}
/* "pp512", "tg128 x8 @ d4096" */
enum { RF_BENCH_NAME_BYTES = 64 };
const char *rf_bench_test_name(const rf_bench_test *test, char out[RF_BENCH_NAME_BYTES]);

/* A step of a test: n_rows / n_seqs rows of each sequence from position on. */
typedef struct rf_bench_step {
    uint32_t n_rows, n_outputs, n_seqs, position;
} rf_bench_step;

uint32_t rf_bench_n_steps(const rf_bench_test *test, uint32_t n_batch);
rf_bench_step rf_bench_step_at(const rf_bench_test *test, uint32_t n_batch, uint32_t i);

/* ---- what a step reads and computes at least (bench_work.c) --------------------------------- */

typedef struct rf_bench_work {
    double read_bytes;  /* weights and cache, each byte once a step */
    double product_ops; /* of products with weights */
    double other_ops;   /* of attention */
} rf_bench_work;

/* Of one op over all steps of a test. */
rf_bench_work rf_bench_op_work(const rf_program *program, const rf_op *op,
                               const rf_bench_setup *setup, const rf_bench_test *test);
rf_bench_work rf_bench_test_work(const rf_program *program, const rf_bench_setup *setup,
                                 const rf_bench_test *test);

/* ---- times of ops (bench_trace.c) ------------------------------------------------------------ */

typedef struct rf_bench_trace rf_bench_trace;

RF_NODISCARD rf_status rf_bench_trace_create(const rf_program *program, rf_bench_trace **out,
                                             rf_error *err);
void rf_bench_trace_destroy(rf_bench_trace *trace);
void rf_bench_trace_begin(rf_bench_trace *trace);      /* before a test */
void rf_bench_trace_repetition(rf_bench_trace *trace); /* before each repetition */
/* After a step: its rf_outputs.op_ns. Takes no memory; on the engine's thread. */
void rf_bench_trace_step(rf_bench_trace *trace, const uint64_t *op_ns);

/* Ops of a kind with the same weights in each layer, together. */
typedef struct rf_bench_group {
    const char *op;
    char weights[96], type[16], shape[40];
    uint64_t n_calls, ns;
    rf_bench_work work;
} rf_bench_group;

/* The groups of the last test, longest first, until the next test begins; *n of them. */
const rf_bench_group *rf_bench_trace_groups(rf_bench_trace *trace, const rf_bench_setup *setup,
                                            const rf_bench_test *test, uint32_t n_reps, size_t *n);

/* The Chrome trace format's JSON array, one process a test, written beside and renamed. */
typedef struct rf_bench_chrome {
    rf_outfile file;
    bool open;
    uint32_t n_tests;
} rf_bench_chrome;

RF_NODISCARD rf_status rf_bench_chrome_open(rf_bench_chrome *chrome, const char *path,
                                            rf_error *err);
/* Adds the last repetition that trace took. */
RF_NODISCARD rf_status rf_bench_chrome_add(rf_bench_chrome *chrome, const rf_bench_trace *trace,
                                           const char *title, rf_error *err);
RF_NODISCARD rf_status rf_bench_chrome_close(rf_bench_chrome *chrome, rf_error *err);

/* ---- running (bench_run.c) --------------------------------------------------------------------
 */

/* A name on the command line: a file, or with synthetic a shape and type. */
typedef struct rf_bench_source {
    char *name; /* owned */
    bool synthetic;
} rf_bench_source;

/* One model to time. */
typedef struct rf_bench_model {
    const char *name; /* borrowed from its source */
    rf_gguf *gguf;    /* owned */
    rf_model *model;  /* owned */
} rf_bench_model;

RF_NODISCARD rf_status rf_bench_model_open(const rf_cli *cli, const rf_bench_source *source,
                                           uint32_t n_ctx, rf_bench_model *out, rf_error *err);
void rf_bench_model_close(rf_bench_model *model); /* safe on a zeroed one */

typedef struct rf_bench_result {
    uint64_t *samples_ns; /* [n_reps], owned */
    uint32_t n_reps;
    uint64_t logits_hash; /* of the last row that the first sequence asked for */
} rf_bench_result;

typedef struct rf_bench_run rf_bench_run;

/* Binds model for the setup. trace: NULL, or borrowed for the life of the run. */
RF_NODISCARD rf_status rf_bench_run_create(const rf_cli *cli, const rf_bench_model *model,
                                           const rf_bench_plan *plan, const rf_bench_setup *setup,
                                           rf_bench_trace *trace, rf_bench_run **out,
                                           rf_error *err);
void rf_bench_run_destroy(rf_bench_run *run);
/* Warms up and times. title is for the line of progress. */
RF_NODISCARD rf_status rf_bench_run_test(rf_bench_run *run, const rf_bench_test *test,
                                         const char *title, rf_bench_result *result, rf_error *err);

/* ---- results (bench_report.c) -----------------------------------------------------------------
 */

typedef enum rf_bench_format {
    RF_BENCH_FORMAT_MD,
    RF_BENCH_FORMAT_JSON,
    RF_BENCH_FORMAT_CSV
} rf_bench_format;

/* One test's result with all that is said of it. */
typedef struct rf_bench_row {
    const rf_bench_model *model;
    const rf_bench_setup *setup;
    const rf_bench_test *test;
    const rf_bench_result *result;
    rf_cpu_peak peak;
    const rf_bench_group *groups; /* NULL without --trace */
    size_t n_groups;
} rf_bench_row;

typedef struct rf_bench_report {
    rf_bench_format format;
    json_t *rows; /* owned: of RF_BENCH_FORMAT_JSON, printed at the end */
    bool begun;
} rf_bench_report;

/* Of n samples with this sum and sum of squares; 0 of one. */
double rf_bench_deviation(double sum, double sum_squares, size_t n);
/* A field of CSV (RFC 4180). */
void rf_bench_csv_text(const char *text);

RF_NODISCARD rf_status rf_bench_report_init(rf_bench_report *report, rf_bench_format format,
                                            rf_error *err);
RF_NODISCARD rf_status rf_bench_report_add(rf_bench_report *report, const rf_bench_row *row,
                                           rf_error *err);
void rf_bench_report_end(rf_bench_report *report); /* prints what is left */
void rf_bench_report_deinit(rf_bench_report *report);

#endif
