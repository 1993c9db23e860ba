/*
 * Counters and histograms of the server, as Prometheus reads them. Any thread; a value may be read
 * while others change.
 */
#ifndef RF_SERVER_METRICS_H
#define RF_SERVER_METRICS_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/buf.h"

#define COUNTER(id, name, help)
#define HISTOGRAM(id, name, unit, help) RF_HISTOGRAM_##id,
typedef enum rf_histogram_id {
#include "server/metrics.def"
    RF_HISTOGRAM_COUNT
} rf_histogram_id;
#undef COUNTER
#undef HISTOGRAM
#define COUNTER(id, name, help) RF_COUNTER_##id,
#define HISTOGRAM(id, name, unit, help)
typedef enum rf_counter_id {
#include "server/metrics.def"
    RF_COUNTER_COUNT
} rf_counter_id;
#undef COUNTER
#undef HISTOGRAM

enum { RF_BUCKETS_MAX = 24, RF_HTTP_STATUS_COUNT = 600 };

typedef struct rf_histogram {
    atomic_ullong buckets[RF_BUCKETS_MAX + 1]; /* the last: beyond all bounds */
    atomic_ullong sum;                         /* ns, or tokens */
} rf_histogram;

typedef struct rf_metrics {
    atomic_ullong counters[RF_COUNTER_COUNT];
    rf_histogram histograms[RF_HISTOGRAM_COUNT];
    atomic_ullong finishes[5]; /* stop, length, tool_calls, abort, error */
    atomic_ullong statuses[RF_HTTP_STATUS_COUNT];
    atomic_ullong mean_ns; /* of a request, lately */
} rf_metrics;

struct rf_answer;
struct rf_server;

/* value: ns, or tokens. */
void rf_metrics_observe(rf_metrics *metrics, rf_histogram_id id, uint64_t value);
void rf_metrics_count_finish(rf_metrics *metrics, const char *reason);
void rf_metrics_count_status(rf_metrics *metrics, int status);
void rf_metrics_take_answer(rf_metrics *metrics, const struct rf_answer *answer);
/* When it is worth to come back, with so many requests in work. */
uint32_t rf_metrics_retry_after_s(rf_metrics *metrics, uint32_t n_running);
void rf_metrics_write(struct rf_server *server, rf_buf *out);

#endif
