/* Weights at bind: every one is checked for NaN and infinity and, where its kernel wants that,
 * repacked, by all workers at once. */
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/checked.h"
#include "cpu/cpu_state.h"
#include "quant/finite.h"

/* Bytes of the file that one task handles, about. */
enum { UNIT_BYTES = 1 << 18 };

/* Tasks of one weight: ranges of rows, expert by expert. */
typedef struct unit_span {
    uint32_t rows;           /* of a task, whole tiles */
    uint64_t n_units;        /* of one expert */
    uint64_t first, n_total; /* in the numbering of all tasks */
} unit_span;

typedef struct pack_job {
    rf_cpu_backend *backend;
    unit_span *spans; /* [n_weights] */
    uint64_t total_bytes;
    atomic_uint_fast64_t done_bytes;
    atomic_uint_fast64_t next_unit;
    atomic_uint_fast64_t bad_unit; /* smallest number of a task that found NaN */
    atomic_bool stop;
    rf_progress_fn progress;
    void *user;
} pack_job;

/* A task's rows. */
typedef struct unit_rows {
    const rf_weight *weight;
    rf_cpu_weight *bound;
    uint64_t expert, begin, end;
    const uint8_t *data;
} unit_rows;

static uint64_t plan_units(pack_job *job) {
    const rf_program *program = job->backend->program;
    uint64_t n = 0;
    for (uint32_t i = 0; i < program->n_weights; i++) {
        const rf_weight *weight = &program->weights[i];
        const rf_cpu_weight *w = &job->backend->plan.weights[i];
        uint32_t tile = w->is_matrix ? w->matrix.variant->tile_rows : 1;
        uint64_t rows = UNIT_BYTES / weight->row_bytes / tile * tile;
        rows = rows < tile ? tile : rows;
        unit_span *span = &job->spans[i];
        span->rows = (uint32_t)rows;
        span->n_units = (weight->n_rows + rows - 1) / rows;
        span->first = n;
        span->n_total = span->n_units * weight->n_experts;
        n += span->n_total;
        job->total_bytes += weight->n_experts * weight->n_rows * weight->row_bytes;
    }
    return n;
}

/* Weight that task `unit` belongs to, searched from *i_weight on. */
static unit_rows find_unit(const pack_job *job, uint64_t unit, uint32_t *i_weight) {
    const unit_span *span = &job->spans[*i_weight];
    while (unit >= span->first + span->n_total)
        span = &job->spans[++*i_weight];
    const rf_weight *weight = &job->backend->program->weights[*i_weight];
    uint64_t within = unit - span->first;
    unit_rows u = {.weight = weight, .bound = &job->backend->plan.weights[*i_weight]};
    u.expert = within / span->n_units;
    u.begin = within % span->n_units * span->rows;
    u.end = weight->n_rows - u.begin < span->rows ? weight->n_rows : u.begin + span->rows;
    u.data = weight->data +
             (size_t)((u.expert * weight->expert_stride_rows + u.begin) * weight->row_bytes);
    return u;
}

static void pack_rows(const rf_cpu_backend *b, const unit_rows *u) {
    const rf_matmul_variant *variant = u->bound->matrix.variant;
    const rf_weight *weight = u->weight;
    uint8_t *tiles =
        b->weights + u->bound->packed_offset + (size_t)u->expert * u->bound->expert_bytes;
    for (uint64_t row = u->begin; row < u->end; row += variant->tile_rows) {
        uint64_t n = u->end - row < variant->tile_rows ? u->end - row : variant->tile_rows;
        variant->pack(u->data + (size_t)((row - u->begin) * weight->row_bytes),
                      (size_t)weight->row_bytes, (uint32_t)n, (uint32_t)weight->n_cols,
                      tiles + (size_t)(row / variant->tile_rows) * u->bound->matrix.tile_bytes);
    }
}

static void decode_vector(const rf_cpu_backend *b, const unit_rows *u) {
    const rf_weight *weight = u->weight;
    float *out = (float *)(void *)(b->weights + u->bound->vector_offset);
    for (uint64_t row = u->begin; row < u->end; row++)
        rf_qtype_get(weight->qtype)
            ->dequant(u->data + (size_t)((row - u->begin) * weight->row_bytes),
                      out + (size_t)(row * weight->n_cols), (size_t)weight->n_cols);
}

static bool rows_finite(const unit_rows *u, uint64_t *row, uint64_t *col) {
    for (uint64_t r = u->begin; r < u->end; r++) {
        size_t bad;
        const uint8_t *src = u->data + (size_t)((r - u->begin) * u->weight->row_bytes);
        if (!rf_weights_finite(u->weight->qtype, src, (size_t)u->weight->n_cols, &bad)) {
            *row = r;
            *col = bad;
            return false;
        }
    }
    return true;
}

