#include "tests/lib/engine_bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "cpu/backend_cpu.h"

static void die(const char *text) {
    fprintf(stderr, "engine_bench: %s\n", text);
    abort();
}

static void on_row(void *user, uint64_t id, uint32_t position, const float *logits,
                   const float *hidden) {
    bench *b = user;
    (void)hidden;
    if (id - b->first_id >= N_REQUESTS || position >= MAX_TOKENS || !logits)
        return;
    record *r = &b->records[id - b->first_id];
    size_t n = b->program->n_vocab;
    float *row = r->rows + position * n;
    if (r->has_row[position] && memcmp(row, logits, n * sizeof *row) != 0)
        b->n_differ++;
    if (b->compares && !r->has_row[position])
        b->n_differ++;
    memcpy(row, logits, n * sizeof *row);
    r->has_row[position] = true;
}

void bench_open(bench *b, const rf_engine_options *options, uint32_t n_threads) {
    rf_cpu_options cpu = {.n_threads = n_threads, .features = UINT32_MAX};
    rf_backend *inner = NULL;
    rf_error err = {0};
    if (rf_cpu_backend_create(&cpu, &inner, &err) != RF_OK)
        die(err.text);
    faulty_backend_init(&b->backend, inner, b->program->n_vocab);
    rf_engine_options with = *options;
    with.type_k = with.type_v = b->kv_type;
    with.on_row = options->on_row ? options->on_row : on_row;
    with.user = b;
    if (rf_engine_create(&b->backend.base, b->program, &with, NULL, NULL, &b->engine, &err) !=
        RF_OK)
        die(err.text);
}

void bench_close(bench *b) {
    rf_engine_destroy(b->engine);
    b->engine = NULL;
}

uint64_t bench_submit(bench *b, const rf_request *request) {
    uint64_t id = 0;
    rf_error err = {0};
    if (rf_engine_submit(b->engine, request, &id, &err) != RF_OK)
        die(err.text);
    return id;
}

uint64_t bench_submit_record(bench *b, record *r, uint32_t seed) {
    rf_sample_params params = rf_sample_params_default();
    params.temp = seed % 3 ? 0.9f : 0.0f;
    params.seed = (int64_t)seed;
    r->n_got = 0;
    rf_request request = {.tokens = r->prompt,
                          .n_tokens = r->n_prompt,
                          .n_new = r->n_new,
                          .draft = b->draft,
                          .params = &params,
                          .priority = (int32_t)(seed % 5 == 0)};
    return bench_submit(b, &request);
}

rf_event bench_next(bench *b) {
    rf_event event;
    if (!rf_engine_next(b->engine, &event, 200000000000u))
        die("no event within 200 s");
    return event;
}

void bench_take(bench *b, uint32_t n) {
    while (n > 0) {
        rf_event event = bench_next(b);
        record *r = &b->records[event.id - b->first_id];
        if (event.kind == RF_EVENT_TOKEN) {
            if (b->compares && r->got[r->n_got] != event.token)
                b->n_differ++;
            r->got[r->n_got++] = event.token;
        } else {
            r->finish = event.finish;
            b->n_drafted += event.n_drafted;
            b->n_accepted += event.n_accepted;
            n -= event.last;
        }
    }
}

void bench_make_records(bench *b, uint64_t seed, bool alloc) {
    rf_rng rng = rf_rng_make(seed, 0);
    for (uint32_t i = 0; i < N_REQUESTS; i++) {
        record *r = &b->records[i];
        uint32_t family = rf_rng_below(&rng, 3), n_same = rf_rng_below(&rng, 100);
        r->n_prompt = 1 + rf_rng_below(&rng, 110);
        r->n_new = 1 + rf_rng_below(&rng, 40);
        for (uint32_t t = 0; t < r->n_prompt; t++) {
            uint32_t x = t < n_same ? family * 977 + t * t * 31 : 5000 + i * 811 + t * 17;
            r->prompt[t] = (int32_t)(x % b->program->n_vocab);
        }
        if (alloc)
            r->rows = calloc((size_t)MAX_TOKENS * b->program->n_vocab, sizeof(float));
        memset(r->has_row, 0, sizeof r->has_row);
    }
}

void bench_free_records(bench *b) {
    for (uint32_t i = 0; i < N_REQUESTS; i++)
        free(b->records[i].rows);
}

bool bench_begin(bench *b, tiny_program *tiny, uint64_t seed) {
    memset(b, 0, sizeof *b);
    b->program = &tiny->program;
    return tiny_program_open(tiny, seed, RF_QTYPE_F32);
}

void bench_end(bench *b, tiny_program *tiny) {
    bench_free_records(b);
    tiny_program_close(tiny);
}

void bench_run_alone(bench *b) {
    b->compares = false;
    rf_engine_options options = {.n_ctx = MAX_TOKENS, .max_seqs = 1};
    for (uint32_t i = 0; i < N_REQUESTS; i++) {
        bench_open(b, &options, 1);
        b->first_id = (uint64_t)1 - i; /* ids begin at 1: this one is of record i */
        (void)bench_submit_record(b, &b->records[i], i);
        rf_event event;
        do {
            event = bench_next(b);
            if (event.kind == RF_EVENT_TOKEN)
                b->records[i].got[b->records[i].n_got++] = event.token;
        } while (event.kind == RF_EVENT_TOKEN || !event.last);
        bench_close(b);
    }
    b->compares = true;
}

const rf_engine_options bench_mixes[N_MIXES] = {
    {.n_ctx = MAX_TOKENS, .kv_tokens = 4096, .max_seqs = 16, .max_waiting = 64},
    {.n_ctx = MAX_TOKENS, .kv_tokens = 384, .max_seqs = 8, .batch_tokens = 16, .max_waiting = 64},
    {.n_ctx = MAX_TOKENS, .kv_tokens = 200, .max_seqs = 24, .batch_tokens = 61, .max_waiting = 64},
    {.n_ctx = MAX_TOKENS, .kv_tokens = 640, .max_seqs = 5, .batch_tokens = 5, .max_waiting = 64}};
