#include <string.h>

#include "base/alloc.h"
#include "gpu/gpu_state.h"
#include "op/op_view.h"

enum { STAGE_BYTES = 32 << 20, N_STAGES = 2, ALIGN = 256 };

/* Two halves of pinned memory and two of the device's, used in turn. */
typedef struct upload {
    rf_gpu_backend *b;
    uint8_t *pinned[N_STAGES];
    rf_gpu_address stage[N_STAGES];
    rf_gpu_event free[N_STAGES]; /* happens when the device has taken what lies there */
    bool used[N_STAGES];
    uint32_t turn;
    uint64_t done, total;
    rf_progress_fn progress;
    void *user;
} upload;

static uint64_t weight_rows(const rf_weight *w) { return w->n_rows * w->n_experts; }

static const uint8_t *row_at(const rf_weight *w, uint64_t row) {
    uint64_t expert = row / w->n_rows;
    return w->data + (expert * w->expert_stride_rows + row % w->n_rows) * w->row_bytes;
}

/* Waits until the next stage is free; its number. */
static rf_status next_stage(upload *u, uint32_t *out, rf_error *err) {
    rf_gpu_backend *b = u->b;
    *out = u->turn++ % N_STAGES;
    if (u->used[*out])
        RF_TRY(b->gpu->api.event_wait(b->gpu, b->device, u->free[*out], err));
    u->used[*out] = true;
    return RF_OK;
}

static rf_status send(upload *u, uint32_t stage, rf_gpu_address to, size_t bytes, rf_error *err) {
    rf_gpu_backend *b = u->b;
    u->done += bytes;
    if (u->progress && !u->progress(u->user, u->done, u->total))
        return rf_fail(err, RF_ERR_INTERRUPTED, "loading was interrupted");
    return b->gpu->api.copy(b->gpu, b->device, b->stream, RF_GPU_TO_DEVICE, to,
                            (uint64_t)(uintptr_t)u->pinned[stage], bytes, err);
}

static rf_status sent(upload *u, uint32_t stage, rf_error *err) {
    return u->b->gpu->api.event_record(u->b->gpu, u->b->device, u->b->stream, u->free[stage], err);
}

/* Vectors become F32 on the way. */
static rf_status send_vector(upload *u, const rf_weight *w, rf_gpu_address to, rf_error *err) {
    const rf_qtype_info *type = rf_qtype_get(w->qtype);
    size_t row_floats = (size_t)w->n_cols, at = 0;
    if (row_floats * sizeof(float) > STAGE_BYTES)
        return rf_fail(err, RF_ERR_UNSUPPORTED, "%.*s: a vector of %zu values", (int)w->name.len,
                       w->name.ptr, row_floats);
    for (uint64_t r = 0; r < weight_rows(w); r++, at += row_floats * sizeof(float)) {
        uint32_t stage;
        RF_TRY(next_stage(u, &stage, err));
        type->dequant(row_at(w, r), (float *)(void *)u->pinned[stage], row_floats);
        RF_TRY(send(u, stage, to + at, row_floats * sizeof(float), err));
        RF_TRY(sent(u, stage, err));
    }
    return RF_OK;
}

static void copy_rows(const rf_weight *w, uint64_t first, uint64_t n, uint8_t *to) {
    for (uint64_t r = first; r < first + n;) {
        uint64_t together = w->n_rows - r % w->n_rows; /* rows of an expert lie side by side */
        together = together < first + n - r ? together : first + n - r;
        memcpy(to, row_at(w, r), (size_t)(together * w->row_bytes));
        to += together * w->row_bytes;
        r += together;
    }
}

/* The planes of a matrix whose bytes begin at an address. */
static rf_gpu_matrix matrix_of(const rf_weight *w, rf_gpu_address at) {
    const rf_qtype_info *type = rf_qtype_get(w->qtype);
    rf_gpu_matrix m = {
        .q = at, .n_cols = (uint32_t)w->n_cols, .n_rows = (uint32_t)w->n_rows, .qtype = w->qtype};
    uint32_t field[4], bytes[4];
    uint64_t n_blocks = weight_rows(w) * (w->n_cols / type->block_weights), plane[4];
    if (!rf_gpu_type_fields(w->qtype, field, bytes))
        return m;
    for (int p = 0; p < 4; p++) {
        plane[p] = at;
        at += (n_blocks * bytes[p] + ALIGN - 1) / ALIGN * ALIGN;
    }
    m.high = plane[1];
    m.scales = plane[2];
    m.d = plane[3];
    return m;
}

