#include "grammar/choices.h"

#include "base/alloc.h"
#include "base/utf8.h"

rf_status rf_choices_rules(rf_rules *rules, const char *const *texts, size_t n, rf_expr *out,
                           rf_error *err) {
    rf_status status = RF_OK;
    if (n == 0)
        return rf_fail(err, RF_ERR_INVALID, "found no choices, expected at least one");
    rf_expr *ways = rf_calloc(n, sizeof *ways);
    if (!ways)
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for %zu choices", n);
    for (size_t i = 0; i < n && status == RF_OK; i++) {
        rf_str text = rf_str_of(texts[i]);
        if (text.len == 0 || rf_utf8_valid_prefix(text.ptr, text.len) < text.len)
            status = rf_fail(err, RF_ERR_INVALID,
                             "choice %zu: found %s, expected at least one character of UTF-8 text",
                             i + 1, text.len ? "bytes that are no UTF-8" : "an empty text");
        ways[i] = rf_rules_text(rules, text);
    }
    *out = status == RF_OK ? rf_rules_any(rules, ways, n) : 0;
    rf_free(ways);
    return status;
}
