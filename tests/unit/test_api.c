/* The library through its public header: requests of every kind, and what they give. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <unistd.h>

#include "tests/lib/api_bench.h"
#include "tests/lib/temp_path.h"

static void test_run(void **state) {
    (void)state;
    static api_answer first, again;
    static const char text[] = "hello, this text is longer than a block of the cache is";
    rocmforge_prompt prompt = api_text_prompt(text);
    rocmforge_request_options options = api_ask(&prompt, 20);
    memset(&first, 0, sizeof first);
    memset(&again, 0, sizeof again);
    OK(rocmforge_run(bench.engine, &options, api_answer_take, &first));
    assert_int_equal(first.n_tokens[0], 20);
    assert_int_equal(first.finish[0], ROCMFORGE_FINISH_LENGTH);
    assert_int_equal(first.end.n_generated, 20);
    assert_true(first.end.n_prompt > 0);
    assert_int_equal(first.end.status, ROCMFORGE_OK);
    /* The same as tokens, and its text is what its tokens spell. */
    int32_t tokens[64];
    size_t n_tokens, n_bytes;
    OK(rocmforge_tokenize(bench.model, text, strlen(text), 0, tokens, 64, &n_tokens));
    assert_int_equal(n_tokens, first.end.n_prompt);
    prompt = rocmforge_prompt_init();
    prompt.tokens = tokens;
    prompt.n_tokens = n_tokens;
    OK(rocmforge_run(bench.engine, &options, api_answer_take, &again));
    assert_memory_equal(first.tokens[0], again.tokens[0], 20 * sizeof(int32_t));
    assert_string_equal(first.text[0], again.text[0]);
    assert_true(again.end.n_cached > 0);
    char spelled[4096];
    OK(rocmforge_detokenize(bench.model, first.tokens[0], 20, spelled, sizeof spelled, &n_bytes));
    assert_int_equal(rocmforge_run(bench.engine, &options, NULL, NULL), ROCMFORGE_OK);
    assert_true(n_bytes > 0);
}

static void test_stop_texts(void **state) {
    (void)state;
    static api_answer whole, cut;
    memset(&whole, 0, sizeof whole);
    rocmforge_prompt prompt = api_text_prompt("hello");
    rocmforge_request_options options = api_ask(&prompt, 60);
    options.sampling = "seed=3";
    OK(rocmforge_run(bench.engine, &options, api_answer_take, &whole));
    size_t n = strlen(whole.text[0]);
    assert_true(n > 20);
    for (size_t length = 1; length <= 5; length += 2) {
        char stop[8] = {0};
        memcpy(stop, whole.text[0] + n / 2, length);
        if (((unsigned char)stop[0] & 0xc0) == 0x80 || (unsigned char)stop[length - 1] >= 0x80)
            continue;
        const char *stops[] = {"never seen", stop};
        options.stops = stops;
        options.n_stops = 2;
        memset(&cut, 0, sizeof cut);
        OK(rocmforge_run(bench.engine, &options, api_answer_take, &cut));
        assert_int_equal(cut.finish[0], ROCMFORGE_FINISH_STOP_TEXT);
        size_t at = (size_t)(strstr(whole.text[0], stop) - whole.text[0]);
        assert_int_equal(strlen(cut.text[0]), at);
        assert_memory_equal(cut.text[0], whole.text[0], at);
        assert_true(cut.end.n_generated <= 60);
    }
    /* What was held back comes in the end. */
    char more[16];
    memcpy(more, whole.text[0] + n - 3, 3);
    memcpy(more + 3, "xyz", 4);
    const char *stops[] = {more};
    options.stops = stops;
    options.n_stops = 1;
    memset(&cut, 0, sizeof cut);
    OK(rocmforge_run(bench.engine, &options, api_answer_take, &cut));
    assert_string_equal(cut.text[0], whole.text[0]);
    assert_int_equal(cut.finish[0], ROCMFORGE_FINISH_LENGTH);
}

static void test_choices(void **state) {
    (void)state;
    static api_answer answer, again;
    memset(&answer, 0, sizeof answer);
    memset(&again, 0, sizeof again);
    rocmforge_prompt prompt = api_text_prompt("hello");
    rocmforge_request_options options = api_ask(&prompt, 24);
    options.sampling = "temperature=1.5, seed=11";
    options.n_choices = 3;
    OK(rocmforge_run(bench.engine, &options, api_answer_take, &answer));
    for (int c = 0; c < 3; c++) {
        assert_int_equal(answer.n_tokens[c], 24);
        assert_int_equal(answer.finish[c], ROCMFORGE_FINISH_LENGTH);
    }
    assert_int_equal(answer.end.seed, 11);
    assert_memory_not_equal(answer.tokens[0], answer.tokens[1], 24 * sizeof(int32_t));
    /* A stop text ends the choices that say it, each where it does. */
    char stop[2] = {answer.text[1][strlen(answer.text[1]) / 2], 0};
    const char *stops[] = {stop};
    options.stops = stops;
    options.n_stops = (unsigned char)stop[0] < 0x80;
    OK(rocmforge_run(bench.engine, &options, api_answer_take, &again));
    for (int c = 0; options.n_stops && c < 3; c++) {
        const char *at = strstr(answer.text[c], stop);
        size_t n = at ? (size_t)(at - answer.text[c]) : strlen(answer.text[c]);
        assert_int_equal(again.finish[c],
                         at ? ROCMFORGE_FINISH_STOP_TEXT : ROCMFORGE_FINISH_LENGTH);
        assert_int_equal(strlen(again.text[c]), n);
        assert_memory_equal(again.text[c], answer.text[c], n);
    }
}

