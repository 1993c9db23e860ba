#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "cli/bench.h"
#include "cli/bench_tokenizer.h"
#include "cli/output.h"
#include "cli/serve_sim.h"
#include "cli/session.h"
#include "model/synthetic.h"

typedef struct job {
    rf_cli *cli;
    rf_bench_source *sources; /* owned */
    size_t n_sources;
    rf_bench_plan plan;
    rf_bench_report report;
    rf_bench_chrome chrome;
    rf_bench_result result;
    rf_bench_model model;
    rf_bench_trace *trace; /* of the model; NULL without --trace */
    uint32_t peak_threads; /* that peak was measured with; 0 = not yet */
    rf_cpu_peak peak;
} job;

static void release(job *j) {
    for (size_t i = 0; i < j->n_sources; i++)
        rf_free(j->sources[i].name);
    rf_free(j->sources);
    rf_free(j->result.samples_ns);
    rf_bench_report_deinit(&j->report);
    rf_bench_plan_deinit(&j->plan);
    if (j->chrome.open)
        rf_outfile_discard(&j->chrome.file);
}

static rf_status measure_peak(job *j, uint32_t n_threads, rf_error *err) {
    if (rf_session_on_gpu(j->cli))
        return RF_OK; /* the peak would be this processor's */
    if (j->peak_threads == n_threads)
        return RF_OK;
    uint32_t features;
    RF_TRY(rf_session_features(j->cli, &features, err));
    if (!rf_opt_on(&j->cli->options, RF_OPT_QUIET))
        rf_progress_line("measuring the read bandwidth and the int8 peak");
    rf_status status = rf_cpu_peak_measure(n_threads, features, &j->peak, err);
    rf_progress_end();
    j->peak_threads = status == RF_OK ? n_threads : 0;
    return status;
}

static rf_status run_test(job *j, rf_bench_run *run, const rf_bench_setup *setup,
                          const rf_bench_test *test, rf_error *err) {
    char title[256], name[RF_BENCH_NAME_BYTES];
    (void)snprintf(title, sizeof title, "%.160s %s", j->model.name, rf_bench_test_name(test, name));
    RF_TRY(rf_bench_run_test(run, test, title, &j->result, err));
    rf_bench_row row = {
        .model = &j->model, .setup = setup, .test = test, .result = &j->result, .peak = j->peak};
    if (j->trace)
        row.groups = rf_bench_trace_groups(j->trace, setup, test, j->plan.n_reps, &row.n_groups);
    if (j->chrome.open)
        RF_TRY(rf_bench_chrome_add(&j->chrome, j->trace, title, err));
    return rf_bench_report_add(&j->report, &row, err);
}

static rf_status run_setup(job *j, const rf_bench_setup *setup, rf_error *err) {
    rf_bench_run *run = NULL;
    RF_TRY(measure_peak(j, setup->n_threads, err));
    rf_status status = rf_bench_run_create(j->cli, &j->model, &j->plan, setup, j->trace, &run, err);
    for (size_t i = 0; status == RF_OK && i < j->plan.n_tests; i++)
        status = run_test(j, run, setup, &j->plan.tests[i], err);
    rf_bench_run_destroy(run);
    return status;
}

static rf_status check_context(const job *j, rf_error *err) {
    uint32_t trained = rf_model_get_info(j->model.model)->n_ctx_train;
    for (size_t i = 0; trained > 0 && i < j->plan.n_tests; i++) {
        const rf_bench_test *test = &j->plan.tests[i];
        char name[RF_BENCH_NAME_BYTES];
        if (rf_bench_test_context(test) > trained)
            return rf_fail(err, RF_ERR_USAGE,
                           "%s: %s takes a context of %u tokens, the model was trained for %u",
                           j->model.name, rf_bench_test_name(test, name),
                           rf_bench_test_context(test), trained);
    }
    return RF_OK;
}

static rf_status run_model(job *j, const rf_bench_source *source, rf_error *err) {
    RF_TRY(rf_bench_model_open(j->cli, source, j->plan.n_ctx, &j->model, err));
    RF_TRY(check_context(j, err));
    if (rf_opt_given(&j->cli->options, RF_OPT_TRACE))
        RF_TRY(rf_bench_trace_create(rf_model_program(j->model.model), &j->trace, err));
    for (size_t i = 0; i < j->plan.n_setups; i++)
        RF_TRY(run_setup(j, &j->plan.setups[i], err));
    return RF_OK;
}

/* ---- the command --------------------------------------------------------------------------- */

static rf_status add_source(job *j, rf_str name, bool synthetic, rf_error *err) {
    rf_bench_source *grown = rf_realloc_array(j->sources, j->n_sources + 1, sizeof *grown);
    if (grown) {
        j->sources = grown;
        grown[j->n_sources] = (rf_bench_source){rf_strndup(name.ptr, name.len), synthetic};
    }
    if (!grown || !grown[j->n_sources].name)
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the names of models");
    j->n_sources++;
    return RF_OK;
}

