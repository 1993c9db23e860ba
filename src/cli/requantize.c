#include "cli/requantize.h"

#include <inttypes.h>

#include "base/alloc.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cpu/pool.h"
#include "quant/encode.h"
#include "quant/finite.h"

enum {
    CHUNK_WEIGHTS = 16384, /* that a worker takes at a time, or one row */
    SLAB_CHUNKS = 64       /* that are encoded before they are written */
};

/* Rows first … first + n_rows of a matrix, on their way from the file to out. */
typedef struct row_slab {
    rf_qtype from, to;
    const uint8_t *src; /* row `first` of the file */
    const float *importance;
    uint64_t first_weight; /* index in the tensor of the slab's first */
    size_t n_cols, n_rows, chunk_rows;
    size_t src_row_bytes, out_row_bytes;
    bool check; /* read only: the bytes stay as they are */
} row_slab;

typedef struct row_worker {
    float *row;         /* owned; [chunk rows][n_cols] */
    size_t cap_weights; /* of row */
    uint64_t bad_weight;
    rf_error err;
} row_worker;

typedef struct requantizing {
    const rf_requantize_job *job;
    rf_pool *pool;
    row_worker *workers;
    uint8_t *out; /* owned; a slab's blocks */
    size_t cap_out;
    row_slab slab;
    uint64_t done_bytes, total_bytes; /* of the input */
} requantizing;

uint64_t rf_requantize_bytes(const rf_gguf_tensor *tensor, const rf_mix_choice *choice) {
    uint64_t row;
    if (choice->keep || !rf_qtype_row_bytes(choice->type, tensor->ne[0], &row))
        return tensor->bytes;
    return row * (tensor->n_elements / tensor->ne[0]);
}

/* Reads a chunk that goes to the new file as it is. */
static rf_status check_chunk(const row_slab *slab, const uint8_t *src, size_t n_weights,
                             uint64_t first, rf_error *err) {
    size_t bad;
    if (rf_weights_finite(slab->from, src, n_weights, &bad))
        return RF_OK;
    uint64_t index = first + bad;
    return rf_fail(err, RF_ERR_INVALID,
                   "weight %" PRIu64 " (row %" PRIu64 ", column %" PRIu64
                   "): found NaN or infinity, expected a finite number",
                   index, index / slab->n_cols, index % slab->n_cols);
}

static rf_status encode_chunk(const row_slab *slab, row_worker *worker, uint8_t *out, size_t row) {
    size_t left = slab->n_rows - row, n_rows = left < slab->chunk_rows ? left : slab->chunk_rows;
    const uint8_t *src = slab->src + row * slab->src_row_bytes;
    uint64_t first = slab->first_weight + row * slab->n_cols;
    if (slab->check)
        return check_chunk(slab, src, n_rows * slab->n_cols, first, &worker->err);
    rf_qtype_get(slab->from)->dequant(src, worker->row, n_rows * slab->n_cols);
    rf_encode_rows_args args = {.qtype = slab->to,
                                .src = worker->row,
                                .importance = slab->importance,
                                .n_rows = n_rows,
                                .n_cols = slab->n_cols,
                                .first = first,
                                .out = out + row * slab->out_row_bytes};
    return rf_encode_rows(&args, &worker->err);
}

/* Chunks are given out in order, so the first failure of a worker is its lowest. */
static void work(void *arg, uint32_t i_worker) {
    requantizing *run = arg;
    const row_slab *slab = &run->slab;
    row_worker *worker = &run->workers[i_worker];
    for (size_t row; worker->err.code == RF_OK;) {
        row = rf_pool_next(run->pool) * slab->chunk_rows;
        if (row >= slab->n_rows)
            break;
        if (encode_chunk(slab, worker, run->out, row) != RF_OK)
            worker->bad_weight = slab->first_weight + row * slab->n_cols;
    }
}

/* The error of the lowest weight. */
static rf_status gather(const requantizing *run, rf_error *err) {
    const row_worker *worst = NULL;
    for (uint32_t i = 0; i < rf_pool_size(run->pool); i++) {
        const row_worker *worker = &run->workers[i];
        if (worker->err.code != RF_OK && (!worst || worker->bad_weight < worst->bad_weight))
            worst = worker;
    }
    if (!worst)
        return RF_OK;
    return rf_fail(err, worst->err.code, "%s", worst->err.text);
}

static bool reserve(requantizing *run, size_t chunk_weights, size_t out_bytes) {
    for (uint32_t i = 0; i < rf_pool_size(run->pool); i++) {
        row_worker *worker = &run->workers[i];
        if (worker->cap_weights >= chunk_weights)
            continue;
        rf_free(worker->row);
        worker->row = rf_calloc(chunk_weights, sizeof *worker->row);
        worker->cap_weights = worker->row ? chunk_weights : 0;
        if (!worker->row)
            return false;
    }
    if (run->cap_out < out_bytes) {
        rf_free(run->out);
        run->out = rf_alloc(out_bytes);
        run->cap_out = run->out ? out_bytes : 0;
    }
    return run->out || out_bytes == 0;
}

