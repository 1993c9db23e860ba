/* Constrained requests on the engine: every answer matches, whoever shares the steps, however its
 * tokens are guessed and however often it is paused; and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "cpu/backend_cpu.h"
#include "grammar/regex.h"
#include "tests/lib/engine_bench.h"

/* Tokens of one to three letters of a small alphabet; the last one ends answers. */
enum { STOP = TINY_VOCAB - 1, MAX_TEXT = 400 };

static uint32_t offsets[TINY_VOCAB + 1];
static char letters[3 * TINY_VOCAB];

static rf_token_bytes vocab(void) {
    rf_rng rng = rf_rng_make(5, 0);
    uint32_t at = 0;
    for (uint32_t id = 0; id < TINY_VOCAB; id++) {
        uint32_t n = id < 26 ? 1 : id == STOP ? 0 : 1 + rf_rng_below(&rng, 3);
        for (uint32_t i = 0; i < n; i++)
            letters[at++] = (char)(id < 26 ? 'a' + (int)id : 'a' + (int)rf_rng_below(&rng, 26));
        offsets[id + 1] = at;
    }
    return (rf_token_bytes){offsets, letters, TINY_VOCAB};
}

static rf_automaton *regex(const char *pattern) {
    rf_automaton *a = NULL;
    rf_error err = {0};
    assert_int_equal(rf_regex_compile(rf_str_of(pattern), false, &a, &err), RF_OK);
    return a;
}

typedef struct answer {
    char text[MAX_TEXT];
    size_t n;
    rf_finish finish;
} answer;

static const char *const patterns[] = {"[abc]{5,20}", "(hello|world|help)", "a*b?c+",
                                       "x([a-m][n-z]){3,}y"};
enum { N_PATTERNS = 4, N_TOGETHER = 16, N_CHOICES = 2 };

/* All patterns at once, with choices, on an engine that is short of blocks. */
static void run_all(bench *b, const rf_automaton *const *automata, rf_draft_kind draft,
                    answer answers[N_TOGETHER][N_CHOICES]) {
    static const int32_t stop[] = {STOP};
    int32_t prompt[60]; /* each request begins elsewhere in it: they share nothing */
    rf_sample_params params = rf_sample_params_default();
    uint64_t first = 0;
    memset(answers, 0, N_TOGETHER * sizeof *answers);
    for (int i = 0; i < 60; i++)
        prompt[i] = i * 7 % TINY_VOCAB;
    for (uint32_t i = 0; i < N_TOGETHER; i++) {
        params.seed = i;
        params.temp = i % 4 == 0 ? 0.0f : 1.0f;
        rf_request request = {.tokens = prompt + i,
                              .n_tokens = 20 + i,
                              .n_new = 60,
                              .n_choices = N_CHOICES,
                              .params = &params,
                              .stop_tokens = stop,
                              .n_stop = 1,
                              .draft = draft,
                              .constraint = automata[i % N_PATTERNS]};
        uint64_t id = bench_submit(b, &request);
        first = i == 0 ? id : first;
    }
    for (uint32_t n = 0; n < N_TOGETHER;) {
        rf_event event = bench_next(b);
        answer *a = &answers[event.id - first][event.choice];
        if (event.kind == RF_EVENT_TOKEN && event.token != STOP) {
            uint32_t from = offsets[event.token], len = offsets[event.token + 1] - from;
            assert_true(a->n + len < MAX_TEXT);
            memcpy(a->text + a->n, letters + from, len);
            a->n += len;
        }
        if (event.kind == RF_EVENT_FINISH) {
            assert_int_equal(event.status, RF_OK);
            a->finish = event.finish;
            n += event.last;
        }
    }
}