/* Gives whole pages of the mapping back; they come from the file again if somebody reads them. */
static void release_rows(const unit_rows *u) {
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    uintptr_t begin = (uintptr_t)u->data;
    uintptr_t end = begin + (size_t)((u->end - u->begin) * u->weight->row_bytes);
    begin = (begin + page - 1) / page * page;
    end = end / page * page;
    if (begin < end)
        (void)madvise((void *)begin, end - begin, MADV_DONTNEED);
}

static void report_bad(pack_job *job, uint64_t unit) {
    uint64_t seen = atomic_load(&job->bad_unit);
    while (unit < seen && !atomic_compare_exchange_weak(&job->bad_unit, &seen, unit)) {
    }
    atomic_store(&job->stop, true);
}

static void pack_units(void *arg, uint32_t worker) {
    pack_job *job = arg;
    uint32_t n_weights = job->backend->program->n_weights, i_weight = 0;
    const unit_span *last = &job->spans[n_weights - 1];
    uint64_t n_units = last->first + last->n_total, row, col;
    while (!atomic_load(&job->stop)) {
        uint64_t unit = atomic_fetch_add(&job->next_unit, 1);
        if (unit >= n_units)
            break;
        unit_rows u = find_unit(job, unit, &i_weight);
        if (!rows_finite(&u, &row, &col)) {
            report_bad(job, unit);
            break;
        }
        if (u.bound->is_vector)
            decode_vector(job->backend, &u);
        if (u.bound->is_matrix && u.bound->matrix.variant->packs)
            pack_rows(job->backend, &u);
        if (job->backend->options.release_mapping &&
            (!u.bound->is_matrix || u.bound->matrix.variant->packs))
            release_rows(&u);
        uint64_t bytes = (u.end - u.begin) * u.weight->row_bytes;
        uint64_t done = atomic_fetch_add(&job->done_bytes, bytes) + bytes;
        if (worker == 0 && job->progress && !job->progress(job->user, done, job->total_bytes))
            atomic_store(&job->stop, true);
    }
}

static rf_status bad_weight(const pack_job *job, uint64_t unit, rf_error *err) {
    uint32_t i_weight = 0;
    unit_rows u = find_unit(job, unit, &i_weight);
    uint64_t row = 0, col = 0;
    (void)rows_finite(&u, &row, &col);
    uint64_t index = (u.expert * u.weight->n_rows + row) * u.weight->n_cols + col;
    return rf_fail(err, RF_ERR_INVALID,
                   "tensor '%.*s' (%s): weight %llu (row %llu, column %llu) is NaN or infinite",
                   RF_STR_ARG(u.weight->name), rf_qtype_get(u.weight->qtype)->name,
                   (unsigned long long)index, (unsigned long long)row, (unsigned long long)col);
}

/* Points every weight at its memory. */
static void place_weights(rf_cpu_backend *b) {
    for (uint32_t i = 0; i < b->program->n_weights; i++) {
        rf_cpu_weight *w = &b->plan.weights[i];
        if (w->is_vector)
            w->vector = (const float *)(const void *)(b->weights + w->vector_offset);
        if (w->is_matrix)
            w->matrix.data = w->matrix.variant->packs ? b->weights + w->packed_offset
                                                      : b->program->weights[i].data;
    }
}

rf_status rf_cpu_pack(rf_cpu_backend *backend, rf_progress_fn progress, void *user, rf_error *err) {
    uint32_t n_weights = backend->program->n_weights;
    pack_job job = {.backend = backend, .progress = progress, .user = user};
    place_weights(backend);
    job.spans = RF_ARENA_ARRAY(&backend->arena, unit_span, n_weights);
    if (!job.spans)
        return rf_fail(err, RF_ERR_NO_MEMORY, "no memory to load %u tensors", n_weights);
    if (n_weights == 0 || plan_units(&job) == 0)
        return RF_OK;
    atomic_store(&job.bad_unit, UINT64_MAX);
    rf_pool_run(backend->pool, pack_units, &job);
    uint64_t bad = atomic_load(&job.bad_unit);
    if (bad != UINT64_MAX)
        return bad_weight(&job, bad, err);
    if (atomic_load(&job.stop))
        return rf_fail(err, RF_ERR_INTERRUPTED, "loading was interrupted");
    if (progress && !progress(user, job.total_bytes, job.total_bytes))
        return rf_fail(err, RF_ERR_INTERRUPTED, "loading was interrupted");
    return RF_OK;
}
