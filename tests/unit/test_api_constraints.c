/* Answers of the library's requests that must be of a form. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "tests/lib/api_bench.h"

static void test_constraints(void **state) {
    (void)state;
    static api_answer answer;
    const char *texts[] = {"yes", "no", "perhaps"};
    rocmforge_prompt prompt = api_text_prompt("hello");
    rocmforge_request_options options = api_ask(&prompt, 0);
    options.ignore_end = 0;
    options.sampling = "temperature=2 seed=4";
    options.one_of = texts;
    options.n_one_of = 3;
    options.n_choices = 3;
    memset(&answer, 0, sizeof answer);
    OK(rocmforge_run(bench.engine, &options, api_answer_take, &answer));
    for (int c = 0; c < 3; c++) {
        const char *text = answer.text[c];
        assert_true(!strcmp(text, "yes") || !strcmp(text, "no") || !strcmp(text, "perhaps"));
        assert_int_equal(answer.finish[c], ROCMFORGE_FINISH_STOP);
    }
    options.n_one_of = 0;
    options.n_choices = 1;
    options.regex = "[0-9]{5}";
    memset(&answer, 0, sizeof answer);
    OK(rocmforge_run(bench.engine, &options, api_answer_take, &answer));
    assert_int_equal(strspn(answer.text[0], "0123456789"), 5);
    assert_int_equal(strlen(answer.text[0]), 5);
    options.regex = "[0-9";
    assert_int_equal(rocmforge_run(bench.engine, &options, NULL, NULL), ROCMFORGE_INVALID);
    options.n_one_of = 1;
    assert_int_equal(rocmforge_run(bench.engine, &options, NULL, NULL), ROCMFORGE_INVALID);
}

static void test_grammars(void **state) {
    (void)state;
    static api_answer answer;
    rocmforge_prompt prompt = api_text_prompt("hello");
    rocmforge_request_options options = api_ask(&prompt, 0);
    options.ignore_end = 0;
    options.sampling = "temperature=2 seed=4";
    options.grammar = "root ::= \"<\" [0-9]{4} \">\"";
    memset(&answer, 0, sizeof answer);
    OK(rocmforge_run(bench.engine, &options, api_answer_take, &answer));
    assert_int_equal(strlen(answer.text[0]), 6);
    assert_int_equal(strspn(answer.text[0] + 1, "0123456789"), 4);
    options.json_schema = "{}";
    assert_int_equal(rocmforge_run(bench.engine, &options, NULL, NULL), ROCMFORGE_INVALID);
    assert_non_null(strstr(rocmforge_last_error(), "grammar and json_schema"));
    options.grammar = NULL;
    options.json_schema = "{\"enum\": [\"a\", 7]}";
    memset(&answer, 0, sizeof answer);
    OK(rocmforge_run(bench.engine, &options, api_answer_take, &answer));
    assert_true(!strcmp(answer.text[0], "\"a\"") || !strcmp(answer.text[0], "7"));
    static const char *const bad[] = {"", "{", "{\"not\": {\"type\": 1}}", "3"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        options.json_schema = bad[i];
        assert_int_equal(rocmforge_run(bench.engine, &options, NULL, NULL), ROCMFORGE_INVALID);
    }
    options.json_schema = NULL;
    options.grammar = "root ::= nothing";
    assert_int_equal(rocmforge_run(bench.engine, &options, NULL, NULL), ROCMFORGE_INVALID);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_constraints),
                                       cmocka_unit_test(test_grammars)};
    return cmocka_run_group_tests(tests, api_bench_setup, api_bench_teardown);
}
