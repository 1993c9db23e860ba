#include "tests/lib/golden_model.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"

static bool read_expected(golden_model *golden) {
    rf_error err = {0};
    const rf_gguf_key *tokens = NULL;
    const rf_gguf_tensor *logits = rf_gguf_find_tensor(golden->expected, RF_STR("logits"));
    if (!logits ||
        rf_gguf_get_array(golden->expected, "golden.tokens", RF_GGUF_I32, &tokens, &err) != RF_OK)
        return false;
    golden->n_tokens = (uint32_t)tokens->n_items;
    golden->n_vocab = (uint32_t)logits->ne[0];
    golden->tokens = rf_calloc(golden->n_tokens, sizeof *golden->tokens);
    golden->logits = rf_alloc((size_t)logits->bytes);
    if (!golden->tokens || !golden->logits || logits->ne[1] != golden->n_tokens)
        return false;
    for (uint32_t i = 0; i < golden->n_tokens; i++)
        golden->tokens[i] = (int32_t)rf_gguf_item_int(tokens, i);
    memcpy(golden->logits, logits->data, (size_t)logits->bytes);
    return true;
}

bool golden_model_bind(golden_model *golden, rf_gguf *gguf, uint32_t n_ctx, const char *expected) {
    rf_error err = {0};
    *golden = (golden_model){.gguf = gguf};
    if (rf_model_create(gguf, &(rf_model_options){.n_ctx = n_ctx}, &golden->model, &err) == RF_OK &&
        rf_gguf_open(expected, NULL, &golden->expected, &err) == RF_OK && read_expected(golden))
        return true;
    (void)fprintf(stderr, "%s: %s\n", expected, err.text);
    golden_model_close(golden);
    return false;
}

bool golden_model_open(golden_model *golden, const char *folder, const char *name) {
    char path[256];
    rf_gguf *gguf = NULL;
    rf_error err = {0};
    (void)snprintf(path, sizeof path, "tests/golden/%s/%s.gguf", folder, name);
    if (rf_gguf_open(path, NULL, &gguf, &err) != RF_OK) {
        (void)fprintf(stderr, "%s: %s\n", path, err.text);
        *golden = (golden_model){0};
        return false;
    }
    (void)snprintf(path, sizeof path, "tests/golden/%s/%s.expected.gguf", folder, name);
    return golden_model_bind(golden, gguf, 0, path);
}

void golden_model_close(golden_model *golden) {
    rf_model_destroy(golden->model);
    rf_gguf_close(golden->gguf);
    rf_gguf_close(golden->expected);
    rf_free(golden->tokens);
    rf_free(golden->logits);
    *golden = (golden_model){0};
}

bool golden_engine_open(row_engine *engine, const golden_model *golden, const rf_cpu_options *cpu,
                        rf_kv_type kv_type, uint32_t n_seqs, uint32_t batch_tokens) {
    rf_error err = {0};
    rf_engine_options options = row_engine_options(kv_type, GOLDEN_CTX, n_seqs);
    if (batch_tokens > 0)
        options.batch_tokens = batch_tokens;
    if (row_engine_open(engine, rf_model_program(golden->model), cpu, &options, &err) == RF_OK)
        return true;
    (void)fprintf(stderr, "no engine: %s\n", err.text);
    return false;
}

static bool run_pieces(const golden_model *golden, row_engine *engine, uint32_t largest,
                       rf_rng *rng, float *rows) {
    rf_error err = {0};
    uint64_t salt = ++engine->last_salt;
    for (uint32_t at = 0, n; at < golden->n_tokens; at += n) {
        n = rng ? 1 + rf_rng_below(rng, largest) : largest;
        n = n > golden->n_tokens - at ? golden->n_tokens - at : n;
        row_feed feed = {.tokens = golden->tokens,
                         .n_tokens = at + n,
                         .from = at,
                         .salt = salt,
                         .rows = rows + (size_t)at * golden->n_vocab};
        if (row_engine_run(engine, &feed, 1, &err) == RF_OK && row_engine_found(engine, &feed))
            continue;
        (void)fprintf(stderr, "%u tokens from %u on, %u of them cached: %s\n", n, at, feed.n_cached,
                      err.text);
        return false;
    }
    return true;
}

float *golden_run(const golden_model *golden, row_engine *engine, uint32_t largest, rf_rng *rng) {
    float *rows = rf_calloc((size_t)golden->n_tokens * golden->n_vocab, sizeof *rows);
    if (rows && run_pieces(golden, engine, largest, rng, rows))
        return rows;
    rf_free(rows);
    return NULL;
}

double golden_rel(const float *got, const float *want, size_t n) {
    double sum = 0, squares = 0, errors = 0;
    for (size_t i = 0; i < n; i++) {
        double w = (double)want[i], d = (double)got[i] - w;
        sum += w;
        squares += w * w;
        errors += d * d;
    }
    double mean = sum / (double)n,
           rel = sqrt(errors / (double)n / (squares / (double)n - mean * mean));
    return isnan(rel) ? INFINITY : rel;
}

uint32_t golden_best(const float *row, uint32_t n) {
    uint32_t best = 0;
    for (uint32_t i = 1; i < n; i++)
        best = row[i] > row[best] ? i : best;
    return best;
}

uint32_t golden_n_best_differ(const float *got, const float *want, uint32_t n_rows,
                              uint32_t n_vocab) {
    uint32_t n = 0;
    for (uint32_t r = 0; r < n_rows; r++)
        n += golden_best(got + (size_t)r * n_vocab, n_vocab) !=
             golden_best(want + (size_t)r * n_vocab, n_vocab);
    return n;
}
