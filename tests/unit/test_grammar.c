/* Regular expressions against Python's re (tests/golden/regex.json), masks against each token's
 * bytes run alone, what is refused, and blobs that are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "gguf/gguf.h"
#include "grammar/choices.h"
#include "grammar/constraint.h"
#include "grammar/regex.h"
#include "tests/lib/golden.h"
#include "text/vocab_bytes.h"

static rf_automaton *compile(const char *pattern, bool leads_space) {
    rf_automaton *a = NULL;
    rf_error err = {0};
    if (rf_regex_compile(rf_str_of(pattern), leads_space, &a, &err) != RF_OK)
        fail_msg("%s: %s", pattern, err.text);
    assert_int_equal(rf_automaton_check(a, a->n_bytes, &err), RF_OK);
    return a;
}

static void check_texts(const rf_automaton *a, const json_t *texts, bool want,
                        const char *pattern) {
    size_t i;
    json_t *text;
    json_array_foreach(texts, i, text) {
        if (rf_automaton_matches(a, json_string_value(text), json_string_length(text)) != want)
            fail_msg("%s and \"%s\": expected %s", pattern, json_string_value(text),
                     want ? "a match" : "none");
    }
}

static void test_against_python(void **state) {
    (void)state;
    json_t *cases = json_load_file("tests/golden/regex.json", 0, NULL), *one;
    size_t i;
    assert_true(json_array_size(cases) >= 700);
    json_array_foreach(cases, i, one) {
        const char *pattern = json_string_value(json_object_get(one, "pattern"));
        rf_automaton *a = compile(pattern, false);
        check_texts(a, json_object_get(one, "yes"), true, pattern);
        check_texts(a, json_object_get(one, "no"), false, pattern);
        rf_free(a);
    }
    json_decref(cases);
}

static void test_leading_space(void **state) {
    (void)state;
    rf_automaton *a = compile("ab|c", true);
    assert_true(rf_automaton_matches(a, " ab", 3) && rf_automaton_matches(a, "c", 1));
    assert_false(rf_automaton_matches(a, "  c", 3));
    rf_free(a);
}

/* Every code point's UTF-8 and no other bytes. */
static void test_all_characters(void **state) {
    (void)state;
    rf_automaton *a = compile("[^x]", false);
    for (uint32_t lead = 0; lead < 256; lead++) {
        for (uint32_t second = 0; second < 256; second++) {
            char text[4] = {(char)lead, (char)second, (char)0x90, (char)0x80};
            bool one = lead < 0x80 && lead != 'x';
            bool tail = second >= 0x80 && second < 0xc0;
            bool two = lead >= 0xc2 && lead < 0xe0 && tail;
            bool three = lead >= 0xe0 && lead < 0xf0 && tail && !(lead == 0xe0 && second < 0xa0) &&
                         !(lead == 0xed && second > 0x9f);
            bool four = lead >= 0xf0 && lead < 0xf5 && tail && !(lead == 0xf0 && second < 0x90) &&
                        !(lead == 0xf4 && second > 0x8f);
            assert_int_equal(rf_automaton_matches(a, text, 1), one);
            assert_int_equal(rf_automaton_matches(a, text, 2), two);
            assert_int_equal(rf_automaton_matches(a, text, 3), three);
            assert_int_equal(rf_automaton_matches(a, text, 4), four);
        }
    }
    rf_free(a);
}

/* ---- what is refused ----------------------------------------------------------------------- */

