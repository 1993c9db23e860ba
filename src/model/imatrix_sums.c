#include "model/imatrix_sums.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/checked.h"
#include "base/map.h"
#include "gguf/writer.h"

enum { GGUF_F32 = 0, NAME_BYTES = 128 };

typedef struct column_sums {
    double *squares;  /* owned; [n_experts][n_cols]; NULL for a weight that is not collected */
    rf_weight_id by;  /* who adds to them: the first view of the tensor that is multiplied */
    uint64_t *counts; /* owned; [n_experts] */
    float *out;       /* owned while a file is written: both as floats */
} column_sums;

struct rf_imatrix_sums {
    const rf_program *program;
    rf_observer observer;
    column_sums *weights; /* owned; [n_weights] */
    uint32_t *owner;      /* owned; [n_weights]: the first weight of the same name */
};

static void see(void *user, rf_weight_id id, uint32_t expert, const float *rows, size_t n_rows) {
    rf_imatrix_sums *sums = user;
    column_sums *at = &sums->weights[sums->owner[id]];
    size_t n_cols = (size_t)sums->program->weights[id].n_cols;
    if (at->by == RF_NONE)
        at->by = id;
    if (!at->squares || at->by != id)
        return;
    double *squares = at->squares + expert * n_cols;
    for (size_t r = 0; r < n_rows; r++)
        for (size_t i = 0; i < n_cols; i++)
            squares[i] += (double)rows[r * n_cols + i] * (double)rows[r * n_cols + i];
    at->counts[expert] += n_rows;
}

static rf_status no_memory(rf_error *err) {
    return rf_fail(err, RF_ERR_NO_MEMORY, "no memory for the sums of an importance matrix");
}

static bool wanted(const rf_weight *weight, bool with_output) {
    bool matrix = weight->n_rows > 1 || rf_str_ends(weight->name, RF_STR("inp_shexp.weight"));
    return (matrix && rf_str_starts(weight->name, RF_STR("blk."))) ||
           (with_output && rf_str_is(weight->name, "output.weight"));
}

static rf_status take(rf_imatrix_sums *sums, bool with_output, rf_map *names, rf_error *err) {
    const rf_program *program = sums->program;
    for (uint32_t i = 0; i < program->n_weights; i++) {
        const rf_weight *weight = &program->weights[i];
        column_sums *at = &sums->weights[i];
        bool view = false;
        size_t n;
        at->by = RF_NONE;
        sums->owner[i] = i;
        if (!rf_map_put(names, weight->name, i, &view))
            return no_memory(err);
        if (view && rf_map_get(names, weight->name, &sums->owner[i]))
            continue;
        if (!wanted(weight, with_output))
            continue;
        if (!rf_mul_size((size_t)weight->n_cols, (size_t)weight->n_experts, &n))
            return no_memory(err);
        at->squares = rf_calloc(n, sizeof *at->squares);
        at->counts = rf_calloc((size_t)weight->n_experts, sizeof *at->counts);
        if (!at->squares || !at->counts)
            return no_memory(err);
    }
    return RF_OK;
}

rf_status rf_imatrix_sums_create(const rf_program *program, bool with_output, rf_imatrix_sums **out,
                                 rf_error *err) {
    rf_imatrix_sums *sums = rf_calloc(1, sizeof *sums);
    if (!sums)
        return no_memory(err);
    sums->program = program;
    sums->observer = (rf_observer){see, sums};
    sums->weights = rf_calloc(program->n_weights ? program->n_weights : 1, sizeof *sums->weights);
    sums->owner = rf_calloc(program->n_weights ? program->n_weights : 1, sizeof *sums->owner);
    rf_map names;
    rf_map_init(&names);
    rf_status status =
        sums->weights && sums->owner ? take(sums, with_output, &names, err) : no_memory(err);
    rf_map_deinit(&names);
    if (status != RF_OK) {
        rf_imatrix_sums_destroy(sums);
        return status;
    }
    *out = sums;
    return RF_OK;
}

void rf_imatrix_sums_destroy(rf_imatrix_sums *sums) {
    if (!sums)
        return;
    for (uint32_t i = 0; sums->weights && i < sums->program->n_weights; i++) {
        rf_free(sums->weights[i].squares);
        rf_free(sums->weights[i].counts);
        rf_free(sums->weights[i].out);
    }
    rf_free(sums->weights);
    rf_free(sums->owner);
    rf_free(sums);
}

const rf_observer *rf_imatrix_sums_observer(const rf_imatrix_sums *sums) { return &sums->observer; }

static rf_status put(rf_gguf_writer *writer, const rf_weight *weight, column_sums *at,
                     rf_error *err) {
    char name[NAME_BYTES];
    size_t n_experts = (size_t)weight->n_experts, n = (size_t)weight->n_cols * n_experts;
    uint64_t sums_ne[2] = {weight->n_cols, n_experts}, counts_ne[2] = {1, n_experts};
    rf_free(at->out);
    at->out = rf_calloc(n + n_experts, sizeof *at->out);
    if (!at->out)
        return no_memory(err);
    for (size_t i = 0; i < n; i++) {
        at->out[i] = (float)at->squares[i];
        if (!isfinite(at->out[i]))
            return rf_fail(err, RF_ERR_INVALID,
                           "weight \"%.*s\": found activations that are not finite in column %zu",
                           RF_STR_ARG(weight->name), i % (size_t)weight->n_cols);
    }
    for (size_t i = 0; i < n_experts; i++)
        at->out[n + i] = (float)at->counts[i];
    int len = snprintf(name, sizeof name, "%.*s.in_sum2", RF_STR_ARG(weight->name));
    rf_gguf_writer_tensor(writer, (rf_str){name, (size_t)len}, GGUF_F32, 2, sums_ne, at->out,
                          n * sizeof *at->out);
    len = snprintf(name, sizeof name, "%.*s.counts", RF_STR_ARG(weight->name));
    rf_gguf_writer_tensor(writer, (rf_str){name, (size_t)len}, GGUF_F32, 2, counts_ne, at->out + n,
                          n_experts * sizeof *at->out);
    return RF_OK;
}

rf_status rf_imatrix_sums_write(const rf_imatrix_sums *sums, const rf_imatrix_source *source,
                                const char *path, rf_error *err) {
    rf_gguf_writer *writer = NULL;
    rf_status status = rf_gguf_writer_create(0, &writer, err);
    if (status != RF_OK)
        return status;
    rf_gguf_writer_str(writer, "general.type", RF_STR("imatrix"));
    rf_gguf_writer_strings(writer, "imatrix.datasets", &source->dataset, 1);
    rf_gguf_writer_u32(writer, "imatrix.chunk_count", source->n_chunks);
    rf_gguf_writer_u32(writer, "imatrix.chunk_size", source->chunk_tokens);
    for (uint32_t i = 0; i < sums->program->n_weights && status == RF_OK; i++)
        if (sums->weights[i].squares)
            status = put(writer, &sums->program->weights[i], &sums->weights[i], err);
    if (status == RF_OK)
        status = rf_gguf_writer_finish(writer, path, err);
    rf_gguf_writer_destroy(writer);
    return status;
}
