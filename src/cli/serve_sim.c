#include "cli/serve_sim.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/clock.h"
#include "base/rng.h"
#include "cli/interrupt.h"
#include "cli/output.h"

enum { POLL_NS = 50000000, QUIET_TOKENS = 1024, MAX_OUTPUT_STREAM = 4096 };

typedef struct arrival {
    uint32_t n_prompt, n_new;
    uint64_t at_ns;                      /* after the beginning */
    uint64_t sent_ns, first_ns, last_ns; /* of the clock */
    uint32_t n_got;
} arrival;

struct rf_sim {
    rf_engine *engine; /* borrowed */
    rf_sim_load load;
    uint32_t n_vocab;
    arrival *arrivals; /* owned: [n] */
    uint32_t n;
    int32_t *tokens; /* owned: [context], of the prompt that is sent */
    double *gaps;    /* owned: [n_gaps_room], ms */
    double *times;   /* owned: [n], ms */
    size_t n_gaps, n_gaps_room;
    uint64_t first_id, n_runs;
    uint32_t n_sent, n_running;
};

/* ---- the load ------------------------------------------------------------------------------ */

static uint32_t most_of(uint32_t mean, double spread) {
    return (uint32_t)ceil(mean * (1 + spread));
}

uint32_t rf_sim_context(const rf_sim_load *load) {
    if (load->n_intrude > 0)
        return load->n_intrude + MAX_OUTPUT_STREAM;
    return load->n_prefix + most_of(load->n_input, load->spread) +
           most_of(load->n_output, load->spread);
}

static uint32_t draw_length(rf_rng *rng, uint32_t mean, double spread) {
    double n = mean * (1 + spread * (2 * rf_rng_double(rng) - 1));
    return n < 1 ? 1 : (uint32_t)(n + 0.5);
}

static void draw_arrivals(rf_sim *sim, double rate) {
    rf_rng lengths = rf_rng_make(sim->load.seed, 0), times = rf_rng_make(sim->load.seed, 1);
    double at = 0;
    for (uint32_t i = 0; i < sim->n; i++) {
        arrival *a = &sim->arrivals[i];
        *a = (arrival){.at_ns = (uint64_t)(at * 1e9)};
        a->n_prompt =
            sim->load.n_prefix + draw_length(&lengths, sim->load.n_input, sim->load.spread);
        a->n_new = draw_length(&lengths, sim->load.n_output, sim->load.spread);
        if (isfinite(rate)) /* a Poisson process: gaps are exponential */
            at -= log(1 - rf_rng_double(&times)) / rate;
    }
    if (sim->load.n_intrude > 0) {
        sim->arrivals[0] = (arrival){.n_prompt = 8, .n_new = MAX_OUTPUT_STREAM - 8};
        sim->arrivals[1] = (arrival){.n_prompt = sim->load.n_intrude, .n_new = 1};
    }
}

static void fill_prompt(rf_sim *sim, uint32_t i) {
    rf_rng shared = rf_rng_make(sim->load.seed, 2), own = rf_rng_make(sim->load.seed, 3 + i);
    for (uint32_t t = 0; t < sim->arrivals[i].n_prompt; t++)
        sim->tokens[t] =
            (int32_t)rf_rng_below(t < sim->load.n_prefix ? &shared : &own, sim->n_vocab);
}