/* Names between commas, each option's several times over. */
static rf_status list_sources(job *j, rf_option_id id, bool synthetic, rf_error *err) {
    const rf_option_value *value = rf_opt_value(&j->cli->options, id);
    for (size_t i = 0; i < value->n_list; i++) {
        const char *at = value->list[i], *end;
        for (;; at = end + 1) {
            end = at + strcspn(at, ",");
            if (end == at)
                return rf_fail(err, RF_ERR_USAGE, "--%s: found \"%.80s\", expected %s",
                               synthetic ? "synthetic" : "model", value->list[i],
                               synthetic ? "SHAPE:TYPE" : "file names");
            RF_TRY(add_source(j, (rf_str){at, (size_t)(end - at)}, synthetic, err));
            if (*end == 0)
                break;
        }
    }
    return RF_OK;
}

static rf_status check_sources(job *j, rf_error *err) {
    RF_TRY(list_sources(j, RF_OPT_MODELS, false, err));
    RF_TRY(list_sources(j, RF_OPT_SYNTHETIC, true, err));
    for (size_t i = 0; i < j->n_sources; i++) {
        rf_synthetic_spec spec;
        if (j->sources[i].synthetic &&
            rf_synthetic_parse(rf_str_of(j->sources[i].name), &spec, err) != RF_OK)
            return rf_fail_prefix(err, "--synthetic");
    }
    if (j->n_sources > 0)
        return RF_OK;
    rf_cli_hint(j->cli, "rocmforge bench -m model.gguf");
    return rf_fail(err, RF_ERR_USAGE,
                   "bench: found no model, expected --model FILE or --synthetic SHAPE:TYPE");
}

static rf_status prepare(job *j, rf_error *err) {
    const rf_options *options = &j->cli->options;
    rf_bench_format format = (rf_bench_format)rf_opt_int(options, RF_OPT_OUTPUT_FORMAT);
    const char *trace = rf_opt_text(options, RF_OPT_TRACE);
    if (trace && !trace[0] && format == RF_BENCH_FORMAT_CSV)
        return rf_fail(err, RF_ERR_USAGE,
                       "--trace: a table of ops does not go into csv, expected --trace=FILE, or "
                       "the output md or json");
    RF_TRY(rf_bench_plan_make(options, &j->plan, err));
    RF_TRY(rf_bench_report_init(&j->report, format, err));
    j->result.samples_ns = rf_calloc(j->plan.n_reps, sizeof *j->result.samples_ns);
    if (!j->result.samples_ns)
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the times");
    return trace && trace[0] ? rf_bench_chrome_open(&j->chrome, trace, err) : RF_OK;
}

static rf_status run_tests(job *j, rf_error *err) {
    RF_TRY(prepare(j, err));
    for (size_t i = 0; i < j->n_sources; i++) {
        rf_status status = run_model(j, &j->sources[i], err);
        rf_bench_trace_destroy(j->trace);
        j->trace = NULL;
        rf_bench_model_close(&j->model);
        RF_TRY(status);
    }
    rf_bench_report_end(&j->report);
    return j->chrome.open ? rf_bench_chrome_close(&j->chrome, err) : RF_OK;
}

static rf_status run_tokenizers(job *j, rf_error *err) {
    const rf_options *options = &j->cli->options;
    const char *text = rf_opt_text(options, RF_OPT_FILE);
    if (!text) {
        rf_cli_hint(j->cli, "rocmforge bench --tokenizer -m model.gguf -f text.txt");
        return rf_fail(err, RF_ERR_USAGE, "bench: found no text, expected --file TEXT");
    }
    const char **names = rf_calloc(j->n_sources, sizeof *names);
    if (!names)
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the names of models");
    for (size_t i = 0; i < j->n_sources; i++)
        names[i] = j->sources[i].name;
    const rf_bench_tokenizer_args args = {
        .models = names,
        .n_models = j->n_sources,
        .text = text,
        .repetitions = (size_t)rf_opt_int(options, RF_OPT_REPETITIONS),
        .format = (rf_bench_format)rf_opt_int(options, RF_OPT_OUTPUT_FORMAT)};
    rf_status status = rf_bench_tokenizer(&args, err);
    rf_free((void *)names);
    return status;
}

rf_status rf_cmd_bench(rf_cli *cli, rf_error *err) {
    job j = {.cli = cli};
    rf_status status = check_sources(&j, err);
    if (status == RF_OK && rf_opt_on(&cli->options, RF_OPT_TOKENIZER))
        status = run_tokenizers(&j, err);
    else if (status == RF_OK && rf_opt_on(&cli->options, RF_OPT_SERVE_SIM))
        for (size_t i = 0; i < j.n_sources && status == RF_OK; i++)
            status = rf_serve_sim(cli, &j.sources[i], err);
    else if (status == RF_OK)
        status = run_tests(&j, err);
    release(&j);
    return status;
}
