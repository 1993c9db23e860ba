/* Behaviour of the tokenizer on small vocabularies, worked out by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/utf8.h"
#include "tests/lib/tiny_vocab.h"

enum { ADD = 1, PARSE = 2 };

static void check_ids(const tiny_open *open, const char *text, int flags, const int32_t *want,
                      size_t n) {
    rf_tokens got = {0};
    rf_error err = {0};
    rf_encode_options options = {.add_special = flags & ADD, .parse_special = flags & PARSE};
    assert_int_equal(rf_tokenizer_encode(open->tokenizer, rf_str_of(text), options, &got, &err),
                     RF_OK);
    if (got.n != n || (n > 0 && memcmp(got.ids, want, n * sizeof *want) != 0)) {
        print_error("\"%s\": got", text);
        for (size_t i = 0; i < got.n; i++)
            print_error(" %d", got.ids[i]);
        print_error("\n");
    }
    assert_int_equal(got.n, n);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(got.ids[i], want[i]);
    rf_tokens_deinit(&got);
}
#define IDS(open, text, flags, ...)                              \
    check_ids(open, text, flags, (const int32_t[]){__VA_ARGS__}, \
              sizeof((const int32_t[]){__VA_ARGS__}) / sizeof(int32_t))

static void check_text(const tiny_open *open, const int32_t *ids, size_t n, const char *want) {
    rf_buf out;
    rf_error err = {0};
    rf_buf_init(&out, 1 << 16);
    assert_int_equal(rf_tokenizer_decode(open->tokenizer, ids, n, &out, &err), RF_OK);
    assert_int_equal(out.len, strlen(want));
    assert_memory_equal(out.data, want, out.len);
    rf_buf_deinit(&out);
}
#define TEXT(open, want, ...)                        \
    check_text(open, (const int32_t[]){__VA_ARGS__}, \
               sizeof((const int32_t[]){__VA_ARGS__}) / sizeof(int32_t), want)

static tiny_open opened(tiny_vocab *vocab) {
    tiny_open open = tiny_vocab_open(vocab);
    if (!open.tokenizer)
        print_error("%s\n", open.err.text);
    assert_non_null(open.tokenizer);
    return open;
}

static void test_bpe(void **state) {
    (void)state;
    tiny_vocab vocab;
    tiny_vocab_bpe(&vocab, "gpt-2");
    tiny_vocab_u32(&vocab, "bos_token_id", 266);
    tiny_vocab_bool(&vocab, "add_bos_token", true);
    tiny_open open = opened(&vocab);
    IDS(&open, "hello world", 0, 259, 262, 'l', 'd');
    IDS(&open, "aaaaaaa", 0, 264, 263, 'a');
    IDS(&open, "é", ADD, 266, 265);
    check_ids(&open, "", 0, NULL, 0);
    /* control tokens on request, user-defined always, the longest first */
    IDS(&open, "a<|end|>", PARSE, 'a', 266);
    IDS(&open, "a<|end|>", 0, 'a', '<', '|', 'e', 'n', 'd', '|', '>');
    IDS(&open, "<tool>y<tool>x", 0, 268, 'y', 269);
    IDS(&open, "<tool<tool>", 0, '<', 't', 'o', 'o', 'l', 268);
    IDS(&open, "a  b", 0, 'a', 270, 'b');
    TEXT(&open, "hello wor<|end|>é", 259, 262, 266, 265);
    assert_string_equal(rf_tokenizer_model(open.tokenizer), "gpt2");
    assert_string_equal(rf_tokenizer_pre(open.tokenizer), "gpt-2");
    assert_int_equal(rf_tokenizer_find(open.tokenizer, RF_STR("<tool>")), 268);
    assert_int_equal(rf_tokenizer_find(open.tokenizer, RF_STR("nothing")), -1);
    assert_true(rf_str_is(rf_tokenizer_text(open.tokenizer, 262), "Ġwor"));
    assert_true(rf_str_is(rf_tokenizer_piece(open.tokenizer, 262), " wor"));
    assert_int_equal(rf_tokenizer_type(open.tokenizer, 266), RF_TOKEN_CONTROL);
    assert_true(rf_tokenizer_is_eog(open.tokenizer, 266));
    assert_true(rf_tokenizer_is_eog(open.tokenizer, 267));
    assert_false(rf_tokenizer_is_eog(open.tokenizer, 259));
    assert_int_equal(rf_tokenizer_roles(open.tokenizer)->bos, 266);
    assert_int_equal(rf_tokenizer_roles(open.tokenizer)->eos, -1);
    tiny_open_close(&open);
}

