/* Any JSON is a schema whose answers are JSON that can be gone through to their ends, or is refused
 * with a text. The first byte leads the walk. */
#include <jansson.h>

#include "base/alloc.h"
#include "grammar/schema.h"
#include "tests/lib/byte_vocab.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

#define MUST(condition)       \
    do {                      \
        if (!(condition))     \
            __builtin_trap(); \
    } while (0)

static void compile(json_t *schema, const uint8_t *bytes, size_t n) {
    rf_automaton *a = NULL;
    rf_rules *rules = NULL;
    rf_error err = {0};
    rf_expr root;
    char answer[400];
    bool whole = false;
    MUST(rf_rules_create(&rules, &err) == RF_OK);
    rf_status status = rf_schema_rules(rules, schema, &root, &err);
    if (status == RF_OK)
        status = rf_rules_compile(rules, root, false, &a, &err);
    rf_rules_destroy(rules);
    MUST((status == RF_OK) == (a != NULL) && (a || err.text[0] != 0));
    if (!a)
        return;
    MUST(rf_automaton_check(a, a->n_bytes, &err) == RF_OK);
    size_t len = byte_vocab_walk(a, bytes, n, answer, sizeof answer, &whole);
    if (whole) {
        json_error_t why;
        json_t *value = json_loadb(
            answer, len, JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, &why);
        MUST(value || json_error_code(&why) == json_error_numeric_overflow);
        json_decref(value);
    }
    rf_free(a);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    json_set_alloc_funcs(rf_alloc, rf_free);
    size_t live = rf_alloc_live_bytes();
    if (n == 0 || n > 4000)
        return 0;
    json_t *schema = json_loadb((const char *)bytes + 1, n - 1, JSON_DECODE_ANY, NULL);
    if (schema)
        compile(schema, bytes, n);
    json_decref(schema);
    MUST(rf_alloc_live_bytes() == live);
    return 0;
}
