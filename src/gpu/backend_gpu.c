#include "gpu/backend_gpu.h"

#include <string.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "gpu/driver.h"
#include "gpu/gpu_state.h"
#include "op/op_view.h"

enum { PLAN_BYTES = 1 << 28, SPLIT_POSITIONS = 64 };

static rf_gpu_backend *gpu_of(rf_backend *backend) { return (rf_gpu_backend *)backend; }

rf_status rf_gpu_launch_on(rf_gpu_backend *b, rf_gpu_function function, uint32_t x, uint32_t y,
                           uint32_t z, const void *args, rf_error *err) {
    bool rows = function == b->kernels[RF_GPU_K_NORM] || function == b->kernels[RF_GPU_K_QUANTISE];
    rf_gpu_launch launch = {function, {x, y, z}, rows ? RF_GPU_NORM_THREADS : RF_GPU_THREADS, args};
    return b->gpu->api.launch(b->gpu, b->device, b->stream, &launch, err);
}

rf_status rf_gpu_launch_kernel(rf_gpu_backend *b, rf_gpu_kernel kernel, uint32_t x, uint32_t y,
                               uint32_t z, const void *args, rf_error *err) {
    return rf_gpu_launch_on(b, b->kernels[kernel], x, y, z, args, err);
}

/* ---- memory -----------------------------------------------------------------------------------
 */

static rf_status plan(const rf_backend *backend, const rf_program *program, const rf_limits *limits,
                      rf_memory_plan *out, rf_error *err) {
    rf_arena arena;
    rf_gpu_plan made;
    RF_TRY(rf_program_check(program, err));
    rf_arena_init(&arena, PLAN_BYTES);
    rf_status status =
        rf_gpu_plan_make((const rf_gpu_backend *)backend, program, limits, &arena, &made, err);
    if (status == RF_OK)
        *out = made.memory;
    rf_arena_deinit(&arena);
    return status;
}

static void unbind(rf_gpu_backend *b) {
    const rf_gpu_api *api = &b->gpu->api;
    for (uint32_t i = 0; i < RF_GPU_GRAPHS; i++)
        api->graph_destroy(b->gpu, b->device, b->graphs[i].graph);
    memset(b->graphs, 0, sizeof b->graphs);
    api->release(b->gpu, b->device, b->weights);
    api->release(b->gpu, b->device, b->kv);
    api->release(b->gpu, b->device, b->workspace);
    api->unpin(b->gpu, b->device, b->batch_host);
    api->unpin(b->gpu, b->device, b->out_host);
    b->weights = b->kv = b->workspace = 0;
    b->batch_host = NULL;
    b->out_host = NULL;
    b->program = NULL;
    rf_arena_deinit(&b->arena);
}

static rf_status take(rf_gpu_backend *b, uint64_t bytes, rf_gpu_address *out, rf_error *err) {
    return b->gpu->api.alloc(b->gpu, b->device, bytes ? (size_t)bytes : 1, out, err);
}

static rf_status check_room(const rf_gpu_backend *b, rf_error *err) {
    const rf_memory_plan *m = &b->plan.memory;
    uint64_t have, all, need = m->weights_bytes + m->kv_bytes + m->workspace_bytes;
    RF_TRY(b->gpu->api.memory(b->gpu, b->device, &have, &all, err));
    if (need <= have)
        return RF_OK;
    return rf_fail(
        err, RF_ERR_NO_MEMORY,
        "%s device %d: the model takes %llu MiB (weights %llu, cache %llu, workspace "
        "%llu), and %llu of %llu MiB are free, %llu too few: a smaller context or "
        "fewer sequences take less",
        b->gpu->api.name, b->device, (unsigned long long)(need >> 20),
        (unsigned long long)(m->weights_bytes >> 20), (unsigned long long)(m->kv_bytes >> 20),
        (unsigned long long)(m->workspace_bytes >> 20), (unsigned long long)(have >> 20),
        (unsigned long long)(all >> 20), (unsigned long long)((need - have + (1 << 20) - 1) >> 20));
}

