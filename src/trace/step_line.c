#include "trace/step_record.h"

void rf_step_line(rf_buf *out, const rf_record_step *step, uint64_t begin_ns) {
    rf_buf_printf(out,
                  "{\"step\":%llu,\"start_ms\":%.3f,\"ms\":%.3f,\"status\":\"%s\",\"decode\":%u,"
                  "\"draft\":%u,\"prefill\":%u,\"sequences\":%u,\"copies\":%u",
                  (unsigned long long)step->number, (double)(step->start_ns - begin_ns) * 1e-6,
                  (double)step->ns * 1e-6, rf_status_name((rf_status)step->status), step->n_decode,
                  step->n_draft, step->n_prefill, step->n_entries, step->n_copies);
    rf_buf_printf(out, ",\"running\":%u,\"paused\":%u,\"waiting\":%u,\"blocks_available\":%u",
                  step->n_running, step->n_paused, step->n_waiting, step->n_blocks_available);
    /* since the engine's start */
    const struct {
        const char *name;
        uint64_t value;
    } totals[] = {{"generated", step->n_generated}, {"cached_tokens", step->n_cached_tokens},
                  {"accepted", step->n_accepted},   {"preempted", step->n_preempted},
                  {"evicted", step->n_evicted},     {"requests", step->n_requests},
                  {"finished", step->n_finished},   {"failed", step->n_failed},
                  {"cancelled", step->n_cancelled}, {"dropped", step->n_dropped}};
    for (size_t i = 0; i < sizeof totals / sizeof *totals; i++)
        rf_buf_printf(out, ",\"%s\":%llu", totals[i].name, (unsigned long long)totals[i].value);
    rf_buf_text(out, "}\n");
}