static void test_whole_words_and_nfc(void **state) {
    (void)state;
    tiny_vocab vocab;
    tiny_vocab_bpe(&vocab, "qwen2");
    tiny_open open = opened(&vocab);
    IDS(&open,
        "he\xcc\x81"
        "a",
        0, 'h', 265, 'a'); /* e and U+0301 compose */
    tiny_open_close(&open);
    tiny_vocab_bpe(&vocab, "gpt-2");
    open = opened(&vocab);
    IDS(&open, "e\xcc\x81", 0, 'e', 0xcc, 0x81);
    tiny_open_close(&open);
    tiny_vocab_bpe(&vocab, "gpt-2");
    tiny_vocab_bool(&vocab, "normalizer.nfc", true);
    open = opened(&vocab);
    IDS(&open, "e\xcc\x81", 0, 265);
    tiny_open_close(&open);
}

static void test_spm(void **state) {
    (void)state;
    tiny_vocab vocab;
    tiny_vocab_spm(&vocab);
    tiny_open open = opened(&vocab);
    /* hi scores above ▁h, then ▁hi */
    IDS(&open, "hi", ADD, 1, 11);
    IDS(&open, "hi hi", 0, 11, 11);
    IDS(&open, " hi", 0, 6, 11);
    IDS(&open, "hé\n", 0, 10, 4, 5, 3);
    IDS(&open, "h<|end|> h", PARSE, 10, 12, 6, 10);
    IDS(&open, "x", 0, 6, 0);
    IDS(&open, "xyz", 0, 6, 0); /* unknown characters in a row are one token */
    TEXT(&open, "hi hi", 11, 11);
    TEXT(&open, "<s> hi", 1, 11);
    TEXT(&open, "é", 4, 5);
    tiny_open_close(&open);
    tiny_vocab_spm(&vocab);
    tiny_vocab_bool(&vocab, "add_space_prefix", false);
    tiny_vocab_bool(&vocab, "add_bos_token", false);
    tiny_vocab_bool(&vocab, "add_eos_token", true);
    open = opened(&vocab);
    IDS(&open, "hi hi", ADD, 9, 11, 2);
    TEXT(&open, " hi", 11);
    tiny_open_close(&open);
}

/* Phi-3's special tokens swallow the blanks after them, known by the name in any spelling. */
static void test_swallowed_blanks(void **state) {
    (void)state;
    static const char *const names[] = {"Phi-3-mini", "phi3", "Phi 3.5 Mini Instruct",
                                        "Microsoft_PHI_3"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        tiny_vocab vocab;
        tiny_vocab_spm(&vocab);
        tiny_vocab_str(&vocab, "general.name", names[i]);
        tiny_open open = opened(&vocab);
        IDS(&open, "<|end|> \n\t hi<s>  h", PARSE, 12, 11, 1, 6, 6, 10);
        IDS(&open, "<|end|> \n", PARSE, 12);
        tiny_open_close(&open);
    }
    tiny_vocab vocab;
    tiny_vocab_spm(&vocab);
    tiny_vocab_str(&vocab, "general.name", "Philosophy 3");
    tiny_open open = opened(&vocab);
    IDS(&open, "<|end|> h", PARSE, 12, 6, 10);
    tiny_open_close(&open);
}

static void test_unigram(void **state) {
    (void)state;
    tiny_vocab vocab;
    tiny_vocab_unigram(&vocab);
    tiny_open open = opened(&vocab);
    IDS(&open, "ab", ADD, 3, 7, 1); /* ▁ -2, ab -2.5; ▁ab -8; ▁a b -7 */
    IDS(&open, "  a   b ", 0, 6, 3, 5);
    IDS(&open, "aXYb", 0, 6, 2, 5);
    TEXT(&open, "ab a", 3, 7, 6);
    check_ids(&open, "   ", 0, NULL, 0);
    tiny_open_close(&open);
}

