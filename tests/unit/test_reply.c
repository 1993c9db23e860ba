/* Answers taken apart: what each family's template writes of calls is read back as the calls that
 * it was given, however the text is cut; and what is no call is text, whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <glob.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "chat/reply.h"

/* Parts as one line of text: calls as name(arguments), reasoning in {}. */
typedef struct transcript {
    rf_buf text;  /* of TEXT parts */
    rf_buf other; /* calls and reasoning in their order */
    rf_buf arguments;
    json_t *calls; /* [{"name", "arguments"}] */
    json_t *schema_of;
    rf_reply_part last;
    uint32_t n_parts;
} transcript;

static rf_status on_part(void *user, rf_reply_part part, rf_str text, rf_error *err) {
    transcript *t = user;
    (void)err;
    t->n_parts++;
    if (part == RF_REPLY_TEXT)
        rf_buf_str(&t->text, text);
    if (part == RF_REPLY_REASONING) {
        if (t->last != part)
            rf_buf_text(&t->other, "{");
        rf_buf_str(&t->other, text);
    } else if (t->last == RF_REPLY_REASONING) {
        rf_buf_text(&t->other, "}");
    }
    if (part == RF_REPLY_CALL) {
        json_t *call = json_object();
        json_object_set_new(call, "name", json_stringn(text.ptr, text.len));
        json_array_append_new(t->calls, call);
        rf_buf_str(&t->other, text);
        rf_buf_text(&t->other, "(");
        rf_buf_clear(&t->arguments);
    }
    if (part == RF_REPLY_ARGUMENTS) {
        rf_buf_str(&t->other, text);
        rf_buf_str(&t->arguments, text);
    }
    if (part == RF_REPLY_CALL_END) {
        json_t *call = json_array_get(t->calls, json_array_size(t->calls) - 1);
        json_t *arguments = json_loadb(t->arguments.len ? t->arguments.data : "", t->arguments.len,
                                       JSON_DECODE_ANY, NULL);
        if (arguments)
            json_object_set_new(call, "arguments", arguments);
        rf_buf_text(&t->other, ")");
    }
    t->last = part;
    return RF_OK;
}

static bool is_tool(void *user, rf_str name) {
    (void)user;
    return !rf_str_is(name, "nobody");
}

/* As the arguments of the golden calls are. */
static rf_param_kind param_kind(void *user, rf_str tool, rf_str param) {
    const transcript *t = user;
    size_t i;
    json_t *call;
    (void)tool;
    json_array_foreach(t->schema_of, i, call) {
        json_t *arguments = json_object_get(json_object_get(call, "function"), "arguments");
        json_t *value = json_object_getn(arguments, param.ptr, param.len);
        if (value)
            return json_is_string(value) ? RF_PARAM_TEXT : RF_PARAM_JSON;
    }
    return RF_PARAM_UNKNOWN;
}

static void begin(transcript *t, json_t *schema_of) {
    *t = (transcript){.calls = json_array(), .schema_of = schema_of, .last = RF_REPLY_TEXT};
    rf_buf_init(&t->text, 1 << 20);
    rf_buf_init(&t->other, 1 << 20);
    rf_buf_init(&t->arguments, 1 << 20);
}

static void end(transcript *t) {
    json_decref(t->calls);
    rf_buf_deinit(&t->text);
    rf_buf_deinit(&t->other);
    rf_buf_deinit(&t->arguments);
}

/* Pieces of n characters. */
static void take(transcript *t, rf_reply_options options, rf_str answer, size_t n) {
    rf_reply reply;
    rf_error err = {0};
    options.on_part = on_part;
    options.is_tool = is_tool;
    options.param_kind = t->schema_of ? param_kind : NULL;
    options.user = t;
    rf_reply_init(&reply, &options);
    for (size_t at = 0; at < answer.len;) {
        size_t to = at;
        for (size_t i = 0; i < n && to < answer.len; i++) {
            to++;
            while (to < answer.len && ((unsigned char)answer.ptr[to] & 0xc0) == 0x80)
                to++;
        }
        assert_int_equal(rf_reply_push(&reply, rf_str_sub(answer, at, to), &err), RF_OK);
        at = to;
    }
    assert_int_equal(rf_reply_finish(&reply, &err), RF_OK);
    rf_reply_deinit(&reply);
    rf_buf_put(&t->text, 0);
    rf_buf_put(&t->other, 0);
}

