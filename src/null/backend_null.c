#include "null/backend_null.h"

#include <time.h>

#include "base/alloc.h"
#include "base/checked.h"

enum { NULL_EMBD = 16 };

typedef struct null_backend {
    rf_backend base;
    rf_null_options options;
    const rf_program *program;
    rf_limits limits;
    uint64_t n_steps;
    uint64_t *cache; /* [n_blocks][block_tokens]: the hash of all tokens up to this one */
} null_backend;

static null_backend *null_of(rf_backend *backend) { return (null_backend *)backend; }

/* Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014: mix64. */
static uint64_t mix(uint64_t x) {
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* n numbers in [-1, 1) that follow from a hash. */
static void fill(float *out, uint32_t n, uint64_t hash) {
    uint32_t seed = (uint32_t)(hash >> 32);
    for (uint32_t i = 0; i < n; i++) {
        uint32_t x = (seed + i) * UINT32_C(0x9e3779b9);
        x = (x ^ (x >> 15)) * UINT32_C(0x85ebca6b);
        out[i] = (float)(int32_t)x * 0x1p-31f;
    }
}

/* One token stands out, so that greedy answers do not hang on the noise. */
static void fill_logits(float *out, uint32_t n_vocab, uint64_t hash) {
    fill(out, n_vocab, hash);
    out[mix(hash) % n_vocab] = 12;
}

static rf_status plan(const rf_backend *backend, const rf_program *program, const rf_limits *limits,
                      rf_memory_plan *out, rf_error *err) {
    (void)backend;
    (void)program;
    (void)err;
    *out = (rf_memory_plan){.kv_bytes = (uint64_t)limits->n_blocks[0] * limits->block_tokens *
                                        sizeof(uint64_t)};
    return RF_OK;
}

static rf_status bind_program(rf_backend *backend, const rf_program *program,
                              const rf_limits *limits, rf_progress_fn progress, void *user,
                              rf_error *err) {
    null_backend *b = null_of(backend);
    if (program->n_kv_groups != 1 || program->kv_groups[0].window != 0 || program->n_vocab == 0)
        return rf_fail(err, RF_ERR_UNSUPPORTED, "the null backend runs rf_null_program alone");
    b->cache = rf_calloc(limits->n_blocks[0], (size_t)limits->block_tokens * sizeof(uint64_t));
    if (!b->cache)
        return rf_fail(err, RF_ERR_NO_MEMORY, "no memory for %u blocks", limits->n_blocks[0]);
    b->program = program;
    b->limits = *limits;
    if (progress && !progress(user, 1, 1))
        return rf_fail(err, RF_ERR_INTERRUPTED, "interrupted");
    return RF_OK;
}

static uint64_t *place(const null_backend *b, const rf_batch *batch, int32_t seq, uint32_t at) {
    const int32_t *table = batch->block_tables + (size_t)seq * (size_t)batch->table_stride;
    uint32_t n = b->limits.block_tokens;
    return b->cache + (size_t)table[at / n] * n + at % n;
}

static void answer(const null_backend *b, const rf_outputs *outputs, size_t i, uint64_t hash) {
    if (outputs->logits)
        fill_logits(outputs->logits + i * b->program->n_vocab, b->program->n_vocab, hash);
    if (outputs->hidden)
        fill(outputs->hidden + i * b->program->n_embd, b->program->n_embd, hash);
}

static void pass_time(uint64_t ns) {
    struct timespec left = {.tv_sec = (time_t)(ns / 1000000000),
                            .tv_nsec = (long)(ns % 1000000000)};
    while (ns > 0 && clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) != 0) {
    }
}

