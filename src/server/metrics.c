#include "server/metrics.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/alloc.h"
#include "server/answer.h"
#include "server/server_state.h"

typedef enum unit { SECONDS, TOKENS } unit;

/* vLLM's bounds, thinned; milliseconds or tokens. */
static const double second_bounds[] = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1,
                                       0.15,  0.2,    0.3,   0.5,  0.75,  1,    2.5,   5,
                                       10,    20,     40,    80,   160,   640,  2560};
static const double token_bounds[] = {1,   2,    5,    10,   20,    50,    100,   200,
                                      500, 1000, 2000, 5000, 10000, 20000, 50000, 100000};

typedef struct bounds {
    const double *list;
    size_t n;
    double scale; /* of a value, to a bound's unit */
} bounds;

static bounds bounds_of(unit of) {
    return of == SECONDS
               ? (bounds){second_bounds, sizeof second_bounds / sizeof *second_bounds, 1e-9}
               : (bounds){token_bounds, sizeof token_bounds / sizeof *token_bounds, 1};
}

typedef struct histogram_row {
    const char *name, *help;
    unit of;
} histogram_row;

#define COUNTER(id, name, help)
#define HISTOGRAM(id, name, unit, help) {name, help, unit},
static const histogram_row histogram_rows[] = {
#include "server/metrics.def"
};
#undef COUNTER
#undef HISTOGRAM
#define COUNTER(id, name, help) {name, help},
#define HISTOGRAM(id, name, unit, help)
static const char *const counter_rows[][2] = {
#include "server/metrics.def"
};
#undef COUNTER
#undef HISTOGRAM

static const char *const finish_names[] = {"stop", "length", "tool_calls", "abort", "error"};
enum { N_FINISHES = sizeof finish_names / sizeof *finish_names };

static void add(atomic_ullong *to, unsigned long long n) {
    (void)atomic_fetch_add_explicit(to, n, memory_order_relaxed);
}
static unsigned long long get(atomic_ullong *from) {
    return atomic_load_explicit(from, memory_order_relaxed);
}

void rf_metrics_observe(rf_metrics *metrics, rf_histogram_id id, uint64_t value) {
    bounds b = bounds_of(histogram_rows[id].of);
    size_t i = 0;
    while (i < b.n && (double)value * b.scale > b.list[i])
        i++;
    add(&metrics->histograms[id].buckets[i], 1);
    add(&metrics->histograms[id].sum, value);
}

void rf_metrics_count_finish(rf_metrics *metrics, const char *reason) {
    for (size_t i = 0; i < N_FINISHES; i++)
        if (strcmp(finish_names[i], reason) == 0)
            add(&metrics->finishes[i], 1);
}

void rf_metrics_count_status(rf_metrics *metrics, int status) {
    if (status > 0 && status < RF_HTTP_STATUS_COUNT)
        add(&metrics->statuses[status], 1);
}

void rf_metrics_take_answer(rf_metrics *metrics, const struct rf_answer *answer) {
    uint64_t n_prompt = 0, n_cached = 0, n_new = 0;
    for (size_t i = 0; i < answer->n_prompts; i++) {
        n_prompt += answer->prompts[i].n_tokens;
        n_cached += answer->prompts[i].n_cached;
    }
    for (size_t i = 0; i < answer->n_prompts * answer->n_choices; i++)
        n_new += answer->choices[i].n_tokens;
    add(&metrics->counters[RF_COUNTER_PROMPT_TOKENS], n_prompt);
    add(&metrics->counters[RF_COUNTER_CACHED_TOKENS], n_cached);
    add(&metrics->counters[RF_COUNTER_GENERATION_TOKENS], n_new);
    rf_metrics_observe(metrics, RF_HISTOGRAM_PROMPT_SIZE, n_prompt);
    rf_metrics_observe(metrics, RF_HISTOGRAM_ANSWER_SIZE, n_new);
    if (answer->failure.kind != RF_REFUSE_NOTHING)
        rf_metrics_count_finish(metrics, "error");
    else if (answer->abandoned)
        rf_metrics_count_finish(metrics, "abort");
    if (answer->last_ns > 0) {
        uint64_t ns = answer->last_ns - answer->exchange->begun_ns;
        rf_metrics_observe(metrics, RF_HISTOGRAM_E2E, ns);
        unsigned long long mean = get(&metrics->mean_ns);
        atomic_store(&metrics->mean_ns, mean == 0 ? ns : (mean * 15 + ns) / 16);
    }
}

/* Requests end n_running times in their mean length: a place is free after a share of it, and a
 * client that comes back after an eighth of it finds one with some luck. */
uint32_t rf_metrics_retry_after_s(rf_metrics *metrics, uint32_t n_running) {
    double mean_s = (double)get(&metrics->mean_ns) * 1e-9;
    double wait_s = mean_s / 8 + mean_s / (n_running > 0 ? n_running : 1);
    return wait_s < 1 ? 1 : wait_s > 60 ? 60 : (uint32_t)wait_s;
}