/* Alternatives come best first, and the token is one of them under greedy choice. */
static int32_t check_top(void *user, const rocmforge_event *event) {
    uint32_t *n = user;
    if (event->kind != ROCMFORGE_EVENT_TOKEN || event->token < 0)
        return 0;
    assert_int_equal(event->n_top, 5);
    assert_int_equal(event->top[0].token, event->token);
    assert_true(event->logprob == event->top[0].logprob && event->logprob <= 0);
    for (int i = 1; i < 5; i++)
        assert_true(event->top[i].logprob <= event->top[i - 1].logprob);
    ++*n;
    return 0;
}

static int32_t check_scores(void *user, const rocmforge_event *event) {
    double *sum = user;
    if (event->kind != ROCMFORGE_EVENT_SCORES)
        return 0;
    assert_int_equal(event->n_scores, event->n_prompt - 1);
    assert_int_equal(event->scores_stride, 4);
    for (size_t i = 0; i < event->n_scores; i++) {
        const rocmforge_token_logprob *row = event->scores + i * event->scores_stride;
        assert_true(row[0].logprob <= row[1].logprob && row[1].logprob >= row[2].logprob);
        *sum += (double)row[0].logprob;
    }
    return 0;
}

static int32_t keep_vector(void *user, const rocmforge_event *event) {
    float *vector = user;
    if (event->kind == ROCMFORGE_EVENT_EMBEDDING && event->n_embedding <= 1024)
        memcpy(vector, event->embedding, event->n_embedding * sizeof *vector);
    return 0;
}

static void test_numbers(void **state) {
    (void)state;
    rocmforge_prompt prompt = api_text_prompt("hello there, who are you");
    rocmforge_request_options options = api_ask(&prompt, 6);
    options.n_top = 5;
    uint32_t n = 0;
    OK(rocmforge_run(bench.engine, &options, check_top, &n));
    assert_int_equal(n, 6);
    options = rocmforge_request_options_init();
    options.prompt = &prompt;
    options.kind = ROCMFORGE_SCORE;
    options.n_top = 3;
    double sum = 0;
    OK(rocmforge_run(bench.engine, &options, check_scores, &sum));
    assert_true(sum < 0 && isfinite(sum));
    options.kind = ROCMFORGE_EMBED;
    options.n_top = 0;
    options.normalise = 1;
    rocmforge_model_info info = rocmforge_model_info_init();
    OK(rocmforge_model_get_info(bench.model, &info));
    float vectors[2][1024] = {{0}};
    for (int i = 0; i < 2; i++) {
        options.pooling = i ? ROCMFORGE_POOL_LAST : ROCMFORGE_POOL_MEAN;
        OK(rocmforge_run(bench.engine, &options, keep_vector, vectors[i]));
        double length = 0;
        for (uint32_t d = 0; d < info.n_embd; d++)
            length += (double)vectors[i][d] * (double)vectors[i][d];
        assert_true(fabs(length - 1) < 1e-4);
    }
    assert_memory_not_equal(vectors[0], vectors[1], info.n_embd * sizeof(float));
}

static void test_messages(void **state) {
    (void)state;
    static api_answer one, two;
    memset(&one, 0, sizeof one);
    memset(&two, 0, sizeof two);
    rocmforge_message messages[] = {{"system", "S"}, {"user", "x\"y"}};
    rocmforge_prompt prompt = rocmforge_prompt_init();
    prompt.messages = messages;
    prompt.n_messages = 2;
    char text[64];
    size_t n;
    OK(rocmforge_render(bench.model, &prompt, text, sizeof text, &n));
    assert_string_equal(text, "[system]S\n[user]x\"y\n[assistant]");
    assert_int_equal(n, strlen(text));
    rocmforge_request_options options = api_ask(&prompt, 8);
    OK(rocmforge_run(bench.engine, &options, api_answer_take, &one));
    prompt.messages = NULL;
    prompt.messages_json = "[{\"role\":\"system\",\"content\":\"S\"},"
                           "{\"role\":\"user\",\"content\":\"x\\\"y\"}]";
    OK(rocmforge_run(bench.engine, &options, api_answer_take, &two));
    assert_memory_equal(one.tokens[0], two.tokens[0], 8 * sizeof(int32_t));
    prompt.messages_json = "[{";
    assert_int_equal(rocmforge_render(bench.model, &prompt, text, sizeof text, &n),
                     ROCMFORGE_INVALID);
}

