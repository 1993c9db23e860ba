/* Requests for rows against those for scores and tokens, requests that begin together, and seeds
 * that the engine draws. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "sample/logprobs.h"
#include "tests/lib/engine_bench.h"

enum { N_PROMPT = 60, N_TOP = 5, N_NEW = 30, N_TOGETHER = 3, MAX_STEPS = 64 };

typedef struct probe {
    bench b; /* first: callbacks get its address */
    tiny_program tiny;
    int32_t prompt[N_PROMPT];
    /* Rows of the request under way, as they came. */
    float rows[N_PROMPT][TINY_VOCAB];
    uint32_t positions[N_PROMPT], n_rows;
    uint64_t id;
    uint32_t n_entries[MAX_STEPS], n_steps; /* to be read once the engine is closed */
} probe;

static void keep_row(void *user, uint64_t id, uint32_t position, const float *logits,
                     const float *hidden) {
    probe *p = user;
    assert_non_null(logits);
    assert_null(hidden);
    if (p->n_rows == N_PROMPT)
        return;
    memcpy(p->rows[p->n_rows], logits, sizeof p->rows[0]);
    p->positions[p->n_rows++] = position;
    p->id = id;
}

static void keep_step(void *user, const rf_step_report *report) {
    probe *p = user;
    if (p->n_steps < MAX_STEPS)
        p->n_entries[p->n_steps++] = report->n_entries;
}

static probe *begin(const rf_engine_options *options) {
    static probe p;
    rf_engine_options with = *options;
    memset(&p, 0, sizeof p);
    assert_true(bench_begin(&p.b, &p.tiny, 12));
    with.on_row = keep_row;
    with.on_step = keep_step;
    bench_open(&p.b, &with, 1);
    for (int32_t i = 0; i < N_PROMPT; i++)
        p.prompt[i] = (i * i + 3) % TINY_VOCAB;
    return &p;
}

static void finish(probe *p) {
    bench_close(&p->b);
    bench_end(&p->b, &p->tiny);
}

/* Rows of the prompt from a token on: in order, each once, as bits those of `want`. */
static void check_rows(probe *p, uint32_t from, uint32_t to, float want[][TINY_VOCAB]) {
    assert_int_equal(p->n_rows, to - from);
    for (uint32_t i = 0; i < to - from; i++) {
        assert_int_equal(p->positions[i], from + i);
        assert_memory_equal(p->rows[i], want[from + i], sizeof p->rows[i]);
    }
}

static rf_event ask(probe *p, const rf_request *request) {
    p->n_rows = 0;
    uint64_t id = bench_submit(&p->b, request);
    rf_event event = bench_next(&p->b);
    assert_int_equal(event.id, id);
    assert_int_equal(p->id, id);
    return event;
}

/* In steps of 7 rows with 4 results at most. */
static void test_rows(void **state) {
    (void)state;
    probe *p = begin(
        &(rf_engine_options){.n_ctx = 100, .batch_tokens = 7, .max_seqs = 4, .max_outputs = 4});
    rf_request request = {
        .kind = RF_REQUEST_ROWS, .tokens = p->prompt, .n_tokens = N_PROMPT, .keeps_private = true};
    static float all[N_PROMPT][TINY_VOCAB];
    for (uint32_t from = 0; from < N_PROMPT; from += from < 8 ? 1 : 17) {
        request.rows_from = from;
        rf_event event = ask(p, &request);
        assert_true(event.kind == RF_EVENT_FINISH && event.finish == RF_FINISH_ROWS && event.last);
        assert_true(event.scores == NULL && event.embedding == NULL);
        if (from == 0)
            memcpy(all, p->rows, sizeof all);
        check_rows(p, from, N_PROMPT, all);
    }
    request.rows_from = N_PROMPT - 1; /* the row that the next token is chosen from */
    (void)ask(p, &request);
    check_rows(p, N_PROMPT - 1, N_PROMPT, all);
    int32_t best = 0;
    for (int32_t v = 1; v < TINY_VOCAB; v++)
        best = all[N_PROMPT - 1][v] > all[N_PROMPT - 1][best] ? v : best;
    rf_sample_params params = rf_sample_params_default();
    params.temp = 0;
    rf_event event = ask(
        p, &(rf_request){.tokens = p->prompt, .n_tokens = N_PROMPT, .n_new = 1, .params = &params});
    assert_int_equal(event.kind, RF_EVENT_TOKEN);
    assert_int_equal(event.token, best);
    check_rows(p, N_PROMPT - 1, N_PROMPT, all);
    finish(p);
}

