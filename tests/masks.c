/* What masks of tokens cost with the Llama 3 vocabulary of tests/golden: build/release/tests/masks,
 * from the repository root. Best of several rounds; processor time of one thread. */
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/rng.h"
#include "gguf/gguf.h"
#include "grammar/constraint.h"
#include "grammar/regex.h"
#include "grammar/rules.h"
#include "sample/sampler.h"
#include "tests/lib/golden.h"
#include "text/vocab_bytes.h"

enum { N_TOKENS = 60, N_ROUNDS = 5, MASK_BYTES = 16 << 20 };

typedef struct bench_state {
    rf_vocab_bytes vocab;
    rf_token_trie *trie;
    float *logits; /* [n_vocab] */
    rf_sample_scratch *scratch;
    rf_sampler *sampler;
} bench_state;

typedef struct result {
    double compile_ms, cold_ms, warm_us; /* of the pattern, the worst state, a token */
    uint32_t n_states, n_tokens;
} result;

static double min_of(double a, double b) { return a == 0 || b < a ? b : a; }

static double sample_us(bench_state *s, const uint32_t *mask, int32_t *token) {
    rf_sampled sampled;
    rf_error err = {0};
    uint64_t from = rf_clock_ns();
    if (rf_sampler_sample(s->sampler, s->scratch, s->logits, mask, &sampled, &err) != RF_OK)
        printf("%s\n", err.text);
    double us = (double)(rf_clock_ns() - from) / 1000;
    *token = sampled.token;
    return us;
}

/* One answer; the time of masks, of their use in sampling and of steps, above plain sampling. */
static double walk(bench_state *s, rf_constraint *c, double plain_us, result *out) {
    uint32_t state = rf_constraint_begin(c), n_allowed, n = 0;
    double sum_us = 0;
    rf_rng rng = rf_rng_make(9, 0);
    for (; n < N_TOKENS; n++) {
        int32_t token;
        for (uint32_t i = 0; i < 64; i++) /* other logits for each token */
            s->logits[rf_rng_below(&rng, s->trie->n_tokens)] = (float)rf_rng_below(&rng, 20);
        uint64_t from = rf_clock_ns();
        const uint32_t *mask = rf_constraint_mask(c, state, &n_allowed);
        double us = (double)(rf_clock_ns() - from) / 1000;
        if (n_allowed == 0)
            break;
        out->cold_ms = us / 1000 > out->cold_ms ? us / 1000 : out->cold_ms;
        us += sample_us(s, mask, &token) - plain_us;
        from = rf_clock_ns();
        if (!rf_constraint_accept(c, &state, token))
            printf("token %d may not come\n", token);
        sum_us += us + (double)(rf_clock_ns() - from) / 1000;
    }
    out->n_tokens = n;
    return n > 0 ? sum_us / n : 0;
}

