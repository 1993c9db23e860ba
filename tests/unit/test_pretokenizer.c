/* The walk over words: complete, in order, linear; and words of the main rules, from the models'
 * own tokenizers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/buf.h"
#include "base/clock.h"
#include "tokenizer/nfc.h"
#include "tokenizer/pretokenizer.h"

typedef struct word_case {
    const char *pre, *text;
    const char *words; /* joined by U+00A6 */
} word_case;

static const word_case cases[] = {
    {"gpt-2", "I've 12\n\n  can't  'LL", "I¦'ve¦ 12¦\n\n ¦ can¦'t¦ ¦ '¦LL"},
    {"gpt-2", "a\xc2\xa0\xc2\xa0z ", "a¦\xc2\xa0¦\xc2\xa0¦z¦ "},
    {"starcoder", "ab 12  3", "ab¦ ¦1¦2¦  ¦3"},
    {"llama-bpe", "It'S 12345 <tab>\t\n\n x!!\n\ny", "It¦'S¦ ¦123¦45¦ <¦tab¦>¦\t\n\n¦ x¦!!\n\n¦y"},
    {"llama-bpe",
     "a'\xc5\xbf"
     "b",
     "a¦'\xc5\xbf¦b"},
    {"qwen2", "a   b12 (x)", "a¦  ¦ b¦1¦2¦ (¦x¦)"},
    {"qwen35", "नमस्ते e\xcc\x81", "नमस्ते¦ e\xcc\x81"},
    {"gpt-4o", "HelloWORLDfoo's ABC'll 1234/\n/x", "Hello¦WORLDfoo's¦ ABC'll¦ ¦123¦4¦/\n/¦x"},
    {"tekken", "HelloWORLDfoo's 12", "Hello¦WORLDfoo¦'s¦ ¦1¦2"},
    {"deepseek-v3", "x=1234 中文ab (c) \x01", "x¦=¦123¦4¦ ¦中文¦ab¦ (¦c¦)¦ ¦\x01"},
    {"deepseek-llm", "Hi  there, 42\n中 ", "Hi¦ ¦ there¦,¦ ¦4¦2¦\n¦中¦ "},
    {"deepseek-coder", "a.b, 42\n", "a¦.¦b¦,¦ ¦4¦2¦\n"},
    {"falcon", "x 1234.5", "x¦ ¦123¦4¦.¦5"},
    {"kimi-k2", "中文ab", "中文¦ab"},
    {"jais-2", "a         b", "a¦        ¦ b"},
    {"bloom", "Hi there, you", "Hi¦ there¦,¦ you"},
    {"default", "ab, 12345", "ab¦,¦ ¦123¦45"},
};

static void test_words(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const word_case *c = &cases[i];
        char got[256];
        size_t n = 0;
        const rf_pretokenizer *pre = rf_pretokenizer_find(rf_str_of(c->pre));
        assert_non_null(pre);
        rf_word_walk walk = rf_word_walk_begin(pre, rf_str_of(c->text));
        rf_str word;
        while (rf_word_walk_next(&walk, &word))
            n += (size_t)snprintf(got + n, sizeof got - n, "%s%.*s", n > 0 ? "¦" : "",
                                  RF_STR_ARG(word));
        if (strcmp(got, c->words) != 0)
            print_error("%s\n", c->pre);
        assert_string_equal(got, c->words);
    }
}

static void walk_all(const rf_pretokenizer *pre, rf_str text) {
    rf_word_walk walk = rf_word_walk_begin(pre, text);
    size_t at = 0;
    rf_str word;
    while (rf_word_walk_next(&walk, &word)) {
        assert_ptr_equal(word.ptr, text.ptr + at);
        assert_true(word.len > 0);
        at += word.len;
    }
    assert_int_equal(at, text.len);
}

/* Patterns on which a rule that looks too far ahead, again and again, would take hours. */
static void test_linear(void **state) {
    (void)state;
    static const char *const units[] = {
        " ",   "\n ", "\r\n\t",   "1",    "'",    "a ", "\xcc\x81", "Aa",   "ا",      "اB",
        "中1", "  .", "\xc2\xa0", "1 1a", "\x01", "½1", "A",        "! a1", "\u3000", "a\xcc\x81 "};
    enum { N = 1 << 17 };
    rf_buf text;
    rf_buf_init(&text, 2 * N);
    uint64_t start = rf_clock_ns();
    size_t n_pres = 0;
    for (size_t u = 0; u < sizeof units / sizeof *units; u++) {
        rf_buf_clear(&text);
        while (text.len < N)
            rf_buf_text(&text, units[u]);
        rf_buf_text(&text, "x");
        n_pres = 0;
        for (const rf_pretokenizer *pre; (pre = rf_pretokenizer_at(n_pres)); n_pres++) {
            const rf_pretokenizer *before = n_pres ? rf_pretokenizer_at(n_pres - 1) : NULL;
            if (before && memcmp(before->rules, pre->rules, sizeof pre->rules) == 0)
                continue; /* the same rules under another name */
            walk_all(pre, rf_buf_view(&text));
        }
    }
    assert_true(n_pres > 60);
    assert_true(rf_clock_ns() - start < 60000000000u);
    rf_buf_deinit(&text);
}

static void test_names(void **state) {
    (void)state;
    assert_null(rf_pretokenizer_find(RF_STR("klingon")));
    assert_null(rf_pretokenizer_find(RF_STR("")));
    for (size_t i = 0; rf_pretokenizer_at(i); i++) /* each name stands once */
        assert_ptr_equal(rf_pretokenizer_find(rf_str_of(rf_pretokenizer_at(i)->name)),
                         rf_pretokenizer_at(i));
}

static void check_nfc(const char *text, const char *want) {
    rf_buf out;
    rf_buf_init(&out, 1 << 20);
    rf_nfc_append(rf_str_of(text), &out);
    assert_false(out.failed);
    assert_true(rf_str_is(rf_buf_view(&out), want));
    rf_buf_deinit(&out);
}

static void test_nfc(void **state) {
    (void)state;
    check_nfc("", "");
    check_nfc("plain", "plain");
    check_nfc("xe\xcc\x81y e\xcc\x81", "xéy é");
    check_nfc("a\xcc\xa3\xcc\x82", "ậ");
    check_nfc("a\xcc\x82\xcc\xa3", "ậ");                     /* marks in canonical order first */
    check_nfc("\xe1\x84\x92\xe1\x85\xa1\xe1\x86\xab", "한"); /* Hangul */
    check_nfc("\xe2\x84\xab K", "Å K");
    check_nfc("\xe0\xa5\x98", "\xe0\xa4\x95\xe0\xa4\xbc"); /* excluded from composition */
    enum { N = 1 << 19 };
    rf_buf text, out;
    rf_buf_init(&text, 2 * N);
    rf_buf_init(&out, 8 * N);
    rf_buf_text(&text, "a");
    while (text.len < N)
        rf_buf_text(&text, "\xcc\x82\xcc\xa3"); /* in the wrong order throughout */
    uint64_t start = rf_clock_ns();
    rf_nfc_append(rf_buf_view(&text), &out);
    assert_true(rf_clock_ns() - start < 20000000000u);
    assert_false(out.failed);
    assert_memory_equal(out.data, "ậ\xcc\xa3\xcc\xa3", 7);
    rf_buf_deinit(&text);
    rf_buf_deinit(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_linear),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_nfc),
    };
    return cmocka_run_group_tests_name("pre-tokenisers", tests, NULL, NULL);
}