static rf_status write_slab(requantizing *run, rf_outfile *file, rf_error *err) {
    const row_slab *slab = &run->slab;
    RF_TRY(rf_interrupt_check(err));
    rf_pool_run(run->pool, work, run);
    RF_TRY(gather(run, err));
    RF_TRY(rf_outfile_write(file, slab->check ? slab->src : run->out,
                            slab->n_rows * slab->out_row_bytes, err));
    run->done_bytes += slab->n_rows * slab->src_row_bytes;
    rf_progress_update(run->done_bytes, run->total_bytes);
    return RF_OK;
}

static rf_status convert(requantizing *run, const rf_gguf_tensor *tensor,
                         const rf_mix_choice *choice, rf_qtype from, rf_outfile *file,
                         rf_error *err) {
    row_slab *slab = &run->slab;
    uint64_t src_row, out_row, n_matrices = tensor->ne[2] * tensor->ne[3];
    rf_qtype to = choice->keep ? from : choice->type;
    const float *importance = NULL;
    *slab = (row_slab){.from = from, .to = to, .check = to == from};
    slab->n_cols = (size_t)tensor->ne[0];
    if (!rf_qtype_row_bytes(from, tensor->ne[0], &src_row) ||
        !rf_qtype_row_bytes(to, tensor->ne[0], &out_row))
        return rf_fail(err, RF_ERR_INTERNAL, "rows of another length than the type's");
    slab->src_row_bytes = (size_t)src_row;
    slab->out_row_bytes = (size_t)out_row;
    slab->chunk_rows = slab->n_cols < CHUNK_WEIGHTS ? CHUNK_WEIGHTS / slab->n_cols : 1;
    size_t step = slab->chunk_rows * SLAB_CHUNKS;
    if (!slab->check)
        RF_TRY(rf_imatrix_find(run->job->imatrix, tensor->name, tensor->ne[0], n_matrices,
                               &importance, err));
    size_t most = tensor->ne[1] < step ? (size_t)tensor->ne[1] : step;
    if (!reserve(run, slab->chunk_rows * slab->n_cols,
                 slab->check ? 0 : most * slab->out_row_bytes))
        return rf_fail(err, RF_ERR_NO_MEMORY, "no memory for rows of %zu weights", slab->n_cols);
    for (uint64_t m = 0; m < n_matrices; m++) {
        slab->importance = importance ? importance + m * tensor->ne[0] : NULL;
        for (uint64_t row = 0; row < tensor->ne[1]; row += slab->n_rows) {
            uint64_t left = tensor->ne[1] - row, at = m * tensor->ne[1] + row;
            slab->n_rows = left < step ? (size_t)left : step;
            slab->src = tensor->data + at * src_row;
            slab->first_weight = at * tensor->ne[0];
            RF_TRY(write_slab(run, file, err));
        }
    }
    return RF_OK;
}

static rf_status produce(void *user, size_t i_tensor, rf_outfile *file, rf_error *err) {
    requantizing *run = user;
    const rf_gguf_tensor *tensor = rf_gguf_tensor_at(run->job->in, i_tensor);
    rf_qtype from;
    if (!rf_qtype_from_gguf(tensor->type_id, &from)) { /* integers and the like */
        run->done_bytes += tensor->bytes;
        return rf_outfile_write(file, tensor->data, (size_t)tensor->bytes, err);
    }
    rf_status status = convert(run, tensor, &run->job->choices[i_tensor], from, file, err);
    if (status == RF_ERR_INVALID || status == RF_ERR_NO_MEMORY)
        return rf_fail_prefix(err, "%s: tensor \"%.*s\"", rf_gguf_path(run->job->in),
                              RF_STR_ARG(tensor->name));
    return status;
}

static rf_status write_file(requantizing *run, rf_gguf_writer *writer, const char *path,
                            rf_error *err) {
    const rf_gguf *in = run->job->in;
    for (size_t i = 0; i < rf_gguf_n_tensors(in); i++) {
        const rf_gguf_tensor *tensor = rf_gguf_tensor_at(in, i);
        const rf_mix_choice *choice = &run->job->choices[i];
        uint32_t type = choice->keep ? tensor->type_id : rf_qtype_get(choice->type)->gguf_id;
        rf_gguf_writer_tensor(writer, tensor->name, type, tensor->n_dims, tensor->ne, NULL,
                              rf_requantize_bytes(tensor, choice));
        run->total_bytes += tensor->bytes;
    }
    rf_gguf_writer_produce(writer, produce, run);
    return rf_gguf_writer_finish(writer, path, err);
}

rf_status rf_requantize(const rf_requantize_job *job, rf_gguf_writer *writer, const char *path,
                        rf_error *err) {
    requantizing run = {.job = job};
    RF_TRY(rf_pool_create(job->n_threads, &run.pool, err));
    run.workers = rf_calloc(job->n_threads, sizeof *run.workers);
    rf_status status =
        run.workers ? write_file(&run, writer, path, err)
                    : rf_fail(err, RF_ERR_NO_MEMORY, "no memory for %u workers", job->n_threads);
    rf_pool_destroy(run.pool);
    for (uint32_t i = 0; run.workers && i < job->n_threads; i++)
        rf_free(run.workers[i].row);
    rf_free(run.workers);
    rf_free(run.out);
    return status;
}