static void write_histogram(rf_metrics *metrics, size_t id, rf_buf *out) {
    const histogram_row *row = &histogram_rows[id];
    rf_histogram *h = &metrics->histograms[id];
    bounds b = bounds_of(row->of);
    unsigned long long n = 0;
    rf_buf_printf(out, "# HELP rocmforge:%s %s\n# TYPE rocmforge:%s histogram\n", row->name,
                  row->help, row->name);
    for (size_t i = 0; i < b.n; i++) {
        n += get(&h->buckets[i]);
        rf_buf_printf(out, "rocmforge:%s_bucket{le=\"%g\"} %llu\n", row->name, b.list[i], n);
    }
    n += get(&h->buckets[b.n]);
    rf_buf_printf(out,
                  "rocmforge:%s_bucket{le=\"+Inf\"} %llu\nrocmforge:%s_sum %.9g\n"
                  "rocmforge:%s_count %llu\n",
                  row->name, n, row->name, (double)get(&h->sum) * b.scale, row->name, n);
}

static void write_value(rf_buf *out, const char *type, const char *name, const char *help,
                        double value) {
    rf_buf_printf(out, "# HELP rocmforge:%s %s\n# TYPE rocmforge:%s %s\nrocmforge:%s %.15g\n", name,
                  help, name, type, name, value);
}

static void write_engine(struct rf_server *server, rf_buf *out) {
    rf_engine_counters c = rf_engine_get_counters(server->options.engine);
    double total = rf_engine_get_limits(server->options.engine)->n_blocks[0];
    double used = c.sched.n_steps > 0 ? total - c.n_blocks_available : 0;
    write_value(out, "gauge", "kv_blocks", "blocks of the cache", total);
    write_value(out, "gauge", "kv_blocks_used", "blocks that running requests hold", used);
    write_value(out, "gauge", "kv_cache_usage_perc", "share of the blocks, 0 to 1",
                total > 0 ? used / total : 0);
    write_value(out, "gauge", "num_requests_in_engine", "prompts that wait or run",
                (double)atomic_load(&server->n_in_engine));
    write_value(out, "gauge", "num_requests_running", "sequences that ran in the last step",
                (double)c.sched.n_running);
    write_value(out, "gauge", "num_requests_waiting", "requests that waited then",
                (double)c.sched.n_waiting);
    write_value(out, "gauge", "num_requests_paused", "sequences that gave their blocks back",
                (double)c.sched.n_paused);
    write_value(out, "counter", "num_preemptions_total", "sequences that paused",
                (double)c.sched.n_preempted);
    write_value(out, "counter", "engine_steps_total", "steps of the engine",
                (double)c.sched.n_steps);
    write_value(out, "counter", "engine_step_seconds_total", "time in steps",
                (double)c.step_ns * 1e-9);
    write_value(out, "counter", "kv_blocks_evicted_total", "cached blocks taken for new tokens",
                (double)c.sched.kv.n_evicted);
}

/* The second number of /proc/self/statm; 0: it cannot be read. */
static unsigned long long resident_bytes(void) {
    char text[128] = {0};
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, text, sizeof text - 1) : 0;
    if (fd >= 0)
        (void)close(fd);
    char *second = n > 0 ? strchr(text, ' ') : NULL;
    return second ? strtoull(second, NULL, 10) * (unsigned long long)sysconf(_SC_PAGESIZE) : 0;
}

void rf_metrics_write(struct rf_server *server, rf_buf *out) {
    rf_metrics *metrics = &server->metrics;
    for (size_t i = 0; i < RF_COUNTER_COUNT; i++)
        write_value(out, "counter", counter_rows[i][0], counter_rows[i][1],
                    (double)get(&metrics->counters[i]));
    write_engine(server, out);
    write_value(out, "gauge", "heap_bytes",
                "memory of the process that is in use, without libraries",
                (double)rf_alloc_live_bytes());
    write_value(out, "gauge", "process_resident_memory_bytes", "memory of the process",
                (double)resident_bytes());
    write_value(out, "counter", "process_cpu_seconds_total", "processor time of the process",
                (double)clock() / CLOCKS_PER_SEC);
    write_value(out, "gauge", "process_start_time_seconds", "since 1970",
                (double)server->started_s);
    write_value(out, "gauge", "http_connections", "connections that are open",
                (double)atomic_load(&server->n_connections));
    write_value(out, "gauge", "http_requests_running", "requests that were let in and not answered",
                (double)atomic_load(&server->n_running));
    for (size_t i = 0; i < RF_HISTOGRAM_COUNT; i++)
        write_histogram(metrics, i, out);
    rf_buf_text(out, "# HELP rocmforge:request_success_total choices by how they ended\n"
                     "# TYPE rocmforge:request_success_total counter\n");
    for (size_t i = 0; i < N_FINISHES; i++)
        rf_buf_printf(out, "rocmforge:request_success_total{finished_reason=\"%s\"} %llu\n",
                      finish_names[i], get(&metrics->finishes[i]));
    rf_buf_text(out, "# HELP rocmforge:http_responses_total answers by status\n"
                     "# TYPE rocmforge:http_responses_total counter\n");
    for (size_t i = 0; i < RF_HTTP_STATUS_COUNT; i++)
        if (get(&metrics->statuses[i]) > 0)
            rf_buf_printf(out, "rocmforge:http_responses_total{status=\"%zu\"} %llu\n", i,
                          get(&metrics->statuses[i]));
}