/* ---- drafts and files ------------------------------------------------------------------------ */

static const char long_text[] = "one two three four five six seven eight nine ten, one two three "
                                "four five six seven eight nine ten, one two three four";

static void test_drafts(void **state) {
    (void)state;
    static api_answer plain, drafted;
    rocmforge_engine *engine;
    rocmforge_engine_options large = rocmforge_engine_options_init();
    large.n_ctx = 256;
    large.n_threads = 1;
    large.n_draft_max = 4;
    large.draft_model = bench.model;
    OK(rocmforge_engine_open(bench.model, &large, &engine));
    rocmforge_prompt prompt = api_text_prompt(long_text);
    rocmforge_request_options options = api_ask(&prompt, 30);
    memset(&plain, 0, sizeof plain);
    options.draft = ROCMFORGE_DRAFT_NONE;
    OK(rocmforge_run(engine, &options, api_answer_take, &plain));
    assert_int_equal(plain.end.n_drafted, 0);
    for (int32_t draft = ROCMFORGE_DRAFT_DEFAULT; draft <= ROCMFORGE_DRAFT_LOOKUP; draft += 2) {
        memset(&drafted, 0, sizeof drafted);
        options.draft = draft;
        OK(rocmforge_run(engine, &options, api_answer_take, &drafted));
        assert_memory_equal(plain.tokens[0], drafted.tokens[0], sizeof plain.tokens[0]);
        assert_string_equal(plain.text[0], drafted.text[0]);
        assert_true(drafted.end.n_accepted <= drafted.end.n_drafted);
        if (draft == ROCMFORGE_DRAFT_DEFAULT)
            assert_true(drafted.end.n_accepted > 0); /* it guesses what it would say itself */
    }
    assert_int_equal(rocmforge_model_close(bench.model), ROCMFORGE_MISUSE);
    OK(rocmforge_engine_close(engine));
}

static void test_files(void **state) {
    static api_answer first, again;
    assert_int_equal(temp_path_make(state), 0);
    size_t n_saved, n_loaded;
    int32_t tokens[256];
    rocmforge_engine *engine;
    rocmforge_prompt prompt = api_text_prompt(long_text);
    rocmforge_request_options options = api_ask(&prompt, 10);
    memset(&first, 0, sizeof first);
    memset(&again, 0, sizeof again);
    OK(rocmforge_run(bench.engine, &options, api_answer_take, &first));
    OK(rocmforge_save(bench.engine, &prompt, 0, temp_path, &n_saved));
    assert_true(n_saved > 30);
    assert_int_equal(rocmforge_save(bench.engine, &prompt, 99, temp_path, NULL),
                     ROCMFORGE_NOT_FOUND);
    rocmforge_engine_options large = rocmforge_engine_options_init();
    large.n_ctx = 256;
    large.n_threads = 1;
    OK(rocmforge_engine_open(bench.model, &large, &engine));
    assert_int_equal(rocmforge_load(engine, 0, temp_path, tokens, 5, &n_loaded), ROCMFORGE_LIMIT);
    OK(rocmforge_load(engine, 0, temp_path, tokens, 256, &n_loaded));
    assert_int_equal(n_loaded, n_saved);
    OK(rocmforge_run(engine, &options, api_answer_take, &again));
    assert_memory_equal(first.tokens[0], again.tokens[0], sizeof first.tokens[0]);
    assert_true(again.end.n_cached >= 30);
    assert_int_equal(truncate(temp_path, 200), 0);
    assert_int_not_equal(rocmforge_load(engine, 0, temp_path, tokens, 256, &n_loaded),
                         ROCMFORGE_OK);
    assert_int_equal(rocmforge_last_rule(), ROCMFORGE_RULE_NONE);
    (void)temp_path_drop(state);
    assert_int_equal(rocmforge_load(engine, 0, temp_path, NULL, 0, NULL), ROCMFORGE_NOT_FOUND);
    OK(rocmforge_engine_close(engine));
}

/* ---- bad input ------------------------------------------------------------------------------- */