static void test_refused(void **state) {
    (void)state;
    static const struct {
        const char *pattern, *says;
        rf_status status;
    } cases[] = {
        {"(a", "at 0: ( without )", RF_ERR_INVALID},
        {"a)", "at 1: ) without (", RF_ERR_INVALID},
        {"[a", "at 0: [ without ]", RF_ERR_INVALID},
        {"x[]", "at 1: the class is empty", RF_ERR_INVALID},
        {"a**", "at 2: * after a repetition", RF_ERR_INVALID},
        {"*a", "at 0: * has nothing to repeat", RF_ERR_INVALID},
        {"a|+", "at 2: + has nothing to repeat", RF_ERR_INVALID},
        {"a{2,1}", "at 1: expected {m}", RF_ERR_INVALID},
        {"a{x}", "at 1: expected {m}", RF_ERR_INVALID},
        {"a{99999}", "at 1: a count above 10000", RF_ERR_LIMIT},
        {"(?=a)", "at 0: (?= is not supported", RF_ERR_INVALID},
        {"(?<n>a)", "at 0: (?< is not supported", RF_ERR_INVALID},
        {"(a)\\1", "at 4: \\1 is not supported", RF_ERR_INVALID},
        {"\\bx", "at 1: \\b is not supported", RF_ERR_INVALID},
        {"\\p{L}", "at 1: \\p is not supported", RF_ERR_INVALID},
        {"\\xg1", "at 1: \\x needs two", RF_ERR_INVALID},
        {"\\ud800", "at 1: \\u needs four", RF_ERR_INVALID},
        {"a\\", "at 2: the pattern ends after", RF_ERR_INVALID},
        {"[b-a]", "ends before it begins", RF_ERR_INVALID},
        {"a^b", "at 1: ^ is supported at the beginning", RF_ERR_INVALID},
        {"a$b", "at 1: $ is supported at the end", RF_ERR_INVALID},
        {"\xff", "at 0: no UTF-8", RF_ERR_INVALID},
        {"((a{1000}){1000}){1000}", "131072 steps", RF_ERR_LIMIT},
        {"(a|b)*a(a|b){18}", "more than 32768 states", RF_ERR_LIMIT},
        {"[^\\x00-\\uffff\\W\\w]", "no text matches", RF_ERR_INVALID},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rf_automaton *a = NULL;
        rf_error err = {0};
        assert_int_equal(rf_regex_compile(rf_str_of(cases[i].pattern), false, &a, &err),
                         cases[i].status);
        assert_null(a);
        if (!strstr(err.text, cases[i].says))
            fail_msg("%s: \"%s\", expected \"%s\"", cases[i].pattern, err.text, cases[i].says);
    }
    char deep[1200];
    rf_automaton *a;
    rf_error err = {0};
    memset(deep, '(', 1000);
    deep[1000] = 0;
    assert_int_equal(rf_regex_compile(rf_str_of(deep), false, &a, &err), RF_ERR_LIMIT);
    assert_non_null(strstr(err.text, "more than 200 deep"));
    static const char *const bad[] = {"yes", ""};
    rf_rules *rules;
    rf_expr e;
    assert_int_equal(rf_rules_create(&rules, &err), RF_OK);
    assert_int_equal(rf_choices_rules(rules, bad, 2, &e, &err), RF_ERR_INVALID);
    assert_non_null(strstr(err.text, "choice 2: found an empty text"));
    assert_int_equal(rf_choices_rules(rules, bad, 0, &e, &err), RF_ERR_INVALID);
    rf_rules_destroy(rules);
}

/* Every byte of a blob may be another one: it is refused, or it is an automaton still. */
static void test_hostile_blobs(void **state) {
    (void)state;
    rf_automaton *a = compile("(ab|[0-9]{1,3})*x", false);
    uint32_t n = a->n_bytes, n_refused = 0;
    uint8_t *copy = rf_alloc(n);
    rf_error err = {0};
    for (uint32_t i = 0; i < n; i++) {
        for (int bit = 0; bit < 8; bit++) {
            memcpy(copy, a, n);
            copy[i] ^= (uint8_t)(1 << bit);
            if (rf_automaton_check(copy, n, &err) != RF_OK)
                n_refused++;
            else
                (void)rf_automaton_matches((const rf_automaton *)(void *)copy, "ab12345abx", 10);
        }
    }
    assert_true(n_refused > 300);
    for (uint32_t i = 0; i < n; i++) {
        memcpy(copy, a, n);
        assert_int_not_equal(rf_automaton_check(copy, i, &err), RF_OK);
    }
    rf_free(copy);
    rf_free(a);
}

