#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/utf8.h"

static const struct {
    const char *name;
    int exit_status;
} table[] = {
#define X(id, name, exit_status) {name, exit_status},
#include "base/status.def"
#undef X
};

const char *rf_status_name(rf_status status) {
    return (unsigned)status < RF_STATUS_COUNT ? table[status].name : "unknown";
}

int rf_status_exit(rf_status status) {
    return (unsigned)status < RF_STATUS_COUNT ? table[status].exit_status : 1;
}

/* Copies src to the record, writing control characters and broken UTF-8 as \xNN. */
static void copy_printable(char *dst, size_t cap, const char *src) {
    size_t n = strlen(src), out = 0;
    for (size_t i = 0; i < n;) {
        uint32_t code;
        size_t used = rf_utf8_decode(src + i, n - i, &code);
        if (used > 0 && code >= 0x20 && code != 0x7f && !(code >= 0x80 && code < 0xa0)) {
            if (out + used >= cap)
                break;
            memcpy(dst + out, src + i, used);
            out += used;
            i += used;
        } else {
            if (out + 4 >= cap)
                break;
            (void)snprintf(dst + out, 5, "\\x%02x", (unsigned char)src[i]);
            out += 4;
            i++;
        }
    }
    dst[out] = 0;
}

rf_status rf_fail(rf_error *err, rf_status code, const char *fmt, ...) {
    if (!err)
        return code;
    char text[RF_ERROR_TEXT_BYTES];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    err->code = code;
    copy_printable(err->text, sizeof err->text, text);
    return code;
}

rf_status rf_fail_prefix(rf_error *err, const char *fmt, ...) {
    if (!err)
        return RF_ERR_INTERNAL;
    char prefix[RF_ERROR_TEXT_BYTES / 2], whole[2 * RF_ERROR_TEXT_BYTES];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(prefix, sizeof prefix, fmt, args);
    va_end(args);
    (void)snprintf(whole, sizeof whole, "%s: %s", prefix, err->text);
    copy_printable(err->text, sizeof err->text, whole);
    return err->code;
}
