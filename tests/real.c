/*
 * real MODEL.gguf GOLDEN.json: a real model on the fast backend against what transformers says of
 * it: the best token along every golden path wherever the two best logits are 0.35 apart, and the
 * perplexity of tests/golden/text/persuasion.txt. tests/golden/README.md has the bounds.
 */
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/log.h"
#include "tests/lib/golden.h"
#include "tests/lib/golden_model.h"
#include "tokenizer/tokenizer.h"

enum { WINDOW = 512, FIRST_COUNTED = 256, OUTPUTS = 64, N_CTX = 512 };

static const double GAP = 0.35; /* llama.cpp with 8-bit activations differs up to 0.34 */
/* llama.cpp with 8-bit activations is 0.53 % and 0.46 % above; its own spread over types is less */
static const double PERPLEXITY_SLACK = 0.006;

typedef struct real {
    rf_gguf *gguf;
    rf_model *model;
    row_engine engine;
    uint64_t last_salt;
    float *rows; /* [OUTPUTS][n_vocab], owned */
    rf_tokenizer *tokenizer;
    json_t *golden;
    uint32_t n_vocab;
    unsigned n_failures;
    rf_error err;
} real;

/* Rows after tokens[from] and later ones; what is before them is cached, but the first time. */
static bool step(real *r, const int32_t *tokens, uint32_t from, uint32_t n_tokens) {
    row_feed feed = {.tokens = tokens,
                     .n_tokens = n_tokens,
                     .from = from,
                     .salt = r->last_salt,
                     .rows = r->rows};
    if (row_engine_run(&r->engine, &feed, 1, &r->err) == RF_OK &&
        (feed.n_cached == 0 || row_engine_found(&r->engine, &feed)))
        return true;
    (void)printf("step failed with %u of %u tokens cached: %s\n", feed.n_cached, from, r->err.text);
    r->n_failures++;
    return false;
}

static void log_line(void *user, rf_log_level level, const char *topic, const char *text) {
    (void)user;
    (void)printf("%s %s: %s\n", rf_log_level_name(level), topic, text);
}

static bool load(real *r, const char *model, const char *golden) {
    json_error_t where;
    r->golden = json_load_file(golden, 0, &where);
    if (!r->golden) {
        (void)printf("%s: %s\n", golden, where.text);
        return false;
    }
    rf_cpu_options cpu = {.features = UINT32_MAX};
    rf_engine_options options = {.n_ctx = N_CTX,
                                 .max_seqs = 1,
                                 .max_outputs = OUTPUTS,
                                 .type_k = RF_KV_F16,
                                 .type_v = RF_KV_F16};
    if (rf_gguf_open(model, NULL, &r->gguf, &r->err) == RF_OK &&
        rf_model_create(r->gguf, &(rf_model_options){.n_ctx = N_CTX}, &r->model, &r->err) ==
            RF_OK &&
        rf_tokenizer_create(r->gguf, &r->tokenizer, &r->err) == RF_OK &&
        row_engine_open(&r->engine, rf_model_program(r->model), &cpu, &options, &r->err) == RF_OK) {
        r->n_vocab = r->engine.n_vocab;
        r->rows = rf_calloc((size_t)OUTPUTS * r->n_vocab, sizeof *r->rows);
        return r->rows != NULL;
    }
    (void)printf("%s: %s\n", model, r->err.text);
    return false;
}

static void unload(real *r) {
    row_engine_close(&r->engine);
    rf_free(r->rows);
    rf_tokenizer_destroy(r->tokenizer);
    rf_model_destroy(r->model);
    rf_gguf_close(r->gguf);
    json_decref(r->golden);
}

/* ---- greedy ------------------------------------------------------------------------------------
 */

static size_t read_ids(const json_t *array, int32_t *out, size_t max) {
    size_t n = json_array_size(array);
    for (size_t i = 0; i < n && i < max; i++)
        out[i] = (int32_t)json_integer_value(json_array_get(array, i));
    return n < max ? n : max;
}

/* Tokenises the prompt where the golden file has it as plain text. */
static void check_prompt(real *r, const json_t *one, const int32_t *ids, size_t n) {
    const char *prompt = json_string_value(json_object_get(one, "prompt"));
    if (!prompt)
        return;
    rf_tokens got = {0};
    bool same =
        rf_tokenizer_encode(r->tokenizer, rf_str_of(prompt),
                            (rf_encode_options){.add_special = true}, &got, &r->err) == RF_OK &&
        got.n == n;
    for (size_t i = 0; same && i < n; i++)
        same = got.ids[i] == ids[i];
    if (!same) {
        (void)printf("other ids for the prompt \"%s\"\n", prompt);
        r->n_failures++;
    }
    rf_tokens_deinit(&got);
}

