#include "base/alloc.h"
#include "base/checked.h"
#include "base/clock.h"
#include "base/free_memory.h"
#include "base/rng.h"
#include "cli/bench.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/session.h"
#include "model/synthetic.h"

enum { TOKEN_SEED = 1 };

struct rf_bench_run {
    const rf_cli *cli;
    rf_session session;    /* its engine alone */
    rf_bench_trace *trace; /* borrowed, or NULL */
    bool traces;           /* it takes the steps that run now; changed while none does */
    uint32_t n_ctx, max_seqs, n_vocab, n_reps;
    uint32_t n_tests;      /* begun so far: each has cached prefixes of its own */
    int32_t *tokens;       /* [max_seqs][n_ctx]: what each sequence reads */
    rf_request *requests;  /* [max_seqs] */
    uint32_t n_cached;     /* least of the last requests */
    float *row;            /* [n_vocab], owned: the last one of the first sequence */
    uint32_t row_position; /* where that one stands */
    uint64_t row_id;       /* whose it is */
};

static rf_status make_synthetic(const rf_cli *cli, const char *name, rf_gguf **out, rf_error *err) {
    rf_synthetic_spec spec;
    rf_synthetic_options how = {.progress = rf_interrupt_progress};
    if (rf_synthetic_parse(rf_str_of(name), &spec, err) != RF_OK)
        return rf_fail_prefix(err, "--synthetic");
    if (!rf_opt_on(&cli->options, RF_OPT_QUIET))
        rf_progress_begin("making weights");
    rf_status status = rf_synthetic_open(&spec, &how, out, err);
    rf_progress_end();
    return status;
}

rf_status rf_bench_model_open(const rf_cli *cli, const rf_bench_source *source, uint32_t n_ctx,
                              rf_bench_model *out, rf_error *err) {
    rf_model_options options = {
        .n_ctx = n_ctx, .allow_slow_types = rf_opt_on(&cli->options, RF_OPT_ALLOW_SLOW_TYPES)};
    out->name = source->name;
    if (source->synthetic)
        RF_TRY(make_synthetic(cli, source->name, &out->gguf, err));
    else
        RF_TRY(rf_gguf_open(source->name, NULL, &out->gguf, err));
    return rf_model_create(out->gguf, &options, &out->model, err);
}

void rf_bench_model_close(rf_bench_model *model) {
    rf_model_destroy(model->model);
    rf_gguf_close(model->gguf);
    *model = (rf_bench_model){0};
}

/* ---- life ---------------------------------------------------------------------------------- */

void rf_bench_run_destroy(rf_bench_run *run) {
    if (!run)
        return;
    rf_engine_destroy(run->session.engine);
    rf_free(run->tokens);
    rf_free(run->requests);
    rf_free(run->row);
    rf_free(run);
}

static rf_status take_memory(rf_bench_run *run, rf_error *err) {
    size_t n;
    if (rf_mul_size(run->max_seqs, run->n_ctx, &n)) {
        run->tokens = rf_calloc(n, sizeof *run->tokens);
        run->requests = rf_calloc(run->max_seqs, sizeof *run->requests);
        run->row = rf_calloc(run->n_vocab, sizeof *run->row);
    }
    if (!run->tokens || !run->requests || !run->row)
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for %u sequences of %u tokens",
                       run->max_seqs, run->n_ctx);
    for (uint32_t s = 0; s < run->max_seqs; s++) {
        rf_rng rng = rf_rng_make(TOKEN_SEED, s);
        for (uint32_t i = 0; i < run->n_ctx; i++)
            run->tokens[(size_t)s * run->n_ctx + i] = (int32_t)rf_rng_below(&rng, run->n_vocab);
    }
    return RF_OK;
}

/* A cache that the machine's memory cannot hold is refused before anything is taken. */
static rf_status check_memory(const rf_backend *backend, const rf_program *program,
                              const rf_engine_options *options, rf_error *err) {
    rf_limits limits;
    rf_memory_plan plan;
    RF_TRY(rf_engine_limits(program, options, &limits, err));
    RF_TRY(backend->api->plan(backend, program, &limits, &plan, err));
    uint64_t have = rf_free_memory();
    uint64_t need = plan.weights_bytes + plan.kv_bytes + plan.workspace_bytes;
    char need_text[RF_SIZE_TEXT_BYTES], have_text[RF_SIZE_TEXT_BYTES];
    if (need > have)
        return rf_fail(err, RF_ERR_USAGE,
                       "%u sequences with a context of %u tokens take %s, and %s are free",
                       options->max_seqs, options->n_ctx, rf_size_text(need, need_text),
                       rf_size_text(have, have_text));
    return RF_OK;
}