static void check(const rf_automaton *const *automata, answer answers[N_TOGETHER][N_CHOICES]) {
    uint32_t n_whole = 0;
    for (uint32_t i = 0; i < N_TOGETHER; i++) {
        for (uint32_t c = 0; c < N_CHOICES; c++) {
            const answer *a = &answers[i][c];
            bool matches = rf_automaton_matches(automata[i % N_PATTERNS], a->text, a->n);
            if (a->finish == RF_FINISH_STOP && !matches)
                fail_msg("%s: \"%s\"", patterns[i % N_PATTERNS], a->text);
            n_whole += a->finish == RF_FINISH_STOP;
        }
    }
    assert_true(n_whole > N_TOGETHER);
}

static void test_answers_match(void **state) {
    (void)state;
    static bench b;
    static answer answers[2][N_TOGETHER][N_CHOICES];
    tiny_program tiny;
    rf_automaton *automata[N_PATTERNS];
    rf_token_bytes bytes = vocab();
    assert_true(bench_begin(&b, &tiny, 3));
    b.first_id = UINT32_MAX; /* keeps no rows */
    for (int i = 0; i < N_PATTERNS; i++)
        automata[i] = regex(patterns[i]);
    rf_engine_options options = {
        .n_ctx = MAX_TOKENS, .kv_tokens = 160, .max_seqs = 6, .batch_tokens = 24, .vocab = &bytes};
    options.draft = (rf_draft_options){.n_max = 4, .always = true};
    for (int i = 0; i < 2; i++) {
        uint64_t forbidden = rf_alloc_n_forbidden();
        bench_open(&b, &options, 1);
        run_all(&b, (const rf_automaton *const *)automata, i ? RF_DRAFT_LOOKUP : RF_DRAFT_NONE,
                answers[i]);
        check((const rf_automaton *const *)automata, answers[i]);
        rf_sched_counters counters = rf_engine_get_counters(b.engine).sched;
        assert_true(counters.n_preempted > 0);
        assert_int_equal(counters.n_accepted > 0, i);
        bench_close(&b);
        assert_int_equal(rf_alloc_n_forbidden(), forbidden);
    }
    assert_memory_equal(answers[0], answers[1], sizeof answers[0]); /* guesses change nothing */
    for (int i = 0; i < N_PATTERNS; i++)
        rf_free(automata[i]);
    bench_end(&b, &tiny);
}

static void test_refused(void **state) {
    (void)state;
    static bench b;
    tiny_program tiny;
    rf_token_bytes bytes = vocab();
    assert_true(bench_begin(&b, &tiny, 4));
    b.first_id = UINT32_MAX; /* keeps no rows */
    rf_automaton *digits = regex("[0-9]+"), *ab = regex("ab");
    rf_engine_options options = {.n_ctx = 64, .max_seqs = 2};
    int32_t prompt[4] = {1, 2, 3, 4}, outside = TINY_VOCAB;
    rf_request request = {.tokens = prompt, .n_tokens = 4, .n_new = 8, .constraint = digits};
    rf_error err = {0};
    uint64_t id;
    bench_open(&b, &options, 1);
    assert_int_equal(rf_engine_submit(b.engine, &request, &id, &err), RF_ERR_INVALID);
    assert_non_null(strstr(err.text, "without its tokens' bytes"));
    bench_close(&b);
    options.vocab = &bytes;
    bench_open(&b, &options, 1);
    (void)bench_submit(&b, &request); /* no token is a digit */
    rf_event event = bench_next(&b);
    assert_int_equal(event.finish, RF_FINISH_FAILED);
    assert_int_equal(event.status, RF_ERR_INVALID);
    assert_non_null(strstr(event.error, "cannot spell"));
    request.constraint = ab; /* the others go on */
    request.stop_tokens = &outside;
    request.n_stop = 1;
    assert_int_equal(rf_engine_submit(b.engine, &request, &id, &err), RF_ERR_INVALID);
    assert_non_null(strstr(err.text, "stop token 0"));
    request.n_stop = 0;
    (void)bench_submit(&b, &request);
    while ((event = bench_next(&b)).kind == RF_EVENT_TOKEN) {
    }
    assert_int_equal(event.finish, RF_FINISH_STOP); /* nothing may follow: no stop token needed */
    rf_automaton *broken = rf_alloc(ab->n_bytes);
    memcpy(broken, ab, ab->n_bytes);
    broken->n_states = 60000;
    request.constraint = broken;
    assert_int_equal(rf_engine_submit(b.engine, &request, &id, &err), RF_ERR_INVALID);
    bench_close(&b);
    bytes.n_tokens--;
    rf_engine *engine = NULL;
    rf_backend *backend = NULL;
    rf_cpu_options cpu = {.n_threads = 1, .features = UINT32_MAX};
    assert_int_equal(rf_cpu_backend_create(&cpu, &backend, &err), RF_OK);
    assert_int_equal(rf_engine_create(backend, b.program, &options, NULL, NULL, &engine, &err),
                     RF_ERR_INVALID);
    backend->api->destroy(backend);
    rf_free(broken);
    rf_free(digits);
    rf_free(ab);
    bench_end(&b, &tiny);
}