/* n-th allocation: an error, and nothing is left behind. */
static void test_out_of_memory(void **state) {
    (void)state;
    size_t live = rf_alloc_live_bytes();
    for (uint64_t n = 1;; n++) {
        rf_automaton *a = NULL;
        rf_error err = {0};
        rf_alloc_fail_at(n, 1);
        rf_status status = rf_regex_compile(RF_STR("(a|[b-z]{2,5})+é"), true, &a, &err);
        rf_alloc_fail_at(0, 0);
        rf_free(a);
        assert_int_equal(rf_alloc_live_bytes(), live);
        if (status == RF_OK)
            break;
        assert_int_equal(status, RF_ERR_NO_MEMORY);
        assert_true(n < 200);
    }
}

/* ---- masks --------------------------------------------------------------------------------- */

static const char *const patterns[] = {".*",         "[0-9]{3}-[0-9]{4}",        "(yes|no|maybe)",
                                       "\"[^\"]*\"", "[A-Z][a-z]+( [a-z]+)*\\.", "é|日本語|😀+"};

static void check_mask(rf_constraint *c, const rf_automaton *a, const rf_token_trie *trie,
                       uint32_t s) {
    uint32_t n_allowed, n = 0, after;
    const uint32_t *mask = rf_constraint_mask(c, s, &n_allowed);
    for (uint32_t id = 0; id < trie->n_tokens; id++) {
        uint32_t at = s, from = trie->offsets[id], to = trie->offsets[id + 1];
        for (uint32_t i = from; i < to && at != RF_AUTOMATON_DEAD; i++)
            at = rf_automaton_step(a, at, (uint8_t)trie->text[i]);
        bool want = to > from && at != RF_AUTOMATON_DEAD, got = (mask[id / 32] >> id % 32 & 1) != 0;
        if (got != want)
            fail_msg("token %u in state %u: %s", id, s, got ? "allowed" : "missing");
        n += want;
        after = s;
        assert_int_equal(rf_constraint_accept(c, &after, (int32_t)id), want);
    }
    assert_int_equal(n, n_allowed);
}

static void check_patterns(const rf_token_trie *trie) {
    rf_error err = {0};
    for (size_t p = 0; p < sizeof patterns / sizeof *patterns; p++) {
        rf_automaton *a = compile(patterns[p], false);
        rf_constraint *c = NULL;
        assert_int_equal(rf_constraint_create(a, a->n_bytes, trie, 0, &c, &err), RF_OK);
        assert_true(rf_constraint_is(c, a, a->n_bytes));
        for (uint32_t s = 1; s < a->n_states && s < 9; s++) /* more than the masks kept */
            check_mask(c, a, trie, s);
        check_mask(c, a, trie, 1);
        rf_constraint_destroy(c);
        rf_free(a);
    }
}

static void test_masks(void **state) {
    (void)state;
    static const char *const vocabs[] = {"llama3_1", "llama-spm", "smollm2"};
    for (size_t v = 0; v < sizeof vocabs / sizeof *vocabs; v++) {
        golden_file file = golden_vocab(vocabs[v]);
        rf_gguf *gguf = NULL;
        rf_tokenizer *tokenizer = NULL;
        rf_vocab_bytes vocab;
        rf_token_trie *trie = NULL;
        rf_error err = {0};
        assert_int_equal(rf_gguf_open_memory(file.bytes, file.n, &gguf, &err), RF_OK);
        assert_int_equal(rf_tokenizer_create(gguf, &tokenizer, &err), RF_OK);
        uint32_t n = rf_tokenizer_n_tokens(tokenizer) + 7; /* padded, as models' are */
        assert_int_equal(rf_vocab_bytes_init(&vocab, tokenizer, n, &err), RF_OK);
        assert_int_equal(rf_token_trie_create(&vocab.view, &trie, &err), RF_OK);
        check_patterns(trie);
        rf_token_trie_destroy(trie);
        rf_vocab_bytes_deinit(&vocab);
        rf_tokenizer_destroy(tokenizer);
        rf_gguf_close(gguf);
        golden_free(&file);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_python), cmocka_unit_test(test_leading_space),
        cmocka_unit_test(test_all_characters), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_hostile_blobs),  cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_masks)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
