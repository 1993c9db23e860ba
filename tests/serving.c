/*
 * serving MODEL.gguf [THREADS]: what many requests cost each other on a real model. Prints the
 * decode rate of 1 and of 16 sequences, the gaps of a running stream while a prompt of 4,000 tokens
 * arrives (its quiet gaps beside them), the rate of that prompt alone and in company, and the rows
 * that a conversation and a shared prefix cost. Exit status 1 where a bound of docs/performance.md
 * is missed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cpu/backend_cpu.h"
#include "engine/engine.h"
#include "model/model.h"

enum { N_CTX = 8192, STREAM = 2000, QUIET = 200, LONG_PROMPT = 4000, MAX_GAPS = 4096 };
enum { DECODE_SEQS = 16, DECODE_TOKENS = 96, PREFIX = 1000, SHARERS = 64, TURNS = 20 };

static const uint64_t NEVER = 600000000000u;

typedef struct serving {
    rf_model *model;
    rf_gguf *gguf;
    rf_engine *engine;
    int32_t text[N_CTX];
    uint32_t n_threads, n_vocab;
} serving;

static void die(const char *text) {
    (void)fprintf(stderr, "serving: %s\n", text);
    exit(2);
}

static void open_engine(serving *s, uint32_t max_seqs) {
    rf_cpu_options cpu = {.n_threads = s->n_threads, .features = UINT32_MAX};
    rf_engine_options options = {.n_ctx = N_CTX, .kv_tokens = 2 * N_CTX, .max_seqs = max_seqs};
    rf_backend *backend = NULL;
    rf_error err = {0};
    if (rf_cpu_backend_create(&cpu, &backend, &err) != RF_OK ||
        rf_engine_create(backend, rf_model_program(s->model), &options, NULL, NULL, &s->engine,
                         &err) != RF_OK)
        die(err.text);
}

static void close_engine(serving *s) {
    rf_engine_destroy(s->engine);
    s->engine = NULL;
}

static uint64_t submit(serving *s, const int32_t *tokens, uint32_t n, uint32_t n_new) {
    rf_sample_params params = rf_sample_params_default();
    params.temp = 0;
    rf_request request = {.tokens = tokens, .n_tokens = n, .n_new = n_new, .params = &params};
    rf_error err = {0};
    uint64_t id;
    if (rf_engine_submit(s->engine, &request, &id, &err) != RF_OK)
        die(err.text);
    return id;
}

static rf_event next(serving *s) {
    rf_event event;
    if (!rf_engine_next(s->engine, &event, NEVER))
        die("no event");
    if (event.kind == RF_EVENT_FINISH && event.finish == RF_FINISH_FAILED)
        die(event.error);
    return event;
}

/* Runs until n requests have ended. */
static void drain(serving *s, uint32_t n) {
    while (n > 0)
        n -= next(s).last;
}

/* ---- decode -------------------------------------------------------------------------------- */

/* Tokens a second of n sequences, without their first. */
static double decode_rate(serving *s, uint32_t n) {
    open_engine(s, DECODE_SEQS);
    for (uint32_t i = 0; i < n; i++)
        (void)submit(s, s->text + 50 * i, 20, DECODE_TOKENS);
    uint32_t n_tokens = 0;
    uint64_t start = 0, end = 0;
    for (uint32_t n_ended = 0; n_ended < n;) {
        rf_event event = next(s);
        n_ended += event.last;
        if (event.kind != RF_EVENT_TOKEN)
            continue;
        end = rf_clock_ns();
        if (++n_tokens == n)
            start = end;
    }
    close_engine(s);
    return (n_tokens - n) * 1e9 / (double)(end - start);
}

static bool measure_decode(serving *s) {
    double one = 0, many = 0, rate;
    for (int i = 0; i < 3; i++) { /* in turn, the best of three */
        one = (rate = decode_rate(s, 1)) > one ? rate : one;
        many = (rate = decode_rate(s, DECODE_SEQS)) > many ? rate : many;
    }
    (void)printf("decode: 1 sequence %.1f tokens/s, %d sequences %.1f: %.2f x\n", one, DECODE_SEQS,
                 many, many / one);
    return many >= 4 * one;
}

/* ---- gaps ---------------------------------------------------------------------------------- */

typedef struct gaps {
    double ms[MAX_GAPS];
    uint32_t n;
} gaps;

