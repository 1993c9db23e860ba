/* Hostile templates and contexts: a typed error in bounded time and memory, never a crash. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "chat/messages.h"

typedef struct outcome {
    rf_status status;
    rf_template_error_kind kind;
    bool compiled;
} outcome;

static outcome render(rf_str source, rf_str context, const rf_template_limits *limits,
                      rf_buf *out) {
    outcome o = {.kind = RF_TEMPLATE_OTHER};
    rf_template *tmpl = NULL;
    rf_error err = {0};
    o.status = rf_template_compile(source, limits, &tmpl, &err);
    o.compiled = o.status == RF_OK;
    if (o.compiled)
        o.status = rf_template_render(tmpl, context, 0, out, &o.kind, &err);
    if (o.status != RF_OK) {
        assert_true(err.text[0] != 0);
        assert_int_equal(err.code, o.status);
    }
    rf_template_destroy(tmpl);
    return o;
}

static outcome render_text(const char *source, const char *context, rf_buf *out) {
    rf_buf_init(out, SIZE_MAX / 2);
    return render(rf_str_of(source), rf_str_of(context), NULL, out);
}

static void repeat(rf_buf *out, const char *text, size_t n) {
    for (size_t i = 0; i < n; i++)
        rf_buf_text(out, text);
}

/* n times head, once middle, n times tail */
static void expect_refused(const char *head, const char *middle, const char *tail, size_t n) {
    rf_buf source, out;
    rf_buf_init(&source, SIZE_MAX / 2);
    rf_buf_init(&out, SIZE_MAX / 2);
    repeat(&source, head, n);
    rf_buf_text(&source, middle);
    repeat(&source, tail, n);
    assert_false(source.failed);
    uint64_t start = rf_clock_ns();
    outcome o = render(rf_buf_view(&source), RF_STR("{}"), NULL, &out);
    uint64_t ms = (rf_clock_ns() - start) / 1000000;
    if (o.status == RF_OK || ms > 3000)
        printf("'%s' x %zu: status %d after %llu ms\n", head, n, (int)o.status,
               (unsigned long long)ms);
    assert_int_not_equal(o.status, RF_OK);
    assert_true(ms <= 3000);
    rf_buf_deinit(&source);
    rf_buf_deinit(&out);
}

static void test_deep_nesting(void **state) {
    (void)state;
    static const char *const shapes[][3] = {{"{% if true %}", "x", "{% endif %}"},
                                            {"{% if true %}{% else %}", "x", "{% endif %}"},
                                            {"{% for a in [1] %}", "x", "{% endfor %}"},
                                            {"{% set x %}", "x", "{% endset %}"},
                                            {"{% with %}", "x", "{% endwith %}"},
                                            {"{% macro m() %}", "x", "{% endmacro %}"},
                                            {"{% call m() %}", "x", "{% endcall %}"},
                                            {"{% filter upper %}", "x", "{% endfilter %}"},
                                            {"{% generation %}", "x", "{% endgeneration %}"},
                                            {"{% autoescape true %}", "x", "{% endautoescape %}"}};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        expect_refused(shapes[i][0], shapes[i][1], shapes[i][2], 10000);
        expect_refused(shapes[i][0], shapes[i][1], shapes[i][2], 100000);
        expect_refused(shapes[i][0], "", "", 100000);
    }
    static const char *const expressions[][3] = {
        {"(", "1", ")"},      {"[", "1", "]"},         {"{1:", "1", "}"}, {"x[", "1", "]"},
        {"x(", "1", ")"},     {"-", "1", ""},          {"not ", "1", ""}, {"a if b else ", "1", ""},
        {"x|map(", "1", ")"}, {"x is in (", "1", ")"}, {"[1,", "1", "]"}, {"x[1:", "1", "]"}};
    for (size_t i = 0; i < sizeof expressions / sizeof *expressions; i++) {
        rf_buf source;
        rf_buf_init(&source, SIZE_MAX / 2);
        rf_buf_text(&source, "{{ ");
        repeat(&source, expressions[i][0], 100000);
        rf_buf_text(&source, expressions[i][1]);
        repeat(&source, expressions[i][2], 100000);
        rf_buf_text(&source, " }}");
        expect_refused("", source.data, "", 1);
        rf_buf_deinit(&source);
    }
}