/* A token that ends answers though it is text: only where the text may end, whatever it spells. */
static void test_stop_tokens_of_text(void **state) {
    (void)state;
    static bench b;
    static const int32_t stop[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9};
    tiny_program tiny;
    rf_token_bytes bytes = vocab();
    assert_true(bench_begin(&b, &tiny, 4));
    b.first_id = UINT32_MAX; /* keeps no rows */
    rf_engine_options options = {.n_ctx = 64, .max_seqs = 2, .vocab = &bytes};
    rf_automaton *a = regex("[a-l]{3}");
    bench_open(&b, &options, 1);
    for (uint32_t seed = 0; seed < 30; seed++) {
        rf_sample_params params = rf_sample_params_default();
        int32_t prompt[1] = {(int32_t)seed};
        rf_request request = {.tokens = prompt,
                              .n_tokens = 1,
                              .n_new = 8,
                              .params = &params,
                              .stop_tokens = stop,
                              .n_stop = 10,
                              .constraint = a};
        params.seed = seed;
        char text[16] = {0};
        uint32_t n = 0;
        (void)bench_submit(&b, &request);
        rf_event event;
        while ((event = bench_next(&b)).kind == RF_EVENT_TOKEN) {
            uint32_t from = offsets[event.token], len = offsets[event.token + 1] - from;
            assert_true(event.token > 9 && n + len <= 3);
            memcpy(text + n, letters + from, len);
            n += len;
        }
        assert_int_equal(event.finish, RF_FINISH_STOP);
        assert_true(rf_automaton_matches(a, text, n));
    }
    bench_close(&b);
    rf_free(a);
    bench_end(&b, &tiny);
}

/* More patterns than are kept: the oldest that nobody uses goes. */
static void test_many_constraints(void **state) {
    (void)state;
    static bench b;
    tiny_program tiny;
    rf_token_bytes bytes = vocab();
    assert_true(bench_begin(&b, &tiny, 4));
    b.first_id = UINT32_MAX; /* keeps no rows */
    rf_engine_options options = {.n_ctx = 64, .max_seqs = 4, .vocab = &bytes};
    bench_open(&b, &options, 1);
    for (uint32_t i = 0; i < 40; i++) {
        char pattern[32] = "[a-f]{2}";
        pattern[3] = (char)('b' + (int)(i % 20));
        rf_automaton *a = regex(pattern);
        int32_t prompt[1] = {(int32_t)i};
        rf_request request = {.tokens = prompt, .n_tokens = 1, .n_new = 8, .constraint = a};
        (void)bench_submit(&b, &request);
        rf_event event;
        while ((event = bench_next(&b)).kind == RF_EVENT_TOKEN) {
        }
        assert_int_equal(event.finish, RF_FINISH_STOP);
        rf_free(a);
    }
    bench_close(&b);
    bench_end(&b, &tiny);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_match), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_stop_tokens_of_text), cmocka_unit_test(test_many_constraints)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
