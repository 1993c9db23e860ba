/* Every rule of the public header, broken on purpose: the error names the rule, nothing changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/lib/api_bench.h"

#define BREAKS(rule, call) api_breaks((call), ROCMFORGE_RULE_##rule, #call)

static rocmforge_prompt a_prompt(void) {
    rocmforge_prompt prompt = rocmforge_prompt_init();
    prompt.text = "hello";
    return prompt;
}

static rocmforge_request_options a_request(const rocmforge_prompt *prompt) {
    rocmforge_request_options options = rocmforge_request_options_init();
    options.prompt = prompt;
    options.n_tokens = 8;
    options.ignore_end = 1;
    return options;
}

static rocmforge_request *submit(uint32_t n_tokens) {
    rocmforge_prompt prompt = a_prompt();
    rocmforge_request_options options = a_request(&prompt);
    rocmforge_request *request = NULL;
    options.n_tokens = n_tokens;
    assert_int_equal(rocmforge_submit(bench.engine, &options, &request), ROCMFORGE_OK);
    return request;
}

static void test_null(void **state) {
    (void)state;
    rocmforge_model *model;
    rocmforge_engine *engine;
    rocmforge_request *request;
    rocmforge_event event = rocmforge_event_init();
    rocmforge_prompt prompt = a_prompt();
    rocmforge_request_options options = a_request(&prompt);
    int32_t token = 5;
    size_t n;
    BREAKS(NULL, rocmforge_model_open(NULL, NULL, &model));
    BREAKS(NULL, rocmforge_model_open(API_MODEL, NULL, NULL));
    BREAKS(NULL, rocmforge_model_close(NULL));
    BREAKS(NULL, rocmforge_model_get_info(bench.model, NULL));
    BREAKS(NULL, rocmforge_engine_open(NULL, NULL, &engine));
    BREAKS(NULL, rocmforge_engine_open(bench.model, NULL, NULL));
    BREAKS(NULL, rocmforge_engine_close(NULL));
    BREAKS(NULL, rocmforge_engine_get_counters(bench.engine, NULL));
    BREAKS(NULL, rocmforge_engine_wait(bench.engine, NULL, 0));
    BREAKS(NULL, rocmforge_submit(NULL, &options, &request));
    BREAKS(NULL, rocmforge_submit(bench.engine, NULL, &request));
    BREAKS(NULL, rocmforge_submit(bench.engine, &options, NULL));
    BREAKS(NULL, rocmforge_run(NULL, &options, NULL, NULL));
    BREAKS(NULL, rocmforge_request_next(NULL, &event, 0));
    BREAKS(NULL, rocmforge_request_cancel(NULL));
    BREAKS(NULL, rocmforge_request_close(NULL));
    BREAKS(NULL, rocmforge_tokenize(bench.model, NULL, 3, 0, &token, 1, &n));
    BREAKS(NULL, rocmforge_tokenize(bench.model, "x", 1, 0, NULL, 1, &n));
    BREAKS(NULL, rocmforge_detokenize(bench.model, NULL, 1, NULL, 0, &n));
    BREAKS(NULL, rocmforge_detokenize(bench.model, &token, 1, NULL, 9, &n));
    BREAKS(NULL, rocmforge_render(bench.model, NULL, NULL, 0, &n));
    assert_int_equal(rocmforge_token_is_end(NULL, 1), ROCMFORGE_MISUSE);
    assert_int_equal(rocmforge_engine_n_ctx(NULL), 0);
    options.prompt = NULL;
    BREAKS(NULL, rocmforge_run(bench.engine, &options, NULL, NULL));
    options.prompt = &prompt;
    options.n_stops = 1;
    BREAKS(NULL, rocmforge_run(bench.engine, &options, NULL, NULL));
    const char *none[] = {NULL};
    options.stops = none;
    BREAKS(NULL, rocmforge_run(bench.engine, &options, NULL, NULL));
    options.n_stops = 0;
    options.n_biases = 1;
    BREAKS(NULL, rocmforge_run(bench.engine, &options, NULL, NULL));
    rocmforge_message message = {"user", NULL};
    prompt = rocmforge_prompt_init();
    prompt.messages = &message;
    prompt.n_messages = 1;
    BREAKS(NULL, rocmforge_render(bench.model, &prompt, NULL, 0, &n));
}

static void test_handles(void **state) {
    (void)state;
    rocmforge_event event = rocmforge_event_init();
    rocmforge_model *foreign = (rocmforge_model *)(void *)&event;
    BREAKS(HANDLE, rocmforge_model_close(foreign));
    BREAKS(HANDLE, rocmforge_model_close((rocmforge_model *)(uintptr_t)5));
    BREAKS(HANDLE, rocmforge_model_close((rocmforge_model *)UINTPTR_MAX));
    BREAKS(HANDLE, rocmforge_request_next((rocmforge_request *)(uintptr_t)1, &event, 0));
    BREAKS(HANDLE_KIND, rocmforge_engine_close((rocmforge_engine *)(void *)bench.model));
    BREAKS(HANDLE_KIND, rocmforge_model_close((rocmforge_model *)(void *)bench.engine));
    BREAKS(HANDLE_KIND, rocmforge_request_cancel((rocmforge_request *)(void *)bench.engine));
    /* Closed ones stay closed, whatever takes their place. */
    rocmforge_request *old = submit(4);
    assert_int_equal(rocmforge_request_close(old), ROCMFORGE_OK);
    BREAKS(HANDLE_CLOSED, rocmforge_request_close(old));
    rocmforge_request *later = submit(4);
    BREAKS(HANDLE_CLOSED, rocmforge_request_close(old));
    BREAKS(HANDLE_CLOSED, rocmforge_request_next(old, &event, 0));
    BREAKS(HANDLE_CLOSED, rocmforge_request_cancel(old));
    assert_int_equal(rocmforge_request_close(later), ROCMFORGE_OK);
}

