#include "gpu/copy_speed.h"

#include <string.h>

#include "base/rng.h"

enum { MOST_BYTES = 256 << 20, LEAST_BYTES = 1 << 20, N_TIMES = 8 };

typedef struct probe {
    rf_gpu *gpu;
    int device;
    size_t bytes;
    rf_gpu_stream stream;
    rf_gpu_event from, to;
    rf_gpu_address first, second; /* in the device */
    uint32_t *host;               /* pinned: two halves of bytes each */
} probe;

static rf_status take(probe *p, rf_error *err) {
    const rf_gpu_api *api = &p->gpu->api;
    uint64_t free_bytes = 0, total_bytes = 0;
    RF_TRY(api->memory(p->gpu, p->device, &free_bytes, &total_bytes, err));
    p->bytes = MOST_BYTES;
    while (p->bytes > LEAST_BYTES && p->bytes * 4 > free_bytes)
        p->bytes /= 2;
    RF_TRY(api->stream_create(p->gpu, p->device, &p->stream, err));
    RF_TRY(api->event_create(p->gpu, p->device, &p->from, err));
    RF_TRY(api->event_create(p->gpu, p->device, &p->to, err));
    RF_TRY(api->alloc(p->gpu, p->device, p->bytes, &p->first, err));
    RF_TRY(api->alloc(p->gpu, p->device, p->bytes, &p->second, err));
    void *host = NULL;
    RF_TRY(api->pin(p->gpu, p->device, 2 * p->bytes, &host, err));
    p->host = host;
    return RF_OK;
}

static void give_back(probe *p) {
    const rf_gpu_api *api = &p->gpu->api;
    api->unpin(p->gpu, p->device, p->host);
    api->release(p->gpu, p->device, p->first);
    api->release(p->gpu, p->device, p->second);
    api->event_destroy(p->gpu, p->device, p->from);
    api->event_destroy(p->gpu, p->device, p->to);
    api->stream_destroy(p->gpu, p->device, p->stream);
}

static rf_status time_copies(probe *p, rf_gpu_copy_kind kind, uint64_t to, uint64_t from,
                             double *speed, rf_error *err) {
    const rf_gpu_api *api = &p->gpu->api;
    uint64_t ns = 0;
    RF_TRY(api->copy(p->gpu, p->device, p->stream, kind, to, from, p->bytes, err));
    RF_TRY(api->event_record(p->gpu, p->device, p->stream, p->from, err));
    for (int i = 0; i < N_TIMES; i++)
        RF_TRY(api->copy(p->gpu, p->device, p->stream, kind, to, from, p->bytes, err));
    RF_TRY(api->event_record(p->gpu, p->device, p->stream, p->to, err));
    RF_TRY(api->stream_wait(p->gpu, p->device, p->stream, err));
    RF_TRY(api->event_elapsed(p->gpu, p->device, p->from, p->to, &ns, err));
    *speed = ns > 0 ? (double)p->bytes * N_TIMES * 1e9 / (double)ns : 0;
    return RF_OK;
}

/* Random words, so that neither zeros nor a pattern hide what was not moved. */
static void fill(probe *p) {
    size_t n = p->bytes / sizeof *p->host;
    for (size_t i = 0; i < n; i += 4)
        rf_philox4x32(UINT64_C(0x636f7079), 0, i, p->host + i);
    memset(p->host + n, 0xff, p->bytes);
}

static rf_status run(probe *p, rf_copy_speed *out, rf_error *err) {
    RF_TRY(take(p, err));
    fill(p);
    uint32_t *back = p->host + p->bytes / sizeof *p->host;
    out->bytes = p->bytes;
    RF_TRY(time_copies(p, RF_GPU_TO_DEVICE, p->first, (uintptr_t)p->host, &out->in, err));
    RF_TRY(time_copies(p, RF_GPU_INSIDE, p->second, p->first, &out->inside, err));
    RF_TRY(time_copies(p, RF_GPU_TO_HOST, (uintptr_t)back, p->second, &out->out, err));
    out->inside *= 2;
    for (size_t i = 0; i < p->bytes / sizeof *back; i++)
        if (back[i] != p->host[i])
            return rf_fail(err, RF_ERR_INTERNAL,
                           "%s: device %d: byte %zu of %zu came back as %08x, expected %08x",
                           p->gpu->api.name, p->device, i * sizeof *back, p->bytes, back[i],
                           p->host[i]);
    return RF_OK;
}

rf_status rf_gpu_copy_speed(rf_gpu *gpu, int device, rf_copy_speed *out, rf_error *err) {
    probe p = {.gpu = gpu, .device = device};
    *out = (rf_copy_speed){0};
    rf_status status = run(&p, out, err);
    give_back(&p);
    return status;
}
