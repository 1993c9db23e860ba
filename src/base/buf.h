/*
 * Growing byte buffer with a ceiling. After a failure (ceiling or heap) `failed` stays set and
 * appends do nothing, so that a writer checks once at its end. One thread at a time.
 */
#ifndef RF_BASE_BUF_H
#define RF_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "base/str.h"

typedef struct rf_buf {
    char *data; /* owned; NUL-terminated whenever it is not NULL */
    size_t len, cap;
    size_t max_bytes;
    bool failed;
} rf_buf;

void rf_buf_init(rf_buf *buf, size_t max_bytes);
void rf_buf_deinit(rf_buf *buf);
void rf_buf_clear(rf_buf *buf); /* empties, keeps the memory, clears failed */

bool rf_buf_reserve(rf_buf *buf, size_t extra); /* room for extra more bytes */
void rf_buf_append(rf_buf *buf, const void *bytes, size_t n);
void rf_buf_put(rf_buf *buf, char c);
void rf_buf_str(rf_buf *buf, rf_str s);
void rf_buf_text(rf_buf *buf, const char *text);
void rf_buf_printf(rf_buf *buf, const char *fmt, ...) RF_PRINTF(2, 3);

static inline rf_str rf_buf_view(const rf_buf *buf) { return (rf_str){buf->data, buf->len}; }

#endif