rf_status rf_sim_create(rf_engine *engine, const rf_sim_load *load, uint32_t n_vocab, rf_sim **out,
                        rf_error *err) {
    rf_sim *sim = rf_calloc(1, sizeof *sim);
    *out = sim;
    if (!sim)
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the requests");
    *sim = (rf_sim){.engine = engine, .load = *load, .n_vocab = n_vocab};
    sim->n = load->n_intrude > 0 ? 2 : load->n_requests;
    sim->n_gaps_room = load->n_intrude > 0 ? MAX_OUTPUT_STREAM
                                           : (size_t)sim->n * most_of(load->n_output, load->spread);
    sim->arrivals = rf_calloc(sim->n, sizeof *sim->arrivals);
    sim->times = rf_calloc(sim->n, sizeof *sim->times);
    sim->tokens = rf_calloc(rf_sim_context(load), sizeof *sim->tokens);
    sim->gaps = rf_calloc(sim->n_gaps_room, sizeof *sim->gaps);
    if (sim->arrivals && sim->times && sim->tokens && sim->gaps)
        return RF_OK;
    rf_sim_destroy(sim);
    *out = NULL;
    return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for %u requests", sim->n);
}

void rf_sim_destroy(rf_sim *sim) {
    if (!sim)
        return;
    rf_free(sim->arrivals);
    rf_free(sim->times);
    rf_free(sim->tokens);
    rf_free(sim->gaps);
    rf_free(sim);
}

/* ---- running ------------------------------------------------------------------------------- */

static rf_status submit(rf_sim *sim, rf_error *err) {
    rf_sample_params greedy = rf_sample_params_default();
    arrival *a = &sim->arrivals[sim->n_sent];
    uint64_t id;
    greedy.temp = 0;
    fill_prompt(sim, sim->n_sent);
    rf_request request = {.tokens = sim->tokens,
                          .n_tokens = a->n_prompt,
                          .n_new = a->n_new,
                          .salt = sim->n_runs,
                          .params = &greedy};
    a->sent_ns = rf_clock_ns();
    RF_TRY(rf_engine_submit(sim->engine, &request, &id, err));
    sim->first_id = sim->n_sent == 0 ? id : sim->first_id;
    sim->n_sent++;
    sim->n_running++;
    return RF_OK;
}

static rf_status take(rf_sim *sim, const rf_event *event, rf_error *err) {
    arrival *a = &sim->arrivals[event->id - sim->first_id];
    uint64_t now = rf_clock_ns();
    if (event->kind == RF_EVENT_FINISH) {
        sim->n_running -= event->last;
        return event->status == RF_OK ? RF_OK : rf_fail(err, event->status, "%s", event->error);
    }
    if (a->n_got++ == 0)
        a->first_ns = now;
    else if (sim->n_gaps < sim->n_gaps_room)
        sim->gaps[sim->n_gaps++] = (double)(now - a->last_ns) / 1e6;
    a->last_ns = now;
    return RF_OK;
}

/* Nanoseconds until the next request may be sent; 0: now, UINT64_MAX: not before another ends. */
static uint64_t next_arrival(const rf_sim *sim, uint64_t begun_ns) {
    bool room = sim->load.n_together == 0 || sim->n_running < sim->load.n_together;
    if (sim->n_sent == sim->n || !room)
        return UINT64_MAX;
    if (sim->load.n_intrude > 0 && sim->n_sent == 1)
        return sim->arrivals[0].n_got >= QUIET_TOKENS ? 0 : UINT64_MAX;
    uint64_t at = begun_ns + sim->arrivals[sim->n_sent].at_ns, now = rf_clock_ns();
    return at > now ? at - now : 0;
}

/* After an error: nobody is to get these events later. */
static void give_up(rf_sim *sim) {
    rf_error ignored = {0};
    rf_event event;
    for (uint32_t i = 0; i < sim->n_sent; i++)
        (void)(rf_engine_cancel(sim->engine, sim->first_id + i, &ignored) == RF_OK);
    while (sim->n_running > 0)
        if (rf_engine_next(sim->engine, &event, UINT64_MAX) && event.kind == RF_EVENT_FINISH)
            sim->n_running -= event.last;
}

/* The stream beside which the prompt was computed goes on for as long as it must. */
static bool stream_may_stop(const rf_sim *sim) {
    return sim->load.n_intrude > 0 && sim->n_sent == 2 && sim->arrivals[1].n_got > 0;
}

