#include "tests/lib/sequence_host.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cpu/backend_cpu.h"
#include "engine/sequence_format.h"
#include "tests/lib/temp_path.h"

static void need(bool ok, const host *h, const char *what) {
    if (ok)
        return;
    fprintf(stderr, "sequence_host: %s: %s\n", what, h->err.text);
    abort();
}

static void on_row(void *user, uint64_t id, uint32_t position, const float *logits,
                   const float *hidden) {
    host *h = user;
    (void)id, (void)hidden;
    memcpy(h->rows[position], logits, sizeof h->rows[0]);
    h->n_rows++;
}

void host_open(host *h, const tiny_program *tiny, rf_engine_options options) {
    rf_cpu_options cpu = {.n_threads = 1, .features = UINT32_MAX};
    rf_backend *inner = NULL;
    need(rf_cpu_backend_create(&cpu, &inner, &h->err) == RF_OK, h, "backend");
    faulty_backend_init(&h->backend, inner, TINY_VOCAB);
    options.n_ctx = options.n_ctx ? options.n_ctx : HOST_CONTEXT;
    options.max_seqs = 4;
    options.on_row = on_row;
    options.user = h;
    need(rf_engine_create(&h->backend.base, &tiny->program, &options, NULL, NULL, &h->engine,
                          &h->err) == RF_OK,
         h, "engine");
}

void host_close(host *h) { rf_engine_destroy(h->engine); }

rf_sequence_port host_port(const host *h) {
    return (rf_sequence_port){.engine = h->engine, .model_hash = HOST_HASH, .salt = HOST_SALT};
}

uint64_t host_submit(host *h, const int32_t *tokens, uint32_t n, uint32_t n_new) {
    uint64_t id = 0;
    rf_sample_params params = rf_sample_params_default();
    params.temp = 0;
    rf_request request = {.kind = RF_REQUEST_GENERATE,
                          .tokens = tokens,
                          .n_tokens = n,
                          .n_new = n_new,
                          .salt = HOST_SALT,
                          .params = &params};
    need(rf_engine_submit(h->engine, &request, &id, &h->err) == RF_OK, h, "submit");
    return id;
}

uint32_t host_go_on(host *h, int32_t *tokens, uint32_t n, uint32_t n_new) {
    rf_event event;
    h->n_rows = 0;
    (void)host_submit(h, tokens, n, n_new);
    while (rf_engine_next(h->engine, &event, UINT64_MAX) && event.kind == RF_EVENT_TOKEN)
        tokens[n++] = event.token;
    need(event.finish == RF_FINISH_LENGTH, h, event.error);
    return event.n_cached;
}

static rf_status keep_cached(void *user, const rf_event *event, rf_error *e) {
    (void)e;
    *(uint32_t *)user = event->n_cached;
    return RF_OK;
}

uint32_t host_cached(host *h, const int32_t *tokens, uint32_t n) {
    uint32_t found = 0;
    rf_sequence_port port = host_port(h);
    rf_request request = {
        .kind = RF_REQUEST_EXPORT, .tokens = tokens, .n_tokens = n, .salt = HOST_SALT};
    need(rf_sequence_run(&port, &request, keep_cached, &found, &h->err) == RF_OK, h, "export");
    return found;
}

void host_make_tokens(int32_t *tokens, uint32_t n) {
    for (uint32_t i = 0; i < n; i++)
        tokens[i] = (int32_t)((i * 37 + i * i * 11 + 5) % TINY_VOCAB);
}

rf_sequence_size host_save(host *h, const int32_t *tokens, uint32_t n) {
    rf_sequence_size size;
    rf_sequence_port port = host_port(h);
    need(rf_sequence_save(&port, temp_path, tokens, n, &size, &h->err) == RF_OK, h, "save");
    struct stat info;
    need(stat(temp_path, &info) == 0 && (uint64_t)info.st_size == size.n_bytes, h, "size");
    return size;
}

rf_status host_load(host *h, int32_t **tokens, rf_sequence_size *size) {
    rf_sequence_port port = host_port(h);
    h->err = (rf_error){0};
    return rf_sequence_load(&port, temp_path, tokens, size, &h->err);
}

bool host_refuses(host *h, const int32_t *tokens, uint32_t n, const char *text) {
    rf_sequence_size size;
    rf_status status = host_load(h, NULL, &size);
    bool says = status != RF_OK && status == h->err.code && strstr(h->err.text, text);
    if (!says)
        fprintf(stderr, "\"%s\" does not say \"%s\"\n", h->err.text, text);
    return says && host_cached(h, tokens, n) == 0;
}
