/* Every rendering of tests/golden/templates: the same bytes, or a failure where the oracle fails.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <dirent.h>
#include <jansson.h>

#include "base/alloc.h"
#include "chat/messages.h"

#define FOLDER "tests/golden/templates"
static const int64_t golden_clock = 1767323045; /* 2026-01-02 03:04:05 */

typedef struct tally {
    int n, failed, wrong_kind;
} tally;

static const char *text_of(const json_t *object, const char *key) {
    const char *s = json_string_value(json_object_get(object, key));
    return s ? s : "";
}

static void report(const char *file, const json_t *c, const char *why, const rf_buf *got) {
    printf("FAIL %s %s: %s\n  got  %.300s\n  want %.300s\n", file, text_of(c, "id"), why,
           got->data ? got->data : "",
           json_object_get(c, "expected") ? text_of(c, "expected") : text_of(c, "error"));
}

/* Compares an outcome with the oracle's. */
static void judge(const char *file, const json_t *c, rf_status status, rf_template_error_kind kind,
                  const rf_buf *got, tally *t) {
    const json_t *expected = json_object_get(c, "expected");
    const char *want = json_string_value(expected), *name = rf_template_error_kind_name(kind);
    const char *why = NULL;
    t->n++;
    if (expected && status != RF_OK)
        why = name;
    else if (!expected && status == RF_OK)
        why = "rendered, must fail";
    else if (expected && (got->len != json_string_length(expected) ||
                          (got->len && memcmp(got->data, want, got->len) != 0)))
        why = "other text";
    else if (!expected && strcmp(text_of(c, "error_kind"), "raise_exception") == 0 &&
             (kind != RF_TEMPLATE_RAISED ||
              strcmp(got->data ? got->data : "", text_of(c, "error"))))
        why = "other message";
    if (why)
        report(file, c, why, got);
    if (!why && !expected && strcmp(text_of(c, "error_kind"), name) != 0) {
        printf("note %s %s: kind %s, not %s\n", file, text_of(c, "id"), name,
               text_of(c, "error_kind"));
        t->wrong_kind++;
    }
    t->failed += why != NULL;
}

/* The text of a JSON value as it stands in the file: big integers stay what they are. */
static rf_str raw_member(const char *line, const char *key) {
    char pattern[64];
    int n = snprintf(pattern, sizeof pattern, "\"%s\": ", key);
    const char *at = strstr(line, pattern);
    if (!at)
        return (rf_str){0};
    const char *p = at + n, *start = p;
    int depth = 0;
    bool quoted = false;
    for (; *p; p++) {
        if (quoted) {
            p += *p == '\\';
            quoted = *p != '"';
            continue;
        }
        quoted = *p == '"';
        depth += (*p == '{' || *p == '[') - (*p == '}' || *p == ']');
        if (depth < 0 || (depth == 0 && (*p == ',' || *p == '\n')))
            break;
    }
    return (rf_str){start, (size_t)(p - start)};
}

static void language_case(const json_t *c, rf_str context, tally *t) {
    rf_template *tmpl = NULL;
    rf_error err = {0};
    rf_buf out;
    rf_template_error_kind kind = RF_TEMPLATE_OTHER;
    const json_t *source = json_object_get(c, "template");
    rf_buf_init(&out, SIZE_MAX / 2);
    rf_status status = rf_template_compile(
        (rf_str){json_string_value(source), json_string_length(source)}, NULL, &tmpl, &err);
    if (status == RF_OK)
        status = rf_template_render(tmpl, context, golden_clock, &out, &kind, &err);
    else
        rf_buf_text(&out, err.text);
    judge("language", c, status, kind, &out, t);
    rf_template_destroy(tmpl);
    rf_buf_deinit(&out);
}

