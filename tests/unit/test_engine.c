/* The engine on the CPU backend: whoever shares the batch, however prompts are cut, whatever is
 * cached or paused, a sequence's logits and tokens are the same bits. And what else it can be
 * asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "tests/lib/engine_bench.h"
#include "tests/lib/golden_model.h"
#include "tests/lib/tiny_program.h"

static void run_mixes(bench *b, const char *what) {
    uint64_t n_preempted = 0, n_cached = 0;
    for (uint32_t m = 0; m < N_MIXES; m++) {
        bench_open(b, &bench_mixes[m], 1 + m % 2);
        for (uint32_t round = 0; round < 2; round++) { /* the second finds prefixes */
            b->first_id = 1 + (uint64_t)round * N_REQUESTS;
            for (uint32_t i = 0; i < N_REQUESTS; i++)
                (void)bench_submit_record(b, &b->records[i], i);
            bench_take(b, N_REQUESTS);
            if (b->n_differ > 0)
                fail_msg("%s, mix %u, round %u: %u rows or tokens differ", what, m, round,
                         b->n_differ);
        }
        rf_engine_counters counters = rf_engine_get_counters(b->engine);
        n_preempted += counters.sched.n_preempted;
        n_cached += counters.sched.n_cached_tokens;
        bench_close(b);
    }
    assert_true(n_preempted > 0);
    assert_true(n_cached > 0);
}

static void test_independence(void **state) {
    (void)state;
    static bench b;
    tiny_program tiny;
    for (int type = 0; type < RF_KV_TYPE_COUNT; type++) {
        assert_true(bench_begin(&b, &tiny, 5));
        b.kv_type = (rf_kv_type)type;
        bench_make_records(&b, 1, true);
        bench_run_alone(&b);
        run_mixes(&b, "tiny");
        bench_end(&b, &tiny);
    }
}

static void test_independence_of_golden_models(void **state) {
    (void)state;
    static const char *const names[] = {"llama", "gemma3", "qwen3moe"};
    static bench b;
    for (uint32_t i = 0; i < 3; i++) {
        golden_model golden;
        assert_true(golden_model_open(&golden, "models", names[i]));
        memset(&b, 0, sizeof b);
        b.program = rf_model_program(golden.model);
        b.kv_type = RF_KV_F16; /* their heads are too narrow for Q8_0 */
        bench_make_records(&b, 2 + i, true);
        bench_run_alone(&b);
        run_mixes(&b, names[i]);
        bench_free_records(&b);
        golden_model_close(&golden);
    }
}

/* ---- kinds --------------------------------------------------------------------------------- */