/* A score is what its row says, and there is none for the last row. */
static void test_rows_and_scores(void **state) {
    (void)state;
    probe *p = begin(&(rf_engine_options){.n_ctx = 100, .batch_tokens = 20, .max_seqs = 4});
    rf_request request = {.kind = RF_REQUEST_ROWS, .tokens = p->prompt, .n_tokens = N_PROMPT};
    rf_sample_scratch *scratch = NULL;
    rf_error err = {0};
    static float all[N_PROMPT][TINY_VOCAB];
    assert_int_equal(rf_sample_scratch_create(TINY_VOCAB, &scratch, &err), RF_OK);
    (void)ask(p, &request);
    memcpy(all, p->rows, sizeof all);
    request.kind = RF_REQUEST_SCORE;
    request.n_top = N_TOP;
    for (uint32_t from = 1; from < N_PROMPT; from += 29) {
        request.scores_from = from;
        rf_event event = ask(p, &request);
        check_rows(p, from - 1, N_PROMPT - 1, all);
        assert_non_null(event.scores);
        for (uint32_t i = from; i < N_PROMPT; i++) {
            const rf_token_logprob *at = event.scores + (size_t)(i - from) * (1 + N_TOP);
            rf_token_logprob top[N_TOP];
            float logprob;
            assert_int_equal(
                rf_logprobs(scratch, all[i - 1], TINY_VOCAB, p->prompt[i], N_TOP, &logprob, top),
                N_TOP);
            assert_int_equal(at[0].token, p->prompt[i]);
            assert_memory_equal(&at[0].logprob, &logprob, sizeof logprob);
            assert_memory_equal(at + 1, top, sizeof top);
        }
    }
    rf_sample_scratch_destroy(scratch);
    finish(p);
}

static void test_rows_that_are_refused(void **state) {
    (void)state;
    probe *p = begin(&(rf_engine_options){.n_ctx = 100, .batch_tokens = 20, .max_seqs = 4});
    rf_request request = {
        .kind = RF_REQUEST_ROWS, .tokens = p->prompt, .n_tokens = 40, .rows_from = 40};
    rf_error err = {0};
    uint64_t id;
    assert_int_equal(rf_engine_submit(p->b.engine, &request, &id, &err), RF_ERR_INVALID);
    assert_non_null(strstr(err.text, "rows from token 40 of 40, expected 0 to 39"));
    /* A row that is not finite ends its request alone, and nobody finds what its step stored. */
    int32_t spoilt[N_PROMPT];
    for (int32_t i = 0; i < N_PROMPT; i++)
        spoilt[i] = p->prompt[i] = 1 + i % (TINY_VOCAB - 1);
    spoilt[30] = 0;
    p->b.backend.spoils_token = 0; /* the engine sleeps */
    request.rows_from = 3;
    request.tokens = spoilt;
    request.more_follow = true;
    uint64_t bad = bench_submit(&p->b, &request);
    request.tokens = p->prompt;
    request.more_follow = false;
    request.salt = 1;
    (void)bench_submit(&p->b, &request);
    for (int i = 0; i < 2; i++) {
        rf_event event = bench_next(&p->b);
        assert_int_equal(event.status, event.id == bad ? RF_ERR_INVALID : RF_OK);
        assert_int_equal(event.finish, event.id == bad ? RF_FINISH_FAILED : RF_FINISH_ROWS);
        if (event.id == bad)
            assert_non_null(strstr(event.error, "logits after position 30 are not finite"));
    }
    request =
        (rf_request){.kind = RF_REQUEST_ROWS, .tokens = spoilt, .n_tokens = 30, .rows_from = 29};
    assert_int_equal(ask(p, &request).n_cached, 3 + 16); /* the step before: 16 results at most */
    finish(p);
}