static void test_order(void **state) {
    (void)state;
    rocmforge_model *model;
    rocmforge_engine *engine, *second;
    rocmforge_engine_options options = rocmforge_engine_options_init();
    options.n_ctx = 64;
    options.n_threads = 1;
    assert_int_equal(rocmforge_model_open(API_MODEL, NULL, &model), ROCMFORGE_OK);
    assert_int_equal(rocmforge_engine_open(model, &options, &engine), ROCMFORGE_OK);
    assert_int_equal(rocmforge_engine_open(model, &options, &second), ROCMFORGE_OK);
    BREAKS(ORDER, rocmforge_model_close(model));
    assert_int_equal(rocmforge_engine_close(engine), ROCMFORGE_OK);
    BREAKS(ORDER, rocmforge_model_close(model));
    BREAKS(HANDLE_CLOSED, rocmforge_engine_close(engine));
    rocmforge_prompt prompt = a_prompt();
    rocmforge_request_options request = a_request(&prompt);
    assert_int_equal(rocmforge_run(second, &request, NULL, NULL), ROCMFORGE_OK);
    assert_int_equal(rocmforge_engine_close(second), ROCMFORGE_OK);
    assert_int_equal(rocmforge_model_close(model), ROCMFORGE_OK);
    BREAKS(HANDLE_CLOSED, rocmforge_model_close(model));
    BREAKS(HANDLE_CLOSED, rocmforge_engine_open(model, &options, &engine));
}

static void test_struct_sizes(void **state) {
    (void)state;
    rocmforge_prompt prompt = a_prompt();
    rocmforge_request_options options = a_request(&prompt);
    rocmforge_engine_options large = rocmforge_engine_options_init();
    rocmforge_model_options model_options = rocmforge_model_options_init();
    rocmforge_model_info info = rocmforge_model_info_init();
    rocmforge_counters counters = rocmforge_counters_init();
    rocmforge_event event = rocmforge_event_init();
    rocmforge_model *model;
    rocmforge_engine *engine;
    rocmforge_request *request = submit(4);
    const size_t wrong[] = {0, 4, 23, 5000, SIZE_MAX};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        prompt.struct_size = wrong[i];
        BREAKS(STRUCT_SIZE, rocmforge_run(bench.engine, &options, NULL, NULL));
        BREAKS(STRUCT_SIZE, rocmforge_render(bench.model, &prompt, NULL, 0, NULL));
        prompt.struct_size = sizeof prompt;
        options.struct_size = wrong[i];
        BREAKS(STRUCT_SIZE, rocmforge_run(bench.engine, &options, NULL, NULL));
        options.struct_size = sizeof options;
        large.struct_size = model_options.struct_size = wrong[i];
        BREAKS(STRUCT_SIZE, rocmforge_engine_open(bench.model, &large, &engine));
        BREAKS(STRUCT_SIZE, rocmforge_model_open(API_MODEL, &model_options, &model));
        info.struct_size = counters.struct_size = event.struct_size = wrong[i];
        BREAKS(STRUCT_SIZE, rocmforge_model_get_info(bench.model, &info));
        BREAKS(STRUCT_SIZE, rocmforge_engine_get_counters(bench.engine, &counters));
        BREAKS(STRUCT_SIZE, rocmforge_request_next(request, &event, 0));
    }
    assert_int_equal(rocmforge_request_close(request), ROCMFORGE_OK);
    assert_int_equal(rocmforge_struct_size("event"), sizeof event);
    assert_int_equal(rocmforge_struct_size("nothing"), 0);
    assert_int_equal(rocmforge_struct_size(NULL), 0);
}