static void expect_kind(const char *source, rf_template_error_kind kind) {
    rf_buf out;
    rf_alloc_peak_reset();
    size_t before = rf_alloc_peak_bytes();
    uint64_t start = rf_clock_ns();
    outcome o = render_text(source, "{\"s\": \"some text\", \"L\": [1, 2, 3]}", &out);
    uint64_t ms = (rf_clock_ns() - start) / 1000000;
    if (o.status == RF_OK || o.kind != kind)
        printf("%.80s: status %d, kind %s\n", source, (int)o.status,
               rf_template_error_kind_name(o.kind));
    assert_int_not_equal(o.status, RF_OK);
    assert_int_equal(o.kind, kind);
    if (ms > 1000)
        printf("%.80s: %llu ms\n", source, (unsigned long long)ms);
    assert_true(ms < 20000);
    assert_true(rf_alloc_peak_bytes() - before < (size_t)400 << 20);
    rf_buf_deinit(&out);
}

static void test_blow_ups(void **state) {
    (void)state;
    static const char *const limits[] = {
        "{{ 'x' * 1000000000 }}",
        "{{ 'x' * 4294967297 }}",
        "{{ [1] * 1000000000 }}",
        "{{ [[1]] * 9223372036854775807 }}",
        "{{ 'x'.center(1000000000) }}",
        "{{ 'x'.ljust(1000000000000) }}",
        "{{ '1'.zfill(1000000000) }}",
        "{{ '\\t'.expandtabs(1000000000) }}",
        "{{ '%1000000000d' % 1 }}",
        "{{ '%.1000000000f' % 1 }}",
        "{{ '{:1000000000}'.format(1) }}",
        "{{ 2 ** 1000000 }}",
        "{{ 10 ** (10 ** 10) }}",
        "{{ 7 ** 123456789012345678901234567890 }}",
        "{{ 'x' | indent(1000000000) }}",
        "{{ L | tojson(indent=1000000000) }}",
        "{{ L | batch(1000000000, 0) | list }}",
        "{{ L | slice(1000000000) | list }}",
        "{% set ns = namespace(x='aaaaaaaaaaaaaaaa') %}{% for i in range(100) %}"
        "{% set ns.x = ns.x + ns.x %}{% endfor %}",
        "{% set ns = namespace(x='aaaaaaaaaaaaaaaa') %}{% for i in range(100) %}"
        "{% set ns.x = ns.x.replace('a', ns.x) %}{% endfor %}",
        "{% set ns = namespace(x='aa') %}{% for i in range(100) %}"
        "{% set ns.x = ns.x | join(ns.x) %}{% endfor %}",
        "{% set ns = namespace(x='a') %}{% for i in range(100) %}"
        "{% set ns.x = ns.x.replace('', ns.x) %}{% endfor %}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(100) %}"
        "{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x }}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(100) %}"
        "{% set ns.x = [ns.x, ns.x] %}{% endfor %}{{ ns.x | tojson }}",
        "{% set ns = namespace(x=[1], y=[1]) %}{% for i in range(100) %}"
        "{% set ns.x = [ns.x, ns.x] %}{% set ns.y = [ns.y, ns.y] %}{% endfor %}{{ ns.x == ns.y }}",
        "{% for a in range(100000) %}{% for b in range(100000) %}{% endfor %}{% endfor %}",
        "{% for a in range(100000) %}{% for b in range(100000) %}some text{% endfor %}{% endfor %}",
        "{% macro m(n) %}{{ m(n) if n > 500 }}{% for i in range(1000) %}{{ i }}{% endfor %}"
        "{% endmacro %}{% for i in range(100000) %}{{ m(1) }}{% endfor %}",
        "{{ L | map('map', 'map', 'map', 'map', 'map', 'map', 'map', 'map', 'map', 'map', 'map',"
        " 'map', 'map', 'map', 'map', 'map', 'map', 'map', 'upper') | list | tojson }}",
    };
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        /* a few of these end in a type error of the value that the limit left; most in the limit */
        bool typed = strstr(limits[i], "'map', 'map'") != NULL;
        expect_kind(limits[i], typed ? RF_TEMPLATE_TYPE : RF_TEMPLATE_LIMIT);
    }
}