static void test_bert(void **state) {
    (void)state;
    tiny_vocab vocab;
    tiny_vocab_bert(&vocab);
    tiny_open open = opened(&vocab);
    IDS(&open, "Unable!", ADD, 2, 4, 5, 6, 3);
    IDS(&open,
        "\xc3\x9c"
        "ber  uber中i\xe2\x80\x8b",
        0, 7, 7, 8, 9); /* accents, CJK, U+200B */
    IDS(&open, "unabl un", 0, 1, 4);
    IDS(&open, "able [SEP] un", PARSE, 1, 3, 4);
    TEXT(&open, "[CLS] unable ! [SEP]", 2, 4, 5, 6, 3);
    char text[128] = "un";
    for (size_t i = 2; i + 4 <= 102; i += 4)
        memcpy(text + i, "able", 5);
    IDS(&open, text, 0, 1); /* 102 characters are too many */
    tiny_open_close(&open);
}

static void test_raw(void **state) {
    (void)state;
    tiny_vocab vocab;
    tiny_vocab_raw(&vocab);
    tiny_open open = opened(&vocab);
    IDS(&open, "hi hi\n\nhé", ADD, 1, 5, 6, 8, 3, 9, 10);
    IDS(&open, "\n\n\n", 0, 8, 7);
    TEXT(&open, "hi hi\né", 5, 6, 7, 9, 10);
    tiny_open_close(&open);
}

static void test_bad_calls(void **state) {
    (void)state;
    tiny_vocab vocab;
    tiny_vocab_bpe(&vocab, "gpt-2");
    tiny_open open = opened(&vocab);
    rf_tokens tokens = {0};
    rf_error err = {0};
    rf_encode_options plain = {0};
    assert_int_equal(rf_tokenizer_encode(open.tokenizer, RF_STR("ab"), plain, &tokens, &err),
                     RF_OK);
    assert_int_equal(rf_tokenizer_encode(open.tokenizer,
                                         RF_STR("abc\xff"
                                                "d"),
                                         plain, &tokens, &err),
                     RF_ERR_INVALID);
    assert_non_null(strstr(err.text, "byte 3"));
    assert_non_null(strstr(err.text, "0xff"));
    assert_int_equal(tokens.n, 2); /* nothing is lost */
    rf_buf out;
    rf_buf_init(&out, 1 << 10);
    static const int32_t bad[] = {-1, 271, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < 4; i++) {
        rf_detokenizer stream = {0};
        assert_int_equal(rf_tokenizer_decode(open.tokenizer, &bad[i], 1, &out, &err),
                         RF_ERR_INVALID);
        assert_int_equal(rf_detokenizer_push(&stream, open.tokenizer, bad[i], &out, &err),
                         RF_ERR_INVALID);
        assert_int_equal(rf_tokenizer_text(open.tokenizer, bad[i]).len, 0);
        assert_int_equal(rf_tokenizer_type(open.tokenizer, bad[i]), RF_TOKEN_UNDEFINED);
        assert_false(rf_tokenizer_is_eog(open.tokenizer, bad[i]));
    }
    assert_int_equal(out.len, 0);
    rf_buf_deinit(&out);
    rf_tokens_deinit(&tokens);
    tiny_open_close(&open);
}

/* Byte by byte: after each, what came out is whole characters; held bytes become one U+FFFD. */
static void check_stream(const tiny_open *open, rf_str bytes, const char *want) {
    rf_detokenizer stream = {0};
    rf_buf out;
    rf_error err = {0};
    rf_buf_init(&out, 1 << 16);
    for (size_t i = 0; i < bytes.len; i++) {
        int32_t id = (unsigned char)bytes.ptr[i];
        assert_int_equal(rf_detokenizer_push(&stream, open->tokenizer, id, &out, &err), RF_OK);
        assert_int_equal(rf_utf8_valid_prefix(out.data, out.len), out.len);
        size_t valid = rf_utf8_valid_prefix(bytes.ptr, i + 1);
        assert_true(out.len >= valid && memcmp(out.data ? out.data : "", bytes.ptr, valid) == 0);
    }
    rf_detokenizer_finish(&stream, &out);
    assert_int_equal(out.len, strlen(want));
    assert_memory_equal(out.data, want, out.len);
    rf_buf_deinit(&out);
}

