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
    rf_runner *runner;     /* owned */
    rf_bench_trace *trace; /* borrowed, or NULL */
    bool traces;           /* it takes the steps that run now */
    uint32_t n_batch, n_ctx, max_seqs, n_vocab, n_reps;
    int32_t *tokens; /* [max_seqs][n_ctx]: what each sequence reads */
    int32_t *seqs;   /* [max_seqs] */
    rf_feed *feeds;  /* [max_seqs] */
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
    rf_runner_destroy(run->runner);
    rf_free(run->tokens);
    rf_free(run->seqs);
    rf_free(run->feeds);
    rf_free(run);
}

static rf_status take_memory(rf_bench_run *run, rf_error *err) {
    size_t n;
    if (rf_mul_size(run->max_seqs, run->n_ctx, &n)) {
        run->tokens = rf_calloc(n, sizeof *run->tokens);
        run->seqs = rf_calloc(run->max_seqs, sizeof *run->seqs);
        run->feeds = rf_calloc(run->max_seqs, sizeof *run->feeds);
    }
    if (!run->tokens || !run->seqs || !run->feeds)
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
                              const rf_runner_options *options, rf_error *err) {
    rf_limits limits;
    rf_memory_plan plan;
    RF_TRY(rf_runner_limits(program, options, &limits, err));
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

static uint32_t pool_tokens(const rf_bench_plan *plan, uint32_t block) {
    uint64_t most = 0;
    for (size_t i = 0; i < plan->n_tests; i++) {
        const rf_bench_test *test = &plan->tests[i];
        uint64_t n = test->n_seqs * (uint64_t)rf_round_up(rf_bench_test_context(test), block);
        most = n > most ? n : most;
    }
    return most < INT32_MAX ? (uint32_t)most : INT32_MAX;
}

static rf_status bind(rf_bench_run *run, const rf_program *program, const rf_bench_plan *plan,
                      const rf_bench_setup *setup, rf_error *err) {
    enum { POOL_UNIT = 256 }; /* a multiple of every block */
    rf_runner_options options = {.n_ctx = plan->n_ctx,
                                 .kv_tokens = pool_tokens(plan, POOL_UNIT),
                                 .batch_tokens =
                                     run->n_batch > run->max_seqs ? run->n_batch : run->max_seqs,
                                 .max_seqs = run->max_seqs,
                                 .max_outputs = run->max_seqs,
                                 .type_k = setup->type_k,
                                 .type_v = setup->type_v};
    rf_backend *backend = NULL;
    RF_TRY(rf_session_backend(run->cli, setup->n_threads, &backend, err));
    rf_status status = check_memory(backend, program, &options, err);
    if (status == RF_OK) {
        if (!rf_opt_on(&run->cli->options, RF_OPT_QUIET))
            rf_progress_begin("loading");
        status = rf_runner_create(backend, program, &options, rf_interrupt_progress, NULL,
                                  &run->runner, err);
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
                          .n_batch = setup->n_batch < plan->n_ctx ? setup->n_batch : plan->n_ctx,
                          .n_ctx = plan->n_ctx,
                          .max_seqs = plan->max_seqs,
                          .n_vocab = program->n_vocab,
                          .n_reps = plan->n_reps};
    rf_status status = take_memory(run, err);
    if (status == RF_OK)
        status = bind(run, program, plan, setup, err);
    for (uint32_t s = 0; status == RF_OK && s < run->max_seqs; s++)
        status = rf_runner_open(run->runner, &run->seqs[s], err);
    if (status != RF_OK) {
        rf_bench_run_destroy(run);
        return status;
    }
    *out = run;
    return RF_OK;
}

/* ---- tests --------------------------------------------------------------------------------- */

static const int32_t *tokens_at(const rf_bench_run *run, uint32_t s, uint32_t position) {
    return run->tokens + (size_t)s * run->n_ctx + position;
}

/* Appends to sequence s up to end; the last row's logits if wanted. */
static rf_status prefill(rf_bench_run *run, uint32_t s, uint32_t end, rf_want want,
                         const float **logits, rf_error *err) {
    for (uint32_t at; (at = rf_runner_length(run->runner, run->seqs[s])) < end;) {
        uint32_t n = end - at < run->n_batch ? end - at : run->n_batch;
        rf_feed feed = {.seq = run->seqs[s],
                        .tokens = tokens_at(run, s, at),
                        .n_tokens = n,
                        .want = at + n == end ? want : RF_WANT_NONE};
        RF_TRY(rf_interrupt_check(err));
        RF_TRY(rf_runner_step(run->runner, &feed, 1, logits, err));
        if (run->traces)
            RF_TRY(rf_bench_trace_step(run->trace, err));
    }
    return RF_OK;
}

static rf_status decode(rf_bench_run *run, uint32_t n_seqs, uint32_t n_gen, const float **logits,
                        rf_error *err) {
    for (uint32_t i = 0; i < n_gen; i++) {
        for (uint32_t s = 0; s < n_seqs; s++) {
            uint32_t at = rf_runner_length(run->runner, run->seqs[s]);
            run->feeds[s] = (rf_feed){.seq = run->seqs[s],
                                      .tokens = tokens_at(run, s, at),
                                      .n_tokens = 1,
                                      .want = RF_WANT_LAST};
        }
        RF_TRY(rf_interrupt_check(err));
        RF_TRY(rf_runner_step(run->runner, run->feeds, n_seqs, logits, err));
        if (run->traces)
            RF_TRY(rf_bench_trace_step(run->trace, err));
    }
    return RF_OK;
}

/* Leaves n_depth tokens in each of the test's sequences and none in the others. */
static rf_status prepare(rf_bench_run *run, const rf_bench_test *test, rf_error *err) {
    for (uint32_t s = 0; s < run->max_seqs; s++)
        rf_runner_truncate(run->runner, run->seqs[s], s < test->n_seqs ? test->n_depth : 0);
    for (uint32_t s = 0; s < test->n_seqs; s++) {
        const float *unused;
        RF_TRY(prefill(run, s, test->n_depth, RF_WANT_NONE, &unused, err));
    }
    return RF_OK;
}

static rf_status run_once(rf_bench_run *run, const rf_bench_test *test, const float **logits,
                          rf_error *err) {
    if (test->n_prompt)
        return prefill(run, 0, test->n_depth + test->n_prompt, RF_WANT_LAST, logits, err);
    return decode(run, test->n_seqs, test->n_gen, logits, err);
}

/* As llama-bench: the whole prompt, or one token. */
static rf_status warm_up(rf_bench_run *run, const rf_bench_test *test, rf_error *err) {
    const float *logits;
    rf_bench_test shorter = *test;
    shorter.n_gen = test->n_gen ? 1 : 0;
    RF_TRY(prepare(run, test, err));
    return run_once(run, &shorter, &logits, err);
}

/* FNV-1a, 64 bits. */
static uint64_t hash_of(const float *row, size_t n) {
    const uint8_t *bytes = (const uint8_t *)row;
    uint64_t hash = 0xcbf29ce484222325u;
    for (size_t i = 0; i < n * sizeof *row; i++)
        hash = (hash ^ bytes[i]) * 0x100000001b3u;
    return hash;
}

static rf_status time_it(rf_bench_run *run, const rf_bench_test *test, uint64_t *ns,
                         const float **logits, rf_error *err) {
    RF_TRY(prepare(run, test, err));
    run->traces = run->trace != NULL;
    if (run->traces) {
        rf_bench_trace_repetition(run->trace);
        rf_runner_trace(run->runner, rf_bench_trace_buffer(run->trace));
    }
    uint64_t start = rf_clock_ns();
    rf_status status = run_once(run, test, logits, err);
    *ns = rf_clock_ns() - start;
    rf_runner_trace(run->runner, NULL);
    run->traces = false;
    return status;
}

rf_status rf_bench_run_test(rf_bench_run *run, const rf_bench_test *test, const char *title,
                            rf_bench_result *result, rf_error *err) {
    bool quiet = rf_opt_on(&run->cli->options, RF_OPT_QUIET);
    const float *logits = NULL;
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
        RF_TRY(time_it(run, test, &result->samples_ns[r], &logits, err));
    }
    rf_progress_end();
    result->n_reps = run->n_reps;
    result->logits_hash = hash_of(logits, run->n_vocab);
    return RF_OK;
}
