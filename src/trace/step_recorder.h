/*
 * Writes down what an engine does: a line of JSON for each step, a Chrome trace of its steps and
 * requests, or both. The engine's thread puts fixed records into a ring and never waits: a step
 * that finds no room is left out and counted. A thread of the recorder's own makes text of them.
 *
 * Life: create, then an engine whose on_step, on_end and user are the recorder's, then destroy that
 * engine, then close.
 */
#ifndef RF_TRACE_STEP_RECORDER_H
#define RF_TRACE_STEP_RECORDER_H

#include "engine/engine.h"

typedef struct rf_step_recorder rf_step_recorder;

/* Paths are borrowed until close. */
typedef struct rf_step_recorder_options {
    const char *log_path;   /* JSON lines, as they come; or NULL */
    const char *trace_path; /* JSON for chrome://tracing or Perfetto, whole at close; or NULL */
    uint32_t n_records;     /* in the ring, a power of two; 0 = 16384 (2 MiB) */
} rf_step_recorder_options;

RF_NODISCARD rf_status rf_step_recorder_create(const rf_step_recorder_options *options,
                                               rf_step_recorder **out, rf_error *err);
/* Writes what is left and frees it. Fails for what could not be written at any time. NULL is a
 * no-op. */
RF_NODISCARD rf_status rf_step_recorder_close(rf_step_recorder *recorder, rf_error *err);

/* rf_engine_options.on_step and on_end; user is the recorder. */
void rf_step_recorder_on_step(void *user, const rf_step_report *report);
void rf_step_recorder_on_end(void *user, uint64_t id, rf_finish finish);

#endif