static rf_status bind_memory(rf_gpu_backend *b, rf_progress_fn progress, void *user,
                             rf_error *err) {
    const rf_program *program = b->program;
    const rf_gpu_api *api = &b->gpu->api;
    void *pinned;
    RF_TRY(rf_gpu_plan_make(b, program, &b->limits, &b->arena, &b->plan, err));
    b->matrices = RF_ARENA_ARRAY(&b->arena, rf_gpu_matrix, program->n_weights);
    if (!b->matrices)
        return rf_fail(err, RF_ERR_NO_MEMORY, "no memory for %u weights", program->n_weights);
    RF_TRY(check_room(b, err));
    RF_TRY(take(b, b->plan.memory.weights_bytes, &b->weights, err));
    RF_TRY(take(b, b->plan.memory.kv_bytes, &b->kv, err));
    RF_TRY(take(b, b->plan.memory.workspace_bytes, &b->workspace, err));
    RF_TRY(api->pin(b->gpu, b->device, b->plan.batch_at.n * sizeof(int32_t), &pinned, err));
    b->batch_host = pinned;
    size_t row = (size_t)program->n_vocab + program->n_embd;
    RF_TRY(api->pin(b->gpu, b->device, b->limits.max_outputs * row * sizeof(float), &pinned, err));
    b->out_host = pinned;
    RF_TRY(api->clear(b->gpu, b->device, b->stream, b->kv,
                      (size_t)(b->plan.memory.kv_bytes ? b->plan.memory.kv_bytes : 1), err));
    return rf_gpu_upload(b, progress, user, err);
}

static rf_status bind_program(rf_backend *backend, const rf_program *program,
                              const rf_limits *limits, rf_progress_fn progress, void *user,
                              rf_error *err) {
    rf_gpu_backend *b = gpu_of(backend);
    if (b->program)
        return rf_fail(err, RF_ERR_INTERNAL, "the GPU backend is bound already");
    RF_TRY(rf_program_check(program, err));
    b->program = program;
    b->limits = *limits;
    rf_arena_init(&b->arena, PLAN_BYTES);
    rf_status status = bind_memory(b, progress, user, err);
    if (status != RF_OK)
        unbind(b);
    return status;
}

/* ---- one step ---------------------------------------------------------------------------------
 */

/* Writes the batch where it goes up from; returns the longest sequence. */
static uint32_t write_batch(rf_gpu_backend *b, const rf_batch *batch) {
    const rf_gpu_batch_at *at = &b->plan.batch_at;
    int32_t *to = b->batch_host, longest = 0;
    size_t n = (size_t)batch->n_tokens, n_seqs = (size_t)batch->n_seqs;
    memcpy(to + at->tokens, batch->tokens, n * sizeof *to);
    memcpy(to + at->positions, batch->positions, n * sizeof *to);
    memcpy(to + at->rows, batch->output_rows, (size_t)batch->n_outputs * sizeof *to);
    for (size_t s = 0; s < n_seqs; s++)
        for (int32_t r = batch->seq_start[s]; r < batch->seq_start[s + 1]; r++)
            to[at->seqs + (size_t)r] = (int32_t)s;
    for (size_t r = 0; r < n; r++)
        longest = batch->positions[r] + 1 > longest ? batch->positions[r] + 1 : longest;
    size_t width =
        (size_t)batch->table_stride < at->stride ? (size_t)batch->table_stride : at->stride;
    for (uint32_t g = 0; g < b->program->n_kv_groups; g++)
        for (size_t s = 0; s < n_seqs; s++)
            memcpy(to + at->tables[g] + s * at->stride,
                   batch->block_tables + (g * n_seqs + s) * (size_t)batch->table_stride,
                   width * sizeof *to);
    return (uint32_t)longest;
}

static rf_status queue_angles(rf_gpu_backend *b, rf_error *err) {
    for (uint32_t i = 0; i < b->program->n_ropes; i++) {
        const rf_rope *rope = &b->program->ropes[i];
        rf_gpu_angles_args args = {.inv_freq = rf_gpu_area(b, b->plan.inv_freqs[i]),
                                   .positions = rf_gpu_area(b, b->plan.areas.batch) +
                                                b->plan.batch_at.positions * sizeof(int32_t),
                                   .out = rf_gpu_area(b, b->plan.angles[i]),
                                   .n_half = rope->n_dims / 2,
                                   .magnitude = rope->magnitude};
        if (rope->kind != RF_ROPE_NONE)
            RF_TRY(rf_gpu_launch_kernel(b, RF_GPU_K_ANGLES, b->n_rows, 1, 1, &args, err));
    }
    return RF_OK;
}