static rf_status send_matrix(upload *u, const rf_weight *w, const rf_gpu_matrix *to,
                             rf_error *err) {
    rf_gpu_backend *b = u->b;
    const rf_qtype_info *type = rf_qtype_get(w->qtype);
    uint64_t n_rows = weight_rows(w), row_blocks = w->n_cols / type->block_weights;
    uint64_t chunk = STAGE_BYTES / w->row_bytes;
    rf_gpu_repack_args repack = {.block_bytes = type->block_bytes, .grain = 2};
    bool blocks = rf_gpu_type_fields(w->qtype, repack.at, repack.bytes);
    const rf_gpu_address planes[4] = {to->q, to->high, to->scales, to->d};
    for (int p = 0; blocks && p < 4; p++) {
        repack.plane[p] = planes[p];
        if (repack.bytes[p] % 2 || repack.at[p] % 2)
            repack.grain = 1;
    }
    if (chunk == 0)
        return rf_fail(err, RF_ERR_UNSUPPORTED, "%.*s: rows of %llu bytes", (int)w->name.len,
                       w->name.ptr, (unsigned long long)w->row_bytes);
    for (uint64_t r = 0; r < n_rows; r += chunk) {
        uint32_t stage;
        uint64_t n = n_rows - r < chunk ? n_rows - r : chunk, bytes = n * w->row_bytes;
        RF_TRY(next_stage(u, &stage, err));
        copy_rows(w, r, n, u->pinned[stage]);
        RF_TRY(send(u, stage, blocks ? u->stage[stage] : to->q + r * w->row_bytes, bytes, err));
        repack.from = u->stage[stage];
        repack.first_block = r * row_blocks;
        repack.n_blocks = n * row_blocks;
        uint32_t grid = rf_gpu_ceil(bytes / repack.grain + 1, RF_GPU_THREADS);
        if (blocks)
            RF_TRY(rf_gpu_launch_kernel(b, RF_GPU_K_REPACK, grid, 1, 1, &repack, err));
        RF_TRY(sent(u, stage, err));
    }
    return RF_OK;
}

static rf_status send_all(upload *u, rf_error *err) {
    rf_gpu_backend *b = u->b;
    for (uint32_t i = 0; i < b->program->n_weights; i++) {
        const rf_weight *w = &b->program->weights[i];
        rf_gpu_address at = b->weights + b->plan.weights[i];
        uint32_t twin = 0;
        if (!b->plan.is_vector[i])
            b->matrices[i] = matrix_of(w, at);
        while (twin < i && b->plan.weights[twin] != b->plan.weights[i])
            twin++;
        if (twin == i)
            RF_TRY(b->plan.is_vector[i] ? send_vector(u, w, at, err)
                                        : send_matrix(u, w, &b->matrices[i], err));
    }
    for (uint32_t i = 0; i < b->program->n_ropes; i++) {
        const rf_rope *rope = &b->program->ropes[i];
        size_t bytes = rope->kind == RF_ROPE_NONE ? 0 : rope->n_dims / 2 * sizeof(float);
        uint32_t stage;
        RF_TRY(next_stage(u, &stage, err));
        if (bytes == 0)
            continue;
        memcpy(u->pinned[stage], rope->inv_freq, bytes);
        RF_TRY(send(u, stage, rf_gpu_area(b, b->plan.inv_freqs[i]), bytes, err));
        RF_TRY(sent(u, stage, err));
    }
    return b->gpu->api.stream_wait(b->gpu, b->device, b->stream, err);
}

static rf_status upload_open(upload *u, rf_error *err) {
    rf_gpu_backend *b = u->b;
    const rf_gpu_api *api = &b->gpu->api;
    for (int i = 0; i < N_STAGES; i++) {
        void *pinned;
        RF_TRY(api->pin(b->gpu, b->device, STAGE_BYTES, &pinned, err));
        u->pinned[i] = pinned;
        RF_TRY(api->alloc(b->gpu, b->device, STAGE_BYTES, &u->stage[i], err));
        RF_TRY(api->event_create(b->gpu, b->device, &u->free[i], err));
        RF_TRY(api->event_record(b->gpu, b->device, b->stream, u->free[i], err));
    }
    return RF_OK;
}

rf_status rf_gpu_upload(rf_gpu_backend *backend, rf_progress_fn progress, void *user,
                        rf_error *err) {
    upload u = {.b = backend, .progress = progress, .user = user};
    const rf_gpu_api *api = &backend->gpu->api;
    for (uint32_t i = 0; i < backend->program->n_weights; i++)
        u.total += rf_weight_bytes(&backend->program->weights[i]);
    rf_status status = upload_open(&u, err);
    if (status == RF_OK)
        status = send_all(&u, err);
    rf_error ignored = {0};
    (void)api->stream_wait(backend->gpu, backend->device, backend->stream, &ignored);
    for (int i = 0; i < N_STAGES; i++) {
        api->unpin(backend->gpu, backend->device, u.pinned[i]);
        api->release(backend->gpu, backend->device, u.stage[i]);
        api->event_destroy(backend->gpu, backend->device, u.free[i]);
    }
    return status;
}