static void test_endless_recursion(void **state) {
    (void)state;
    expect_kind("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", RF_TEMPLATE_OTHER);
    expect_kind("{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}{{ a() }}{% endmacro %}"
                "{{ a() }}",
                RF_TEMPLATE_OTHER);
    expect_kind("{% macro m() %}{% call m() %}{% endcall %}{{ caller is defined }}{% endmacro %}"
                "{{ m() }}",
                RF_TEMPLATE_OTHER);
    expect_kind("{% for x in L recursive %}{{ loop(L) }}{% endfor %}", RF_TEMPLATE_OTHER);
    expect_kind("{% block b %}{{ self.b() }}{% endblock %}", RF_TEMPLATE_OTHER);
    expect_kind("{% set ns = namespace() %}{% set ns.x = ns %}{{ ns }}", RF_TEMPLATE_OTHER);
    expect_kind("{% set ns = namespace(x=[]) %}{% for i in range(5000) %}{% set ns.x = [ns.x] %}"
                "{% endfor %}{{ ns.x }}",
                RF_TEMPLATE_OTHER);
    expect_kind("{% set ns = namespace(x=[], y=[]) %}{% for i in range(5000) %}"
                "{% set ns.x = [ns.x] %}{% set ns.y = [ns.y] %}{% endfor %}{{ ns.x < ns.y }}",
                RF_TEMPLATE_OTHER);
    expect_kind("{% set ns = namespace(x=()) %}{% for i in range(5000) %}{% set ns.x = (ns.x,) %}"
                "{% endfor %}{{ {ns.x: 1} }}",
                RF_TEMPLATE_OTHER);
    expect_kind("{{ range(100001) }}", RF_TEMPLATE_OTHER);
    expect_kind("{{ range(-9223372036854775807, 9223372036854775807) }}", RF_TEMPLATE_OTHER);
}

static void test_hostile_contexts(void **state) {
    (void)state;
    static const char *const bad[] = {"",
                                      "{",
                                      "[",
                                      "[]",
                                      "1",
                                      "{\"a\"",
                                      "{\"a\":",
                                      "{\"a\":1,}",
                                      "{a:1}",
                                      "{\"a\":1} x",
                                      "{\"a\":01}",
                                      "{\"a\":-}",
                                      "{\"a\":1.}",
                                      "{\"a\":1e}",
                                      "{\"a\":\"\\u12\"}",
                                      "{\"a\":\"\\x\"}",
                                      "{\"a\":\"\n\"}",
                                      "{\"a\":tru}",
                                      "{\"a\":\"\xff\"}",
                                      "{\"a\":[1 2]}",
                                      "{\"a\":NaN}",
                                      "{,}",
                                      "{\"a\" 1}",
                                      "{\"a\":\"b\\"};
    rf_buf out;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        outcome o = render_text("{{ a }}", bad[i], &out);
        if (o.status == RF_OK)
            printf("context %s was taken\n", bad[i]);
        assert_int_equal(o.status, RF_ERR_INVALID);
        rf_buf_deinit(&out);
    }
    rf_buf context;
    rf_buf_init(&context, SIZE_MAX / 2);
    rf_buf_text(&context, "{\"a\": ");
    repeat(&context, "[", 100000);
    assert_int_equal(render_text("{{ a }}", context.data, &out).status, RF_ERR_LIMIT);
    rf_buf_deinit(&out);
    rf_buf_clear(&context);
    rf_buf_text(&context, "{\"a\": ");
    repeat(&context, "9", 100000);
    rf_buf_text(&context, "}");
    assert_int_equal(render_text("{{ a }}", context.data, &out).status, RF_ERR_INVALID);
    rf_buf_deinit(&out);
    rf_buf_deinit(&context);
}

/* Uses a little of everything. */
static const char rich[] =
    "{% macro m(a, b=2) %}{{ a ~ b }}{{ caller() if caller is defined }}{% endmacro %}"
    "{% set ns = namespace(n=0, t='') %}{% for x in L if x > 1 %}{{ loop.index }}"
    "{% set ns.n = ns.n + x %}{% set ns.t = ns.t ~ x %}{% else %}none{% endfor %}"
    "{% set t %}{{ m(1) }}{% endset %}{{ t }}{% call m(1) %}body{% endcall %}"
    "{{ L | sort(reverse=true) | join(',') }}{{ D | dictsort }}{{ D | tojson(indent=2) }}"
    "{{ 2 ** 100 // 3 }}{{ 'a b c'.split() }}{{ '%s-%05.1f' % ('x', 1.25) }}"
    "{{ '{:>5}|{a}'.format(1, a=2) }}{{ s.upper() }}{{ L | map('string') | list }}"
    "{{ P | groupby('k') }}{{ {1: [2, (3,)]} }}{{ strftime_now('%Y') }}{% filter upper %}x"
    "{% endfilter %}{% for t in L recursive %}{{ loop([]) if loop.first }}{% endfor %}"
    "{{ '<' | e }}{{ s[1:3] }}{{ s[::-1] }}{{ L == [1, 2, 3] }}{{ 'x' in s }}";
