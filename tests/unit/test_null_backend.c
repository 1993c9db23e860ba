/* The engine on the null backend: an answer is a function of its prompt alone. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "engine/engine.h"
#include "null/backend_null.h"

enum { VOCAB = 300, N_PROMPTS = 40, N_NEW = 50, MAX_PROMPT = 200 };

static rf_engine *open_engine(const rf_program *program, uint32_t kv_tokens, uint64_t step_ns) {
    rf_error err = {0};
    rf_backend *backend = NULL;
    rf_engine *engine = NULL;
    rf_null_options options = {.step_ns = step_ns};
    rf_engine_options limits = {.n_ctx = 400,
                                .kv_tokens = kv_tokens,
                                .batch_tokens = 64,
                                .max_seqs = 8,
                                .max_waiting = N_PROMPTS};
    assert_int_equal(rf_null_backend_create(&options, &backend, &err), RF_OK);
    assert_int_equal(rf_engine_create(backend, program, &limits, NULL, NULL, &engine, &err), RF_OK);
    return engine;
}

static int32_t token_of(uint32_t prompt, uint32_t i) {
    return (int32_t)(i < 70 ? i * 7 % VOCAB : (i * 31 + prompt * 17) % VOCAB);
}

static void submit(rf_engine *engine, uint32_t prompt) {
    rf_error err = {0};
    int32_t tokens[MAX_PROMPT];
    rf_sample_params params = rf_sample_params_default();
    params.temp = 0;
    uint32_t n = 1 + prompt * 41 % MAX_PROMPT;
    for (uint32_t i = 0; i < n; i++)
        tokens[i] = token_of(prompt, i);
    rf_request request = {.tokens = tokens, .n_tokens = n, .n_new = N_NEW, .params = &params};
    uint64_t id;
    assert_int_equal(rf_engine_submit(engine, &request, &id, &err), RF_OK);
}

/* The tokens of prompts that were submitted in order, from id `first` on. */
static void take(rf_engine *engine, uint64_t first, uint32_t n, int32_t got[][N_NEW]) {
    uint32_t n_got[N_PROMPTS] = {0};
    rf_event event;
    for (uint32_t n_ended = 0; n_ended < n;) {
        assert_true(rf_engine_next(engine, &event, UINT64_C(10000000000)));
        uint64_t i = event.id - first;
        assert_true(i < n);
        if (event.kind == RF_EVENT_TOKEN)
            got[i][n_got[i]++] = event.token;
        if (event.kind == RF_EVENT_FINISH) {
            assert_int_equal(event.status, RF_OK);
            assert_int_equal(n_got[i], N_NEW);
            n_ended += event.last;
        }
    }
}

static void test_answers_hang_on_prompts_alone(void **state) {
    (void)state;
    static int32_t alone[N_PROMPTS][N_NEW], together[N_PROMPTS][N_NEW];
    rf_program program = rf_null_program(VOCAB, 400);
    rf_engine *engine = open_engine(&program, 4000, 0);
    for (uint32_t i = 0; i < N_PROMPTS; i++) {
        submit(engine, i);
        take(engine, 1 + i, 1, alone + i);
    }
    rf_engine_destroy(engine);
    engine = open_engine(&program, 800, 0); /* too few blocks: sequences pause and come back */
    for (uint32_t i = 0; i < N_PROMPTS; i++)
        submit(engine, i);
    take(engine, 1, N_PROMPTS, together);
    assert_memory_equal(alone, together, sizeof alone);
    assert_true(rf_engine_get_counters(engine).sched.n_preempted > 0);
    rf_engine_destroy(engine);
    assert_memory_not_equal(alone[0], alone[1], sizeof alone[0]);
}

static void test_a_step_lasts_as_long_as_asked(void **state) {
    (void)state;
    static int32_t got[1][N_NEW];
    rf_program program = rf_null_program(VOCAB, 400);
    rf_engine *engine = open_engine(&program, 400, 1000000);
    uint64_t start = rf_clock_ns();
    submit(engine, 3);
    take(engine, 1, 1, got);
    assert_true(rf_clock_ns() - start >= (uint64_t)N_NEW * 1000000);
    rf_engine_destroy(engine);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_hang_on_prompts_alone),
        cmocka_unit_test(test_a_step_lasts_as_long_as_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
