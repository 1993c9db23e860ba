/* What goes through the recorder's ring, and who makes text of it; private to trace/. */
#ifndef RF_TRACE_STEP_RECORD_H
#define RF_TRACE_STEP_RECORD_H

#include "base/buf.h"
#include "engine/engine.h"

typedef enum rf_record_kind { RF_RECORD_STEP, RF_RECORD_ENTRY, RF_RECORD_END } rf_record_kind;

typedef struct rf_record_step {
    uint64_t start_ns, ns, n_generated, n_cached_tokens, n_accepted, n_preempted, n_evicted;
    uint64_t n_requests, n_finished, n_failed, n_cancelled, n_dropped, number;
    uint32_t n_decode, n_draft, n_prefill, n_copies, n_entries, n_blocks_available;
    uint32_t n_running, n_paused, n_waiting, status;
} rf_record_step;

/* Rows of a request in the step before. */
typedef struct rf_record_entry {
    uint64_t id, arrived_ns;
    uint32_t n_rows, n_accepted;
    bool is_decode;
} rf_record_entry;

typedef struct rf_record_end {
    uint64_t id, ns;
    uint32_t finish;
} rf_record_end;

typedef struct rf_record {
    uint32_t kind; /* rf_record_kind */
    union {
        rf_record_step step;
        rf_record_entry entry;
        rf_record_end end;
    } u;
} rf_record;

void rf_step_line(rf_buf *out, const rf_record_step *step, uint64_t begin_ns);

/* Requests that the trace has begun and not ended. */
typedef struct rf_chrome_lanes {
    struct lane *lanes; /* owned; [n_lanes] */
    size_t n_lanes, n_room;
    uint64_t begin_ns;
    rf_record_step step; /* the one that entries belong to */
} rf_chrome_lanes;

void rf_chrome_lanes_begin(rf_chrome_lanes *lanes, rf_buf *out, uint64_t begin_ns);
void rf_chrome_lanes_take(rf_chrome_lanes *lanes, rf_buf *out, const rf_record *record);
void rf_chrome_lanes_end(rf_chrome_lanes *lanes, rf_buf *out); /* frees them too */

#endif
