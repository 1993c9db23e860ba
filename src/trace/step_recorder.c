#include "trace/step_recorder.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/outfile.h"
#include "engine/ring.h"
#include "trace/step_record.h"

enum { N_RECORDS = 16384, MAX_ENDS = 1024, POLL_NS = 100000000, TEXT_BYTES = 64 << 20 };

struct rf_step_recorder {
    /* The engine's thread's. */
    rf_ring *ring;
    rf_record_end ends[MAX_ENDS]; /* told before the step that they belong to */
    uint32_t n_ends;
    uint64_t n_steps, n_dropped;
    /* The writer's. */
    uint64_t begin_ns;
    int log_fd; /* -1: no log */
    const char *log_path;
    rf_outfile trace;
    bool has_trace;
    rf_buf lines, events;
    rf_chrome_lanes lanes;
    rf_status status; /* the first that failed; then nothing more is written there */
    rf_error err;
    /* Both sides'. */
    rf_bell bell;
    atomic_bool closing;
    pthread_t thread;
};

/* ---- the engine's thread ------------------------------------------------------------------- */

/* Ends wait for their step, and stay where there is no room. */
static void push_ends(rf_step_recorder *r) {
    uint32_t n = 0;
    for (; n < r->n_ends; n++) {
        rf_record record = {.kind = RF_RECORD_END, .u.end = r->ends[n]};
        if (!rf_ring_push(r->ring, &record))
            break;
    }
    memmove(r->ends, r->ends + n, (r->n_ends - n) * sizeof *r->ends);
    r->n_ends -= n;
}

void rf_step_recorder_on_end(void *user, uint64_t id, rf_finish finish) {
    rf_step_recorder *r = user;
    if (r->n_ends == MAX_ENDS)
        push_ends(r);
    if (r->n_ends < MAX_ENDS)
        r->ends[r->n_ends++] = (rf_record_end){id, rf_clock_ns(), (uint32_t)finish};
}

static rf_record_step step_of(const rf_step_recorder *r, const rf_step_report *report) {
    const rf_engine_counters *c = report->counters;
    return (rf_record_step){.start_ns = report->start_ns,
                            .ns = report->ns,
                            .n_generated = c->n_generated,
                            .n_cached_tokens = c->sched.n_cached_tokens,
                            .n_accepted = c->sched.n_accepted,
                            .n_preempted = c->sched.n_preempted,
                            .n_evicted = c->sched.kv.n_evicted,
                            .n_requests = c->n_requests,
                            .n_finished = c->n_finished,
                            .n_failed = c->n_failed,
                            .n_cancelled = c->n_cancelled,
                            .n_dropped = r->n_dropped,
                            .number = r->n_steps,
                            .n_decode = report->n_decode,
                            .n_draft = report->n_draft,
                            .n_prefill = report->n_prefill,
                            .n_copies = report->n_copies,
                            .n_entries = report->n_entries,
                            .n_blocks_available = report->n_blocks_available,
                            .n_running = c->sched.n_running,
                            .n_paused = c->sched.n_paused,
                            .n_waiting = c->sched.n_waiting,
                            .status = (uint32_t)report->status};
}

void rf_step_recorder_on_step(void *user, const rf_step_report *report) {
    rf_step_recorder *r = user;
    r->n_steps++;
    if (rf_ring_n_free(r->ring) < report->n_entries + 1) {
        r->n_dropped++;
        rf_bell_ring(&r->bell);
        return;
    }
    rf_record record = {.kind = RF_RECORD_STEP, .u.step = step_of(r, report)};
    (void)rf_ring_push(r->ring, &record);
    for (uint32_t i = 0; i < report->n_entries; i++) {
        const rf_step_entry *entry = &report->entries[i];
        record = (rf_record){.kind = RF_RECORD_ENTRY,
                             .u.entry = {entry->job, entry->arrived_ns, entry->n_rows,
                                         entry->n_accepted, entry->is_decode}};
        (void)rf_ring_push(r->ring, &record);
    }
    push_ends(r);
    if (rf_ring_n_free(r->ring) < r->ring->n_slots / 2)
        rf_bell_ring(&r->bell); /* before it comes to look by itself */
}

/* ---- the writer ---------------------------------------------------------------------------- */

static void fail(rf_step_recorder *r, const rf_error *err) {
    if (r->status == RF_OK)
        r->err = *err;
    r->status = r->err.code;
}

static rf_status write_log(rf_step_recorder *r, rf_error *err) {
    for (size_t done = 0; done < r->lines.len;) {
        ssize_t n = write(r->log_fd, r->lines.data + done, r->lines.len - done);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return rf_fail(err, RF_ERR_IO, "%s: cannot write: %s", r->log_path, strerror(errno));
        done += (size_t)n;
    }
    return RF_OK;
}