static void check_path(real *r, const json_t *one, double *widest) {
    int32_t ids[N_CTX];
    size_t n_prompt = read_ids(json_object_get(one, "prompt_ids"), ids, N_CTX);
    const json_t *path = json_object_get(one, "ids"), *gaps = json_object_get(one, "gaps");
    size_t n = read_ids(path, ids + n_prompt, N_CTX - n_prompt);
    check_prompt(r, one, ids, n_prompt);
    r->last_salt++;
    for (size_t i = 0; i < n; i++) {
        uint32_t n_tokens = (uint32_t)(n_prompt + i);
        if (!step(r, ids, n_tokens - 1, n_tokens))
            break;
        int32_t best = (int32_t)golden_best(r->rows, r->n_vocab), want = ids[n_prompt + i];
        double gap = json_number_value(json_array_get(gaps, i));
        if (best == want)
            continue;
        *widest = gap > *widest ? gap : *widest;
        if (gap >= GAP) {
            (void)printf("token %zu: best is %d, expected %d with a gap of %.3f\n", i, best, want,
                         gap);
            r->n_failures++;
        }
    }
}

static void check_greedy(real *r) {
    const json_t *all = json_object_get(r->golden, "greedy");
    double widest = 0;
    uint64_t start = rf_clock_ns();
    for (size_t i = 0; i < json_array_size(all); i++)
        check_path(r, json_array_get(all, i), &widest);
    (void)printf("greedy: %zu paths, widest gap overturned %.3f, %.1f s\n", json_array_size(all),
                 widest, (double)(rf_clock_ns() - start) / 1e9);
    r->n_failures += json_array_size(all) == 0;
}

/* ---- perplexity ---------------------------------------------------------------------------------
 */

static double log_probability(const float *row, uint32_t n, int32_t id) {
    double top = (double)row[golden_best(row, n)], sum = 0;
    for (uint32_t i = 0; i < n; i++)
        sum += (double)expf(row[i] - (float)top);
    return (double)row[id] - top - log(sum);
}

/* Adds what the counted positions of one window cost. */
static bool window_cost(real *r, const int32_t *tokens, double *cost) {
    bool ok = true;
    r->last_salt++;
    for (uint32_t at = FIRST_COUNTED, n; ok && at < WINDOW - 1; at += n) {
        n = WINDOW - 1 - at < OUTPUTS ? WINDOW - 1 - at : OUTPUTS;
        ok = step(r, tokens, at, at + n);
        for (uint32_t i = 0; ok && i < n; i++)
            *cost -=
                log_probability(r->rows + (size_t)i * r->n_vocab, r->n_vocab, tokens[at + i + 1]);
    }
    return ok;
}

static void compare_perplexity(real *r, const rf_tokens *tokens, const json_t *golden) {
    const json_t *running = json_object_get(golden, "running");
    size_t n_windows = json_array_size(running);
    bool bos = json_is_true(json_object_get(golden, "bos_replaces_first_token"));
    double cost = 0, got = 0, want = 0;
    uint64_t start = rf_clock_ns();
    if (n_windows == 0 || tokens->n < n_windows * WINDOW) {
        (void)printf("perplexity: %zu tokens for %zu windows\n", tokens->n, n_windows);
        r->n_failures++;
        return;
    }
    for (size_t w = 0; w < n_windows; w++) {
        int32_t *window = tokens->ids + w * WINDOW;
        if (bos)
            window[0] = rf_tokenizer_roles(r->tokenizer)->bos;
        if (!window_cost(r, window, &cost))
            return;
        got = exp(cost / (double)((w + 1) * (WINDOW - 1 - FIRST_COUNTED)));
        want = json_number_value(json_array_get(running, w));
        (void)printf("perplexity after window %zu: %.4f, golden %.4f (%+.2f %%)\n", w, got, want,
                     100 * (got / want - 1));
    }
    (void)printf("perplexity %.4f, golden %.4f, %.1f s\n", got, want,
                 (double)(rf_clock_ns() - start) / 1e9);
    if (!(fabs(got / want - 1) <= PERPLEXITY_SLACK)) {
        (void)printf("perplexity: further than %.1f %% from the golden one\n",
                     100 * PERPLEXITY_SLACK);
        r->n_failures++;
    }
}

static void check_perplexity(real *r) {
    golden_file text = golden_read("tests/golden/text/persuasion.txt");
    rf_tokens tokens = {0};
    if (text.bytes &&
        rf_tokenizer_encode(r->tokenizer, (rf_str){(char *)text.bytes, text.n},
                            (rf_encode_options){.add_special = true}, &tokens, &r->err) == RF_OK) {
        compare_perplexity(r, &tokens, json_object_get(r->golden, "perplexity"));
    } else {
        (void)printf("persuasion.txt: %s\n", r->err.text);
        r->n_failures++;
    }
    rf_tokens_deinit(&tokens);
    golden_free(&text);
}

int main(int argc, char **argv) {
    if (argc != 3) {
        (void)fprintf(stderr, "usage: real MODEL.gguf GOLDEN.json\n");
        return 2;
    }
    real r = {0};
    rf_log_set(log_line, NULL, RF_LOG_WARN);
    bool loaded = load(&r, argv[1], argv[2]);
    if (loaded) {
        check_greedy(&r);
        check_perplexity(&r);
    }
    unload(&r);
    return loaded && r.n_failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
