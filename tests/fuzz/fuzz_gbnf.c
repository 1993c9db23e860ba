/* Any text is a grammar whose answers can be gone through to their ends, or is refused with its
 * place. The first byte leads the walk. */
#include "base/alloc.h"
#include "grammar/gbnf.h"
#include "tests/lib/byte_vocab.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

#define MUST(condition)       \
    do {                      \
        if (!(condition))     \
            __builtin_trap(); \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    size_t live = rf_alloc_live_bytes();
    rf_automaton *a = NULL;
    rf_rules *rules = NULL;
    rf_error err = {0};
    rf_expr root;
    char answer[200];
    bool whole;
    if (n == 0 || n > 2000)
        return 0;
    MUST(rf_rules_create(&rules, &err) == RF_OK);
    rf_status status = rf_gbnf_parse(rules, (rf_str){(const char *)bytes + 1, n - 1}, &root, &err);
    if (status == RF_OK)
        status = rf_rules_compile(rules, root, bytes[0] & 1, &a, &err);
    rf_rules_destroy(rules);
    MUST((status == RF_OK) == (a != NULL) && (a || err.text[0] != 0));
    if (a) {
        MUST(rf_automaton_check(a, a->n_bytes, &err) == RF_OK);
        (void)byte_vocab_walk(a, bytes, n, answer, sizeof answer, &whole);
    }
    rf_free(a);
    MUST(rf_alloc_live_bytes() == live);
    return 0;
}
