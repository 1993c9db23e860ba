#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/number.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/serve_sim.h"
#include "cli/session.h"
#include "trace/step_recorder.h"

enum { MAX_RATES = 64 };

typedef struct job {
    rf_cli *cli;
    rf_sim_load load;
    double rates[MAX_RATES];
    size_t n_rates;
    rf_bench_model model;
    rf_step_recorder *recorder;
    rf_engine *engine;
    rf_sim *sim;
    rf_sim_result results[MAX_RATES];
} job;

static rf_status parse_rates(job *j, rf_error *err) {
    const char *text = rf_opt_text(&j->cli->options, RF_OPT_REQUEST_RATE);
    for (const char *at = text, *end;; at = end + 1) {
        char one[32];
        end = at + strcspn(at, ",");
        size_t n = (size_t)(end - at);
        double rate = 0;
        bool ok = n > 0 && n < sizeof one && j->n_rates < MAX_RATES;
        if (ok) {
            memcpy(one, at, n);
            one[n] = 0;
            if (strcmp(one, "inf") == 0)
                rate = INFINITY;
            else
                ok = rf_number_real(one, &rate) && rate > 0;
        }
        if (!ok)
            return rf_fail(err, RF_ERR_USAGE,
                           "--request-rate: found \"%.60s\", expected up to %d requests a second "
                           "above 0, as 0.5,2,inf",
                           text, MAX_RATES);
        j->rates[j->n_rates++] = rate;
        if (*end == 0)
            return RF_OK;
    }
}

static rf_status read_load(job *j, rf_error *err) {
    const rf_options *o = &j->cli->options;
    j->load = (rf_sim_load){.n_requests = (uint32_t)rf_opt_int(o, RF_OPT_NUM_PROMPTS),
                            .n_together = (uint32_t)rf_opt_int(o, RF_OPT_MAX_CONCURRENCY),
                            .n_input = (uint32_t)rf_opt_int(o, RF_OPT_INPUT_LEN),
                            .n_output = (uint32_t)rf_opt_int(o, RF_OPT_OUTPUT_LEN),
                            .n_prefix = (uint32_t)rf_opt_int(o, RF_OPT_PREFIX_LEN),
                            .spread = rf_opt_real(o, RF_OPT_RANGE_RATIO),
                            .seed = (uint64_t)rf_opt_int(o, RF_OPT_SIM_SEED),
                            .n_intrude = (uint32_t)rf_opt_int(o, RF_OPT_INTRUDE)};
    if (j->load.n_intrude > 0) { /* there is one rate: at once */
        j->rates[0] = INFINITY;
        j->n_rates = 1;
        return RF_OK;
    }
    return parse_rates(j, err);
}

static rf_status start_recorder(job *j, rf_engine_options *options, rf_error *err) {
    rf_step_recorder_options files = {
        .log_path = rf_opt_text(&j->cli->options, RF_OPT_STEP_LOG),
        .trace_path = rf_opt_text(&j->cli->options, RF_OPT_STEP_TRACE),
    };
    if (!files.log_path && !files.trace_path)
        return RF_OK;
    options->on_step = rf_step_recorder_on_step;
    options->on_end = rf_step_recorder_on_end;
    rf_status status = rf_step_recorder_create(&files, &j->recorder, err);
    options->user = j->recorder;
    return status;
}

static rf_status start(job *j, const rf_bench_source *source, rf_error *err) {
    const rf_options *o = &j->cli->options;
    uint32_t n_ctx = rf_sim_context(&j->load), n_seqs = (uint32_t)rf_opt_int(o, RF_OPT_SIM_SEQS);
    uint64_t kv_tokens = (uint64_t)rf_opt_int(o, RF_OPT_KV_TOKENS), all = (uint64_t)n_ctx * n_seqs;
    const rf_option_value *threads = rf_opt_value(o, RF_OPT_THREAD_COUNTS);
    kv_tokens = kv_tokens > 0 ? kv_tokens : all;
    if (j->load.n_intrude > 0)
        kv_tokens = kv_tokens < 2 * (uint64_t)n_ctx ? 2 * (uint64_t)n_ctx : kv_tokens;
    rf_engine_options options = {
        .n_ctx = n_ctx,
        .kv_tokens = kv_tokens < INT32_MAX ? (uint32_t)kv_tokens : INT32_MAX,
        .batch_tokens = (uint32_t)rf_opt_value(o, RF_OPT_BATCH_SIZES)->numbers[0],
        .max_seqs = n_seqs,
        .max_waiting = j->load.n_requests + n_seqs,
        .type_k = (rf_kv_type)rf_opt_value(o, RF_OPT_CACHE_TYPES_K)->numbers[0],
        .type_v = (rf_kv_type)rf_opt_value(o, RF_OPT_CACHE_TYPES_V)->numbers[0]};
    options.max_waiting_tokens = (uint64_t)n_ctx * options.max_waiting;
    RF_TRY(rf_bench_model_open(j->cli, source, n_ctx, &j->model, err));
    RF_TRY(start_recorder(j, &options, err));
    rf_backend *backend = NULL;
    RF_TRY(rf_session_backend(j->cli, threads->n_numbers > 0 ? (uint32_t)threads->numbers[0] : 0,
                              &backend, err));
    if (!rf_opt_on(o, RF_OPT_QUIET))
        rf_progress_begin("loading");
    rf_interrupt_block(true);
    rf_status status = rf_engine_create(backend, rf_model_program(j->model.model), &options,
                                        rf_interrupt_progress, NULL, &j->engine, err);
    rf_interrupt_block(false);
    rf_progress_end();
    if (status != RF_OK) {
        backend->api->destroy(backend);
        return status;
    }
    return rf_sim_create(j->engine, &j->load, rf_model_program(j->model.model)->n_vocab, &j->sim,
                         err);
}

/* A first run at full rate shows the engine what steps cost, as a server's first requests would. */
static rf_status run_rates(job *j, rf_error *err) {
    bool quiet = rf_opt_on(&j->cli->options, RF_OPT_QUIET);
    if (rf_opt_on(&j->cli->options, RF_OPT_WARMUP))
        RF_TRY(rf_sim_run(j->sim, INFINITY, quiet, &j->results[0], err));
    for (size_t i = 0; i < j->n_rates; i++)
        RF_TRY(rf_sim_run(j->sim, j->rates[i], quiet, &j->results[i], err));
    return RF_OK;
}

rf_status rf_serve_sim(rf_cli *cli, const rf_bench_source *source, rf_error *err) {
    job *j = rf_calloc(1, sizeof *j);
    if (!j)
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the benchmark");
    j->cli = cli;
    rf_status status = read_load(j, err);
    if (status == RF_OK)
        status = start(j, source, err);
    if (status == RF_OK)
        status = run_rates(j, err);
    if (status == RF_OK)
        status =
            rf_sim_report(j->results, j->n_rates, source->name, j->load.n_intrude > 0,
                          (rf_bench_format)rf_opt_int(&cli->options, RF_OPT_OUTPUT_FORMAT), err);
    rf_sim_destroy(j->sim);
    rf_engine_destroy(j->engine);
    rf_error closing = {0};
    rf_status closed = rf_step_recorder_close(j->recorder, &closing);
    if (status == RF_OK && closed != RF_OK) {
        *err = closing;
        status = closed;
    }
    rf_bench_model_close(&j->model);
    rf_free(j);
    return status;
}