static void test_scores_and_embeddings(void **state) {
    (void)state;
    static bench b;
    tiny_program tiny;
    assert_true(bench_begin(&b, &tiny, 6));
    bench_make_records(&b, 9, true);
    rf_engine_options options = {.n_ctx = MAX_TOKENS, .batch_tokens = 20, .max_seqs = 4};
    bench_open(&b, &options, 1);
    record *r = &b.records[0];
    r->n_prompt = 60;
    b.first_id = 1;
    rf_request request = {.kind = RF_REQUEST_SCORE,
                          .tokens = r->prompt,
                          .n_tokens = 60,
                          .scores_from = 3,
                          .n_top = 5};
    (void)bench_submit(&b, &request);
    rf_event event = bench_next(&b);
    assert_int_equal(event.finish, RF_FINISH_ROWS);
    assert_non_null(event.scores);
    for (uint32_t i = 3; i < 60; i++) {
        const rf_token_logprob *at = event.scores + (i - 3) * 6;
        const float *row = r->rows + (i - 1) * (size_t)TINY_VOCAB;
        double sum = 0;
        float best = -INFINITY;
        for (uint32_t v = 0; v < TINY_VOCAB; v++) {
            sum += exp((double)row[v]);
            best = row[v] > best ? row[v] : best;
        }
        assert_int_equal(at[0].token, r->prompt[i]);
        assert_true(fabs((double)at[0].logprob - ((double)row[r->prompt[i]] - log(sum))) < 1e-4);
        assert_true(fabs((double)at[1].logprob - ((double)best - log(sum))) < 1e-4);
    }
    float first[3][TINY_EMBD];
    for (int pool = 0; pool < RF_POOL_COUNT; pool++) {
        request = (rf_request){.kind = RF_REQUEST_EMBED,
                               .tokens = r->prompt,
                               .n_tokens = 60,
                               .pooling = (rf_pooling)pool,
                               .normalise = pool == RF_POOL_LAST};
        (void)bench_submit(&b, &request);
        event = bench_next(&b);
        assert_true(event.last);
        assert_non_null(event.embedding);
        memcpy(first[pool], event.embedding, sizeof first[pool]);
    }
    double squares = 0;
    for (int c = 0; c < TINY_EMBD; c++)
        squares += (double)first[RF_POOL_LAST][c] * (double)first[RF_POOL_LAST][c];
    assert_true(fabs(squares - 1) < 1e-5);
    /* The first token's vector is the mean of a text of one token. */
    request = (rf_request){.kind = RF_REQUEST_EMBED, .tokens = r->prompt, .n_tokens = 1};
    (void)bench_submit(&b, &request);
    event = bench_next(&b);
    assert_memory_equal(event.embedding, first[RF_POOL_CLS], sizeof first[0]);
    bench_close(&b);
    bench_end(&b, &tiny);
}

static void test_choices_and_alternatives(void **state) {
    (void)state;
    static bench b;
    tiny_program tiny;
    assert_true(bench_begin(&b, &tiny, 7));
    rf_engine_options options = {.n_ctx = MAX_TOKENS, .kv_tokens = 400, .max_seqs = 6};
    bench_open(&b, &options, 1);
    b.first_id = 1000;
    int32_t prompt[70], got[4][20], again[20];
    for (int i = 0; i < 70; i++)
        prompt[i] = i % TINY_VOCAB;
    rf_sample_params params = rf_sample_params_default();
    params.seed = 11;
    params.n_probs = 40; /* more than one notice holds */
    rf_request request = {
        .tokens = prompt, .n_tokens = 70, .n_new = 20, .n_choices = 4, .params = &params};
    (void)bench_submit(&b, &request);
    uint32_t n_got[4] = {0};
    for (uint32_t n_ended = 0; n_ended < 4;) {
        rf_event event = bench_next(&b);
        if (event.kind == RF_EVENT_TOKEN) {
            assert_int_equal(event.n_top, 40);
            for (uint32_t i = 1; i < 40; i++)
                assert_true(event.top[i].logprob <= event.top[i - 1].logprob);
            got[event.choice][n_got[event.choice]++] = event.token;
            continue;
        }
        n_ended++;
        assert_int_equal(event.finish, RF_FINISH_LENGTH);
        assert_int_equal(event.n_generated, 20);
        assert_int_equal(event.last, n_ended == 4);
    }
    assert_memory_not_equal(got[0], got[1], sizeof got[0]);
    /* The first choice is what a single one is; its third token ends it where it is asked to. */
    request.n_choices = 1;
    request.stop_tokens = &got[0][3];
    request.n_stop = 1;
    (void)bench_submit(&b, &request);
    uint32_t n = 0;
    rf_event event;
    while ((event = bench_next(&b)).kind == RF_EVENT_TOKEN)
        again[n++] = event.token;
    assert_int_equal(event.finish, RF_FINISH_STOP);
    assert_in_range(n, 1, 4);
    assert_memory_equal(again, got[0], n * sizeof again[0]);
    assert_int_equal(event.n_cached, 69);
    bench_close(&b);
    bench_end(&b, &tiny);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_independence),
                                       cmocka_unit_test(test_independence_of_golden_models),
                                       cmocka_unit_test(test_scores_and_embeddings),
                                       cmocka_unit_test(test_choices_and_alternatives)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
