#include "cpu/backend_cpu.h"

#include <string.h>
#include <sys/mman.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/cpu_features.h"
#include "cpu/cpu_state.h"
#include "cpu/observe.h"

enum { MAX_THREADS = 1024, PLAN_BYTES = 1 << 28, HUGE_BYTES = 1 << 21 };

static rf_cpu_backend *cpu_of(rf_backend *backend) { return (rf_cpu_backend *)backend; }

static rf_status plan(const rf_backend *backend, const rf_program *program, const rf_limits *limits,
                      rf_memory_plan *out, rf_error *err) {
    const rf_cpu_backend *b = (const rf_cpu_backend *)backend;
    rf_arena arena;
    rf_cpu_plan made;
    RF_TRY(rf_program_check(program, err));
    rf_arena_init(&arena, PLAN_BYTES);
    rf_status status =
        rf_cpu_plan_make(&b->options, rf_pool_size(b->pool), program, limits, &arena, &made, err);
    if (status == RF_OK)
        *out = made.memory;
    rf_arena_deinit(&arena);
    return status;
}

/* Large areas ask for huge pages: fewer TLB misses while weights stream. */
static rf_status take(uint64_t bytes, const char *what, uint8_t **out, rf_error *err) {
    size_t align = bytes >= 4 * HUGE_BYTES ? HUGE_BYTES : 64;
    *out = bytes <= SIZE_MAX - HUGE_BYTES ? rf_alloc_aligned(align, (size_t)bytes) : NULL;
    if (!*out)
        return rf_fail(err, RF_ERR_NO_MEMORY, "no memory for %s: %llu bytes", what,
                       (unsigned long long)bytes);
    if (align == HUGE_BYTES)
        (void)madvise(*out, (size_t)bytes, MADV_HUGEPAGE);
    return RF_OK;
}

static void unbind(rf_cpu_backend *b) {
    rf_free_aligned(b->weights);
    rf_free_aligned(b->kv);
    rf_free_aligned(b->workspace);
    b->weights = b->kv = b->workspace = NULL;
    b->program = NULL;
    rf_arena_deinit(&b->arena);
}

static rf_status bind_memory(rf_cpu_backend *b, rf_progress_fn progress, void *user,
                             rf_error *err) {
    RF_TRY(rf_cpu_plan_make(&b->options, rf_pool_size(b->pool), b->program, &b->limits, &b->arena,
                            &b->plan, err));
    const rf_memory_plan *memory = &b->plan.memory;
    RF_TRY(take(memory->weights_bytes, "the weights", &b->weights, err));
    RF_TRY(take(memory->kv_bytes, "the KV cache", &b->kv, err));
    RF_TRY(take(memory->workspace_bytes, "the workspace", &b->workspace, err));
    return rf_cpu_pack(b, progress, user, err);
}

static rf_status bind_program(rf_backend *backend, const rf_program *program,
                              const rf_limits *limits, rf_progress_fn progress, void *user,
                              rf_error *err) {
    rf_cpu_backend *b = cpu_of(backend);
    if (b->program)
        return rf_fail(err, RF_ERR_INTERNAL, "the CPU backend is bound already");
    RF_TRY(rf_program_check(program, err));
    b->program = program;
    b->limits = *limits;
    rf_arena_init(&b->arena, PLAN_BYTES);
    rf_status status = bind_memory(b, progress, user, err);
    if (status != RF_OK)
        unbind(b);
    return status;
}

static void run_ops(void *arg, uint32_t worker) {
    static void (*const runners[])(const rf_cpu_run *, const rf_cpu_step *) = {
#define X(id, name, what) rf_cpu_run_##name,
#include "op/ops.def"
#undef X
    };
    rf_cpu_run mine = *(const rf_cpu_run *)arg, *run = &mine;
    mine.worker = worker;
    const rf_program *program = run->backend->program;
    uint64_t *op_ns = worker == 0 ? run->outputs->op_ns : NULL;
    if (op_ns)
        op_ns[0] = rf_clock_ns();
    rf_cpu_run_angles(run);
    for (uint32_t i = 0; i < program->n_ops; i++) {
        const rf_cpu_step *step = &run->backend->plan.steps[i];
        if (run->outputs->observer)
            rf_cpu_observe(run, step->op);
        runners[step->op->kind](run, step);
        if (op_ns)
            op_ns[i + 1] = rf_clock_ns();
    }
}

static rf_status run_batch(rf_backend *backend, const rf_batch *batch, const rf_outputs *outputs,
                           rf_error *err) {
    rf_cpu_backend *b = cpu_of(backend);
    if (!b->program)
        return rf_fail(err, RF_ERR_INTERNAL, "the CPU backend is not bound");
    RF_TRY(rf_batch_check(batch, b->program, &b->limits, err));
    rf_cpu_run run = {b, batch, outputs, rf_cpu_make_tiles(b, batch), 0};
    rf_pool_run(b->pool, run_ops, &run);
    if (outputs->hidden && b->program->hidden != RF_NONE)
        memcpy(outputs->hidden, rf_cpu_value(&run, b->program->hidden),
               (size_t)batch->n_outputs * b->program->n_embd * sizeof(float));
    return RF_OK;
}