static int compare(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double at_share(const gaps *g, double share) {
    uint32_t i = (uint32_t)(share * g->n);
    return g->n == 0 ? 0 : g->ms[i < g->n ? i : g->n - 1];
}

static void print_gaps(const char *what, gaps *g) {
    qsort(g->ms, g->n, sizeof g->ms[0], compare);
    (void)printf("  %-16s n %4u  p50 %7.2f  p90 %7.2f  p99 %7.2f  max %7.2f ms\n", what, g->n,
                 at_share(g, 0.5), at_share(g, 0.9), at_share(g, 0.99), at_share(g, 1));
}

static double long_prompt_alone(serving *s) {
    open_engine(s, DECODE_SEQS);
    uint64_t start = rf_clock_ns();
    (void)submit(s, s->text + 100, LONG_PROMPT, 1);
    drain(s, 1);
    uint64_t ns = rf_clock_ns() - start;
    close_engine(s);
    return LONG_PROMPT * 1e9 / (double)ns;
}

/* n_streams run; the gaps of the first are counted. */
static bool measure_gaps(serving *s, uint32_t n_streams) {
    static gaps quiet, loud;
    quiet.n = loud.n = 0;
    double alone = long_prompt_alone(s);
    open_engine(s, DECODE_SEQS);
    uint64_t first = submit(s, s->text, 30, STREAM), prompt = 0, last = 0, start = 0;
    for (uint32_t i = 1; i < n_streams; i++)
        (void)submit(s, s->text + 30 * i, 30, STREAM);
    for (uint32_t n_before = 0;;) {
        rf_event event = next(s);
        uint64_t now = rf_clock_ns();
        if (event.id == prompt && event.last)
            break;
        if (event.id != first || event.kind != RF_EVENT_TOKEN)
            continue;
        gaps *g = prompt ? &loud : &quiet;
        if (++n_before > 20 && g->n < MAX_GAPS)
            g->ms[g->n++] = (double)(now - last) / 1e6;
        last = now;
        if (n_before == QUIET) {
            start = now;
            prompt = submit(s, s->text + 100, LONG_PROMPT, 1);
        }
    }
    double rate = LONG_PROMPT * 1e9 / (double)(rf_clock_ns() - start);
    close_engine(s);
    (void)printf("gaps of one of %u streams while a prompt of %d tokens arrives:\n", n_streams,
                 LONG_PROMPT);
    print_gaps("quiet", &quiet);
    print_gaps("with the prompt", &loud);
    (void)printf("  p99 is %.2f x the quiet p99 (%.2f x its p50); the prompt at %.0f tokens/s, "
                 "alone %.0f\n",
                 at_share(&loud, 0.99) / at_share(&quiet, 0.99),
                 at_share(&loud, 0.99) / at_share(&quiet, 0.5), rate, alone);
    return at_share(&loud, 0.99) <= 3 * at_share(&quiet, 0.99);
}

/* ---- rows ---------------------------------------------------------------------------------- */

static uint64_t n_rows(serving *s) {
    rf_engine_counters counters = rf_engine_get_counters(s->engine);
    return counters.sched.n_prefill_rows;
}

static bool measure_prefix(serving *s) {
    int32_t prompt[PREFIX + 1];
    open_engine(s, DECODE_SEQS);
    memcpy(prompt, s->text, PREFIX * sizeof *prompt);
    uint64_t start = rf_clock_ns();
    for (int32_t i = 0; i < SHARERS; i++) {
        prompt[PREFIX] = 200 + i;
        (void)submit(s, prompt, PREFIX + 1, 2);
    }
    drain(s, SHARERS);
    double seconds = (double)(rf_clock_ns() - start) / 1e9;
    uint64_t n = n_rows(s);
    close_engine(s);
    (void)printf("%d requests of one prefix of %d tokens: %llu rows of prompts, %.2f s\n", SHARERS,
                 PREFIX, (unsigned long long)n, seconds);
    return n == PREFIX + SHARERS;
}

/* The model's own answers go back as part of the next prompt. */
static bool measure_conversation(serving *s) {
    static int32_t said[N_CTX];
    uint32_t n = 0;
    uint64_t n_again = 0, n_new = 0;
    open_engine(s, DECODE_SEQS);
    for (uint32_t turn = 0; turn < TURNS; turn++) {
        n_again += n;
        for (uint32_t i = 0; i < 15 + turn; i++, n_new++)
            said[n++] = s->text[(turn * 97 + i) % N_CTX];
        uint64_t id = submit(s, said, n, 24);
        for (rf_event event = next(s); !event.last; event = next(s))
            if (event.id == id && event.kind == RF_EVENT_TOKEN)
                said[n++] = event.token;
    }
    uint64_t n_computed = n_rows(s);
    close_engine(s);
    double share = 100.0 * (double)(n_computed - n_new) / (double)n_again;
    (void)printf("conversation of %d turns: %llu tokens sent again, %.2f %% of them computed\n",
                 TURNS, (unsigned long long)n_again, share);
    return share < 2;
}

int main(int argc, char **argv) {
    static serving s;
    rf_error err = {0};
    if (argc < 2)
        die("which model?");
    s.n_threads = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 2;
    const char *only = argc > 3 ? argv[3] : "dgGpc";
    if (rf_gguf_open(argv[1], NULL, &s.gguf, &err) != RF_OK ||
        rf_model_create(s.gguf, &(rf_model_options){.n_ctx = N_CTX}, &s.model, &err) != RF_OK)
        die(err.text);
    s.n_vocab = rf_model_program(s.model)->n_vocab;
    for (uint32_t i = 0; i < N_CTX; i++)
        s.text[i] = (int32_t)(100 + (uint64_t)i * i * 7919 % (s.n_vocab - 100));
    bool met = true;
    for (; *only; only++) {
        met &= *only != 'd' || measure_decode(&s);
        met &= *only != 'g' || measure_gaps(&s, 1);
        met &= *only != 'G' || measure_gaps(&s, 4);
        met &= *only != 'p' || measure_prefix(&s);
        met &= *only != 'c' || measure_conversation(&s);
        (void)fflush(stdout);
    }
    rf_model_destroy(s.model);
    rf_gguf_close(s.gguf);
    return met ? 0 : 1;
}