static char *read_file(const char *path) {
    FILE *f = fopen(path, "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 0, SEEK_END), 0);
    size_t n = (size_t)ftell(f);
    rewind(f);
    char *text = rf_alloc(n + 1);
    assert_non_null(text);
    assert_int_equal(fread(text, 1, n, f), n);
    text[n] = 0;
    assert_int_equal(fclose(f), 0);
    return text;
}

static void check(const tally *t, int at_least) {
    printf("%d cases, %d failed, %d of another kind\n", t->n, t->failed, t->wrong_kind);
    assert_true(t->n >= at_least);
    assert_int_equal(t->failed, 0);
}

/* One case a line: the line is parsed for the outcome and searched for the context's own text. */
static void test_language(void **state) {
    (void)state;
    char *text = read_file(FOLDER "/language.json");
    tally t = {0};
    for (char *line = text; line && *line;) {
        char *end = strchr(line, '\n');
        if (end)
            *end = 0;
        size_t n = strlen(line);
        while (n && (line[n - 1] == ',' || line[n - 1] == ']' || line[n - 1] == ' '))
            n--;
        while (*line == '[' && n)
            line++, n--;
        json_t *c = n ? json_loadb(line, n, JSON_DECODE_INT_AS_REAL, NULL) : NULL;
        if (c) {
            rf_str context = raw_member(strstr(line, "\"context\": "), "context");
            language_case(c, context, &t);
        }
        json_decref(c);
        line = end ? end + 1 : NULL;
    }
    rf_free(text);
    check(&t, 629);
}

static void chat_case(const char *file, const json_t *root, const json_t *c,
                      const rf_template *tmpl, tally *t) {
    rf_error err = {0};
    rf_template_error_kind kind = RF_TEMPLATE_OTHER;
    rf_buf out;
    rf_buf_init(&out, SIZE_MAX / 2);
    char *messages = json_dumps(json_object_get(c, "messages"), JSON_ENCODE_ANY);
    char *tools = json_dumps(json_object_get(c, "tools"), JSON_ENCODE_ANY);
    char *kwargs = json_dumps(json_object_get(c, "kwargs"), JSON_ENCODE_ANY);
    rf_prompt_request request = {
        .messages = rf_str_of(messages),
        .tools = rf_str_of(tools),
        .kwargs = rf_str_of(kwargs),
        .bos_token = rf_str_of(text_of(root, "bos_token")),
        .eos_token = rf_str_of(text_of(root, "eos_token")),
        .add_generation_prompt = json_is_true(json_object_get(c, "add_generation_prompt")),
        .continue_final_message = json_is_true(json_object_get(c, "continue_final_message")),
        .clock = golden_clock};
    rf_status status = rf_prompt_render(tmpl, &request, &out, &kind, &err);
    judge(file, c, status, kind, &out, t);
    free(messages);
    free(tools);
    free(kwargs);
    rf_buf_deinit(&out);
}

static void chat_file(const char *name, tally *t) {
    char path[512];
    (void)snprintf(path, sizeof path, FOLDER "/%s", name);
    json_t *root = json_load_file(path, 0, NULL);
    assert_non_null(root);
    const json_t *source = json_object_get(root, "template");
    rf_template *tmpl = NULL;
    rf_error err = {0};
    rf_status status = rf_template_compile(
        (rf_str){json_string_value(source), json_string_length(source)}, NULL, &tmpl, &err);
    if (status != RF_OK)
        printf("FAIL %s does not compile: %s\n", name, err.text);
    assert_int_equal(status, RF_OK);
    size_t i;
    json_t *c;
    json_array_foreach(json_object_get(root, "cases"), i, c) chat_case(name, root, c, tmpl, t);
    rf_template_destroy(tmpl);
    json_decref(root);
}

static void test_chat_templates(void **state) {
    (void)state;
    DIR *dir = opendir(FOLDER);
    assert_non_null(dir);
    tally t = {0};
    int files = 0;
    for (struct dirent *e; (e = readdir(dir));) {
        size_t n = strlen(e->d_name);
        if (n < 6 || strcmp(e->d_name + n - 5, ".json") != 0 ||
            strcmp(e->d_name, "language.json") == 0)
            continue;
        chat_file(e->d_name, &t);
        files++;
    }
    assert_int_equal(closedir(dir), 0);
    assert_true(files >= 34);
    check(&t, 2005);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_language),
                                       cmocka_unit_test(test_chat_templates)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