/* Room for every sequence of a test, and for a copy of the block where its prefix ends. */
static uint32_t pool_tokens(const rf_bench_plan *plan, uint32_t block) {
    uint64_t most = 0;
    for (size_t i = 0; i < plan->n_tests; i++) {
        const rf_bench_test *test = &plan->tests[i];
        uint64_t n = test->n_seqs * (uint64_t)rf_round_up(rf_bench_test_context(test) + 1, block);
        most = n > most ? n : most;
    }
    most += (uint64_t)plan->max_seqs * block;
    return most < INT32_MAX ? (uint32_t)most : INT32_MAX;
}

/* ---- what the engine tells; on its thread -------------------------------------------------- */

/* FNV-1a, 64 bits. */
static uint64_t hash_of(const float *row, size_t n) {
    const uint8_t *bytes = (const uint8_t *)row;
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n * sizeof *row; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3u;
    return hash;
}

/* The last row of the first sequence stays for its hash. */
static void on_row(void *user, uint64_t id, uint32_t position, const float *logits,
                   const float *hidden) {
    rf_bench_run *run = user;
    (void)hidden;
    bool first = run->row_id == 0 || id < run->row_id;
    if (position != run->row_position || !first || !logits)
        return;
    memcpy(run->row, logits, run->n_vocab * sizeof *run->row);
    run->row_id = id;
}

static void on_step(void *user, const rf_step_report *report) {
    rf_bench_run *run = user;
    if (run->traces)
        rf_bench_trace_step(run->trace, report->op_ns);
}

static rf_status bind(rf_bench_run *run, const rf_program *program, const rf_bench_plan *plan,
                      const rf_bench_setup *setup, rf_error *err) {
    enum { POOL_UNIT = 256 }; /* a multiple of every block */
    uint32_t n_batch = setup->n_batch < plan->n_ctx ? setup->n_batch : plan->n_ctx;
    rf_engine_options options = {.n_ctx = plan->n_ctx + 1, /* the last token is not run */
                                 .kv_tokens = pool_tokens(plan, POOL_UNIT),
                                 .batch_tokens = n_batch,
                                 .max_seqs = run->max_seqs,
                                 .max_outputs = run->max_seqs,
                                 .type_k = setup->type_k,
                                 .type_v = setup->type_v,
                                 .on_row = on_row,
                                 .on_step = run->trace ? on_step : NULL,
                                 .user = run,
                                 .times_ops = run->trace != NULL};
    rf_backend *backend = NULL;
    RF_TRY(rf_session_backend(run->cli, setup->n_threads, &backend, err));
    rf_status status = check_memory(backend, program, &options, err);
    if (status == RF_OK) {
        if (!rf_opt_on(&run->cli->options, RF_OPT_QUIET))
            rf_progress_begin("loading");
        rf_interrupt_block(true);
        status = rf_engine_create(backend, program, &options, rf_interrupt_progress, NULL,
                                  &run->session.engine, err);
        rf_interrupt_block(false);
        rf_progress_end();
    }
    if (status != RF_OK)
        backend->api->destroy(backend);
    return status;
}

rf_status rf_bench_run_create(const rf_cli *cli, const rf_bench_model *model,
                              const rf_bench_plan *plan, const rf_bench_setup *setup,
                              rf_bench_trace *trace, rf_bench_run **out, rf_error *err) {
    const rf_program *program = rf_model_program(model->model);
    *out = NULL;
    rf_bench_run *run = rf_calloc(1, sizeof *run);
    if (!run)
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the benchmark");
    *run = (rf_bench_run){.cli = cli,
                          .trace = trace,
                          .n_ctx = plan->n_ctx + 1,
                          .max_seqs = plan->max_seqs,
                          .n_vocab = program->n_vocab,
                          .n_reps = plan->n_reps};
    rf_status status = take_memory(run, err);
    if (status == RF_OK)
        status = bind(run, program, plan, setup, err);
    if (status != RF_OK) {
        rf_bench_run_destroy(run);
        return status;
    }
    *out = run;
    return RF_OK;
}

/* ---- tests --------------------------------------------------------------------------------- */

static rf_status take_event(void *user, const rf_event *event, bool *enough, rf_error *err) {
    rf_bench_run *run = user;
    (void)enough;
    (void)err;
    if (event->kind == RF_EVENT_FINISH && event->n_cached < run->n_cached)
        run->n_cached = event->n_cached;
    return RF_OK;
}

