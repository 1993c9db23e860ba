#include "model/imatrix.h"

#include <inttypes.h>
#include <math.h>

#include "base/alloc.h"
#include "base/map.h"
#include "gguf/gguf.h"

enum { GGUF_F32 = 0 };
static const char sums_suffix[] = ".in_sum2", counts_suffix[] = ".counts";

typedef struct entry {
    uint64_t n_cols, n_matrices;
    float *means; /* owned */
} entry;

struct rf_imatrix {
    rf_gguf *gguf;
    entry *entries;
    size_t n_entries;
    rf_map index; /* weight name to entry */
    uint32_t n_chunks;
    rf_str dataset;
};

void rf_imatrix_close(rf_imatrix *imatrix) {
    if (!imatrix)
        return;
    for (size_t i = 0; i < imatrix->n_entries; i++)
        rf_free(imatrix->entries[i].means);
    rf_free(imatrix->entries);
    rf_map_deinit(&imatrix->index);
    rf_gguf_close(imatrix->gguf);
    rf_free(imatrix);
}

size_t rf_imatrix_n_entries(const rf_imatrix *imatrix) { return imatrix->n_entries; }
uint32_t rf_imatrix_n_chunks(const rf_imatrix *imatrix) { return imatrix->n_chunks; }
rf_str rf_imatrix_dataset(const rf_imatrix *imatrix) { return imatrix->dataset; }

static rf_status bad_tensor(const rf_imatrix *imatrix, rf_str name, const char *found,
                            rf_error *err) {
    return rf_fail(err, RF_ERR_INVALID, "%s: tensor \"%.*s\": found %s",
                   rf_gguf_path(imatrix->gguf), RF_STR_ARG(name), found);
}

static float float_at(const rf_gguf_tensor *tensor, uint64_t i) {
    float value;
    memcpy(&value, tensor->data + 4 * i, sizeof value);
    return value;
}

/* NULL, with err filled, unless the weight's counts are there and fit. */
static const rf_gguf_tensor *find_counts(const rf_imatrix *imatrix, const rf_gguf_tensor *sums,
                                         rf_str weight, rf_error *err) {
    char name[256];
    size_t n = weight.len + sizeof counts_suffix - 1;
    const rf_gguf_tensor *counts = NULL;
    if (n <= sizeof name) {
        memcpy(name, weight.ptr, weight.len);
        memcpy(name + weight.len, counts_suffix, sizeof counts_suffix - 1);
        counts = rf_gguf_find_tensor(imatrix->gguf, (rf_str){name, n});
    }
    const char *fault = !counts                       ? "no .counts beside it"
                        : counts->type_id != GGUF_F32 ? "counts of another type than F32"
                        : counts->n_elements != sums->ne[1]
                            ? "another number of counts than of rows"
                            : NULL;
    if (!fault)
        return counts;
    (void)bad_tensor(imatrix, sums->name, fault, err);
    return NULL;
}

static rf_status read_entry(rf_imatrix *imatrix, const rf_gguf_tensor *sums, rf_str weight,
                            rf_error *err) {
    const rf_gguf_tensor *counts = find_counts(imatrix, sums, weight, err);
    if (!counts)
        return RF_ERR_INVALID;
    if (sums->type_id != GGUF_F32 || sums->ne[2] != 1 || sums->ne[3] != 1)
        return bad_tensor(imatrix, sums->name, "another type than F32 or more than 2 dimensions",
                          err);
    entry *at = &imatrix->entries[imatrix->n_entries];
    *at = (entry){sums->ne[0], sums->ne[1], rf_alloc((size_t)sums->n_elements * sizeof(float))};
    if (!at->means)
        return rf_fail(err, RF_ERR_NO_MEMORY, "no memory for an importance matrix");
    imatrix->n_entries++;
    if (!rf_map_put(&imatrix->index, weight, (uint32_t)imatrix->n_entries - 1, NULL))
        return rf_fail(err, RF_ERR_NO_MEMORY, "no memory for an importance matrix");
    for (uint64_t m = 0; m < at->n_matrices; m++) {
        float count = float_at(counts, m);
        for (uint64_t i = m * at->n_cols; i < (m + 1) * at->n_cols; i++) {
            /* experts that no token reached count all columns alike */
            at->means[i] = count > 0 ? float_at(sums, i) / count : 1;
            if (!(at->means[i] >= 0 && isfinite(at->means[i])))
                return bad_tensor(imatrix, sums->name,
                                  "a sum or count that is negative, infinite or NaN", err);
        }
    }
    return RF_OK;
}