/* op_ns: the device's time is waited for after each op, or NULL. */
static rf_status queue_ops(rf_gpu_backend *b, uint64_t *op_ns, rf_error *err) {
    static rf_status (*const queue[])(rf_gpu_backend *, const rf_op *, rf_error *) = {
#define X(id, name, what) rf_gpu_queue_##name,
#include "op/ops.def"
#undef X
    };
    b->prepared = RF_NONE;
    b->forms = 0;
    if (op_ns)
        op_ns[0] = rf_clock_ns();
    RF_TRY(queue_angles(b, err));
    for (uint32_t i = 0; i < b->program->n_ops; i++) {
        const rf_op *op = &b->program->ops[i];
        if (rf_op_look(b->program, op).out == b->prepared)
            b->prepared = RF_NONE; /* it is written anew */
        RF_TRY(queue[op->kind](b, op, err));
        if (op_ns) {
            RF_TRY(b->gpu->api.stream_wait(b->gpu, b->device, b->stream, err));
            op_ns[i + 1] = rf_clock_ns();
        }
    }
    return RF_OK;
}

static rf_gpu_kept_graph *find_graph(rf_gpu_backend *b) {
    for (uint32_t i = 0; i < RF_GPU_GRAPHS; i++)
        if (b->graphs[i].graph && b->graphs[i].n_rows == b->n_rows &&
            b->graphs[i].n_splits == b->n_splits)
            return &b->graphs[i];
    return NULL;
}

/* Steps of decode rows alone are recorded once for each number of rows and of splits. */
static rf_status run_graph(rf_gpu_backend *b, rf_error *err) {
    const rf_gpu_api *api = &b->gpu->api;
    rf_gpu_kept_graph *kept = find_graph(b);
    if (!kept) {
        rf_gpu_graph graph = NULL;
        RF_TRY(api->capture_begin(b->gpu, b->device, b->stream, err));
        rf_status status = queue_ops(b, NULL, err);
        rf_error ignored = {0};
        rf_status ended = api->capture_end(b->gpu, b->device, b->stream, &graph,
                                           status == RF_OK ? err : &ignored);
        RF_TRY(status);
        RF_TRY(ended);
        kept = &b->graphs[b->next_graph++ % RF_GPU_GRAPHS];
        api->graph_destroy(b->gpu, b->device, kept->graph);
        *kept = (rf_gpu_kept_graph){b->n_rows, b->n_splits, graph};
    }
    return api->graph_launch(b->gpu, b->device, b->stream, kept->graph, err);
}

static rf_status fetch(rf_gpu_backend *b, rf_value_id id, size_t at, size_t n, rf_error *err) {
    if (n == 0)
        return RF_OK;
    return b->gpu->api.copy(b->gpu, b->device, b->stream, RF_GPU_TO_HOST,
                            (uint64_t)(uintptr_t)(b->out_host + at), rf_gpu_value(b, id),
                            n * sizeof(float), err);
}

static rf_status run_batch(rf_backend *backend, const rf_batch *batch, const rf_outputs *outputs,
                           rf_error *err) {
    rf_gpu_backend *b = gpu_of(backend);
    const rf_gpu_api *api = &b->gpu->api;
    const rf_program *program = b->program;
    if (!program)
        return rf_fail(err, RF_ERR_INTERNAL, "the GPU backend is not bound");
    if (outputs->observer)
        return rf_fail(err, RF_ERR_UNSUPPORTED, "GPUs do not show activations: use --device cpu");
    RF_TRY(rf_batch_check(batch, program, &b->limits, err));
    uint32_t longest = write_batch(b, batch), splits = 1;
    while (splits < RF_GPU_MAX_SPLITS && splits * SPLIT_POSITIONS < longest)
        splits *= 2;
    b->n_rows = (uint32_t)batch->n_tokens;
    b->n_outputs = (uint32_t)batch->n_outputs;
    b->n_splits = splits;
    RF_TRY(api->copy(b->gpu, b->device, b->stream, RF_GPU_TO_DEVICE,
                     rf_gpu_area(b, b->plan.areas.batch), (uint64_t)(uintptr_t)b->batch_host,
                     b->plan.batch_at.n * sizeof(int32_t), err));
    bool decode = batch->n_tokens == batch->n_seqs && batch->n_outputs == batch->n_tokens;
    if (decode && !outputs->op_ns && !b->options.no_graphs)
        RF_TRY(run_graph(b, err));
    else
        RF_TRY(queue_ops(b, outputs->op_ns, err));
    size_t n_logits = outputs->logits ? (size_t)b->n_outputs * program->n_vocab : 0;
    size_t n_hidden = outputs->hidden ? (size_t)b->n_outputs * program->n_embd : 0;
    RF_TRY(fetch(b, program->logits, 0, n_logits, err));
    RF_TRY(fetch(b, program->hidden, n_logits, n_hidden, err));
    RF_TRY(api->stream_wait(b->gpu, b->device, b->stream, err));
    if (n_logits)
        memcpy(outputs->logits, b->out_host, n_logits * sizeof(float));
    if (n_hidden)
        memcpy(outputs->hidden, b->out_host + n_logits, n_hidden * sizeof(float));
    return RF_OK;
}

