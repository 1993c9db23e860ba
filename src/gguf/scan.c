#include "gguf/scan.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/utf8.h"

rf_status rf_scan_fail(const rf_scan *scan, rf_status code, uint64_t offset, const char *fmt, ...) {
    char text[RF_ERROR_TEXT_BYTES / 2];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (scan->name.len == 0)
        return rf_fail(scan->err, code, "%s: %s at byte %" PRIu64 ": %s", scan->path, scan->noun,
                       offset, text);
    return rf_fail(scan->err, code, "%s: %s \"%.*s\" at byte %" PRIu64 ": %s", scan->path,
                   scan->noun, RF_STR_ARG(scan->name), offset, text);
}

static rf_status truncated(const rf_scan *scan, const char *what, uint64_t need) {
    return rf_scan_fail(scan, RF_ERR_INVALID, scan->at,
                        "found %" PRIu64 " bytes before the end of the file, expected %" PRIu64
                        " for the %s",
                        rf_scan_left(scan), need, what);
}

rf_status rf_scan_skip(rf_scan *scan, const char *what, uint64_t bytes) {
    if (bytes > rf_scan_left(scan))
        return truncated(scan, what, bytes);
    scan->at += bytes;
    return RF_OK;
}

rf_status rf_scan_u32(rf_scan *scan, const char *what, uint32_t *out) {
    RF_TRY(rf_scan_skip(scan, what, sizeof *out));
    memcpy(out, scan->bytes + scan->at - sizeof *out, sizeof *out);
    return RF_OK;
}

rf_status rf_scan_u64(rf_scan *scan, const char *what, uint64_t *out) {
    RF_TRY(rf_scan_skip(scan, what, sizeof *out));
    memcpy(out, scan->bytes + scan->at - sizeof *out, sizeof *out);
    return RF_OK;
}

rf_status rf_scan_str(rf_scan *scan, const char *what, uint64_t max_bytes, rf_str *out) {
    uint64_t start = scan->at, len = 0;
    RF_TRY(rf_scan_u64(scan, what, &len));
    if (len > rf_scan_left(scan))
        return rf_scan_fail(scan, RF_ERR_INVALID, start,
                            "found a %s of %" PRIu64 " bytes, expected at most the %" PRIu64
                            " before the end of the file",
                            what, len, rf_scan_left(scan));
    if (len > max_bytes)
        return rf_scan_fail(scan, RF_ERR_INVALID, start,
                            "found a %s of %" PRIu64 " bytes, expected at most %" PRIu64, what, len,
                            max_bytes);
    *out = (rf_str){(const char *)scan->bytes + scan->at, (size_t)len};
    scan->at += len;
    return RF_OK;
}

const char *rf_gguf_key_name_fault(rf_str name, size_t *i_bad) {
    *i_bad = 0;
    if (name.len == 0)
        return "an empty name";
    if (name.len > RF_GGUF_MAX_KEY_BYTES)
        return "a name of more than 65535 bytes";
    for (size_t i = 0; i < name.len; i++)
        if (name.ptr[i] < 0x20 || name.ptr[i] > 0x7e)
            return *i_bad = i, "a byte that is not printable ASCII";
    return NULL;
}

const char *rf_gguf_tensor_name_fault(rf_str name, size_t *i_bad) {
    *i_bad = 0;
    if (name.len == 0)
        return "an empty name";
    if (name.len > RF_GGUF_MAX_TENSOR_NAME_BYTES)
        return "a name of more than 64 bytes";
    for (size_t i = 0; i < name.len; i++)
        if ((unsigned char)name.ptr[i] < 0x20 || name.ptr[i] == 0x7f)
            return *i_bad = i, "a control character";
    *i_bad = rf_utf8_valid_prefix(name.ptr, name.len);
    return *i_bad < name.len ? "a byte that is not UTF-8" : NULL;
}

const char *rf_gguf_text_fault(rf_str text, size_t *i_bad) {
    const char *nul = text.len ? memchr(text.ptr, 0, text.len) : NULL;
    if (nul)
        return *i_bad = (size_t)(nul - text.ptr), "a NUL";
    *i_bad = rf_utf8_valid_prefix(text.ptr, text.len);
    return *i_bad < text.len ? "a byte that is not UTF-8" : NULL;
}