static rf_status read_all(rf_imatrix *imatrix, rf_error *err) {
    size_t n_tensors = rf_gguf_n_tensors(imatrix->gguf);
    rf_error ignored = {0};
    const rf_gguf_key *datasets;
    imatrix->entries = rf_calloc(n_tensors ? n_tensors : 1, sizeof *imatrix->entries);
    if (!imatrix->entries)
        return rf_fail(err, RF_ERR_NO_MEMORY, "no memory for an importance matrix");
    for (size_t i = 0; i < n_tensors; i++) {
        const rf_gguf_tensor *sums = rf_gguf_tensor_at(imatrix->gguf, i);
        if (rf_str_ends(sums->name, rf_str_of(sums_suffix)))
            RF_TRY(read_entry(imatrix, sums,
                              rf_str_sub(sums->name, 0, sums->name.len - (sizeof sums_suffix - 1)),
                              err));
    }
    if (imatrix->n_entries == 0)
        return rf_fail(err, RF_ERR_INVALID,
                       "%s: found no tensor NAME%s, expected an importance matrix in llama.cpp's "
                       "GGUF form",
                       rf_gguf_path(imatrix->gguf), sums_suffix);
    (void)!rf_gguf_get_u32(imatrix->gguf, "imatrix.chunk_count", &imatrix->n_chunks, &ignored);
    if (rf_gguf_get_array(imatrix->gguf, "imatrix.datasets", RF_GGUF_STRING, &datasets, &ignored) ==
        RF_OK) {
        rf_gguf_strings walk = rf_gguf_strings_begin(datasets);
        (void)rf_gguf_strings_next(&walk, &imatrix->dataset);
    }
    return RF_OK;
}

rf_status rf_imatrix_open(const char *path, rf_imatrix **out, rf_error *err) {
    rf_imatrix *imatrix = rf_calloc(1, sizeof *imatrix);
    if (!imatrix)
        return rf_fail(err, RF_ERR_NO_MEMORY, "no memory for an importance matrix");
    rf_map_init(&imatrix->index);
    rf_status status = rf_gguf_open(path, NULL, &imatrix->gguf, err);
    if (status == RF_OK)
        status = read_all(imatrix, err);
    if (status != RF_OK) {
        rf_imatrix_close(imatrix);
        return status;
    }
    *out = imatrix;
    return RF_OK;
}

rf_status rf_imatrix_find(const rf_imatrix *imatrix, rf_str name, uint64_t n_cols,
                          uint64_t n_matrices, const float **out, rf_error *err) {
    uint32_t i;
    *out = NULL;
    if (!imatrix || !rf_map_get(&imatrix->index, name, &i))
        return RF_OK;
    const entry *at = &imatrix->entries[i];
    if (at->n_cols != n_cols || at->n_matrices != n_matrices)
        return rf_fail(err, RF_ERR_INVALID,
                       "%s: weight \"%.*s\": found importance of shape %" PRIu64 " x %" PRIu64
                       ", expected %" PRIu64 " x %" PRIu64,
                       rf_gguf_path(imatrix->gguf), RF_STR_ARG(name), at->n_cols, at->n_matrices,
                       n_cols, n_matrices);
    *out = at->means;
    return RF_OK;
}
