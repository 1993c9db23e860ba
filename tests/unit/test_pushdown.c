/* Grammars that nest: what they accept and which tokens their masks allow, compared with a plain
 * matcher of the same rules over whole texts, and with jansson for JSON. */
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
#include "grammar/constraint.h"
#include "grammar/rules.h"

enum { N_TOKENS = 600, TEXT_BYTES = 400 };

/* A vocabulary of all bytes and of pieces of JSON. */
typedef struct vocabulary {
    uint32_t offsets[N_TOKENS + 1];
    char bytes[16 * N_TOKENS];
    rf_token_trie *trie;
} vocabulary;

static vocabulary vocab;

static int set_up(void **state) {
    static const char *const pieces[] = {
        "{\"",  "\":", "\": ", "\", \"", "}}", "]]",   "],[", "\"}",         "\",",   "[[",
        "{}",   "[]",  "true", "null",   "12", "-0.5", "1e5", "abc",         "\\n",   "\\u00",
        "\n  ", ": [", "\"]}", "},{\"",  "0,", "1]",   "é",   "\":{\"a\":[", "\"a\"", "a\",\"b\":"};
    rf_rng rng = rf_rng_make(5, 0);
    uint32_t n = 0, at = 0;
    (void)state;
    for (; n < 256; n++)
        vocab.bytes[vocab.offsets[n] = at++] = (char)n;
    for (; n < N_TOKENS; n++) {
        vocab.offsets[n] = at;
        const char *a = pieces[n - 256 < 30 ? n - 256 : rf_rng_below(&rng, 30)];
        const char *b = n - 256 < 30 ? "" : pieces[rf_rng_below(&rng, 30)];
        at += (uint32_t)snprintf(vocab.bytes + at, 16, "%.7s%.7s", a, b);
    }
    vocab.offsets[n] = at;
    rf_token_bytes view = {vocab.offsets, vocab.bytes, N_TOKENS};
    rf_error err = {0};
    return rf_token_trie_create(&view, &vocab.trie, &err) == RF_OK ? 0 : -1;
}

static int tear_down(void **state) {
    (void)state;
    rf_token_trie_destroy(vocab.trie);
    return 0;
}

static rf_automaton *compile(rf_rules *rules, rf_expr start) {
    rf_error err = {0};
    rf_automaton *a = NULL;
    if (rf_rules_compile(rules, start, false, &a, &err) != RF_OK)
        fail_msg("%s", err.text);
    assert_int_equal(rf_automaton_check(a, a->n_bytes, &err), RF_OK);
    rf_rules_destroy(rules);
    return a;
}

static rf_constraint *constrain(rf_automaton *a, size_t bytes) {
    rf_error err = {0};
    rf_constraint *c = NULL;
    if (rf_constraint_create(a, a->n_bytes, vocab.trie, bytes, &c, &err) != RF_OK)
        fail_msg("%s", err.text);
    rf_free(a);
    return c;
}

static rf_constraint *json_constraint(size_t bytes) {
    rf_rules *rules;
    rf_error err = {0};
    assert_int_equal(rf_rules_create(&rules, &err), RF_OK);
    rf_expr value = rf_rules_call(rules, rf_rules_json(rules)->value);
    return constrain(compile(rules, value), bytes);
}

static bool accepts(rf_constraint *c, const char *text, size_t n) {
    uint32_t s = rf_constraint_begin(c);
    for (size_t i = 0; i < n; i++)
        if (!rf_constraint_accept(c, &s, (uint8_t)text[i])) /* the first 256 tokens are bytes */
            return false;
    return rf_constraint_may_end(c, s);
}

/* The mask says what accept does, for every token. */
static void check_mask(rf_constraint *c, uint32_t s) {
    uint32_t n_allowed, n = 0;
    const uint32_t *mask = rf_constraint_mask(c, s, &n_allowed);
    assert_non_null(mask);
    for (int32_t id = 0; id < N_TOKENS; id++) {
        uint32_t after = s;
        bool may = mask[id / 32] >> id % 32 & 1;
        if (rf_constraint_accept(c, &after, id) != may)
            fail_msg("token %d (%.*s): the mask says %d", id,
                     (int)(vocab.offsets[id + 1] - vocab.offsets[id]),
                     vocab.bytes + vocab.offsets[id], may);
        n += may;
    }
    assert_int_equal(n, n_allowed);
}