/* ---- what templates write ------------------------------------------------------------------ */

/* unlike: the case whose text holds other calls than the message. */
typedef struct family {
    const char *file, *syntax, *unlike;
} family;

static const family families[] = {
    {"ByteDance-Seed-OSS", "seed", NULL},
    {"CohereForAI-c4ai-command-r7b-12-2024-tool_use", "command-r", "kw_documents_1_tools"},
    {"GLM-4.6", "glm", NULL},
    {"GigaChat3-10B-A1.8B", "gigachat", "call_parallel"},
    {"MiniMax-M2", "minimax", NULL},
    {"Mistral-Small-3.2-24B-Instruct-2506", "mistral-args", NULL},
    {"NVIDIA-Nemotron-Nano-v2", "nemotron", NULL},
    {"NousResearch-Hermes-2-Pro-Llama-3-8B-tool_use", "hermes", NULL},
    {"NousResearch-Hermes-3-Llama-3.1-8B-tool_use", "hermes", NULL},
    {"Qwen-QwQ-32B", "hermes", NULL},
    {"Qwen-Qwen2.5-7B-Instruct", "hermes", NULL},
    {"Qwen-Qwen3-0.6B", "hermes", NULL},
    {"Qwen3-Coder", "qwen3-coder", NULL},
    {"deepseek-ai-DeepSeek-R1-Distill-Qwen-32B", "deepseek", NULL},
    {"deepseek-ai-DeepSeek-V3.1", "deepseek-v3.1", NULL},
    {"meetkai-functionary-medium-v3.1", "functionary", NULL},
    {"meta-llama-Llama-3.1-8B-Instruct", "llama3", NULL},
    {"meta-llama-Llama-3.3-70B-Instruct", "llama3", NULL},
    {"mistralai-Mistral-Nemo-Instruct-2407", "mistral", NULL},
    {"openai-gpt-oss-120b", "gpt-oss", "call_parallel"},
    {"openbmb-MiniCPM5-1B", "minicpm", NULL},
    {"poolside-Laguna-XS-2.1", "glm", NULL},
    {"unsloth-Apriel-1.5", "apriel", NULL},
};

/* What the assistant wrote: from the last message before it that can be found on. */
static rf_str answer_of(const json_t *expected, const json_t *messages, size_t i_calls,
                        const rf_call_syntax *syntax) {
    rf_str text = {json_string_value(expected), json_string_length(expected)};
    for (size_t i = i_calls; i-- > 0;) {
        const char *before =
            json_string_value(json_object_get(json_array_get(messages, i), "content"));
        const char *at = before && before[0] ? strstr(text.ptr, before) : NULL;
        if (!at)
            continue;
        for (const char *more; (more = strstr(at + 1, before));) /* tools name it too, perhaps */
            at = more;
        text = rf_str_sub(text, (size_t)(at - text.ptr) + strlen(before), text.len);
        break;
    }
    const char *brace = strchr(text.ptr, '{');
    if (syntax->open[0] == 0 && syntax->form == RF_CALL_JSON && brace) /* bare: no other text */
        text = rf_str_sub(text, (size_t)(brace - text.ptr), text.len);
    return text;
}

/* Calls as the message has them; NULL: nothing that a text could give back. Arguments that came as
 * a text are written with another pair of quotes by some templates. */
static json_t *calls_of(const json_t *message, const rf_call_syntax *syntax) {
    json_t *calls = json_array(), *call;
    size_t i;
    json_array_foreach(json_object_get(message, "tool_calls"), i, call) {
        json_t *function = json_object_get(call, "function");
        json_t *arguments = json_object_get(function, "arguments");
        json_t *parsed = json_is_string(arguments) && syntax->form == RF_CALL_JSON
                             ? json_loads(json_string_value(arguments), 0, NULL)
                             : json_incref(arguments);
        if (!json_is_object(parsed) || !json_is_string(json_object_get(function, "name"))) {
            json_decref(parsed);
            json_decref(calls);
            return NULL;
        }
        json_t *out = json_object();
        json_object_set(out, "name", json_object_get(function, "name"));
        json_object_set_new(out, "arguments", parsed);
        json_array_append_new(calls, out);
    }
    return calls;
}

