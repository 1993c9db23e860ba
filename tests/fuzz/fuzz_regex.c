/* Any pattern compiles to an automaton that passes its own check, or is refused with a text; any
 * bytes are an automaton that can be run, or are refused. */
#include <string.h>

#include "base/alloc.h"
#include "grammar/regex.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

#define MUST(condition)       \
    do {                      \
        if (!(condition))     \
            __builtin_trap(); \
    } while (0)

static void run_blob(const uint8_t *bytes, size_t n) {
    rf_error err = {0};
    void *copy = rf_alloc(n + 1);
    MUST(copy);
    memcpy(copy, bytes, n);
    if (rf_automaton_check(copy, n, &err) == RF_OK)
        (void)rf_automaton_matches(copy, "an answer", 9);
    rf_free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    size_t live = rf_alloc_live_bytes();
    rf_automaton *a = NULL;
    rf_error err = {0};
    if (n > 0 && n < 200) {
        rf_str pattern = {(const char *)bytes + 1, n - 1};
        rf_status status = rf_regex_compile(pattern, bytes[0] & 1, &a, &err);
        MUST((status == RF_OK) == (a != NULL) && (a || err.text[0] != 0));
        if (a) {
            MUST(rf_automaton_check(a, a->n_bytes, &err) == RF_OK);
            (void)rf_automaton_matches(a, (const char *)bytes, n);
        }
    }
    run_blob(bytes, n);
    rf_free(a);
    MUST(rf_alloc_live_bytes() == live);
    return 0;
}