/* All requests begin in the same step. */
static rf_status run_requests(rf_bench_run *run, uint32_t n, rf_error *err) {
    run->n_cached = UINT32_MAX;
    run->row_id = 0;
    return rf_session_run(&run->session, run->requests, n, take_event, run, err);
}

static rf_request request_of(const rf_bench_run *run, rf_request_kind kind, uint32_t s,
                             uint32_t n) {
    return (rf_request){.kind = kind,
                        .tokens = run->tokens + (size_t)s * run->n_ctx,
                        .n_tokens = n,
                        .salt = run->n_tests, /* other tests' prefixes are not these */
                        .rows_from = n - 1};
}

/* Leaves n_depth tokens of each of the test's sequences in the cache; they are there already unless
 * another repetition needed their blocks. */
static rf_status prepare(rf_bench_run *run, const rf_bench_test *test, rf_error *err) {
    run->row_position = UINT32_MAX;
    for (uint32_t s = 0; s < test->n_seqs && test->n_depth > 0; s++) {
        run->requests[0] = request_of(run, RF_REQUEST_ROWS, s, test->n_depth);
        RF_TRY(run_requests(run, 1, err));
    }
    return RF_OK;
}

/* What is timed: a prompt's last row, or n_gen tokens from one on, in each of the sequences. */
static rf_status run_once(rf_bench_run *run, const rf_bench_test *test, uint32_t variant,
                          rf_error *err) {
    enum { SHORT_TAIL = 4 }; /* the cache does not copy a block for fewer tokens */
    rf_sample_params greedy = rf_sample_params_default();
    greedy.temp = 0;
    uint32_t n = test->n_depth + (test->n_prompt ? test->n_prompt : 1);
    for (uint32_t s = 0; s < test->n_seqs; s++) {
        /* The first token behind what is cached is another one in each repetition, so that none of
         * the others is. */
        run->tokens[(size_t)s * run->n_ctx + test->n_depth] = (int32_t)(variant % run->n_vocab);
        run->requests[s] = request_of(run, RF_REQUEST_ROWS, s, n);
        if (test->n_prompt == 0) {
            run->requests[s].kind = RF_REQUEST_GENERATE;
            run->requests[s].n_new = test->n_gen;
            run->requests[s].params = &greedy;
        }
    }
    run->row_position = n - 1 + (test->n_gen > 0 ? test->n_gen - 1 : 0);
    RF_TRY(run_requests(run, test->n_seqs, err));
    if (run->n_cached > test->n_depth || run->n_cached + SHORT_TAIL <= test->n_depth)
        return rf_fail(err, RF_ERR_INTERNAL, "%u tokens were cached, expected %u", run->n_cached,
                       test->n_depth);
    return RF_OK;
}

/* As llama-bench: the whole prompt, or one token. */
static rf_status warm_up(rf_bench_run *run, const rf_bench_test *test, rf_error *err) {
    rf_bench_test shorter = *test;
    shorter.n_gen = test->n_gen ? 1 : 0;
    RF_TRY(prepare(run, test, err));
    return run_once(run, &shorter, run->n_reps, err);
}

static rf_status time_it(rf_bench_run *run, const rf_bench_test *test, uint32_t variant,
                         uint64_t *ns, rf_error *err) {
    RF_TRY(prepare(run, test, err));
    if (run->trace)
        rf_bench_trace_repetition(run->trace);
    run->traces = run->trace != NULL;
    uint64_t start = rf_clock_ns();
    rf_status status = run_once(run, test, variant, err);
    *ns = rf_clock_ns() - start;
    run->traces = false;
    return status;
}

rf_status rf_bench_run_test(rf_bench_run *run, const rf_bench_test *test, const char *title,
                            rf_bench_result *result, rf_error *err) {
    bool quiet = rf_opt_on(&run->cli->options, RF_OPT_QUIET);
    run->n_tests++;
    if (rf_opt_on(&run->cli->options, RF_OPT_WARMUP)) {
        if (!quiet)
            rf_progress_line("%s: warming up", title);
        RF_TRY(warm_up(run, test, err));
    }
    if (run->trace)
        rf_bench_trace_begin(run->trace);
    for (uint32_t r = 0; r < run->n_reps; r++) {
        if (!quiet)
            rf_progress_line("%s: %u of %u", title, r + 1, run->n_reps);
        /* The last one reads the same tokens whatever their number. */
        RF_TRY(time_it(run, test, run->n_reps - 1 - r, &result->samples_ns[r], err));
    }
    rf_progress_end();
    result->n_reps = run->n_reps;
    result->logits_hash = hash_of(run->row, run->n_vocab);
    return RF_OK;
}