/* A header of the future: larger structs, of which this library knows the beginning. */
static void test_newer_structs(void **state) {
    (void)state;
    struct {
        rocmforge_request_options known;
        uint64_t more[2];
    } later = {.more = {0, 0}};
    struct {
        rocmforge_counters known;
        uint64_t more[2];
    } filled = {.more = {7, 7}};
    rocmforge_prompt prompt = a_prompt();
    later.known = a_request(&prompt);
    later.known.struct_size = sizeof later;
    assert_int_equal(rocmforge_run(bench.engine, &later.known, NULL, NULL), ROCMFORGE_OK);
    later.more[1] = 1;
    BREAKS(STRUCT_NEWER, rocmforge_run(bench.engine, &later.known, NULL, NULL));
    filled.known.struct_size = sizeof filled;
    assert_int_equal(rocmforge_engine_get_counters(bench.engine, &filled.known), ROCMFORGE_OK);
    assert_true(filled.known.n_requests > 0);
    assert_int_equal(filled.known.struct_size, sizeof filled);
    assert_int_equal(filled.more[0] + filled.more[1], 0);
}

static void test_values(void **state) {
    (void)state;
    rocmforge_engine *engine;
    rocmforge_prompt prompt = a_prompt();
    rocmforge_request_options options = a_request(&prompt);
    rocmforge_engine_options large = rocmforge_engine_options_init();
    int32_t tokens[] = {5};
    options.kind = 9;
    BREAKS(VALUE, rocmforge_run(bench.engine, &options, NULL, NULL));
    options.kind = ROCMFORGE_EMBED;
    options.pooling = -1;
    BREAKS(VALUE, rocmforge_run(bench.engine, &options, NULL, NULL));
    options = a_request(&prompt);
    prompt.flags = 8;
    BREAKS(VALUE, rocmforge_run(bench.engine, &options, NULL, NULL));
    BREAKS(VALUE, rocmforge_tokenize(bench.model, "x", 1, 4, NULL, 0, NULL));
    prompt.flags = 0;
    large.cache_type_v = 4;
    BREAKS(VALUE, rocmforge_engine_open(bench.model, &large, &engine));
    BREAKS(VALUE, rocmforge_log_set(NULL, NULL, 9));
    prompt.tokens = tokens;
    prompt.n_tokens = 1;
    BREAKS(PROMPT, rocmforge_run(bench.engine, &options, NULL, NULL));
    prompt = rocmforge_prompt_init();
    BREAKS(PROMPT, rocmforge_run(bench.engine, &options, NULL, NULL));
    prompt.text = "no messages";
    BREAKS(PROMPT, rocmforge_render(bench.model, &prompt, NULL, 0, NULL));
}

/* ---- callbacks ------------------------------------------------------------------------------- */

static rocmforge_request *other;

static int32_t call_everything(void *user, const rocmforge_event *event) {
    int *n = user;
    rocmforge_model *model;
    rocmforge_engine *engine;
    rocmforge_request *request;
    rocmforge_event out = rocmforge_event_init();
    rocmforge_prompt prompt = a_prompt();
    rocmforge_request_options options = a_request(&prompt);
    BREAKS(CALLBACK, rocmforge_model_open(API_MODEL, NULL, &model));
    BREAKS(CALLBACK, rocmforge_engine_open(bench.model, NULL, &engine));
    BREAKS(CALLBACK, rocmforge_engine_close(bench.engine));
    BREAKS(CALLBACK, rocmforge_model_close(bench.model));
    BREAKS(CALLBACK, rocmforge_run(bench.engine, &options, NULL, NULL));
    BREAKS(CALLBACK, rocmforge_submit(bench.engine, &options, &request));
    BREAKS(CALLBACK, rocmforge_request_next(other, &out, 0));
    BREAKS(CALLBACK, rocmforge_request_close(other));
    BREAKS(CALLBACK, rocmforge_engine_wait(bench.engine, &request, 0));
    BREAKS(CALLBACK, rocmforge_log_set(NULL, NULL, 0));
    assert_non_null(strstr(rocmforge_last_error(), "event callback of rocmforge_run"));
    /* What may be called may be called. */
    rocmforge_model_info info = rocmforge_model_info_init();
    rocmforge_counters counters = rocmforge_counters_init();
    size_t n_tokens;
    assert_int_equal(rocmforge_model_get_info(bench.model, &info), ROCMFORGE_OK);
    assert_int_equal(rocmforge_engine_get_counters(bench.engine, &counters), ROCMFORGE_OK);
    assert_int_equal(rocmforge_tokenize(bench.model, "", 0, 1, NULL, 0, &n_tokens), ROCMFORGE_OK);
    assert_int_equal(rocmforge_engine_n_ctx(bench.engine), 256);
    assert_int_equal(rocmforge_request_cancel(other), ROCMFORGE_OK);
    ++*n;
    return event->last;
}

