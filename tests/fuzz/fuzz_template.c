/* Any bytes, split at the first NUL into a template and its context, either render or end in a
 * typed error, within the limits. */
#include <string.h>

#include "base/alloc.h"
#include "chat/template.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

#define MUST(condition)       \
    do {                      \
        if (!(condition))     \
            __builtin_trap(); \
    } while (0)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    static const rf_template_limits limits = {.max_steps = 100000,
                                              .max_depth = 200,
                                              .max_output_bytes = 1 << 20,
                                              .max_memory_bytes = 8 << 20};
    rf_str all = {(const char *)bytes, n};
    const char *nul = n ? memchr(bytes, 0, n) : NULL;
    rf_str source = nul ? rf_str_sub(all, 0, (size_t)(nul - all.ptr)) : all;
    rf_str context = nul ? rf_str_sub(all, source.len + 1, n) : RF_STR("{\"x\": [1, \"a\", {}]}");
    size_t live = rf_alloc_live_bytes();
    rf_template *tmpl = NULL;
    rf_error err = {0};
    rf_buf out;
    rf_buf_init(&out, 16 << 20);
    if (rf_template_compile(source, &limits, &tmpl, &err) == RF_OK) {
        rf_template_error_kind kind;
        rf_status status = rf_template_render(tmpl, context, 1767323045, &out, &kind, &err);
        MUST((status == RF_OK) == (kind == RF_TEMPLATE_NO_ERROR));
        MUST(status == RF_OK || err.code == status);
        rf_template_destroy(tmpl);
    } else {
        MUST(err.text[0] != 0);
    }
    rf_buf_deinit(&out);
    MUST(rf_alloc_live_bytes() == live);
    return 0;
}
