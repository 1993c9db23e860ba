/* What an engine says of its steps: rows that add up to the tokens, times of ops, what the backend
 * failed with; and what an observer is shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "tests/lib/engine_bench.h"

enum { MAX_WEIGHTS = 64, N_PROMPT = 75 };

typedef struct witness {
    bench b; /* first: callbacks get its address */
    tiny_program tiny;
    rf_observer observer;
    uint32_t n_blocks; /* of the first group's pool */
    /* To be read once the engine is closed. */
    uint64_t n_steps, n_decode, n_prefill, n_copies, n_failed, n_wrong, end_ns, all_ns;
    uint64_t seen[MAX_WEIGHTS], n_of_expert; /* rows that a weight was multiplied with */
    uint32_t n_available;
    rf_sched_counters last;
} witness;

static void check(witness *w, bool holds) { w->n_wrong += !holds; }

static void check_entries(witness *w, const rf_step_report *r) {
    uint32_t n_rows = 0, n_decode = 0;
    for (uint32_t i = 0; i < r->n_entries; i++) {
        const rf_step_entry *entry = &r->entries[i];
        n_decode += entry->is_decode ? entry->n_rows : 0;
        check(w, entry->first_row == n_rows && entry->n_rows > 0 && entry->job > 0);
        n_rows += entry->n_rows;
    }
    check(w, n_decode == r->n_decode + r->n_draft);
    check(w, n_rows == r->n_decode + r->n_draft + r->n_prefill);
}

static void on_step(void *user, const rf_step_report *r) {
    witness *w = user;
    bool fails = r->status != RF_OK;
    check_entries(w, r);
    check(w, r->start_ns >= w->end_ns);
    w->end_ns = r->start_ns + r->ns;
    w->all_ns += r->ns;
    check(w, r->counters->last_step_ns == r->ns && r->counters->step_ns == w->all_ns);
    if (r->op_ns && !fails) {
        uint32_t n_ops = w->b.program->n_ops;
        check(w, r->op_ns[0] >= r->start_ns && r->op_ns[n_ops] <= w->end_ns);
        for (uint32_t i = 0; i < n_ops; i++)
            check(w, r->op_ns[i] <= r->op_ns[i + 1]);
        check(w, r->op_ns[n_ops] > r->op_ns[0]);
    }
    w->n_steps++;
    w->n_failed += fails;
    check(w, r->status == RF_OK || r->status == RF_ERR_INTERNAL);
    w->n_copies += r->n_copies;
    if (!fails) {
        w->n_decode += r->n_decode;
        w->n_prefill += r->n_prefill;
    }
    check(w, r->n_blocks_available <= w->n_blocks);
    w->n_available = r->n_blocks_available;
    w->last = r->counters->sched;
}

static void see(void *user, rf_weight_id weight, uint32_t expert, const float *rows,
                size_t n_rows) {
    witness *w = user;
    if (weight < 0 || weight >= MAX_WEIGHTS || !rows)
        w->n_wrong++;
    else
        w->seen[weight] += n_rows;
    w->n_of_expert += expert > 0;
}

static witness *begin(const rf_engine_options *options) {
    static witness w;
    rf_engine_options with = *options;
    memset(&w, 0, sizeof w);
    assert_true(bench_begin(&w.b, &w.tiny, 14));
    assert_in_range(w.b.program->n_weights, 1, MAX_WEIGHTS);
    w.observer = (rf_observer){see, &w};
    w.n_blocks = (options->kv_tokens + 31) / 32;
    w.b.first_id = UINT64_MAX / 2; /* rows are of no interest */
    with.on_step = on_step;
    if (options->observer)
        with.observer = &w.observer;
    bench_open(&w.b, &with, 2);
    return &w;
}

static void finish(witness *w) {
    bench_close(&w->b);
    bench_end(&w->b, &w->tiny);
    assert_int_equal(w->n_wrong, 0);
}

/* Until n requests have ended; how many of them failed, and the tokens that came from the cache. */
static uint32_t take(witness *w, uint32_t n, uint64_t *n_cached) {
    uint32_t n_failed = 0;
    while (n > 0) {
        rf_event event = bench_next(&w->b);
        if (event.kind != RF_EVENT_FINISH)
            continue;
        n -= event.last;
        n_failed += event.finish == RF_FINISH_FAILED;
        *n_cached += event.n_cached;
    }
    return n_failed;
}

