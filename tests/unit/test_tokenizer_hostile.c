/* Vocabularies that lie are refused within the bounds; any allocation may fail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "tests/lib/hostile_gguf.h"
#include "tests/lib/tiny_vocab.h"

enum { SLACK_BYTES = 16 << 20 };

static void refuse(const hostile_family *family, uint32_t variant) {
    rf_buf file;
    rf_buf_init(&file, SIZE_MAX);
    assert_true(hostile_make(family, variant, &file));
    rf_gguf *gguf = NULL;
    rf_tokenizer *tokenizer = NULL;
    rf_error err = {0};
    size_t live = rf_alloc_live_bytes();
    rf_alloc_peak_reset();
    uint64_t start = rf_clock_ns();
    rf_status status = rf_gguf_open_memory(file.data, file.len, &gguf, &err);
    if (status == RF_OK)
        status = rf_tokenizer_create(gguf, &tokenizer, &err);
    uint64_t spent = rf_clock_ns() - start;
    if (status == RF_OK || !strstr(err.text, "tokenizer.ggml."))
        print_error("%s %u: %s\n", family->name, variant, err.text);
    assert_int_not_equal(status, RF_OK);
    assert_int_equal(err.code, status);
    assert_null(tokenizer);
    assert_non_null(strstr(err.text, "tokenizer.ggml."));
    assert_true(rf_alloc_peak_bytes() - live <= 4 * file.len + SLACK_BYTES);
    assert_true(spent < 2000000000u); /* 100 ms on a machine that is not busy */
    rf_gguf_close(gguf);
    assert_int_equal(rf_alloc_live_bytes(), live);
    rf_buf_deinit(&file);
}

static void test_families(void **state) {
    (void)state;
    size_t n = 0;
    for (size_t i = 0; i < hostile_n_families; i++) {
        const hostile_family *family = &hostile_families[i];
        if (family->layer != HOSTILE_TOKENIZER)
            continue;
        n++;
        for (uint32_t variant = 0; variant < family->n_variants; variant++)
            refuse(family, variant);
    }
    assert_true(n >= 15);
}

/* The open fails, and the text says what. */
static void check_refusal(tiny_vocab *vocab, const char *key, const char *found) {
    tiny_open open = tiny_vocab_open(vocab);
    if (open.tokenizer || !strstr(open.err.text, key) || !strstr(open.err.text, found))
        print_error("want \"%s\" and \"%s\": %s\n", key, found, open.err.text);
    assert_null(open.tokenizer);
    assert_non_null(strstr(open.err.text, key));
    assert_non_null(strstr(open.err.text, found));
    tiny_open_close(&open);
}

static void one_token(tiny_vocab *vocab, const char *model, const char *text, int32_t type) {
    tiny_vocab_init(vocab);
    tiny_vocab_str(vocab, "model", model);
    tiny_vocab_strings(vocab, "tokens", &text, 1);
    tiny_vocab_i32s(vocab, "token_type", &type, 1);
}

static void test_messages(void **state) {
    (void)state;
    static const char *const bytes[] = {"<0x0>", "<0xZZ>", "0x41", "<0x041>", ""};
    tiny_vocab vocab;
    for (size_t i = 0; i < sizeof bytes / sizeof *bytes; i++) {
        one_token(&vocab, "llama", bytes[i], RF_TOKEN_BYTE);
        check_refusal(&vocab, "tokenizer.ggml.tokens", "expected <0x00> to <0xFF>");
    }
    one_token(&vocab, "t5", "a", RF_TOKEN_NORMAL);
    tiny_vocab_f32s(&vocab, "scores", &(float){0}, 1);
    check_refusal(&vocab, "tokenizer.ggml.unknown_token_id", "found none");
    one_token(&vocab, "bert", "a", RF_TOKEN_NORMAL);
    check_refusal(&vocab, "tokenizer.ggml.unknown_token_id", "found none");
    one_token(&vocab, "llama", "a", RF_TOKEN_NORMAL);
    check_refusal(&vocab, "tokenizer.ggml.scores", "");
    one_token(&vocab, "rwkv", "a", RF_TOKEN_NORMAL);
    check_refusal(&vocab, "tokenizer.ggml.model", "found \"rwkv\"");
    tiny_vocab_spm(&vocab);
    tiny_vocab_u32(&vocab, "eos_token_id", 13);
    check_refusal(&vocab, "tokenizer.ggml.eos_token_id", "found token 13");
    tiny_vocab_unigram(&vocab);
    tiny_vocab_i32s(&vocab, "precompiled_charsmap", (int32_t[]){1, 2}, 2);
    check_refusal(&vocab, "tokenizer.ggml.precompiled_charsmap", "expected an array of u8");
    tiny_vocab_init(&vocab);
    check_refusal(&vocab, "tokenizer.ggml.model", "");
}