static void rest_ns(uint64_t ns) {
    uint64_t until = rf_clock_ns() + ns;
    struct timespec pause = {.tv_nsec = 100000};
    while (rf_clock_ns() < until)
        (void)nanosleep(&pause, NULL);
}

/* Who says that more follow does not wake the engine, whatever time passes: the last one does, and
 * all begin in one step. The engine may be awake still, so there are several attempts. */
static void test_more_follow(void **state) {
    (void)state;
    uint32_t n_together = 0;
    for (int attempt = 0; attempt < 20 && n_together < 3; attempt++) {
        probe *p = begin(&(rf_engine_options){.n_ctx = 100, .max_seqs = 4});
        rest_ns(5000000);
        for (uint32_t i = 0; i < N_TOGETHER; i++) {
            rf_request request = {.kind = RF_REQUEST_ROWS,
                                  .tokens = p->prompt,
                                  .n_tokens = 10 + i,
                                  .salt = i,
                                  .rows_from = 9 + i,
                                  .more_follow = i + 1 < N_TOGETHER};
            (void)bench_submit(&p->b, &request);
            rest_ns(1000000);
        }
        for (uint32_t i = 0; i < N_TOGETHER; i++)
            assert_int_equal(bench_next(&p->b).finish, RF_FINISH_ROWS);
        bench_close(&p->b);
        n_together += p->n_steps == 1 && p->n_entries[0] == N_TOGETHER;
        bench_end(&p->b, &p->tiny);
    }
    assert_int_equal(n_together, 3);
}

static void generate(probe *p, int64_t seed, uint32_t n_choices, int32_t out[][N_NEW]) {
    rf_sample_params params = rf_sample_params_default();
    params.seed = seed;
    params.temp = 2;
    params.top_k = 0;
    rf_request request = {.tokens = p->prompt,
                          .n_tokens = 20,
                          .n_new = N_NEW,
                          .n_choices = n_choices,
                          .params = &params};
    uint32_t n[4] = {0};
    (void)bench_submit(&p->b, &request);
    for (rf_event event = {0}; !event.last;) {
        event = bench_next(&p->b);
        if (event.kind == RF_EVENT_TOKEN)
            out[event.choice][n[event.choice]++] = event.token;
    }
    for (uint32_t i = 0; i < n_choices; i++)
        assert_int_equal(n[i], N_NEW);
}

/* A seed below 0 stands for one that is drawn for each request. Choices of one request draw from
 * streams of their own, which a seed alone determines. */
static void test_seeds(void **state) {
    (void)state;
    probe *p = begin(&(rf_engine_options){.n_ctx = 100, .kv_tokens = 800, .max_seqs = 4});
    int32_t drawn[2][4][N_NEW], given[2][4][N_NEW], one[1][N_NEW];
    for (int i = 0; i < 2; i++) {
        generate(p, -1, 4, drawn[i]);
        generate(p, 77, 4, given[i]);
    }
    generate(p, 77, 1, one);
    assert_memory_equal(given[0], given[1], sizeof given[0]);
    assert_memory_equal(one[0], given[0][0], sizeof one[0]);
    for (int i = 0; i < 4; i++) {
        assert_memory_not_equal(drawn[0][i], drawn[1][i], sizeof drawn[0][i]);
        for (int k = 0; k < i; k++) {
            assert_memory_not_equal(drawn[0][i], drawn[0][k], sizeof drawn[0][i]);
            assert_memory_not_equal(given[0][i], given[0][k], sizeof given[0][i]);
        }
    }
    finish(p);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_rows_and_scores),
        cmocka_unit_test(test_rows_that_are_refused),
        cmocka_unit_test(test_more_follow),
        cmocka_unit_test(test_seeds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