static int32_t call_from_progress(void *user, uint64_t done, uint64_t total) {
    rocmforge_counters counters = rocmforge_counters_init();
    BREAKS(CALLBACK, rocmforge_engine_get_counters(bench.engine, &counters));
    BREAKS(CALLBACK, rocmforge_model_close(bench.model));
    assert_true(done <= total);
    assert_string_equal(rocmforge_version(), ROCMFORGE_VERSION);
    ++*(int *)user;
    return 0;
}

static void call_from_log(void *user, int32_t level, const char *topic, const char *text) {
    (void)level;
    (void)topic;
    (void)text;
    BREAKS(CALLBACK, rocmforge_log_set(NULL, NULL, 0));
    ++*(int *)user;
}

static int32_t stop_loading(void *user, uint64_t done, uint64_t total) {
    (void)user;
    (void)done;
    (void)total;
    return 1;
}

static int32_t stop_at_third(void *user, const rocmforge_event *event) {
    (void)event;
    return ++*(int *)user == 3;
}

static void test_callbacks(void **state) {
    (void)state;
    int n_events = 0, n_progress = 0, n_lines = 0;
    rocmforge_prompt prompt = a_prompt();
    rocmforge_request_options options = a_request(&prompt);
    other = submit(100);
    options.n_tokens = 3;
    assert_int_equal(rocmforge_run(bench.engine, &options, call_everything, &n_events),
                     ROCMFORGE_OK);
    assert_true(n_events >= 4);
    rocmforge_event event = rocmforge_event_init();
    while (!event.last)
        assert_int_equal(rocmforge_request_next(other, &event, -1), ROCMFORGE_OK);
    /* Unless it had all its tokens before it was cancelled. */
    assert_int_equal(event.finish, event.n_generated == 100 ? ROCMFORGE_FINISH_LENGTH
                                                            : ROCMFORGE_FINISH_CANCELLED);
    assert_int_equal(rocmforge_request_next(other, &event, -1), ROCMFORGE_END);
    assert_int_equal(rocmforge_request_close(other), ROCMFORGE_OK);
    n_events = 0;
    options.n_tokens = 100;
    assert_int_equal(rocmforge_run(bench.engine, &options, stop_at_third, &n_events),
                     ROCMFORGE_CANCELLED);
    assert_int_equal(n_events, 3);

    rocmforge_engine *engine;
    rocmforge_engine_options large = rocmforge_engine_options_init();
    large.n_ctx = 1000; /* more than trained for: a line in the log */
    large.progress = call_from_progress;
    large.progress_user = &n_progress;
    assert_int_equal(rocmforge_log_set(call_from_log, &n_lines, ROCMFORGE_LOG_TRACE), ROCMFORGE_OK);
    assert_int_equal(rocmforge_engine_open(bench.model, &large, &engine), ROCMFORGE_OK);
    assert_int_equal(rocmforge_engine_close(engine), ROCMFORGE_OK);
    assert_int_equal(rocmforge_log_set(NULL, NULL, 0), ROCMFORGE_OK);
    assert_true(n_progress > 0 && n_lines > 0);
    large.progress = stop_loading;
    assert_int_equal(rocmforge_engine_open(bench.model, &large, &engine), ROCMFORGE_CANCELLED);
}

static void test_last_error(void **state) {
    (void)state;
    rocmforge_model_info info = rocmforge_model_info_init();
    BREAKS(NULL, rocmforge_model_close(NULL));
    assert_non_null(strstr(rocmforge_last_error(), "rocmforge_model_close: the model is NULL"));
    assert_int_equal(rocmforge_model_get_info(bench.model, &info), ROCMFORGE_OK);
    assert_string_equal(rocmforge_last_error(), "");
    assert_int_equal(rocmforge_last_rule(), ROCMFORGE_RULE_NONE);
    assert_string_equal(info.architecture, "llama");
    assert_string_equal(rocmforge_rule_name(99), "unknown");
    assert_string_equal(rocmforge_status_name(99), "unknown");
    assert_string_equal(rocmforge_finish_name(99), "unknown");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_null),          cmocka_unit_test(test_handles),
        cmocka_unit_test(test_order),         cmocka_unit_test(test_struct_sizes),
        cmocka_unit_test(test_newer_structs), cmocka_unit_test(test_values),
        cmocka_unit_test(test_callbacks),     cmocka_unit_test(test_last_error)};
    return cmocka_run_group_tests(tests, api_bench_setup, api_bench_teardown);
}