/* Equal texts are told from no lie: the first id is found, both decode. */
static void test_duplicates(void **state) {
    (void)state;
    static const char *const tokens[] = {"<unk>", "", "▁a", "▁a", "", "▁a"};
    static const int32_t types[] = {2, 1, 1, 1, 4, 1};
    static const float scores[] = {0, 0, -1, -1, 0, -1};
    tiny_vocab vocab;
    tiny_vocab_init(&vocab);
    tiny_vocab_str(&vocab, "model", "llama");
    tiny_vocab_strings(&vocab, "tokens", tokens, 6);
    tiny_vocab_i32s(&vocab, "token_type", types, 6);
    tiny_vocab_f32s(&vocab, "scores", scores, 6);
    tiny_open open = tiny_vocab_open(&vocab);
    assert_non_null(open.tokenizer);
    assert_int_equal(rf_tokenizer_find(open.tokenizer, RF_STR("▁a")), 2);
    assert_true(rf_str_is(rf_tokenizer_piece(open.tokenizer, 5), " a"));
    tiny_open_close(&open);
}

typedef void (*make_vocab)(tiny_vocab *vocab);
static void make_bpe(tiny_vocab *vocab) { tiny_vocab_bpe(vocab, "qwen2"); }
static void make_whole(tiny_vocab *vocab) { tiny_vocab_bpe(vocab, "llama-bpe"); }

/* Encodes and decodes with whatever memory there is; true when all went well. */
static bool use_all(const rf_tokenizer *tokenizer, rf_status *status) {
    static const char text[] = "hello e\xcc\x81 a  <tool>hi <|end|>unableaaaaaaaaaaaaaaaaaaaaaaaaaa"
                               "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    rf_tokens tokens = {0};
    rf_error err = {0};
    rf_buf out;
    rf_buf_init(&out, 1 << 20);
    rf_encode_options options = {true, true};
    *status = rf_tokenizer_encode(tokenizer, rf_str_of(text), options, &tokens, &err);
    if (*status == RF_OK)
        *status = rf_tokenizer_decode(tokenizer, tokens.ids, tokens.n, &out, &err);
    assert_int_equal(err.code, *status);
    rf_buf_deinit(&out);
    rf_tokens_deinit(&tokens);
    return *status == RF_OK;
}

static void test_allocations_fail(void **state) {
    (void)state;
    static const make_vocab makers[] = {make_bpe,           make_whole,      tiny_vocab_spm,
                                        tiny_vocab_unigram, tiny_vocab_bert, tiny_vocab_raw};
    for (size_t i = 0; i < sizeof makers / sizeof *makers; i++) {
        tiny_vocab vocab;
        makers[i](&vocab);
        tiny_open open = tiny_vocab_open(&vocab);
        assert_non_null(open.tokenizer);
        size_t live = rf_alloc_live_bytes();
        uint64_t n_failed = 0;
        for (uint64_t n = 1;; n++) {
            rf_tokenizer *tokenizer = NULL;
            rf_error err = {0};
            rf_alloc_fail_at(n, n & 1);
            rf_status status = rf_tokenizer_create(open.gguf, &tokenizer, &err);
            rf_alloc_fail_at(0, 0);
            assert_int_equal(rf_alloc_live_bytes() > live, status == RF_OK);
            rf_tokenizer_destroy(tokenizer);
            if (status == RF_OK)
                break;
            assert_int_equal(status, RF_ERR_NO_MEMORY);
            n_failed++;
        }
        assert_true(n_failed >= 6);
        for (uint64_t n = 1;; n++) {
            rf_status status;
            rf_alloc_fail_at(n, n & 1);
            bool done = use_all(open.tokenizer, &status);
            rf_alloc_fail_at(0, 0);
            assert_int_equal(rf_alloc_live_bytes(), live);
            if (done)
                break;
            assert_int_equal(status, RF_ERR_NO_MEMORY);
        }
        tiny_open_close(&open);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_families),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_duplicates),
        cmocka_unit_test(test_allocations_fail),
    };
    return cmocka_run_group_tests_name("hostile tokenizers", tests, NULL, NULL);
}
