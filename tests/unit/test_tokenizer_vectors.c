/* Every golden vector of every golden vocabulary: text to ids, ids to text, streamed too. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>

#include "base/utf8.h"
#include "tests/lib/golden.h"
#include "tokenizer/tokenizer.h"

static const char *const vocabularies[] = {"smollm2",  "llama-spm", "gemma3",     "mistral",
                                           "llama3_1", "qwen3",     "gpt-2",      "deepseek-llm",
                                           "gptoss",   "starcoder", "deepseek_v3"};

typedef struct counts {
    size_t n_encode, n_decode, n_bad;
} counts;

static void report(counts *c, const char *name, size_t line, json_t *want, const rf_tokens *got) {
    if (c->n_bad++ >= 5)
        return;
    char *ids = json_dumps(want, JSON_COMPACT);
    print_error("%s line %zu: want %.300s\n  got [", name, line, ids);
    for (size_t i = 0; i < got->n && i < 40; i++)
        print_error("%d,", got->ids[i]);
    print_error("]\n");
    free(ids);
}

static bool same_ids(json_t *want, const rf_tokens *got) {
    if (json_array_size(want) != got->n)
        return false;
    for (size_t i = 0; i < got->n; i++)
        if (json_integer_value(json_array_get(want, i)) != got->ids[i])
            return false;
    return true;
}

static void check_encode(const rf_tokenizer *tokenizer, const char *name, size_t line, json_t *o,
                         counts *c) {
    json_t *text = json_object_get(o, "text");
    rf_encode_options options = {.add_special = json_is_true(json_object_get(o, "add_special")),
                                 .parse_special =
                                     json_is_true(json_object_get(o, "parse_special"))};
    rf_tokens got = {0};
    rf_error err = {0};
    rf_str view = {json_string_value(text), json_string_length(text)};
    assert_int_equal(rf_tokenizer_encode(tokenizer, view, options, &got, &err), RF_OK);
    if (!same_ids(json_object_get(o, "ids"), &got))
        report(c, name, line, json_object_get(o, "ids"), &got);
    c->n_encode++;
    rf_tokens_deinit(&got);
}

static size_t unhex(const char *hex, char *out) {
    size_t n = 0;
    for (unsigned byte; sscanf(hex + 2 * n, "%2x", &byte) == 1; n++)
        out[n] = (char)byte;
    return n;
}

/* The stream must emit whole characters only and agree with decode, up to U+FFFD. */
static bool check_stream(const rf_tokenizer *tokenizer, const rf_tokens *ids, rf_str whole) {
    rf_detokenizer stream = {0};
    rf_buf out;
    rf_buf_init(&out, 1 << 24);
    bool valid = true;
    for (size_t i = 0; i < ids->n; i++) {
        rf_error err = {0};
        assert_int_equal(rf_detokenizer_push(&stream, tokenizer, ids->ids[i], &out, &err), RF_OK);
        valid = valid && rf_utf8_valid_prefix(out.data, out.len) == out.len;
    }
    rf_detokenizer_finish(&stream, &out);
    valid = valid && rf_utf8_valid_prefix(out.data, out.len) == out.len;
    if (rf_utf8_valid_prefix(whole.ptr, whole.len) == whole.len)
        valid = valid && rf_str_eq(rf_buf_view(&out), whole);
    rf_buf_deinit(&out);
    return valid;
}

static void check_decode(const rf_tokenizer *tokenizer, const char *name, size_t line, json_t *o,
                         counts *c) {
    json_t *array = json_object_get(o, "ids"), *text = json_object_get(o, "decoded");
    rf_tokens ids = {0};
    for (size_t i = 0; i < json_array_size(array); i++)
        assert_true(rf_tokens_push(&ids, (int32_t)json_integer_value(json_array_get(array, i))));
    rf_buf out;
    rf_error err = {0};
    rf_buf_init(&out, 1 << 24);
    assert_int_equal(rf_tokenizer_decode(tokenizer, ids.ids, ids.n, &out, &err), RF_OK);
    char bytes[4096];
    rf_str want = {json_string_value(text), json_string_length(text)};
    if (!text) {
        const char *hex = json_string_value(json_object_get(o, "decoded_bytes_hex"));
        assert_true(strlen(hex) / 2 < sizeof bytes);
        want = (rf_str){bytes, unhex(hex, bytes)};
    }
    if (!rf_str_eq(rf_buf_view(&out), want)) {
        if (c->n_bad++ < 5)
            print_error("%s line %zu: want \"%.*s\"\n  got \"%.*s\"\n", name, line,
                        RF_STR_ARG(want), RF_STR_ARG(rf_buf_view(&out)));
    } else if (!check_stream(tokenizer, &ids, want) && c->n_bad++ < 5) {
        print_error("%s line %zu: the stream differs\n", name, line);
    }
    c->n_decode++;
    rf_buf_deinit(&out);
    rf_tokens_deinit(&ids);
}

static void check_lines(const rf_tokenizer *tokenizer, const char *name) {
    char path[256];
    (void)snprintf(path, sizeof path, "tests/golden/vocab/%s.jsonl", name);
    golden_file file = golden_read(path);
    assert_non_null(file.bytes);
    counts c = {0};
    size_t line = 0;
    for (size_t at = 0; at < file.n;) {
        const char *start = (const char *)file.bytes + at;
        const char *end = memchr(start, '\n', file.n - at);
        size_t n = end ? (size_t)(end - start) : file.n - at;
        json_error_t bad;
        json_t *o = json_loadb(start, n, JSON_ALLOW_NUL, &bad);
        assert_non_null(o);
        line++;
        if (json_object_get(o, "text"))
            check_encode(tokenizer, name, line, o, &c);
        else
            check_decode(tokenizer, name, line, o, &c);
        json_decref(o);
        at += n + 1;
    }
    print_message("%-13s %zu texts, %zu decodings, %zu wrong\n", name, c.n_encode, c.n_decode,
                  c.n_bad);
    golden_free(&file);
    assert_true(c.n_encode > 500 && c.n_decode >= 90);
    assert_int_equal(c.n_bad, 0);
}

static void test_vocabulary(void **state) {
    const char *name = *state;
    golden_file file = golden_vocab(name);
    assert_non_null(file.bytes);
    rf_gguf *gguf = NULL;
    rf_tokenizer *tokenizer = NULL;
    rf_error err = {0};
    assert_int_equal(rf_gguf_open_memory(file.bytes, file.n, &gguf, &err), RF_OK);
    rf_status status = rf_tokenizer_create(gguf, &tokenizer, &err);
    if (status != RF_OK)
        print_error("%s: %s\n", name, err.text);
    assert_int_equal(status, RF_OK);
    check_lines(tokenizer, name);
    rf_tokenizer_destroy(tokenizer);
    rf_gguf_close(gguf);
    golden_free(&file);
}

int main(void) {
    enum { N = sizeof vocabularies / sizeof *vocabularies };
    struct CMUnitTest tests[N];
    for (size_t i = 0; i < N; i++)
        tests[i] = (struct CMUnitTest){.name = vocabularies[i],
                                       .test_func = test_vocabulary,
                                       .initial_state = (void *)(uintptr_t)vocabularies[i]};
    return cmocka_run_group_tests_name("golden vectors", tests, NULL, NULL);
}