static void test_stream(void **state) {
    (void)state;
    tiny_vocab vocab;
    tiny_vocab_bpe(&vocab, "gpt-2");
    tiny_open open = opened(&vocab);
    static const char text[] = "aé中😀\xcc\x81z";
    for (size_t n = 0; n < sizeof text; n++) { /* cut anywhere */
        size_t valid = rf_utf8_valid_prefix(text, n);
        char want[64];
        (void)snprintf(want, sizeof want, "%.*s%s", (int)valid, text, valid < n ? "\ufffd" : "");
        check_stream(&open, (rf_str){text, n}, want);
    }
    /* each maximal part of a broken character is one U+FFFD */
    check_stream(&open,
                 RF_STR("\xf0\x9f\x98"
                        "A"),
                 "\ufffd"
                 "A");
    check_stream(&open, RF_STR("\xf0\x9f\xf0\x9f\x98\x80"), "\ufffd😀");
    check_stream(&open, RF_STR("\xc0\x80"), "\ufffd\ufffd");
    check_stream(&open, RF_STR("\xed\xa0\x80"), "\ufffd\ufffd\ufffd");
    check_stream(&open,
                 RF_STR("\xe4\xb8"
                        "\xff"
                        "b"),
                 "\ufffd\ufffd"
                 "b");
    check_stream(&open, RF_STR("\x80\x80"), "\ufffd\ufffd");
    tiny_open_close(&open);
}

static void push_all(const tiny_open *open, rf_detokenizer stream, const int32_t *ids, size_t n,
                     const char *want) {
    rf_buf out;
    rf_error err = {0};
    rf_buf_init(&out, 1 << 10);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(rf_detokenizer_push(&stream, open->tokenizer, ids[i], &out, &err), RF_OK);
    assert_true(rf_str_is(rf_buf_view(&out), want));
    rf_buf_deinit(&out);
}

static void test_stream_options(void **state) {
    (void)state;
    tiny_vocab vocab;
    tiny_vocab_spm(&vocab);
    tiny_open open = opened(&vocab);
    static const int32_t ids[] = {1, 11, 11, 2};
    push_all(&open, (rf_detokenizer){0}, ids, 4, "<s> hi hi</s>");
    push_all(&open, (rf_detokenizer){.skip_special = true}, ids, 4, "hi hi");
    push_all(&open, (rf_detokenizer){0}, ids + 1, 2, "hi hi");
    push_all(&open, (rf_detokenizer){.keep_leading_space = true}, ids + 1, 2, " hi hi");
    tiny_open_close(&open);
}

static char log_text[512];
static void keep_log(void *user, rf_log_level level, const char *topic, const char *text) {
    (void)user;
    if (level == RF_LOG_WARN && strcmp(topic, "tokenizer") == 0)
        (void)snprintf(log_text, sizeof log_text, "%s", text);
}

static void test_unknown_pre(void **state) {
    (void)state;
    static const char *const pres[] = {"klingon-bpe", NULL};
    for (size_t i = 0; i < 2; i++) {
        tiny_vocab vocab;
        tiny_vocab_bpe(&vocab, pres[i]);
        log_text[0] = 0;
        rf_log_set(keep_log, NULL, RF_LOG_WARN);
        tiny_open open = opened(&vocab);
        rf_log_set(NULL, NULL, RF_LOG_WARN);
        assert_non_null(strstr(log_text, pres[i] ? "\"klingon-bpe\"" : "missing"));
        assert_non_null(strstr(log_text, "\"default\""));
        assert_string_equal(rf_tokenizer_pre(open.tokenizer), "default");
        IDS(&open, "hello wor", 0, 259, 262);
        tiny_open_close(&open);
    }
}

