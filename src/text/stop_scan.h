/*
 * Finds stop texts in streamed text, across the borders of its pieces: what could still become a
 * stop text is held back. One thread a scan. Texts are borrowed.
 */
#ifndef RF_TEXT_STOP_SCAN_H
#define RF_TEXT_STOP_SCAN_H

#include <stdbool.h>

#include "base/buf.h"

typedef struct rf_stop_scan {
    const char *const *stops; /* borrowed, none of them empty */
    size_t n_stops;
    rf_buf held;
    bool found;
    size_t which; /* of the stops, where one was found */
} rf_stop_scan;

void rf_stop_scan_init(rf_stop_scan *scan, const char *const *stops, size_t n_stops);
void rf_stop_scan_deinit(rf_stop_scan *scan);
/* Takes a piece and appends to out what is safe to show. Once a stop text is complete, found is
 * set, what stands before it is in out, and later pieces are dropped. False: out of memory. */
bool rf_stop_scan_push(rf_stop_scan *scan, rf_str piece, rf_buf *out);
void rf_stop_scan_finish(rf_stop_scan *scan, rf_buf *out); /* what is held cannot match any more */

#endif