static void test_bad_input(void **state) {
    (void)state;
    rocmforge_model *model;
    rocmforge_engine *engine;
    rocmforge_request *request;
    assert_int_equal(rocmforge_model_open("/nonexistent.gguf", NULL, &model), ROCMFORGE_NOT_FOUND);
    assert_non_null(strstr(rocmforge_last_error(), "/nonexistent.gguf"));
    assert_null(model);
    rocmforge_engine_options large = rocmforge_engine_options_init();
    large.isa = "sse";
    assert_int_equal(rocmforge_engine_open(bench.model, &large, &engine), ROCMFORGE_INVALID);
    assert_null(engine);
    static const char *const samplings[] = {"temperature",     "temperature=", "temperature=1e",
                                            "nothing=1",       "top_k=1.5",    "top_p=2",
                                            "samplers=unheard"};
    rocmforge_prompt prompt = api_text_prompt("x");
    rocmforge_request_options options = api_ask(&prompt, 4);
    for (size_t i = 0; i < sizeof samplings / sizeof *samplings; i++) {
        options.sampling = samplings[i];
        if (rocmforge_submit(bench.engine, &options, &request) != ROCMFORGE_INVALID)
            fail_msg("%s: %s", samplings[i], rocmforge_last_error());
        assert_null(request);
        assert_int_equal(rocmforge_last_rule(), ROCMFORGE_RULE_NONE);
    }
    options.sampling = NULL;
    prompt.text = "a\xff";
    assert_int_equal(rocmforge_run(bench.engine, &options, NULL, NULL), ROCMFORGE_INVALID);
    prompt.text = "";
    prompt.flags = ROCMFORGE_TEXT_NO_SPECIAL;
    assert_int_equal(rocmforge_run(bench.engine, &options, NULL, NULL), ROCMFORGE_INVALID);
    prompt.text = "x";
    const char *stops[] = {""};
    options.stops = stops;
    options.n_stops = 1;
    assert_int_equal(rocmforge_run(bench.engine, &options, NULL, NULL), ROCMFORGE_INVALID);
    options.n_stops = 0;
    options.n_top = 1000;
    assert_int_equal(rocmforge_run(bench.engine, &options, NULL, NULL), ROCMFORGE_INVALID);
    options.n_top = 0;
    rocmforge_token_bias bias = {1 << 30, 1};
    options.biases = &bias;
    options.n_biases = 1;
    assert_int_equal(rocmforge_run(bench.engine, &options, NULL, NULL), ROCMFORGE_INVALID);
    options.n_biases = 0;
    static int32_t many[300];
    prompt = rocmforge_prompt_init();
    prompt.tokens = many;
    prompt.n_tokens = 300;
    assert_int_equal(rocmforge_run(bench.engine, &options, NULL, NULL), ROCMFORGE_INVALID);
    assert_non_null(strstr(rocmforge_last_error(), "256"));
    char text[2];
    size_t n;
    assert_int_equal(rocmforge_detokenize(bench.model, many, 300, text, 2, &n), ROCMFORGE_LIMIT);
    assert_true(n > 2);
    assert_int_equal(rocmforge_tokenize(bench.model, "hello", 5, 0, NULL, 0, &n), ROCMFORGE_LIMIT);
    assert_true(n > 0);
}

static void test_context_and_counters(void **state) {
    (void)state;
    static api_answer answer;
    memset(&answer, 0, sizeof answer);
    static int32_t tokens[250];
    rocmforge_prompt prompt = rocmforge_prompt_init();
    prompt.tokens = tokens;
    prompt.n_tokens = 250;
    for (int i = 0; i < 250; i++)
        tokens[i] = 60 + i;
    rocmforge_request_options options = api_ask(&prompt, 0);
    OK(rocmforge_run(bench.engine, &options, api_answer_take, &answer));
    assert_int_equal(answer.finish[0], ROCMFORGE_FINISH_CONTEXT);
    assert_in_range(answer.n_tokens[0], 6, 7);
    assert_int_equal(rocmforge_engine_n_ctx(bench.engine), 256);
    rocmforge_counters counters = rocmforge_counters_init();
    OK(rocmforge_engine_get_counters(bench.engine, &counters));
    assert_true(counters.n_steps > 0 && counters.n_generated_tokens >= answer.n_tokens[0]);
    assert_int_equal(counters.struct_size, sizeof counters);
    assert_string_equal(rocmforge_finish_name(ROCMFORGE_FINISH_CONTEXT), "context");
    assert_string_equal(rocmforge_status_name(ROCMFORGE_MISUSE), "misuse");
    assert_string_equal(rocmforge_version(), ROCMFORGE_VERSION);
    assert_int_equal(rocmforge_token_is_end(bench.model, 60), 0);
    assert_int_equal(rocmforge_token_is_end(bench.model, -5), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_run),       cmocka_unit_test(test_stop_texts),
        cmocka_unit_test(test_choices),   cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_messages),

        cmocka_unit_test(test_drafts),    cmocka_unit_test(test_files),
        cmocka_unit_test(test_bad_input), cmocka_unit_test(test_context_and_counters)};
    return cmocka_run_group_tests(tests, api_bench_setup, api_bench_teardown);
}