/* ---- blocks of the cache -----------------------------------------------------------------------
 */

static size_t layer_block_bytes(const rf_gpu_backend *b, uint32_t layer) {
    return (size_t)(b->plan.kv[layer].head_bytes * b->plan.kv[layer].n_head_kv);
}

typedef enum move { MOVE_OUT, MOVE_IN, MOVE_INSIDE } move;

/* Moves a block of every layer of a group; host: its bytes, layer after layer. */
static rf_status move_block(rf_gpu_backend *b, move how, uint32_t group, uint32_t from, uint32_t to,
                            uint8_t *host, rf_error *err) {
    static const rf_gpu_copy_kind kinds[] = {RF_GPU_TO_HOST, RF_GPU_TO_DEVICE, RF_GPU_INSIDE};
    size_t at = 0;
    if (!b->program || group >= b->program->n_kv_groups || from >= b->limits.n_blocks[group] ||
        to >= b->limits.n_blocks[group])
        return rf_fail(err, RF_ERR_INVALID, "block %u of group %u is not in the pool",
                       from > to ? from : to, group);
    for (uint32_t i = 0; i < b->program->n_kv_layers; i++) {
        size_t bytes = layer_block_bytes(b, i);
        if (b->program->kv_layers[i].group != group)
            continue;
        uint64_t base = b->kv + b->plan.kv[i].at, there = (uint64_t)(uintptr_t)(host + at);
        uint64_t source = how == MOVE_IN ? there : base + from * bytes;
        uint64_t target = how == MOVE_OUT ? there : base + to * bytes;
        RF_TRY(
            b->gpu->api.copy(b->gpu, b->device, b->stream, kinds[how], target, source, bytes, err));
        at += bytes;
    }
    return b->gpu->api.stream_wait(b->gpu, b->device, b->stream, err);
}

static rf_status kv_copy(rf_backend *backend, uint32_t group, uint32_t from_block,
                         uint32_t to_block, rf_error *err) {
    return move_block(gpu_of(backend), MOVE_INSIDE, group, from_block, to_block, NULL, err);
}

static size_t kv_block_bytes(const rf_backend *backend, uint32_t group) {
    const rf_gpu_backend *b = (const rf_gpu_backend *)backend;
    size_t bytes = 0;
    for (uint32_t i = 0; b->program && i < b->program->n_kv_layers; i++)
        if (b->program->kv_layers[i].group == group)
            bytes += layer_block_bytes(b, i);
    return bytes;
}

/* Zeros in the positions of one head's keys or values from n_tokens on. */
static void clear_part(const rf_gpu_kv *kv, uint32_t type, uint32_t dims, uint32_t n_tokens,
                       uint8_t *part) {
    size_t all = kv->block_tokens, one = type == RF_KV_F32 ? 4 : type == RF_KV_F16 ? 2 : 1;
    memset(part + n_tokens * dims * one, 0, (all - n_tokens) * dims * one);
    if (type == RF_KV_Q8_0)
        memset(part + all * dims + n_tokens * dims / 32 * 2, 0, (all - n_tokens) * dims / 32 * 2);
}

