#include "tests/lib/faulty_backend.h"

#include <math.h>

static faulty_backend *of(rf_backend *backend) { return (faulty_backend *)(void *)backend; }

static rf_status plan(const rf_backend *backend, const rf_program *program, const rf_limits *limits,
                      rf_memory_plan *out, rf_error *err) {
    rf_backend *inner = ((const faulty_backend *)(const void *)backend)->inner;
    return inner->api->plan(inner, program, limits, out, err);
}

static rf_status bind(rf_backend *backend, const rf_program *program, const rf_limits *limits,
                      rf_progress_fn progress, void *user, rf_error *err) {
    rf_backend *inner = of(backend)->inner;
    return inner->api->bind(inner, program, limits, progress, user, err);
}

static rf_status count(faulty_backend *f, rf_error *err) {
    if (++f->n_calls == f->fail_at)
        return rf_fail(err, RF_ERR_INTERNAL, "the device has failed");
    return RF_OK;
}

static rf_status run(rf_backend *backend, const rf_batch *batch, const rf_outputs *outputs,
                     rf_error *err) {
    faulty_backend *f = of(backend);
    RF_TRY(count(f, err));
    RF_TRY(f->inner->api->run(f->inner, batch, outputs, err));
    for (int32_t i = 0; outputs->logits && i < batch->n_outputs; i++)
        if (batch->tokens[batch->output_rows[i]] == f->spoils_token)
            outputs->logits[(size_t)i * f->n_vocab + 1] = NAN;
    return RF_OK;
}

static rf_status kv_copy(rf_backend *backend, uint32_t group, uint32_t from, uint32_t to,
                         rf_error *err) {
    faulty_backend *f = of(backend);
    RF_TRY(count(f, err));
    return f->inner->api->kv_copy(f->inner, group, from, to, err);
}

static size_t kv_block_bytes(const rf_backend *backend, uint32_t group) {
    rf_backend *inner = ((const faulty_backend *)(const void *)backend)->inner;
    return inner->api->kv_block_bytes(inner, group);
}

static rf_status kv_read(rf_backend *backend, uint32_t group, uint32_t block, uint32_t n_tokens,
                         void *out, rf_error *err) {
    faulty_backend *f = of(backend);
    RF_TRY(count(f, err));
    return f->inner->api->kv_read(f->inner, group, block, n_tokens, out, err);
}

static rf_status kv_write(rf_backend *backend, uint32_t group, uint32_t block, const void *in,
                          rf_error *err) {
    faulty_backend *f = of(backend);
    RF_TRY(count(f, err));
    return f->inner->api->kv_write(f->inner, group, block, in, err);
}

static void destroy(rf_backend *backend) {
    rf_backend *inner = of(backend)->inner;
    inner->api->destroy(inner);
}

static const rf_backend_api api = {.name = "faulty",
                                   .plan = plan,
                                   .bind = bind,
                                   .run = run,
                                   .kv_copy = kv_copy,
                                   .kv_block_bytes = kv_block_bytes,
                                   .kv_read = kv_read,
                                   .kv_write = kv_write,
                                   .destroy = destroy};

void faulty_backend_init(faulty_backend *faulty, rf_backend *inner, uint32_t n_vocab) {
    *faulty =
        (faulty_backend){.base.api = &api, .inner = inner, .n_vocab = n_vocab, .spoils_token = -1};
}
