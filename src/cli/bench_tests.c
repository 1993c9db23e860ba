#include <stdio.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/cpu_features.h"
#include "cli/bench.h"

static rf_status no_memory(rf_error *err) {
    return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the list of tests");
}

static rf_status add_test(rf_bench_plan *plan, const rf_bench_test *test, rf_error *err) {
    rf_bench_test *grown = rf_realloc_array(plan->tests, plan->n_tests + 1, sizeof *grown);
    if (!grown)
        return no_memory(err);
    plan->tests = grown;
    plan->tests[plan->n_tests++] = *test;
    uint32_t context = rf_bench_test_context(test);
    plan->n_ctx = context > plan->n_ctx ? context : plan->n_ctx;
    plan->max_seqs = test->n_seqs > plan->max_seqs ? test->n_seqs : plan->max_seqs;
    if ((uint64_t)test->n_seqs * context > INT32_MAX / 2) {
        char name[RF_BENCH_NAME_BYTES];
        return rf_fail(err, RF_ERR_USAGE, "%s: a cache of %llu tokens, expected at most %d",
                       rf_bench_test_name(test, name), (unsigned long long)test->n_seqs * context,
                       INT32_MAX / 2);
    }
    return RF_OK;
}

/* In llama-bench's order: at each depth the prefills, then the decodes. */
static rf_status make_tests(const rf_options *options, rf_bench_plan *plan, rf_error *err) {
    const rf_option_value *prompts = rf_opt_value(options, RF_OPT_N_PROMPT);
    const rf_option_value *gens = rf_opt_value(options, RF_OPT_N_GEN);
    const rf_option_value *depths = rf_opt_value(options, RF_OPT_N_DEPTH);
    const rf_option_value *seqs = rf_opt_value(options, RF_OPT_SEQUENCES);
    for (size_t d = 0; d < depths->n_numbers; d++) {
        rf_bench_test test = {.n_depth = (uint32_t)depths->numbers[d], .n_seqs = 1};
        for (size_t p = 0; p < prompts->n_numbers; p++) {
            test.n_prompt = (uint32_t)prompts->numbers[p];
            RF_TRY(add_test(plan, &test, err));
        }
        test.n_prompt = 0;
        for (size_t i = 0; i < gens->n_numbers * seqs->n_numbers; i++) {
            test.n_gen = (uint32_t)gens->numbers[i / seqs->n_numbers];
            test.n_seqs = (uint32_t)seqs->numbers[i % seqs->n_numbers];
            RF_TRY(add_test(plan, &test, err));
        }
    }
    if (plan->n_tests == 0)
        return rf_fail(
            err, RF_ERR_USAGE,
            "found --n-prompt none and --n-gen none, expected one of them to have tests");
    return RF_OK;
}

static rf_status make_setups(const rf_options *options, rf_bench_plan *plan, rf_error *err) {
    rf_option_value threads = *rf_opt_value(options, RF_OPT_THREAD_COUNTS);
    const rf_option_value *batches = rf_opt_value(options, RF_OPT_BATCH_SIZES);
    const rf_option_value *ks = rf_opt_value(options, RF_OPT_CACHE_TYPES_K);
    const rf_option_value *vs = rf_opt_value(options, RF_OPT_CACHE_TYPES_V);
    if (threads.n_numbers == 0)
        threads.numbers[threads.n_numbers++] = rf_cpu_count();
    size_t n_types = ks->n_numbers * vs->n_numbers;
    size_t n = threads.n_numbers * batches->n_numbers * n_types;
    plan->setups = rf_calloc(n, sizeof *plan->setups);
    if (!plan->setups)
        return no_memory(err);
    for (; plan->n_setups < n; plan->n_setups++) {
        size_t i = plan->n_setups, outer = i / n_types;
        plan->setups[i] =
            (rf_bench_setup){.n_threads = (uint32_t)threads.numbers[outer / batches->n_numbers],
                             .n_batch = (uint32_t)batches->numbers[outer % batches->n_numbers],
                             .type_k = (rf_kv_type)ks->numbers[i % n_types / vs->n_numbers],
                             .type_v = (rf_kv_type)vs->numbers[i % vs->n_numbers]};
    }
    return RF_OK;
}

rf_status rf_bench_plan_make(const rf_options *options, rf_bench_plan *out, rf_error *err) {
    out->n_reps = (uint32_t)rf_opt_int(options, RF_OPT_REPETITIONS);
    RF_TRY(make_tests(options, out, err));
    return make_setups(options, out, err);
}

void rf_bench_plan_deinit(rf_bench_plan *plan) {
    rf_free(plan->tests);
    rf_free(plan->setups);
    *plan = (rf_bench_plan){0};
}

const char *rf_bench_test_name(const rf_bench_test *test, char out[RF_BENCH_NAME_BYTES]) {
    char seqs[16] = "", depth[24] = "";
    if (test->n_seqs > 1)
        (void)snprintf(seqs, sizeof seqs, " x%u", test->n_seqs);
    if (test->n_depth > 0)
        (void)snprintf(depth, sizeof depth, " @ d%u", test->n_depth);
    (void)snprintf(out, RF_BENCH_NAME_BYTES, "%s%u%s%s", test->n_prompt ? "pp" : "tg",
                   test->n_prompt + test->n_gen, seqs, depth);
    return out;
}

uint32_t rf_bench_n_steps(const rf_bench_test *test, uint32_t n_batch) {
    return test->n_gen ? test->n_gen : (uint32_t)rf_ceil_div(test->n_prompt, n_batch);
}

rf_bench_step rf_bench_step_at(const rf_bench_test *test, uint32_t n_batch, uint32_t i) {
    if (test->n_gen)
        return (rf_bench_step){test->n_seqs, test->n_seqs, test->n_seqs, test->n_depth + i};
    uint32_t at = i * n_batch, left = test->n_prompt - at;
    bool last = left <= n_batch;
    return (rf_bench_step){last ? left : n_batch, last, 1, test->n_depth + at};
}