static void test_json_texts(void **state) {
    static const char *const good[] = {"1",
                                       "-0",
                                       "0.5e-7",
                                       "\"\"",
                                       "\"a\\n\\u00e9\\\"\"",
                                       "{}",
                                       "[]",
                                       "[1, [2, [3]]]",
                                       "{\"a\": {\"b\": [true, false, null]}}",
                                       "{\n  \"a\": 1,\n  \"b\": \"\xc3\xa9\"\n}"};
    static const char *const bad[] = {
        "",        "01",    "1.",       ".5",          "-",       "\"",         "\"\n\"",
        "\"\\x\"", "{",     "}",        "[1,]",        "{\"a\"}", "{a:1}",      "[1 2]",
        "tru",     "nulll", "\"\xff\"", "\"\\ud800\"", "[[]",     "{\"a\":1,}", "1 "};
    (void)state;
    rf_constraint *c = json_constraint(1 << 22);
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (!accepts(c, good[i], strlen(good[i])))
            fail_msg("%s is refused", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (accepts(c, bad[i], strlen(bad[i])))
            fail_msg("%s is accepted", bad[i]);
    rf_constraint_destroy(c);
}

/* Random tokens that the mask allows end in texts that jansson reads. With little memory states are
 * forgotten on the way, and nothing changes. */
static void walk_json(size_t bytes, uint64_t seed, int n_walks) {
    rf_constraint *c = json_constraint(bytes);
    rf_rng rng = rf_rng_make(seed, 0);
    int n_collected = 0;
    for (int w = 0; w < n_walks; w++) {
        char text[TEXT_BYTES + 16];
        size_t n = 0;
        uint32_t s = rf_constraint_begin(c), n_allowed;
        while (n < TEXT_BYTES && !(rf_constraint_may_end(c, s) && rf_rng_below(&rng, 4) == 0)) {
            if (rf_constraint_is_crowded(c)) {
                rf_constraint_forget(c);
                s = rf_constraint_keep(c, s);
                assert_int_not_equal(s, RF_AUTOMATON_DEAD);
                n_collected++;
            }
            const uint32_t *mask = rf_constraint_mask(c, s, &n_allowed);
            assert_non_null(mask);
            if (w < 20)
                check_mask(c, s);
            if (n_allowed == 0)
                break;
            uint32_t id;
            do
                id = rf_rng_below(&rng, N_TOKENS);
            while (!(mask[id / 32] >> id % 32 & 1));
            assert_true(rf_constraint_accept(c, &s, (int32_t)id));
            for (uint32_t i = vocab.offsets[id]; i < vocab.offsets[id + 1]; i++)
                text[n++] = vocab.bytes[i];
        }
        if (!rf_constraint_may_end(c, s))
            continue;
        json_error_t error;
        json_t *value =
            json_loadb(text, n, JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL | JSON_ALLOW_NUL, &error);
        if (!value && !strstr(error.text, "overflow"))
            fail_msg("%.*s: %s", (int)n, text, error.text);
        json_decref(value);
    }
    if (bytes == 0)
        assert_true(n_collected > 0);
    rf_constraint_destroy(c);
}

static void test_json_walks(void **state) {
    (void)state;
    walk_json(1 << 22, 1, 300);
    walk_json(0, 2, 3000);
}

static void test_nesting_has_a_limit(void **state) {
    (void)state;
    rf_constraint *c = json_constraint(1 << 22);
    char text[2000];
    memset(text, '[', 1000);
    memset(text + 1000, ']', 1000);
    assert_true(accepts(c, text + 950, 100));
    assert_false(accepts(c, text, 2000));
    rf_constraint_destroy(c);
}

/* ---- random rules against a plain matcher ---------------------------------------------------- */

enum { N_RULES = 4, MAX_LEN = 6, MAX_PARTS = 3 };

/* A rule is some alternatives, each a few letters a … c and rules A … D. */
typedef struct plain_rules {
    char ways[N_RULES][3][MAX_PARTS + 1];
    int n_ways[N_RULES];
} plain_rules;

/* spans[rule][i][k]: the rule matches text[i … k); found by rounds until nothing is added. */
typedef bool span_table[N_RULES][MAX_LEN + 1][MAX_LEN + 1];

static bool way_matches(const char *way, const char *text, int i, int k, span_table t) {
    bool reach[MAX_LEN + 1] = {0};
    reach[i] = true;
    for (; *way; way++) {
        bool next[MAX_LEN + 1] = {0};
        for (int p = i; p <= k; p++)
            for (int q = p; reach[p] && q <= k; q++)
                next[q] |= *way >= 'A' && *way <= 'D' ? t[*way - 'A'][p][q]
                                                      : q == p + 1 && text[p] == *way;
        memcpy(reach, next, sizeof reach);
    }
    return reach[k];
}

static bool plain_match(const plain_rules *g, const char *text, int n) {
    span_table t = {0};
    for (bool changed = true; changed;) {
        changed = false;
        for (int r = 0; r < N_RULES; r++)
            for (int w = 0; w < g->n_ways[r]; w++)
                for (int i = 0; i <= n; i++)
                    for (int k = i; k <= n; k++)
                        if (!t[r][i][k] && way_matches(g->ways[r][w], text, i, k, t))
                            t[r][i][k] = changed = true;
    }
    return t[0][0][n];
}

static plain_rules make_plain(rf_rng *rng) {
    plain_rules g = {0};
    for (int r = 0; r < N_RULES; r++) {
        g.n_ways[r] = 1 + (int)rf_rng_below(rng, 3);
        for (int w = 0; w < g.n_ways[r]; w++) {
            int n = (int)rf_rng_below(rng, MAX_PARTS + 1);
            for (int i = 0; i < n; i++)
                g.ways[r][w][i] = "abcABCD"[rf_rng_below(rng, 7)];
        }
    }
    return g;
}

static rf_expr build_plain(rf_rules *rules, const plain_rules *g) {
    rf_rule numbers[N_RULES];
    for (int r = 0; r < N_RULES; r++)
        numbers[r] = rf_rules_declare(rules, RF_STR("r"), r % 2 == 0);
    for (int r = 0; r < N_RULES; r++) {
        rf_expr ways[3];
        for (int w = 0; w < g->n_ways[r]; w++) {
            rf_expr parts[MAX_PARTS];
            size_t n = strlen(g->ways[r][w]);
            for (size_t i = 0; i < n; i++) {
                char c = g->ways[r][w][i];
                parts[i] = c <= 'D' ? rf_rules_call(rules, numbers[c - 'A'])
                                    : rf_rules_text(rules, (rf_str){&c, 1});
            }
            ways[w] = rf_rules_seq(rules, parts, n);
        }
        rf_rules_define(rules, numbers[r], rf_rules_any(rules, ways, (size_t)g->n_ways[r]));
    }
    return rf_rules_call(rules, numbers[0]);
}

static void compare(const plain_rules *g, rf_constraint *c) {
    int n_texts = 1;
    for (int n = 0; n <= MAX_LEN; n++, n_texts *= 3)
        for (int i = 0; i < n_texts; i++) {
            char text[MAX_LEN];
            for (int k = 0, rest = i; k < n; k++, rest /= 3)
                text[k] = (char)('a' + rest % 3);
            if (accepts(c, text, (size_t)n) != plain_match(g, text, n))
                fail_msg("%.*s: A=%s|%s|%s B=%s C=%s D=%s", n, text, g->ways[0][0], g->ways[0][1],
                         g->ways[0][2], g->ways[1][0], g->ways[2][0], g->ways[3][0]);
        }
}

static void test_random_rules(void **state) {
    rf_rng rng = rf_rng_make(11, 0);
    int n_compared = 0, n_left = 0;
    (void)state;
    for (int i = 0; i < 400; i++) {
        plain_rules g = make_plain(&rng);
        rf_rules *rules;
        rf_automaton *a = NULL;
        rf_error err = {0};
        assert_int_equal(rf_rules_create(&rules, &err), RF_OK);
        rf_status status = rf_rules_compile(rules, build_plain(rules, &g), false, &a, &err);
        rf_rules_destroy(rules);
        if (status != RF_OK) {
            n_left += strstr(err.text, "left recursion") != NULL;
            if (strstr(err.text, "no text matches"))
                for (int n = 0; n < 3; n++)
                    assert_false(plain_match(&g, "aaa", n));
            continue;
        }
        assert_int_equal(rf_automaton_check(a, a->n_bytes, &err), RF_OK);
        rf_constraint *c = constrain(a, 1 << 20);
        compare(&g, c);
        rf_constraint_destroy(c);
        n_compared++;
    }
    assert_true(n_compared > 100 && n_left > 10);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_texts),
        cmocka_unit_test(test_json_walks),
        cmocka_unit_test(test_nesting_has_a_limit),
        cmocka_unit_test(test_random_rules),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