static const char rich_context[] = "{\"L\": [3, 1, 2], \"D\": {\"b\": 1, \"a\": [2.5, null]}, "
                                   "\"s\": \"some \\u00e9 text\", \"P\": [{\"k\": \"x\"}]}";

static void test_failing_allocations(void **state) {
    (void)state;
    rf_buf want, out;
    assert_int_equal(render_text(rich, rich_context, &want).status, RF_OK);
    size_t live = rf_alloc_live_bytes();
    int refused = 0;
    for (uint64_t n = 1;; n++) {
        rf_alloc_fail_at(n, n % 2 == 0);
        outcome o = render_text(rich, rich_context, &out);
        rf_alloc_fail_at(0, 0);
        if (o.status == RF_OK) {
            assert_int_equal(out.len, want.len);
            assert_memory_equal(out.data, want.data, want.len);
            rf_buf_deinit(&out);
            break;
        }
        refused++;
        assert_true(o.status == RF_ERR_NO_MEMORY || o.status == RF_ERR_LIMIT);
        rf_buf_deinit(&out);
        assert_int_equal(rf_alloc_live_bytes(), live);
        assert_true(n < 10000);
    }
    assert_true(refused > 5);
    rf_buf_deinit(&want);
}

static void test_small_limits(void **state) {
    (void)state;
    rf_buf out;
    const rf_template_limits steps = {.max_steps = 20}, output = {.max_output_bytes = 10},
                             memory = {.max_memory_bytes = 20000};
    rf_str loop = RF_STR("{% for i in range(100) %}{{ i ~ 'x' * 200 }}{% endfor %}"),
           none = RF_STR("{}");
    const rf_template_limits *all[] = {&steps, &output, &memory};
    for (size_t i = 0; i < 3; i++) {
        rf_buf_init(&out, SIZE_MAX / 2);
        outcome o = render(loop, none, all[i], &out);
        assert_int_equal(o.status, RF_ERR_LIMIT);
        rf_buf_deinit(&out);
    }
}

/* A conversation as long as a big context holds renders within the default limits. */
static void test_long_history(void **state) {
    (void)state;
    static const char source[] =
        "{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) "
        "%}{{ raise_exception('roles must alternate') }}{% endif %}{{ '<|im_start|>' + "
        "message['role'] + '\\n' + message['content'] | trim + '<|im_end|>' + '\\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";
    rf_buf messages, text, out;
    rf_buf_init(&messages, SIZE_MAX / 2);
    rf_buf_init(&text, SIZE_MAX / 2);
    rf_buf_init(&out, SIZE_MAX / 2);
    repeat(&text, "twenty bytes of text ", 20);
    for (int i = 0; i < 20000; i++)
        rf_messages_append(&messages, i % 2 ? RF_STR("assistant") : RF_STR("user"),
                           rf_buf_view(&text));
    rf_template *tmpl = NULL;
    rf_error err = {0};
    rf_template_error_kind kind;
    assert_int_equal(rf_template_compile(rf_str_of(source), NULL, &tmpl, &err), RF_OK);
    rf_prompt_request request = {.messages = rf_buf_view(&messages), .add_generation_prompt = true};
    rf_status status = rf_prompt_render(tmpl, &request, &out, &kind, &err);
    if (status != RF_OK)
        printf("%s\n", err.text);
    assert_int_equal(status, RF_OK);
    assert_true(out.len > 20000 * text.len - 20000);
    rf_template_destroy(tmpl);
    rf_buf_deinit(&messages);
    rf_buf_deinit(&text);
    rf_buf_deinit(&out);
}

/* The message in full, control characters included, goes to out. */
static void test_raised_message(void **state) {
    (void)state;
    rf_buf out;
    outcome o = render_text("{{ raise_exception('one\\ntwo\\t' ~ 'x' * 2000) }}", "{}", &out);
    assert_int_equal(o.status, RF_ERR_INVALID);
    assert_int_equal(o.kind, RF_TEMPLATE_RAISED);
    assert_int_equal(out.len, 8 + 2000);
    assert_memory_equal(out.data, "one\ntwo\txx", 10);
    rf_buf_deinit(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_deep_nesting),        cmocka_unit_test(test_blow_ups),
        cmocka_unit_test(test_endless_recursion),   cmocka_unit_test(test_hostile_contexts),
        cmocka_unit_test(test_failing_allocations), cmocka_unit_test(test_small_limits),
        cmocka_unit_test(test_long_history),        cmocka_unit_test(test_raised_message)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