/* The one message with calls, if it is the last of the assistant's. */
static size_t find_calls(const json_t *messages) {
    size_t i, found = SIZE_MAX, n = 0;
    json_t *message;
    json_array_foreach(messages, i, message) {
        if (json_array_size(json_object_get(message, "tool_calls")) > 0) {
            found = i;
            n++;
        }
    }
    return n == 1 && found > 0 ? found : SIZE_MAX;
}

/* 1: read back; 0: not written by the template; -1: differs. */
static int check_case(const json_t *one, const rf_call_syntax *syntax) {
    const json_t *messages = json_object_get(one, "messages");
    const json_t *expected = json_object_get(one, "expected");
    size_t i = find_calls(messages);
    if (!json_is_string(expected) || i == SIZE_MAX)
        return 0;
    const json_t *message = json_array_get(messages, i);
    json_t *want = calls_of(message, syntax);
    if (!want)
        return 0;
    const char *name = json_string_value(json_object_get(json_array_get(want, 0), "name"));
    rf_str answer = answer_of(expected, messages, i, syntax);
    /* Some templates write lists and objects as Python does, which no model is asked for. */
    int result = name && strstr(answer.ptr, name) && !strstr(answer.ptr, "{'") ? 1 : 0;
    for (size_t n = 1; n < 200 && result > 0; n = 3 * n + 2) {
        transcript t;
        begin(&t, json_object_get(message, "tool_calls"));
        take(&t, (rf_reply_options){.syntax = syntax}, answer, n);
        if (!json_equal(t.calls, want)) {
            result = -1;
            print_message("%s, pieces of %zu\n  wrote %.300s\n  read %s\n",
                          json_string_value(json_object_get(one, "id")), n, answer.ptr,
                          t.other.data);
        }
        end(&t);
    }
    json_decref(want);
    return result;
}

static void test_what_templates_write(void **state) {
    (void)state;
    for (size_t f = 0; f < sizeof families / sizeof *families; f++) {
        char path[256];
        (void)snprintf(path, sizeof path, "tests/golden/templates/%s.json", families[f].file);
        json_t *file = json_load_file(path, 0, NULL), *one;
        const char *source = json_string_value(json_object_get(file, "template"));
        assert_non_null(source);
        const rf_call_syntax *syntax = rf_call_syntax_of(rf_str_of(source));
        if (strcmp(syntax->name, families[f].syntax) != 0)
            fail_msg("%s: %s, expected %s", families[f].file, syntax->name, families[f].syntax);
        size_t i, n_read = 0, n_differ = 0;
        json_array_foreach(json_object_get(file, "cases"), i, one) {
            const char *id = json_string_value(json_object_get(one, "id"));
            if (families[f].unlike && strcmp(id, families[f].unlike) == 0)
                continue;
            int result = check_case(one, syntax);
            n_read += result > 0;
            n_differ += result < 0;
        }
        if (n_differ > 0 || n_read < 8)
            fail_msg("%s: %zu read, %zu differ", families[f].file, n_read, n_differ);
        json_decref(file);
    }
}

/* ---- what models write ----------------------------------------------------------------------- */