static rf_status kv_read(rf_backend *backend, uint32_t group, uint32_t block, uint32_t n_tokens,
                         void *out, rf_error *err) {
    rf_gpu_backend *b = gpu_of(backend);
    uint8_t *at = out;
    RF_TRY(move_block(b, MOVE_OUT, group, block, block, out, err));
    for (uint32_t i = 0; i < b->program->n_kv_layers; i++) {
        const rf_gpu_kv *kv = &b->plan.kv[i];
        if (b->program->kv_layers[i].group != group)
            continue;
        for (uint32_t h = 0; h < kv->n_head_kv; h++, at += kv->head_bytes) {
            clear_part(kv, kv->type_k, kv->head_dim, n_tokens, at);
            clear_part(kv, kv->type_v, kv->head_dim_v, n_tokens, at + kv->v_offset);
        }
    }
    return RF_OK;
}

static rf_status kv_write(rf_backend *backend, uint32_t group, uint32_t block, const void *in,
                          rf_error *err) {
    /* only read through the pointer */
    return move_block(gpu_of(backend), MOVE_IN, group, block, block, (void *)(uintptr_t)in, err);
}

/* ---- life -------------------------------------------------------------------------------------
 */

static void destroy(rf_backend *backend) {
    rf_gpu_backend *b = gpu_of(backend);
    if (!b)
        return;
    unbind(b);
    for (int i = 0; i < RF_GPU_MODULES; i++)
        b->gpu->api.module_unload(b->gpu, b->device, b->modules[i]);
    b->gpu->api.stream_destroy(b->gpu, b->device, b->stream);
    b->gpu->api.detach(b->gpu, b->device);
    b->gpu->api.destroy(b->gpu);
    rf_free(b);
}

static const rf_backend_api gpu_api = {
    .name = "gpu",
    .plan = plan,
    .bind = bind_program,
    .run = run_batch,
    .kv_copy = kv_copy,
    .kv_block_bytes = kv_block_bytes,
    .kv_read = kv_read,
    .kv_write = kv_write,
    .destroy = destroy,
};

/* gpu becomes the backend's own on success. */
static rf_status create(rf_gpu *gpu, int device, const rf_gpu_options *options, rf_backend **out,
                        rf_error *err) {
    *out = NULL;
    rf_gpu_backend *b = rf_calloc(1, sizeof *b);
    if (!b)
        return rf_fail(err, RF_ERR_NO_MEMORY, "no memory for the GPU backend");
    b->base.api = &gpu_api;
    b->gpu = gpu;
    b->device = device;
    b->options = *options;
    rf_arena_init(&b->arena, PLAN_BYTES);
    rf_status status = gpu->api.attach(gpu, device, err);
    if (status == RF_OK)
        status = gpu->api.stream_create(gpu, device, &b->stream, err);
    if (status == RF_OK)
        status = rf_gpu_load_kernels(b, err);
    if (status == RF_OK) {
        *out = &b->base;
        return RF_OK;
    }
    for (int i = 0; i < RF_GPU_MODULES; i++)
        gpu->api.module_unload(gpu, device, b->modules[i]);
    gpu->api.stream_destroy(gpu, device, b->stream);
    gpu->api.detach(gpu, device);
    rf_free(b);
    return status;
}

static rf_status find_first(rf_gpu **gpu, rf_error *err) {
    rf_error why[RF_GPU_VENDOR_COUNT] = {0};
    for (int v = 0; v < RF_GPU_VENDOR_COUNT; v++) {
        if (rf_gpu_driver_open((rf_gpu_vendor)v, gpu, &why[v]) != RF_OK)
            continue;
        if ((*gpu)->n_devices > 0)
            return RF_OK;
        (*gpu)->api.destroy(*gpu);
        (void)rf_fail(&why[v], RF_ERR_NOT_FOUND, "the %s driver has no device",
                      rf_gpu_vendor_name((rf_gpu_vendor)v));
    }
    return rf_fail(err, RF_ERR_NOT_FOUND, "no GPU: %s; %s; rocmforge doctor tells more",
                   why[0].text, why[1].text);
}

rf_status rf_gpu_backend_open(const rf_gpu_options *options, rf_backend **out, rf_error *err) {
    rf_gpu *gpu;
    RF_TRY(find_first(&gpu, err));
    rf_status status = create(gpu, 0, options, out, err);
    if (status != RF_OK)
        gpu->api.destroy(gpu);
    return status;
}
