#include "tests/lib/row_engine.h"

#include "gpu/backend_gpu.h"

#include <string.h>

enum { SECOND_NS = 1000000000 };

static void on_row(void *user, uint64_t id, uint32_t position, const float *logits,
                   const float *hidden) {
    row_engine *e = user;
    uint64_t i = id - (e->last_id - e->n_feeds + 1);
    (void)hidden;
    if (i >= e->n_feeds || !logits || position < e->feeds[i].from)
        return;
    row_feed *feed = &e->feeds[i];
    memcpy(feed->rows + (size_t)(position - feed->from) * e->n_vocab, logits,
           e->n_vocab * sizeof *logits);
    feed->n_rows++;
}

static void on_step(void *user, const rf_step_report *report) {
    row_engine *e = user;
    uint32_t n_rows = report->n_decode + report->n_prefill;
    e->n_steps++;
    e->most_rows = n_rows > e->most_rows ? n_rows : e->most_rows;
    e->most_seqs = report->n_entries > e->most_seqs ? report->n_entries : e->most_seqs;
}

rf_engine_options row_engine_options(rf_kv_type kv_type, uint32_t n_ctx, uint32_t n_seqs) {
    return (rf_engine_options){.n_ctx = n_ctx,
                               .kv_tokens = 2 * n_ctx * n_seqs,
                               .batch_tokens = n_ctx * n_seqs,
                               .max_outputs = n_ctx * n_seqs,
                               .max_seqs = n_seqs,
                               .type_k = kv_type,
                               .type_v = kv_type};
}

rf_status row_engine_open(row_engine *e, const rf_program *program, const rf_cpu_options *cpu,
                          const rf_engine_options *options, rf_error *err) {
    rf_backend *backend = NULL;
    rf_engine_options with = *options;
    *e = (row_engine){.n_vocab = program->n_vocab};
    with.on_row = on_row;
    with.on_step = on_step;
    with.user = e;
    const rf_gpu_options gpu = {0};
    RF_TRY(cpu ? rf_cpu_backend_create(cpu, &backend, err)
               : rf_gpu_backend_open(&gpu, &backend, err));
    rf_status status = rf_engine_create(backend, program, &with, NULL, NULL, &e->engine, err);
    if (status != RF_OK)
        backend->api->destroy(backend);
    return status;
}

void row_engine_close(row_engine *e) {
    rf_engine_destroy(e->engine);
    e->engine = NULL;
}

static rf_status submit(row_engine *e, uint32_t i, rf_error *err) {
    row_feed *feed = &e->feeds[i];
    uint64_t id;
    rf_request request = {.kind = RF_REQUEST_ROWS,
                          .tokens = feed->tokens,
                          .n_tokens = feed->n_tokens,
                          .salt = feed->salt,
                          .rows_from = feed->from,
                          .more_follow = i + 1 < e->n_feeds};
    feed->n_rows = 0;
    RF_TRY(rf_engine_submit(e->engine, &request, &id, err));
    return id == e->last_id - e->n_feeds + 1 + i
               ? RF_OK
               : rf_fail(err, RF_ERR_INTERNAL, "request %llu came out of turn",
                         (unsigned long long)id);
}

static rf_status take_end(row_engine *e, rf_status so_far, rf_error *err) {
    rf_event event;
    if (!rf_engine_next(e->engine, &event, (uint64_t)200 * SECOND_NS))
        return rf_fail(err, RF_ERR_INTERNAL, "no event within 200 s");
    row_feed *feed = &e->feeds[event.id - (e->last_id - e->n_feeds + 1)];
    feed->n_cached = event.n_cached;
    if (so_far != RF_OK)
        return so_far;
    if (event.status != RF_OK)
        return rf_fail(err, event.status, "%s", event.error);
    if (event.finish != RF_FINISH_ROWS || !event.last ||
        feed->n_rows != feed->n_tokens - feed->from)
        return rf_fail(err, RF_ERR_INTERNAL, "ended by %d with %u rows of %u", event.finish,
                       feed->n_rows, feed->n_tokens - feed->from);
    return RF_OK;
}

rf_status row_engine_run(row_engine *e, row_feed *feeds, uint32_t n_feeds, rf_error *err) {
    rf_status status = RF_OK;
    e->feeds = feeds;
    e->n_feeds = n_feeds;
    e->last_id += n_feeds; /* ids count up from 1; set before rows come */
    for (uint32_t i = 0; i < n_feeds; i++)
        RF_TRY(submit(e, i, err));
    for (uint32_t i = 0; i < n_feeds; i++)
        status = take_end(e, status, err);
    return status;
}

bool row_engine_found(const row_engine *e, const row_feed *feed) {
    uint32_t tail = rf_engine_get_limits(e->engine)->block_tokens / 8;
    return feed->n_cached <= feed->from && feed->from - feed->n_cached < tail;
}