static void write_texts(rf_step_recorder *r) {
    rf_error err = {0};
    rf_status status = RF_OK;
    if (r->lines.failed || r->events.failed)
        status = rf_fail(&err, RF_ERR_NO_MEMORY, "out of memory for the record of steps");
    if (status == RF_OK && r->status == RF_OK && r->log_fd >= 0)
        status = write_log(r, &err);
    if (status == RF_OK && r->status == RF_OK && r->has_trace)
        status =
            rf_outfile_write(&r->trace, r->events.data ? r->events.data : "", r->events.len, &err);
    if (status != RF_OK)
        fail(r, &err);
    rf_buf_clear(&r->lines);
    rf_buf_clear(&r->events);
}

static void take(rf_step_recorder *r, const rf_record *record) {
    if (r->log_fd >= 0 && record->kind == RF_RECORD_STEP)
        rf_step_line(&r->lines, &record->u.step, r->begin_ns);
    if (r->has_trace)
        rf_chrome_lanes_take(&r->lanes, &r->events, record);
}

static void *writer_main(void *arg) {
    rf_step_recorder *r = arg;
    for (;;) {
        uint32_t heard = rf_bell_heard(&r->bell);
        bool closing = atomic_load(&r->closing); /* before the ring: nothing comes after it */
        rf_record record;
        while (rf_ring_pop(r->ring, &record)) {
            take(r, &record);
            if (r->lines.len + r->events.len > TEXT_BYTES / 64)
                write_texts(r);
        }
        write_texts(r);
        if (closing)
            return NULL;
        rf_bell_wait(&r->bell, heard, POLL_NS);
    }
}

/* ---- life ---------------------------------------------------------------------------------- */

static rf_status open_files(rf_step_recorder *r, const rf_step_recorder_options *options,
                            rf_error *err) {
    if (options->log_path) {
        r->log_fd =
            open(options->log_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
        if (r->log_fd < 0)
            return rf_fail(err, RF_ERR_IO, "%s: cannot open for writing: %s", options->log_path,
                           strerror(errno));
    }
    if (!options->trace_path)
        return RF_OK;
    RF_TRY(rf_outfile_open(&r->trace, options->trace_path, err));
    r->has_trace = true;
    rf_chrome_lanes_begin(&r->lanes, &r->events, r->begin_ns);
    return RF_OK;
}

static rf_status prepare(rf_step_recorder *r, const rf_step_recorder_options *options,
                         rf_error *err) {
    uint32_t n = options->n_records ? options->n_records : N_RECORDS;
    r->ring = rf_alloc_aligned(64, rf_ring_bytes(n, sizeof(rf_record)));
    if (!r->ring)
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the record of %u steps", n);
    rf_ring_init(r->ring, n, sizeof(rf_record));
    RF_TRY(open_files(r, options, err));
    if (pthread_create(&r->thread, NULL, writer_main, r) != 0)
        return rf_fail(err, RF_ERR_LIMIT, "cannot start the thread that records steps");
    return RF_OK;
}

static void release(rf_step_recorder *r) {
    if (r->log_fd >= 0)
        (void)close(r->log_fd);
    if (r->has_trace)
        rf_outfile_discard(&r->trace);
    rf_free_aligned(r->ring);
    rf_free(r->lanes.lanes);
    rf_buf_deinit(&r->lines);
    rf_buf_deinit(&r->events);
    rf_free(r);
}

rf_status rf_step_recorder_create(const rf_step_recorder_options *options, rf_step_recorder **out,
                                  rf_error *err) {
    *out = NULL;
    rf_step_recorder *r = rf_calloc(1, sizeof *r);
    if (!r)
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the record of steps");
    r->log_fd = -1;
    r->log_path = options->log_path;
    r->begin_ns = rf_clock_ns();
    rf_buf_init(&r->lines, TEXT_BYTES);
    rf_buf_init(&r->events, TEXT_BYTES);
    rf_status status = prepare(r, options, err);
    if (status != RF_OK)
        release(r);
    else
        *out = r;
    return status;
}

rf_status rf_step_recorder_close(rf_step_recorder *r, rf_error *err) {
    if (!r)
        return RF_OK;
    atomic_store(&r->closing, true);
    rf_bell_ring(&r->bell);
    pthread_join(r->thread, NULL);
    for (uint32_t i = 0; i < r->n_ends; i++)
        take(r, &(rf_record){.kind = RF_RECORD_END, .u.end = r->ends[i]});
    if (r->has_trace)
        rf_chrome_lanes_end(&r->lanes, &r->events);
    write_texts(r);
    rf_error failed = {0};
    if (r->status == RF_OK && r->has_trace && rf_outfile_commit(&r->trace, &failed) != RF_OK)
        fail(r, &failed);
    rf_status status = r->status;
    if (status != RF_OK)
        *err = r->err;
    release(r);
    return status;
}