static void measure(bench_state *s, const char *pattern) {
    rf_error err = {0};
    result best = {0};
    double plain_us = 0;
    int32_t token;
    for (int i = 0; i < 50; i++)
        plain_us = min_of(plain_us, sample_us(s, NULL, &token));
    for (int i = 0; i < N_ROUNDS; i++) {
        rf_automaton *a = NULL;
        rf_constraint *c = NULL;
        result cold = {0}, warm = {0};
        uint64_t from = rf_clock_ns();
        if (rf_regex_compile(rf_str_of(pattern), false, &a, &err) != RF_OK)
            return;
        best.compile_ms = min_of(best.compile_ms, (double)(rf_clock_ns() - from) / 1e6);
        best.n_states = a->n_states;
        if (rf_constraint_create(a, a->n_bytes, s->trie, MASK_BYTES, &c, &err) == RF_OK) {
            (void)walk(s, c, plain_us, &cold);
            best.cold_ms = min_of(best.cold_ms, cold.cold_ms);
            for (int k = 0; k < N_ROUNDS; k++) {
                double us = walk(s, c, plain_us, &warm);
                best.warm_us = k + i == 0 || us < best.warm_us ? us : best.warm_us;
            }
            best.n_tokens = warm.n_tokens;
        }
        rf_constraint_destroy(c);
        rf_free(a);
    }
    printf("%-44s %6u %10.2f %10.2f %10.1f  (plain sampling %.0f us, %u tokens)\n", pattern,
           best.n_states, best.compile_ms, best.cold_ms, best.warm_us, plain_us, best.n_tokens);
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Random documents of JSON, each another one: times of a mask and the step after it, the first
 * quarter being the warm-up. Brackets come more often than others, so that texts nest. */
static void measure_json(bench_state *s) {
    enum { N = 8000, CUT = 300 };
    rf_error err = {0};
    rf_rules *rules;
    rf_automaton *a = NULL;
    rf_constraint *c = NULL;
    double *us = rf_calloc(N, sizeof *us);
    rf_rng rng = rf_rng_make(3, 0);
    if (!us || rf_rules_create(&rules, &err) != RF_OK)
        return;
    rf_expr start = rf_rules_call(rules, rf_rules_json(rules)->value);
    if (rf_rules_compile(rules, start, false, &a, &err) != RF_OK ||
        rf_constraint_create(a, a->n_bytes, s->trie, MASK_BYTES, &c, &err) != RF_OK)
        return;
    uint32_t state = rf_constraint_begin(c), n_allowed, in_text = 0, n_collected = 0;
    for (uint32_t i = 0; i < N; i++) {
        uint64_t from = rf_clock_ns();
        if (rf_constraint_is_crowded(c)) {
            rf_constraint_forget(c);
            state = rf_constraint_keep(c, state);
            n_collected++;
        }
        const uint32_t *mask = rf_constraint_mask(c, state, &n_allowed);
        us[i] = (double)(rf_clock_ns() - from) / 1000;
        if (!mask || n_allowed == 0 || ++in_text > CUT) {
            state = rf_constraint_begin(c);
            in_text = 0;
            continue;
        }
        uint32_t id;
        do
            id = rf_rng_below(&rng, 3) == 0 ? (uint32_t) "[{\"},]:1"[rf_rng_below(&rng, 8)] - 33
                                            : rf_rng_below(&rng, s->trie->n_tokens);
        while (!(mask[id / 32] >> id % 32 & 1));
        from = rf_clock_ns();
        (void)rf_constraint_accept(c, &state, (int32_t)id);
        us[i] += (double)(rf_clock_ns() - from) / 1000;
    }
    double worst = 0;
    for (uint32_t i = 0; i < N / 4; i++)
        worst = us[i] > worst ? us[i] : worst;
    qsort(us + N / 4, N - N / 4, sizeof *us, by_size);
    printf(
        "JSON, a mask and a step: warm-up at most %.2f ms; then p50 %.1f us, p90 %.1f, p99 %.1f, "
        "most %.1f; states forgotten %u times\n",
        worst / 1000, us[N / 4 + N * 3 / 8], us[N / 4 + N * 27 / 40], us[N / 4 + N * 297 / 400],
        us[N - 1], n_collected);
    rf_constraint_destroy(c);
    rf_free(a);
    rf_rules_destroy(rules);
    rf_free(us);
}

static rf_status set_up(bench_state *s, const rf_tokenizer *tokenizer, rf_error *err) {
    uint32_t n = rf_tokenizer_n_tokens(tokenizer);
    rf_sample_params params = rf_sample_params_default();
    rf_rng rng = rf_rng_make(1, 0);
    RF_TRY(rf_vocab_bytes_init(&s->vocab, tokenizer, n, err));
    uint64_t from = rf_clock_ns();
    RF_TRY(rf_token_trie_create(&s->vocab.view, &s->trie, err));
    printf("tree of %u tokens: %u nodes, %.0f ms\n", n, s->trie->n_nodes,
           (double)(rf_clock_ns() - from) / 1e6);
    RF_TRY(rf_sample_scratch_create(n, &s->scratch, err));
    RF_TRY(rf_sampler_create(&params, n, 4096, 0, &s->sampler, err));
    s->logits = rf_calloc(n, sizeof *s->logits);
    for (uint32_t i = 0; s->logits && i < n; i++)
        s->logits[i] = (float)rf_rng_below(&rng, 10000) / 1000;
    return s->logits ? RF_OK : rf_fail(err, RF_ERR_NO_MEMORY, "out of memory");
}

int main(void) {
    static const char *const patterns[] = {"[0-9]{3}-[0-9]{4}", "(yes|no|maybe)",
                                           "[a-z ]{100,200}",   "\"([^\"\\\\]|\\\\.)*\"",
                                           "(.|\\n)*",          "(.|\\n){1,400}"};
    golden_file file = golden_vocab("llama3_1");
    rf_gguf *gguf = NULL;
    rf_tokenizer *tokenizer = NULL;
    bench_state s = {0};
    rf_error err = {0};
    rf_status status = rf_gguf_open_memory(file.bytes, file.n, &gguf, &err);
    if (status == RF_OK)
        status = rf_tokenizer_create(gguf, &tokenizer, &err);
    if (status == RF_OK)
        status = set_up(&s, tokenizer, &err);
    printf("%-44s %6s %10s %10s %10s\n", "pattern", "states", "compile ms", "cold ms", "warm us");
    for (size_t i = 0; status == RF_OK && i < sizeof patterns / sizeof *patterns; i++)
        measure(&s, patterns[i]);
    if (status == RF_OK)
        measure_json(&s);
    if (status != RF_OK)
        (void)fprintf(stderr, "%s\n", err.text);
    rf_sampler_destroy(s.sampler);
    rf_sample_scratch_destroy(s.scratch);
    rf_free(s.logits);
    rf_token_trie_destroy(s.trie);
    rf_vocab_bytes_deinit(&s.vocab);
    rf_tokenizer_destroy(tokenizer);
    rf_gguf_close(gguf);
    golden_free(&file);
    return status == RF_OK ? 0 : 1;
}