/* Calls fn on the bytes of a block in each layer of its group, in order; at: bytes before it. */
typedef void (*block_fn)(uint8_t *layer, const rf_kv_layout *layout, size_t at, void *user);

static rf_status each_layer(rf_cpu_backend *b, uint32_t group, uint32_t block, block_fn fn,
                            void *user, rf_error *err) {
    if (!b->program || group >= b->program->n_kv_groups || block >= b->limits.n_blocks[group])
        return rf_fail(err, RF_ERR_INVALID, "block %u of group %u is not in the pool", block,
                       group);
    size_t at = 0;
    for (uint32_t i = 0; i < b->program->n_kv_layers; i++) {
        size_t bytes = b->plan.kv_layouts[i].block_bytes;
        if (b->program->kv_layers[i].group != group)
            continue;
        fn(b->kv + b->plan.kv_offsets[i] + block * bytes, &b->plan.kv_layouts[i], at, user);
        at += bytes;
    }
    return RF_OK;
}

/* Where the first n_tokens positions of a block go. */
typedef struct copy_to {
    uint8_t *out;
    uint32_t n_tokens;
} copy_to;

static void copy_out(uint8_t *block, const rf_kv_layout *layout, size_t at, void *user) {
    const copy_to *to = user;
    memcpy(to->out + at, block, layout->block_bytes);
    rf_kv_layout_clear(layout, to->out + at, to->n_tokens);
}

static void copy_in(uint8_t *block, const rf_kv_layout *layout, size_t at, void *user) {
    memcpy(block, (const uint8_t *)user + at, layout->block_bytes);
}

/* user: how many blocks further the copy lies. */
static void copy_beside(uint8_t *block, const rf_kv_layout *layout, size_t at, void *user) {
    ptrdiff_t bytes = (ptrdiff_t)layout->block_bytes;
    (void)at;
    memcpy(block + *(const ptrdiff_t *)user * bytes, block, layout->block_bytes);
}

static rf_status kv_copy(rf_backend *backend, uint32_t group, uint32_t from_block,
                         uint32_t to_block, rf_error *err) {
    rf_cpu_backend *b = cpu_of(backend);
    ptrdiff_t distance = (ptrdiff_t)to_block - (ptrdiff_t)from_block;
    if (group < RF_KV_MAX_GROUPS && to_block >= b->limits.n_blocks[group])
        return rf_fail(err, RF_ERR_INVALID, "block %u of group %u is not in the pool", to_block,
                       group);
    if (distance == 0)
        return RF_OK;
    return each_layer(b, group, from_block, copy_beside, &distance, err);
}

static size_t kv_block_bytes(const rf_backend *backend, uint32_t group) {
    const rf_cpu_backend *b = (const rf_cpu_backend *)backend;
    size_t bytes = 0;
    for (uint32_t i = 0; b->program && i < b->program->n_kv_layers; i++)
        if (b->program->kv_layers[i].group == group)
            bytes += b->plan.kv_layouts[i].block_bytes;
    return bytes;
}

static rf_status kv_read(rf_backend *backend, uint32_t group, uint32_t block, uint32_t n_tokens,
                         void *out, rf_error *err) {
    copy_to to = {out, n_tokens};
    return each_layer(cpu_of(backend), group, block, copy_out, &to, err);
}

static rf_status kv_write(rf_backend *backend, uint32_t group, uint32_t block, const void *in,
                          rf_error *err) {
    /* copy_in only reads through the pointer */
    return each_layer(cpu_of(backend), group, block, copy_in, (void *)(uintptr_t)in, err);
}

static void destroy(rf_backend *backend) {
    rf_cpu_backend *b = cpu_of(backend);
    if (!b)
        return;
    rf_pool_destroy(b->pool);
    unbind(b);
    rf_free(b);
}

static const rf_backend_api cpu_api = {
    .name = "cpu",
    .plan = plan,
    .bind = bind_program,
    .run = run_batch,
    .kv_copy = kv_copy,
    .kv_block_bytes = kv_block_bytes,
    .kv_read = kv_read,
    .kv_write = kv_write,
    .destroy = destroy,
};

rf_status rf_cpu_backend_create(const rf_cpu_options *options, rf_backend **out, rf_error *err) {
    *out = NULL;
    uint32_t n_threads = options->n_threads ? options->n_threads : (uint32_t)rf_cpu_count();
    if (n_threads > MAX_THREADS)
        return rf_fail(err, RF_ERR_USAGE, "%u threads: at most %d", n_threads, MAX_THREADS);
    rf_cpu_backend *b = rf_calloc(1, sizeof *b);
    if (!b)
        return rf_fail(err, RF_ERR_NO_MEMORY, "no memory for the CPU backend");
    b->base.api = &cpu_api;
    b->options = *options;
    b->options.features &= rf_cpu_features();
    rf_arena_init(&b->arena, PLAN_BYTES);
    rf_status status = rf_pool_create(n_threads, &b->pool, err);
    if (status != RF_OK)
        destroy(&b->base);
    else
        *out = &b->base;
    return status;
}