static rf_status run(rf_backend *backend, const rf_batch *batch, const rf_outputs *outputs,
                     rf_error *err) {
    null_backend *b = null_of(backend);
    RF_TRY(rf_batch_check(batch, b->program, &b->limits, err));
    if (b->options.fail_every > 0 && ++b->n_steps % b->options.fail_every == 0)
        return rf_fail(err, RF_ERR_INTERNAL, "step %llu was asked to fail",
                       (unsigned long long)b->n_steps);
    int32_t i_output = 0;
    for (int32_t seq = 0; seq < batch->n_seqs; seq++) {
        for (int32_t row = batch->seq_start[seq]; row < batch->seq_start[seq + 1]; row++) {
            uint32_t at = (uint32_t)batch->positions[row];
            uint64_t before = at > 0 ? *place(b, batch, seq, at - 1) : 0;
            uint64_t hash = mix(before + 1 + (uint64_t)batch->tokens[row]);
            *place(b, batch, seq, at) = hash;
            for (; i_output < batch->n_outputs && batch->output_rows[i_output] == row; i_output++)
                answer(b, outputs, (size_t)i_output, hash);
        }
    }
    pass_time(b->options.step_ns + b->options.row_ns * (uint64_t)batch->n_tokens);
    return RF_OK;
}

static uint64_t *block_of(const null_backend *b, uint32_t block) {
    return b->cache + (size_t)block * b->limits.block_tokens;
}

static size_t kv_block_bytes(const rf_backend *backend, uint32_t group) {
    (void)group;
    return ((const null_backend *)backend)->limits.block_tokens * sizeof(uint64_t);
}

static rf_status check_block(const null_backend *b, uint32_t group, uint32_t block, rf_error *err) {
    if (group != 0 || block >= b->limits.n_blocks[0])
        return rf_fail(err, RF_ERR_INTERNAL, "block %u of group %u, expected one of %u of group 0",
                       block, group, b->limits.n_blocks[0]);
    return RF_OK;
}

static rf_status kv_copy(rf_backend *backend, uint32_t group, uint32_t from_block,
                         uint32_t to_block, rf_error *err) {
    null_backend *b = null_of(backend);
    RF_TRY(check_block(b, group, from_block, err));
    RF_TRY(check_block(b, group, to_block, err));
    memcpy(block_of(b, to_block), block_of(b, from_block), kv_block_bytes(backend, group));
    return RF_OK;
}

static rf_status kv_read(rf_backend *backend, uint32_t group, uint32_t block, uint32_t n_tokens,
                         void *out, rf_error *err) {
    RF_TRY(check_block(null_of(backend), group, block, err));
    size_t all = kv_block_bytes(backend, group), n = n_tokens * sizeof(uint64_t);
    memset(out, 0, all);
    memcpy(out, block_of(null_of(backend), block), n < all ? n : all);
    return RF_OK;
}

static rf_status kv_write(rf_backend *backend, uint32_t group, uint32_t block, const void *in,
                          rf_error *err) {
    RF_TRY(check_block(null_of(backend), group, block, err));
    memcpy(block_of(null_of(backend), block), in, kv_block_bytes(backend, group));
    return RF_OK;
}

static void destroy(rf_backend *backend) {
    if (!backend)
        return;
    rf_free(null_of(backend)->cache);
    rf_free(backend);
}

rf_status rf_null_backend_create(const rf_null_options *options, rf_backend **out, rf_error *err) {
    static const rf_backend_api api = {
        .name = "null",
        .plan = plan,
        .bind = bind_program,
        .run = run,
        .kv_copy = kv_copy,
        .kv_block_bytes = kv_block_bytes,
        .kv_read = kv_read,
        .kv_write = kv_write,
        .destroy = destroy,
    };
    null_backend *b = rf_calloc(1, sizeof *b);
    if (!b)
        return rf_fail(err, RF_ERR_NO_MEMORY, "no memory for a backend");
    b->base.api = &api;
    b->options = *options;
    *out = &b->base;
    return RF_OK;
}

rf_program rf_null_program(uint32_t n_vocab, uint32_t n_ctx) {
    return (rf_program){.n_kv_groups = 1,
                        .n_vocab = n_vocab,
                        .n_embd = NULL_EMBD,
                        .n_ctx_train = n_ctx,
                        .hidden = RF_NONE,
                        .logits = RF_NONE};
}
