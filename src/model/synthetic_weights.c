#include "model/synthetic_weights.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "quant/encode.h"

enum {
    POOL_WEIGHTS = 1 << 19,
    POOL_COLS = 1024, /* as the encoders see it; a multiple of every block */
    RUN_WEIGHTS = 1024,
    BUFFER_BYTES = 1 << 18,
    SEED = 20240229,
    POOL_STREAM = 1 << 30
};

void rf_weight_pool_deinit(rf_weight_pool *pool) {
    for (int i = 0; i < RF_QTYPE_COUNT; i++)
        rf_free(pool->blocks[i]);
    rf_free(pool->weights);
    rf_free(pool->buffer);
    *pool = (rf_weight_pool){0};
}

static rf_status no_memory(rf_error *err) {
    return rf_fail(err, RF_ERR_NO_MEMORY, "no memory for random weights");
}

static rf_status draw(rf_weight_pool *pool, rf_error *err) {
    if (pool->weights)
        return RF_OK;
    pool->buffer = rf_alloc(BUFFER_BYTES);
    pool->weights = rf_calloc(POOL_WEIGHTS, sizeof *pool->weights);
    if (!pool->weights || !pool->buffer)
        return no_memory(err);
    rf_rng rng = rf_rng_make(SEED, POOL_STREAM);
    for (size_t i = 0; i < POOL_WEIGHTS; i++)
        pool->weights[i] = pool->deviation * rf_rng_normal(&rng);
    return RF_OK;
}

static rf_status encode(rf_weight_pool *pool, rf_qtype qtype, rf_error *err) {
    const rf_qtype_info *info = rf_qtype_get(qtype);
    if (pool->blocks[qtype])
        return RF_OK;
    pool->blocks[qtype] = rf_alloc((size_t)POOL_WEIGHTS / info->block_weights * info->block_bytes);
    if (!pool->blocks[qtype])
        return no_memory(err);
    rf_encode_rows_args args = {.qtype = qtype,
                                .src = pool->weights,
                                .n_rows = POOL_WEIGHTS / POOL_COLS,
                                .n_cols = POOL_COLS,
                                .out = pool->blocks[qtype]};
    return rf_encode_rows(&args, err);
}

rf_status rf_weight_pool_matrix(rf_weight_pool *pool, rf_qtype qtype, uint64_t n_weights,
                                uint64_t stream, rf_outfile *file, rf_error *err) {
    const rf_qtype_info *info = rf_qtype_get(qtype);
    RF_TRY(draw(pool, err));
    RF_TRY(encode(pool, qtype, err));
    rf_rng rng = rf_rng_make(SEED, stream);
    uint32_t n_starts = (POOL_WEIGHTS - RUN_WEIGHTS) / info->block_weights + 1;
    size_t block = info->block_bytes, run = RUN_WEIGHTS / info->block_weights * block, filled = 0;
    for (uint64_t left = n_weights / info->block_weights * block; left > 0;) {
        size_t n = left < run ? (size_t)left : run;
        if (filled + n > BUFFER_BYTES) {
            RF_TRY(rf_outfile_write(file, pool->buffer, filled, err));
            filled = 0;
        }
        memcpy(pool->buffer + filled, pool->blocks[qtype] + rf_rng_below(&rng, n_starts) * block,
               n);
        filled += n;
        left -= n;
    }
    return rf_outfile_write(file, pool->buffer, filled, err);
}

rf_status rf_weight_pool_norm(uint64_t n, uint64_t stream, rf_outfile *file, rf_error *err) {
    static const float spread = 0.1f;
    rf_rng rng = rf_rng_make(SEED, stream);
    for (uint64_t i = 0; i < n; i++) {
        float value = 1 + spread * rf_rng_normal(&rng);
        RF_TRY(rf_outfile_write(file, &value, sizeof value, err));
    }
    return RF_OK;
}
