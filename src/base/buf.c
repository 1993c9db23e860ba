#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"

void rf_buf_init(rf_buf *buf, size_t max_bytes) { *buf = (rf_buf){.max_bytes = max_bytes}; }

void rf_buf_deinit(rf_buf *buf) {
    rf_free(buf->data);
    rf_buf_init(buf, buf->max_bytes);
}

void rf_buf_clear(rf_buf *buf) {
    buf->len = 0;
    buf->failed = false;
    if (buf->data)
        buf->data[0] = 0;
}

bool rf_buf_reserve(rf_buf *buf, size_t extra) {
    size_t need, bytes;
    if (buf->failed)
        return false;
    if (!rf_add_size(buf->len, extra, &need) || need > buf->max_bytes ||
        !rf_add_size(need, 1, &bytes)) {
        buf->failed = true;
        return false;
    }
    if (bytes <= buf->cap)
        return true;
    size_t cap = buf->cap < 64 ? 64 : buf->cap;
    while (cap < bytes)
        cap = cap > bytes / 2 ? bytes + bytes / 2 : cap * 2;
    char *data = rf_realloc(buf->data, cap);
    if (!data) {
        buf->failed = true;
        return false;
    }
    buf->data = data;
    buf->cap = cap;
    return true;
}

void rf_buf_append(rf_buf *buf, const void *bytes, size_t n) {
    if (!rf_buf_reserve(buf, n))
        return;
    if (n)
        memcpy(buf->data + buf->len, bytes, n);
    buf->len += n;
    buf->data[buf->len] = 0;
}

void rf_buf_put(rf_buf *buf, char c) { rf_buf_append(buf, &c, 1); }
void rf_buf_str(rf_buf *buf, rf_str s) { rf_buf_append(buf, s.ptr, s.len); }
void rf_buf_text(rf_buf *buf, const char *text) { rf_buf_append(buf, text, strlen(text)); }

void rf_buf_printf(rf_buf *buf, const char *fmt, ...) {
    va_list args, again;
    va_start(args, fmt);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (n < 0)
        buf->failed = true;
    else if (rf_buf_reserve(buf, (size_t)n)) {
        (void)vsnprintf(buf->data + buf->len, (size_t)n + 1, fmt, again);
        buf->len += (size_t)n;
    }
    va_end(again);
}
