/*
 * The trace-event format of Chrome (JSON array of events, times in microseconds): lane 0 has the
 * engine's steps, lane N request N with what it did in it: queued, prefill, decode; counters
 * beside. Events of a request are written when they end.
 */
#include <stdio.h>

#include "base/alloc.h"
#include "trace/step_record.h"

typedef struct lane {
    uint64_t id, arrived_ns;
    uint64_t phase_ns, last_ns;  /* when its phase began, and the last step of it ended */
    uint32_t n_rows, n_accepted; /* of the phase */
    bool decodes;
} lane;

static double us(const rf_chrome_lanes *lanes, uint64_t ns) {
    return ns > lanes->begin_ns ? (double)(ns - lanes->begin_ns) * 1e-3 : 0;
}

static void add_span(const rf_chrome_lanes *lanes, rf_buf *out, const char *name, uint64_t tid,
                     uint64_t from_ns, uint64_t to_ns) {
    double from = us(lanes, from_ns), to = us(lanes, to_ns);
    rf_buf_printf(
        out, ",\n{\"name\":\"%s\",\"ph\":\"X\",\"pid\":1,\"tid\":%llu,\"ts\":%.3f,\"dur\":%.3f",
        name, (unsigned long long)tid, from, to > from ? to - from : 0);
}

static void add_name(rf_buf *out, const char *kind, uint64_t tid, const char *name) {
    rf_buf_printf(
        out, "{\"name\":\"%s\",\"ph\":\"M\",\"pid\":1,\"tid\":%llu,\"args\":{\"name\":\"%s\"}}",
        kind, (unsigned long long)tid, name);
}

void rf_chrome_lanes_begin(rf_chrome_lanes *lanes, rf_buf *out, uint64_t begin_ns) {
    *lanes = (rf_chrome_lanes){.begin_ns = begin_ns};
    rf_buf_text(out, "[");
    add_name(out, "process_name", 0, "engine");
    rf_buf_text(out, ",\n");
    add_name(out, "thread_name", 0, "steps");
}

/* ---- requests ------------------------------------------------------------------------------ */

static lane *find(rf_chrome_lanes *lanes, uint64_t id) {
    for (size_t i = 0; i < lanes->n_lanes; i++)
        if (lanes->lanes[i].id == id)
            return &lanes->lanes[i];
    return NULL;
}

static lane *begin_lane(rf_chrome_lanes *lanes, rf_buf *out, const rf_record_entry *entry) {
    if (lanes->n_lanes == lanes->n_room) {
        size_t room = lanes->n_room ? 2 * lanes->n_room : 64;
        lane *grown = rf_realloc_array(lanes->lanes, room, sizeof *grown);
        if (!grown) {
            out->failed = true;
            return NULL;
        }
        lanes->lanes = grown;
        lanes->n_room = room;
    }
    lane *l = &lanes->lanes[lanes->n_lanes++];
    *l = (lane){.id = entry->id,
                .arrived_ns = entry->arrived_ns,
                .phase_ns = lanes->step.start_ns,
                .last_ns = lanes->step.start_ns,
                .decodes = entry->is_decode};
    rf_buf_printf(out,
                  ",\n{\"name\":\"thread_name\",\"ph\":\"M\",\"pid\":1,\"tid\":%llu,\"args\":{"
                  "\"name\":\"request %llu\"}}",
                  (unsigned long long)l->id, (unsigned long long)l->id);
    add_span(lanes, out, "queued", l->id, l->arrived_ns, l->phase_ns);
    rf_buf_text(out, "}");
    return l;
}

static void end_phase(const rf_chrome_lanes *lanes, rf_buf *out, lane *l) {
    add_span(lanes, out, l->decodes ? "decode" : "prefill", l->id, l->phase_ns, l->last_ns);
    rf_buf_printf(out, ",\"args\":{\"rows\":%u,\"accepted\":%u}}", l->n_rows, l->n_accepted);
    l->n_rows = l->n_accepted = 0;
}

