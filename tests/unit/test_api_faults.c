/* Whichever allocation fails: the call says so, the library stays usable and gives all back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "tests/lib/api_bench.h"

/* The whole life of a model: opened, asked twice, closed. */
static rocmforge_status live(api_answer *answer) {
    rocmforge_model *model = NULL;
    rocmforge_engine *engine = NULL;
    rocmforge_request *request = NULL;
    rocmforge_model_options model_options = rocmforge_model_options_init();
    rocmforge_engine_options options = rocmforge_engine_options_init();
    rocmforge_request_options ask = rocmforge_request_options_init();
    rocmforge_prompt prompt = rocmforge_prompt_init();
    rocmforge_message message = {"user", "hello"};
    rocmforge_event event = rocmforge_event_init();
    const char *stops[] = {"never said"};
    model_options.chat_template = API_TEMPLATE;
    options.n_ctx = 64;
    options.n_threads = 1;
    prompt.messages = &message;
    prompt.n_messages = 1;
    ask.prompt = &prompt;
    ask.n_tokens = 4;
    ask.n_choices = 2;
    ask.n_top = 3;
    ask.sampling = "seed=1 dry_multiplier=0.5";
    ask.stops = stops;
    ask.n_stops = 1;
    ask.ignore_end = 1;
    rocmforge_status status = rocmforge_model_open(API_MODEL, &model_options, &model);
    if (status == ROCMFORGE_OK)
        status = rocmforge_engine_open(model, &options, &engine);
    if (status == ROCMFORGE_OK)
        status = rocmforge_run(engine, &ask, api_answer_take, answer);
    if (status == ROCMFORGE_OK)
        status = rocmforge_submit(engine, &ask, &request);
    while (status == ROCMFORGE_OK && !event.last)
        status = rocmforge_request_next(request, &event, -1);
    if (status == ROCMFORGE_OK)
        status = event.status;
    /* Closing needs no memory. */
    if (request)
        assert_int_equal(rocmforge_request_close(request), ROCMFORGE_OK);
    if (engine)
        assert_int_equal(rocmforge_engine_close(engine), ROCMFORGE_OK);
    if (model)
        assert_int_equal(rocmforge_model_close(model), ROCMFORGE_OK);
    return status;
}

static void test_failing_allocations(void **state) {
    (void)state;
    static api_answer want, got;
    assert_int_equal(live(&want), ROCMFORGE_OK); /* and the table of handles is there */
    size_t live_bytes = rf_alloc_live_bytes();
    uint64_t before = rf_alloc_count();
    assert_int_equal(live(&got), ROCMFORGE_OK);
    uint64_t n_all = rf_alloc_count() - before;
    uint32_t n_failed = 0;
    for (uint64_t n = 1; n < n_all + 5; n += n < 40 || n + 160 > n_all ? 1 : 1 + n_all / 60) {
        memset(&got, 0, sizeof got);
        rf_alloc_fail_at(n, 0);
        rocmforge_status status = live(&got);
        rf_alloc_fail_at(0, 0);
        bool says_so = status == ROCMFORGE_NO_MEMORY || status == ROCMFORGE_LIMIT;
        if (status != ROCMFORGE_OK && !says_so) /* LIMIT: an arena, which has a ceiling, too */
            fail_msg("allocation %llu: %s, %s", (unsigned long long)n,
                     rocmforge_status_name(status), rocmforge_last_error());
        assert_int_equal(rocmforge_last_rule(), ROCMFORGE_RULE_NONE);
        if (status == ROCMFORGE_OK)
            assert_memory_equal(got.tokens, want.tokens, sizeof want.tokens);
        assert_int_equal(rf_alloc_live_bytes(), live_bytes);
        n_failed += status != ROCMFORGE_OK;
    }
    assert_true(n_failed > 100);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_failing_allocations)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
