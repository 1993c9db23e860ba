/* JSON schemas: documents that another implementation has judged, keywords that are refused, and
 * schemas that would take too much. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "grammar/pushdown.h"
#include "grammar/schema.h"

static rf_status compile(json_t *schema, rf_automaton **out, rf_error *err) {
    rf_rules *rules;
    rf_expr e;
    *out = NULL;
    RF_TRY(rf_rules_create(&rules, err));
    rf_status status = rf_schema_rules(rules, schema, &e, err);
    if (status == RF_OK)
        status = rf_rules_compile(rules, e, false, out, err);
    rf_rules_destroy(rules);
    return status;
}

/* The text as a whole, as an answer would be built of it. */
static bool accepts(const rf_automaton *a, const char *text) {
    if (a->n_calls == 0)
        return rf_automaton_matches(a, text, strlen(text));
    rf_pushdown *p = rf_pushdown_create(a, 1 << 20);
    assert_non_null(p);
    uint32_t state = rf_pushdown_begin(p);
    for (const char *c = text; *c && state != RF_PUSHDOWN_DEAD; c++) {
        state = rf_pushdown_step(p, state, (uint8_t)*c);
        assert_int_not_equal(state, RF_PUSHDOWN_FULL);
    }
    bool accepted = state != RF_PUSHDOWN_DEAD && rf_pushdown_may_end(p, state);
    rf_pushdown_destroy(p);
    return accepted;
}

static void test_against_jsonschema(void **state) {
    (void)state;
    json_t *rows = json_load_file("tests/golden/schemas.json", 0, NULL), *row, *one;
    size_t i, k, n_wanted = 0, n_invalid = 0, n_wrong = 0;
    assert_true(json_array_size(rows) > 30);
    json_array_foreach(rows, i, row) {
        rf_automaton *a;
        rf_error err = {0};
        json_t *schema = json_object_get(row, "schema");
        if (compile(schema, &a, &err) != RF_OK)
            fail_msg("schema %zu: %s", i, err.text);
        json_array_foreach(json_object_get(row, "cases"), k, one) {
            const char *text = json_string_value(json_array_get(one, 0));
            bool valid = json_is_true(json_array_get(one, 1));
            bool wanted = json_is_true(json_array_get(one, 2));
            bool accepted = accepts(a, text);
            n_wanted += wanted;
            n_invalid += !valid;
            if ((accepted && !valid) || (wanted && !accepted)) {
                n_wrong++;
                print_error("schema %zu: %s is %s and %s\n", i, text, valid ? "valid" : "invalid",
                            accepted ? "let through" : "kept out");
            }
        }
        rf_free(a);
    }
    json_decref(rows);
    assert_int_equal(n_wrong, 0);
    assert_true(n_wanted > 100 && n_invalid > 1000);
}

static void test_refused(void **state) {
    (void)state;
    static const struct {
        const char *schema, *says;
    } cases[] = {
        {"{'not': {'type': 'null'}}", "keyword not at # is not supported"},
        {"{'properties': {'a': {'if': {}}}}", "keyword if at #/properties/a is not supported"},
        {"{'type': 'array', 'uniqueItems': true}", "keyword uniqueItems at # is not supported"},
        {"{'items': {'enum': [1, 1.5]}, 'uniqueItems': true}", "keyword uniqueItems at #"},
        {"{'items': {'type': 'boolean', 'not': 1}, 'uniqueItems': true}", "keyword uniqueItems"},
        {"{'items': {'enum': [1,2,3,4,5,6,7,8,9]}, 'uniqueItems': true}", "keyword uniqueItems"},
        {"{'prefixItems': [true], 'uniqueItems': true}", "keyword uniqueItems at #"},
        {"{'type': 'integer', 'multipleOf': 0}", "keyword multipleOf at #"},
        {"{'type': 'integer', 'multipleOf': -2}", "keyword multipleOf at #"},
        {"{'type': 'integer', 'multipleOf': '2'}", "keyword multipleOf at #"},
        {"{'type': 'number', 'multipleOf': 1e-9}", "keyword multipleOf at #"},
        {"{'type': 'integer', 'multipleOf': 1999, 'minimum': 5}", "keyword multipleOf at #"},
        {"{'type': 'string', 'pattern': '^a*$', 'format': 'nope'}", "keyword format at #"},
        {"{'patternProperties': {'^a': {}, '^b': {}}}", "keyword patternProperties at #"},
        {"{'patternProperties': {'^a': {}}, 'properties': {'a': {}}}", "patternProperties at #"},
        {"{'patternProperties': {'(?=a)': {}}}", "keyword pattern at #"},
        {"{'propertyNames': {'enum': ['a']}}", "keyword propertyNames at #"},
        {"{'propertyNames': {'type': 'string'}, 'required': ['a']}", "keyword propertyNames at #"},
        {"{'type': 'string', 'pattern': '^a+$', 'maxLength': 0}", "fits"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[256];
        rf_automaton *a;
        rf_error err = {0};
        (void)snprintf(text, sizeof text, "%s", cases[i].schema);
        for (char *c = text; *c; c++)
            *c = *c == '\'' ? '"' : *c;
        json_t *schema = json_loads(text, 0, NULL);
        assert_non_null(schema);
        if (i + 1 == sizeof cases / sizeof *cases)
            assert_int_not_equal(compile(schema, &a, &err), RF_OK);
        else if (compile(schema, &a, &err) == RF_OK || !strstr(err.text, cases[i].says))
            fail_msg("%s: found \"%s\", expected %s", cases[i].schema, err.text, cases[i].says);
        json_decref(schema);
    }
}

/* Whatever is asked, an answer comes within a second or so. */
static void test_hostile(void **state) {
    (void)state;
    static const char *const schemas[] = {
        "{\"type\":\"string\",\"pattern\":\"(a|b)*a(a|b){14}\",\"maxLength\":2000}",
        "{\"type\":\"string\",\"pattern\":\".{1000}\",\"minLength\":900,\"maxLength\":2000}",
        "{\"type\":\"string\",\"pattern\":\"^(.*x){40}$\",\"maxLength\":700}",
        "{\"type\":\"string\",\"format\":\"uri\",\"pattern\":\"[a-m]{30}\",\"maxLength\":400}",
        "{\"type\":\"number\",\"multipleOf\":0.001999,\"maximum\":123456.123}",
        "{\"type\":\"integer\",\"multipleOf\":1999,\"maximum\":99999999999}",
        "{\"propertyNames\":{\"pattern\":\"(a|b)*a(a|b){13}$\",\"maxLength\":900}}",
    };
    for (size_t i = 0; i < sizeof schemas / sizeof *schemas; i++) {
        rf_automaton *a;
        rf_error err = {0};
        json_t *schema = json_loads(schemas[i], 0, NULL);
        int64_t from = (int64_t)rf_clock_ns();
        if (compile(schema, &a, &err) != RF_OK)
            assert_true(strlen(err.text) > 10);
        int64_t ms = ((int64_t)rf_clock_ns() - from) / 1000000;
        print_message("%zu: %lld ms, %s\n", i, (long long)ms, a ? "compiled" : err.text);
        assert_true(ms < 10000); /* sanitizers and a busy machine included */
        rf_free(a);
        json_decref(schema);
    }
}

int main(void) {
    json_set_alloc_funcs(rf_alloc, rf_free);
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_against_jsonschema),
                                       cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_hostile)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
