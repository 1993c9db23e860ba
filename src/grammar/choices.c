#include "grammar/choices.h"

#include "base/utf8.h"
#include "grammar/nfa.h"

rf_status rf_choices_compile(const rf_str *texts, size_t n, bool leads_space, rf_automaton **out,
                             rf_error *err) {
    rf_nfa nfa = {0};
    int32_t end = rf_nfa_add(&nfa, (rf_nfa_state){.kind = RF_NFA_END}), start = -1;
    rf_status status = RF_OK;
    *out = NULL;
    for (size_t i = 0; i < n && status == RF_OK; i++) {
        int32_t at = end;
        if (texts[i].len == 0 || rf_utf8_valid_prefix(texts[i].ptr, texts[i].len) < texts[i].len)
            status = rf_fail(err, RF_ERR_INVALID,
                             "choice %zu: found %s, expected at least one character of UTF-8 text",
                             i + 1, texts[i].len ? "bytes that are no UTF-8" : "an empty text");
        for (size_t k = texts[i].len; k-- > 0;) {
            uint8_t byte = (uint8_t)texts[i].ptr[k];
            at = rf_nfa_add(&nfa, (rf_nfa_state){RF_NFA_BYTES, byte, byte, at, -1});
        }
        start = rf_nfa_add(&nfa, (rf_nfa_state){RF_NFA_SPLIT, 0, 0, at, start});
    }
    if (status == RF_OK && n == 0)
        status = rf_fail(err, RF_ERR_INVALID, "found no choices, expected at least one");
    if (leads_space) {
        int32_t space = rf_nfa_add(&nfa, (rf_nfa_state){RF_NFA_BYTES, ' ', ' ', start, -1});
        start = rf_nfa_add(&nfa, (rf_nfa_state){RF_NFA_SPLIT, 0, 0, space, start});
    }
    if (status == RF_OK)
        status = rf_nfa_determinise(&nfa, start, out, err);
    rf_nfa_deinit(&nfa);
    return status;
}