/* Choices of a request have entries of their own: it decodes if one of them does. */
static void take_entry(rf_chrome_lanes *lanes, rf_buf *out, const rf_record_entry *entry) {
    lane *l = find(lanes, entry->id);
    if (!l)
        l = begin_lane(lanes, out, entry);
    if (!l)
        return;
    uint64_t end = lanes->step.start_ns + lanes->step.ns;
    bool again = l->last_ns == end; /* a further choice in the same step */
    if (l->decodes != entry->is_decode && !again) {
        end_phase(lanes, out, l);
        l->phase_ns = lanes->step.start_ns;
        l->decodes = entry->is_decode;
    }
    l->n_rows += entry->n_rows;
    l->n_accepted += entry->n_accepted;
    l->last_ns = end;
}

static void end_lane(rf_chrome_lanes *lanes, rf_buf *out, lane *l, const rf_record_end *how) {
    static const char *const names[RF_FINISH_COUNT] = {"left",    "stop",      "length",
                                                       "results", "cancelled", "failed"};
    uint64_t end = how->ns > l->last_ns ? how->ns : l->last_ns;
    char name[48];
    (void)snprintf(name, sizeof name, "request %llu", (unsigned long long)l->id);
    end_phase(lanes, out, l);
    add_span(lanes, out, name, l->id, l->arrived_ns, end);
    rf_buf_printf(out, ",\"args\":{\"finish\":\"%s\"}}",
                  how->finish < RF_FINISH_COUNT ? names[how->finish] : "unknown");
    *l = lanes->lanes[--lanes->n_lanes];
}

/* ---- steps --------------------------------------------------------------------------------- */

static void add_step(const rf_chrome_lanes *lanes, rf_buf *out) {
    const rf_record_step *step = &lanes->step;
    double at = us(lanes, step->start_ns);
    add_span(lanes, out, "step", 0, step->start_ns, step->start_ns + step->ns);
    rf_buf_printf(out,
                  ",\"args\":{\"step\":%llu,\"decode\":%u,\"draft\":%u,\"prefill\":%u,"
                  "\"sequences\":%u,\"status\":\"%s\"}}",
                  (unsigned long long)step->number, step->n_decode, step->n_draft, step->n_prefill,
                  step->n_entries, rf_status_name((rf_status)step->status));
    rf_buf_printf(out,
                  ",\n{\"name\":\"sequences\",\"ph\":\"C\",\"pid\":1,\"ts\":%.3f,\"args\":{"
                  "\"running\":%u,\"paused\":%u,\"waiting\":%u}}",
                  at, step->n_running, step->n_paused, step->n_waiting);
    rf_buf_printf(out,
                  ",\n{\"name\":\"blocks available\",\"ph\":\"C\",\"pid\":1,\"ts\":%.3f,\"args\":{"
                  "\"blocks\":%u}}",
                  at, step->n_blocks_available);
    rf_buf_printf(out,
                  ",\n{\"name\":\"so far\",\"ph\":\"C\",\"pid\":1,\"ts\":%.3f,\"args\":{"
                  "\"cached tokens\":%llu,\"preempted\":%llu,\"drafts accepted\":%llu}}",
                  at, (unsigned long long)step->n_cached_tokens,
                  (unsigned long long)step->n_preempted, (unsigned long long)step->n_accepted);
}

void rf_chrome_lanes_take(rf_chrome_lanes *lanes, rf_buf *out, const rf_record *record) {
    lane *l;
    switch ((rf_record_kind)record->kind) {
    case RF_RECORD_STEP:
        lanes->step = record->u.step;
        add_step(lanes, out);
        break;
    case RF_RECORD_ENTRY: take_entry(lanes, out, &record->u.entry); break;
    case RF_RECORD_END:
        l = find(lanes, record->u.end.id);
        if (l)
            end_lane(lanes, out, l, &record->u.end);
        break;
    }
}

void rf_chrome_lanes_end(rf_chrome_lanes *lanes, rf_buf *out) {
    const rf_record_end left = {.finish = RF_FINISH_NONE};
    while (lanes->n_lanes > 0)
        end_lane(lanes, out, &lanes->lanes[lanes->n_lanes - 1], &left);
    rf_buf_text(out, "\n]\n");
    rf_free(lanes->lanes);
    lanes->lanes = NULL;
}
