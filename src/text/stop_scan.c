#include "text/stop_scan.h"

#include <string.h>

enum { HELD_MAX_BYTES = 1 << 24 };

void rf_stop_scan_init(rf_stop_scan *scan, const char *const *stops, size_t n_stops) {
    *scan = (rf_stop_scan){.stops = stops, .n_stops = n_stops};
    rf_buf_init(&scan->held, HELD_MAX_BYTES);
}

void rf_stop_scan_deinit(rf_stop_scan *scan) { rf_buf_deinit(&scan->held); }

/* Start of the earliest whole stop text, or the length of text. */
static size_t first_match(rf_stop_scan *scan, rf_str text) {
    size_t first = text.len;
    for (size_t i = 0; i < scan->n_stops; i++) {
        const char *at = memmem(text.ptr, text.len, scan->stops[i], strlen(scan->stops[i]));
        if (at && (size_t)(at - text.ptr) < first) {
            first = (size_t)(at - text.ptr);
            scan->which = i;
        }
    }
    return first;
}

/* Start of the longest end of text that begins a stop text, or the length of text. */
static size_t first_beginning(const rf_stop_scan *scan, rf_str text) {
    size_t first = text.len;
    for (size_t i = 0; i < scan->n_stops; i++) {
        size_t n = strlen(scan->stops[i]);
        size_t from = text.len >= n ? text.len - n + 1 : 0;
        for (size_t at = from; at < first; at++) {
            if (memcmp(text.ptr + at, scan->stops[i], text.len - at) == 0)
                first = at;
        }
    }
    return first;
}

bool rf_stop_scan_push(rf_stop_scan *scan, rf_str piece, rf_buf *out) {
    if (scan->found)
        return true;
    rf_buf_str(&scan->held, piece);
    rf_str text = rf_buf_view(&scan->held);
    if (text.len == 0)
        return !scan->held.failed;
    size_t show = first_match(scan, text);
    scan->found = show < text.len;
    if (!scan->found)
        show = first_beginning(scan, text);
    rf_buf_append(out, text.ptr, show);
    if (show > 0) {
        memmove(scan->held.data, scan->held.data + show, text.len - show);
        scan->held.len = text.len - show;
    }
    return !scan->held.failed && !out->failed;
}

void rf_stop_scan_finish(rf_stop_scan *scan, rf_buf *out) {
    if (!scan->found)
        rf_buf_str(out, rf_buf_view(&scan->held));
    rf_buf_clear(&scan->held);
}