static const struct {
    const char *syntax, *answer, *text, *other;
} cases[] = {
    {"hermes", "no call", "no call", ""},
    {"hermes", "  a < b and <tool no\n", "  a < b and <tool no\n", ""},
    {"hermes",
     "Wait.\n\n<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": [1, {\"b\": "
     "\"}\"}]}}\n</tool_call>\n",
     "Wait.", "f({\"a\": [1, {\"b\": \"}\"}]})"},
    {"hermes",
     "<tool_call>{\"name\":\"f\",\"arguments\":{}}</"
     "tool_call>\n<tool_call>{\"arguments\":{\"x\":1},\"name\":\"g\"}</tool_call> done",
     "done", "f({})g({\"x\":1})"},
    {"hermes", "<tool_call>{\"name\":\"f\"}</tool_call>", "", "f({})"},
    {"hermes", "<tool_call>{\"name\":\"f\",\"arguments\":null}</tool_call>", "", "f({})"},
    {"hermes",
     "<tool_call>{\"name\":\"f\",\"arguments\":\"{\\\"a\\\":\\\"\\u00e9\\\"}\"}</tool_call>", "",
     "f({\"a\":\"\u00e9\"})"},
    {"hermes", "<tool_call>{\"name\":\"nobody\",\"arguments\":{}}</tool_call>",
     "<tool_call>{\"name\":\"nobody\",\"arguments\":{}}</tool_call>", ""},
    {"hermes", "a <tool_call>{\"name\": \"f\", oops}</tool_call> b",
     "a <tool_call>{\"name\": \"f\", oops}</tool_call> b", ""},
    {"hermes",
     "<tool_call>{bad}</tool_call>\n<tool_call>{\"name\":\"f\",\"arguments\":{}}</tool_call>",
     "<tool_call>{bad}</tool_call>", "f({})"},
    {"hermes", "<tool_call>{\"name\": \"f\", \"argum", "<tool_call>{\"name\": \"f\", \"argum", ""},
    {"hermes", "<tool_call>{\"name\": \"f\", \"arguments\": {\"a\": \"cut o", "",
     "f({\"a\": \"cut o)"},
    {"hermes", "<tool_call></tool_call>", "<tool_call></tool_call>", ""},
    {"hermes", "<think>\nhm\n</think>\n\nYes <think>", "Yes <think>", "{hm}"},
    {"hermes", "<think>\n\n</think>\n\nYes", "Yes", ""},
    {"hermes", "<think>a</think><tool_call>{\"name\":\"f\",\"arguments\":{\"k\":2}}</tool_call>",
     "", "{a}f({\"k\":2})"},
    {"hermes", "<think>never ends ", "", "{never ends"},
    {"llama3", "{\"name\": \"f\", \"parameters\": {\"q\": \"x\"}}", "", "f({\"q\": \"x\"})"},
    {"llama3",
     "<|python_tag|>{\"name\":\"f\",\"parameters\":{}}; {\"name\":\"g\",\"parameters\":{}}", "",
     "f({})g({})"},
    {"llama3", "{\"answer\": 42}", "{\"answer\": 42}", ""},
    {"llama3", "[1, 2]", "[1, 2]", ""},
    {"llama3", "The set {1}", "The set {1}", ""},
    {"json", " [{\"name\":\"f\",\"arguments\":{}}, {\"name\":\"g\",\"arguments\":{\"a\":0.5e3}}]",
     "", "f({})g({\"a\":0.5e3})"},
    {"mistral", "[TOOL_CALLS] [{\"name\": \"f\", \"arguments\": {}, \"id\": \"abcdefghi\"}]", "",
     "f({})"},
    {"mistral-args", "Ok[TOOL_CALLS]f[ARGS]{\"a\": 1}[TOOL_CALLS]g[CALL_ID]123456789[ARGS]{}", "Ok",
     "f({\"a\": 1})g({})"},
    {"kimi",
     "<|tool_calls_section_begin|><|tool_call_begin|>functions.f:0<|tool_call_argument_begin|>{"
     "\"a\": 1}"
     "<|tool_call_end|><|tool_call_begin|>functions.g:1<|tool_call_argument_begin|>{}<|tool_call_"
     "end|>"
     "<|tool_calls_section_end|>",
     "", "f({\"a\": 1})g({})"},
    {"functionary", "<function=f>{\"a\": 1}</function><function=g>{}</function>", "",
     "f({\"a\": 1})g({})"},
    {"functionary", "<function=f>not json</function>", "<function=f>not json</function>", ""},
    {"qwen3-coder",
     "I do.\n<tool_call>\n<function=f>\n<parameter=code>\nif a < b:\n  "
     "\"x\"\n</parameter>\n<parameter=n>\n5\n"
     "</parameter>\n</function>\n</tool_call>",
     "I do.", "f({\"code\": \"if a < b:\\u000a  \\\"x\\\"\", \"n\": 5})"},
    {"qwen3-coder", "<tool_call>\n<function=f>\n</function>\n</tool_call>", "", "f({})"},
    {"glm", "<tool_call>f\n<arg_key>a</arg_key>\n<arg_value>x y</arg_value>\n</tool_call>", "",
     "f({\"a\": \"x y\"})"},
    {"deepseek",
     "Hm.<｜tool▁calls▁begin｜><｜tool▁call▁begin｜>function<｜tool▁sep｜>f\n```json\n{\"a\": "
     "1}\n```<｜tool▁call▁end｜>"
     "\n<｜tool▁call▁begin｜>function<｜tool▁sep｜>g\n```json\n{}\n```<｜tool▁call▁end｜><"
     "｜tool▁calls▁end｜>",
     "Hm.", "f({\"a\": 1})g({})"},
    {"gpt-oss",
     "<|channel|>analysis<|message|>Think.<|end|><|start|>assistant<|channel|>commentary "
     "to=functions.f "
     "<|constrain|>json<|message|>{\"a\":1}<|call|>",
     "", "{Think.}f({\"a\":1})"},
    {"gpt-oss",
     "<|channel|>analysis<|message|>A<|end|><|start|>assistant<|channel|>final<|message|>Hello.<|"
     "return|>",
     "Hello.", "{A}"},
    {"gpt-oss", "<|channel|>final<|message|>Cut", "Cut", ""},
};

static void test_what_models_write(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rf_reply_options options = {.syntax = rf_call_syntax_named(cases[i].syntax),
                                    .reasoning = rf_reasoning_syntax_of(RF_STR("</think>"))};
        assert_non_null(options.syntax);
        for (size_t n = 1; n < 300; n = 2 * n + 1) {
            transcript t;
            begin(&t, NULL);
            take(&t, options, rf_str_of(cases[i].answer), n);
            if (strcmp(t.text.data, cases[i].text) != 0 ||
                strcmp(t.other.data, cases[i].other) != 0)
                fail_msg("%s, pieces of %zu: %s\n  text  %s\n  other %s", cases[i].syntax, n,
                         cases[i].answer, t.text.data, t.other.data);
            end(&t);
        }
    }
}

/* Reasoning that the prompt has begun, and none at all. */
static void test_open_reasoning(void **state) {
    (void)state;
    const rf_reasoning_syntax *think = rf_reasoning_syntax_of(RF_STR("... </think> ..."));
    assert_true(rf_reasoning_is_open(think, RF_STR("<|im_start|>assistant\n<think>\n")));
    assert_false(rf_reasoning_is_open(think, RF_STR("<think>\n\n</think>\n\n")));
    assert_null(rf_reasoning_syntax_of(RF_STR("no such thing")));
    transcript t;
    begin(&t, NULL);
    take(&t, (rf_reply_options){.reasoning = think, .reasoning_open = true},
         RF_STR("Because.\n</think>\n\nYes.\n"), 2);
    assert_string_equal(t.text.data, "Yes.\n");
    assert_string_equal(t.other.data, "{Because.}");
    end(&t);
}

/* Arguments go out as they come, texts of parameters too. */
static void test_arguments_stream(void **state) {
    (void)state;
    json_t *schema = json_loads("[{\"function\": {\"arguments\": {\"code\": \"\"}}}]", 0, NULL);
    static const char *const answers[][2] = {
        {"hermes", "<tool_call>{\"name\":\"f\",\"arguments\":{\"code\":"
                   "\"0123456789012345678901234567890123456789\"}}"},
        {"qwen3-coder",
         "<tool_call><function=f><parameter=code>\n0123456789012345678901234567890123456789"},
    };
    for (int i = 0; i < 2; i++) {
        transcript t;
        begin(&t, schema);
        take(&t, (rf_reply_options){.syntax = rf_call_syntax_named(answers[i][0])},
             rf_str_of(answers[i][1]), 1);
        assert_true(t.n_parts > 35);
        assert_non_null(strstr(t.other.data, "0123456789012345678901234567890123456789"));
        end(&t);
    }
    json_decref(schema);
}

/* Every byte of an answer may be its last; nothing of a call that was not announced is lost. */
static void test_cut_answers(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rf_str answer = rf_str_of(cases[i].answer);
        for (size_t n = 0; n < answer.len; n++) {
            if (((unsigned char)answer.ptr[n] & 0xc0) == 0x80)
                continue;
            transcript t;
            begin(&t, NULL);
            take(&t, (rf_reply_options){.syntax = rf_call_syntax_named(cases[i].syntax)},
                 rf_str_sub(answer, 0, n), 7);
            bool called = json_array_size(t.calls) > 0, channels = cases[i].syntax[0] == 'g';
            if (!called && !channels)
                assert_memory_equal(t.text.data, answer.ptr, n);
            end(&t);
        }
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_templates_write), cmocka_unit_test(test_what_models_write),
        cmocka_unit_test(test_open_reasoning), cmocka_unit_test(test_arguments_stream),
        cmocka_unit_test(test_cut_answers)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
