/* GBNF against llama.cpp's own verdicts (tests/golden/gbnf.json): what each grammar takes, and
 * which are none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "base/alloc.h"
#include "grammar/gbnf.h"
#include "grammar/pushdown.h"

/* NULL: refused. */
static rf_automaton *compile(const json_t *one, rf_error *err) {
    const json_t *grammar = json_object_get(one, "grammar");
    rf_rules *rules;
    rf_automaton *a = NULL;
    rf_expr e;
    rf_str text = {json_string_value(grammar), json_string_length(grammar)};
    assert_int_equal(rf_rules_create(&rules, err), RF_OK);
    rf_status status = rf_gbnf_parse(rules, text, &e, err);
    if (status == RF_OK)
        status = rf_rules_compile(rules, e, false, &a, err);
    rf_rules_destroy(rules);
    assert_true(status == RF_OK || status == RF_ERR_INVALID);
    return a;
}

static bool fits(rf_pushdown *p, const char *text, size_t n) {
    uint32_t state = rf_pushdown_begin(p);
    for (size_t i = 0; i < n && state != RF_PUSHDOWN_DEAD; i++) {
        state = rf_pushdown_step(p, state, (uint8_t)text[i]);
        assert_int_not_equal(state, RF_PUSHDOWN_FULL);
    }
    return state != RF_PUSHDOWN_DEAD && rf_pushdown_may_end(p, state);
}

/* How many verdicts differ. */
static uint32_t compare(const rf_automaton *a, const json_t *one, const char *key, bool want) {
    rf_pushdown *p = a->n_calls > 0 ? rf_pushdown_create(a, 1 << 20) : NULL;
    uint32_t n_wrong = 0;
    size_t i;
    json_t *text;
    assert_int_equal(p != NULL, a->n_calls > 0);
    json_array_foreach(json_object_get(one, key), i, text) {
        const char *bytes = json_string_value(text);
        size_t n = json_string_length(text);
        if ((p ? fits(p, bytes, n) : rf_automaton_matches(a, bytes, n)) == want)
            continue;
        print_error("%s\n  \"%s\": expected %s\n",
                    json_string_value(json_object_get(one, "grammar")), bytes,
                    want ? "a match" : "none");
        n_wrong++;
    }
    rf_pushdown_destroy(p);
    return n_wrong;
}

static void test_verdicts(void **state) {
    (void)state;
    json_t *cases = json_load_file("tests/golden/gbnf.json", 0, NULL), *one;
    uint32_t n_wrong = 0;
    size_t i;
    assert_true(json_array_size(cases) >= 100);
    json_array_foreach(cases, i, one) {
        rf_error err = {0};
        rf_automaton *a = compile(one, &err);
        bool refused = json_is_true(json_object_get(one, "refused"));
        if (refused == !a) {
            n_wrong += a ? compare(a, one, "yes", true) + compare(a, one, "no", false) : 0;
        } else {
            print_error("%s\n  expected %s (%s)\n",
                        json_string_value(json_object_get(one, "grammar")),
                        refused ? "a refusal" : "a grammar", err.text);
            n_wrong++;
        }
        rf_free(a);
    }
    json_decref(cases);
    assert_int_equal(n_wrong, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_verdicts)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