static void test_rows_add_up(void **state) {
    (void)state;
    witness *w = begin(&(rf_engine_options){.n_ctx = MAX_TOKENS,
                                            .kv_tokens = 4096,
                                            .batch_tokens = 50,
                                            .max_seqs = 8,
                                            .max_waiting = 64,
                                            .times_ops = true});
    uint64_t n_prompt = 0, n_decode = 0, n_cached = 0;
    bench_make_records(&w->b, 3, false);
    for (uint32_t i = 0; i < N_REQUESTS; i++) {
        record *r = &w->b.records[i];
        n_prompt += r->n_prompt;
        n_decode += r->n_new - 1; /* the first one comes from the prompt's last row */
        (void)bench_submit_record(&w->b, r, i);
    }
    assert_int_equal(take(w, N_REQUESTS, &n_cached), 0);
    finish(w);
    assert_true(n_cached > 0);
    assert_int_equal(w->n_prefill, n_prompt - n_cached);
    assert_int_equal(w->n_decode, n_decode);
    assert_int_equal(w->last.n_prefill_rows, w->n_prefill);
    assert_int_equal(w->last.n_decode_rows, w->n_decode);
    assert_int_equal(w->last.n_cached_tokens, n_cached);
    assert_int_equal(w->last.n_steps, w->n_steps);
    assert_int_equal(w->last.kv.n_copied, w->n_copies);
    assert_int_equal(w->n_failed, 0);
    assert_int_equal(w->n_available, w->n_blocks); /* all were given back */
}

static void test_failing_step(void **state) {
    (void)state;
    witness *w = begin(&(rf_engine_options){
        .n_ctx = MAX_TOKENS, .kv_tokens = 512, .max_seqs = 2, .times_ops = true});
    int32_t prompt[N_PROMPT] = {1, 2, 3};
    rf_request request = {.tokens = prompt, .n_tokens = N_PROMPT, .n_new = 20};
    uint64_t n_cached = 0;
    w->b.backend.fail_at = 7;
    (void)bench_submit(&w->b, &request);
    assert_int_equal(take(w, 1, &n_cached), 1);
    (void)bench_submit(&w->b, &request);
    assert_int_equal(take(w, 1, &n_cached), 0);
    finish(w);
    assert_int_equal(w->n_failed, 1);
    assert_int_equal(w->n_steps, 7 + 20);
    assert_int_equal(w->n_available, w->n_blocks);
}

/* Every weight sees every row that is computed, experts their share and the last one the rows with
 * results: a private prompt as often as it is asked, another one once. */
static void test_observer(void **state) {
    (void)state;
    static const rf_observer wanted;
    for (int own = 0; own < 2; own++) {
        witness *w = begin(&(rf_engine_options){
            .n_ctx = MAX_TOKENS, .kv_tokens = 512, .max_seqs = 2, .observer = &wanted});
        int32_t prompt[N_PROMPT];
        for (int32_t i = 0; i < N_PROMPT; i++)
            prompt[i] = i % TINY_VOCAB;
        rf_request request = {.kind = RF_REQUEST_ROWS,
                              .tokens = prompt,
                              .n_tokens = N_PROMPT,
                              .rows_from = N_PROMPT - 5,
                              .keeps_private = own != 0};
        uint64_t n_cached = 0, most = 0;
        for (int i = 0; i < 2; i++) {
            (void)bench_submit(&w->b, &request);
            assert_int_equal(take(w, 1, &n_cached), 0);
        }
        uint32_t n_weights = w->b.program->n_weights, n_whole = 0, n_results = 0, n_experts = 0;
        finish(w);
        assert_int_equal(n_cached, own ? 0 : N_PROMPT - 5);
        uint64_t n_rows = 2 * N_PROMPT - n_cached;
        for (uint32_t i = 0; i < n_weights; i++) {
            most = w->seen[i] > most ? w->seen[i] : most;
            n_whole += w->seen[i] == n_rows;
            n_results += w->seen[i] == 2 * 5;
            n_experts += w->seen[i] == TINY_USED * n_rows;
        }
        assert_int_equal(most, TINY_USED * n_rows);
        assert_true(n_whole >= 6 && n_results == 1 && n_experts >= 2);
        assert_true(w->n_of_expert > 0);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_add_up),
        cmocka_unit_test(test_failing_step),
        cmocka_unit_test(test_observer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