/* A word of a megabyte takes n log n, not n²: minutes would pass otherwise. */
static void test_long_word(void **state) {
    (void)state;
    enum { N = 1 << 20 };
    static const char *const units[] = {"a", "hello", "é", "\xcc\x81", "ab"};
    tiny_vocab vocab;
    tiny_vocab_bpe(&vocab, "qwen2");
    tiny_open bpe = opened(&vocab);
    tiny_vocab_spm(&vocab);
    tiny_open spm = opened(&vocab);
    rf_buf text;
    rf_buf_init(&text, 2 * N);
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        rf_buf_clear(&text);
        while (text.len < N)
            rf_buf_text(&text, units[i]);
        for (int k = 0; k < 2; k++) {
            rf_tokens tokens = {0};
            rf_error err = {0};
            uint64_t start = rf_clock_ns();
            assert_int_equal(rf_tokenizer_encode(k ? spm.tokenizer : bpe.tokenizer,
                                                 rf_buf_view(&text), (rf_encode_options){0},
                                                 &tokens, &err),
                             RF_OK);
            assert_true(rf_clock_ns() - start < 20000000000u);
            assert_true(tokens.n > 0);
            rf_tokens_deinit(&tokens);
        }
    }
    rf_buf_deinit(&text);
    tiny_open_close(&bpe);
    tiny_open_close(&spm);
}

/* Words met again come from a cache: a text three times over has the ids of one three times over,
 * at every length of a word and up to the last byte of the text. */
static void test_words_again(void **state) {
    (void)state;
    enum { LONGEST = 40, TIMES = 3 };
    tiny_vocab vocab;
    tiny_vocab_bpe(&vocab, "qwen2");
    tiny_open bpe = opened(&vocab);
    tiny_vocab_spm(&vocab);
    tiny_vocab_bool(&vocab, "add_space_prefix", false);
    tiny_open spm = opened(&vocab);
    rf_buf unit, text;
    rf_buf_init(&unit, 1 << 16);
    rf_buf_init(&text, 1 << 18);
    for (size_t len = 1; len <= LONGEST; len++) {
        for (size_t k = 0; k < 2 * len; k++)
            rf_buf_put(&unit, "hi"[k % len == len / 2]);
        rf_buf_text(&unit, " \xe2\x96\x81");
    }
    rf_buf_text(&unit, "\n\xc3\xa9hi x hi");
    for (size_t i = 0; i < TIMES; i++)
        rf_buf_str(&text, rf_buf_view(&unit));
    for (int k = 0; k < 2; k++) {
        const rf_tokenizer *tokenizer = k ? spm.tokenizer : bpe.tokenizer;
        rf_tokens once = {0}, thrice = {0};
        rf_error err = {0};
        rf_encode_options options = {0};
        assert_int_equal(rf_tokenizer_encode(tokenizer, rf_buf_view(&unit), options, &once, &err),
                         RF_OK);
        assert_int_equal(rf_tokenizer_encode(tokenizer, rf_buf_view(&text), options, &thrice, &err),
                         RF_OK);
        assert_int_equal(thrice.n, TIMES * once.n);
        for (size_t i = 0; i < thrice.n; i++)
            assert_int_equal(thrice.ids[i], once.ids[i % once.n]);
        rf_tokens_deinit(&once);
        rf_tokens_deinit(&thrice);
    }
    rf_buf_deinit(&unit);
    rf_buf_deinit(&text);
    tiny_open_close(&bpe);
    tiny_open_close(&spm);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bpe),         cmocka_unit_test(test_whole_words_and_nfc),
        cmocka_unit_test(test_spm),         cmocka_unit_test(test_swallowed_blanks),
        cmocka_unit_test(test_unigram),     cmocka_unit_test(test_bert),
        cmocka_unit_test(test_raw),         cmocka_unit_test(test_bad_calls),
        cmocka_unit_test(test_stream),      cmocka_unit_test(test_stream_options),
        cmocka_unit_test(test_unknown_pre), cmocka_unit_test(test_long_word),
        cmocka_unit_test(test_words_again),
    };
    return cmocka_run_group_tests_name("tokenizer", tests, NULL, NULL);
}