static rf_status run_all(rf_sim *sim, uint64_t begun_ns, bool quiet, size_t *n_quiet,
                         rf_error *err) {
    bool stopped = false;
    while (sim->n_sent < sim->n || sim->n_running > 0) {
        uint64_t wait = next_arrival(sim, begun_ns);
        rf_event event;
        RF_TRY(rf_interrupt_check(err));
        if (wait == 0) {
            *n_quiet = sim->n_gaps;
            RF_TRY(submit(sim, err));
            if (!quiet)
                rf_progress_line("request %u of %u, %u running", sim->n_sent, sim->n,
                                 sim->n_running);
            continue;
        }
        if (rf_engine_next(sim->engine, &event, wait < POLL_NS ? wait : POLL_NS))
            RF_TRY(take(sim, &event, err));
        if (!stopped && stream_may_stop(sim)) {
            stopped = rf_engine_cancel(sim->engine, sim->first_id, err) == RF_OK;
        }
    }
    return RF_OK;
}

/* ---- results ------------------------------------------------------------------------------- */

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Sorts the numbers. */
static rf_sim_spread spread_of(double *x, size_t n) {
    rf_sim_spread s = {0};
    if (n == 0)
        return s;
    qsort(x, n, sizeof *x, by_size);
    for (size_t i = 0; i < n; i++)
        s.mean += x[i] / (double)n;
    s.p50 = x[(n - 1) * 50 / 100];
    s.p90 = x[(n - 1) * 90 / 100];
    s.p99 = x[(n - 1) * 99 / 100];
    s.most = x[n - 1];
    return s;
}

static void sum_up(rf_sim *sim, size_t n_quiet, rf_sim_result *out) {
    for (uint32_t i = 0; i < sim->n; i++) {
        const arrival *a = &sim->arrivals[i];
        sim->times[i] = (double)(a->first_ns - a->sent_ns) / 1e6;
        out->n_input += a->n_prompt;
        out->n_output += a->n_got;
    }
    if (sim->load.n_intrude > 0) { /* the prompt's own */
        out->first_token = spread_of(sim->times + 1, 1);
        out->quiet = spread_of(sim->gaps, n_quiet);
        out->gap = spread_of(sim->gaps + n_quiet, sim->n_gaps - n_quiet);
        return;
    }
    out->first_token = spread_of(sim->times, sim->n);
    out->gap = spread_of(sim->gaps, sim->n_gaps);
    for (uint32_t i = 0; i < sim->n; i++)
        sim->times[i] = (double)(sim->arrivals[i].last_ns - sim->arrivals[i].sent_ns) / 1e6;
    out->whole = spread_of(sim->times, sim->n);
}

rf_status rf_sim_run(rf_sim *sim, double rate, bool quiet, rf_sim_result *out, rf_error *err) {
    rf_engine_counters before = rf_engine_get_counters(sim->engine);
    size_t n_quiet = 0;
    *out = (rf_sim_result){.rate = rate, .n_requests = sim->n};
    sim->n_runs++;
    sim->n_gaps = 0;
    sim->n_sent = sim->n_running = 0;
    draw_arrivals(sim, rate);
    uint64_t begun_ns = rf_clock_ns();
    rf_status status = run_all(sim, begun_ns, quiet, &n_quiet, err);
    if (!quiet)
        rf_progress_end();
    if (status != RF_OK) {
        give_up(sim);
        return status;
    }
    rf_engine_counters after = rf_engine_get_counters(sim->engine);
    out->seconds = (double)(rf_clock_ns() - begun_ns) / 1e9;
    out->n_computed = after.sched.n_prefill_rows - before.sched.n_prefill_rows;
    out->n_cached = after.sched.n_cached_tokens - before.sched.n_cached_tokens;
    out->n_preempted = after.sched.n_preempted - before.sched.n_preempted;
    sum_up(sim, n_quiet, out);
    return RF_OK;
}
