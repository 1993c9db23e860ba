/* The runner against a backend that remembers what was stored where, so that every wrong block,
 * position or row shows in the logits; and its refusals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "engine/runner.h"

enum { N_VOCAB = 50, WINDOW = 40, N_GROUPS = 2, MAX_CTX = 400 };

/* ---- the fake: a row's logits are a hash of the tokens that it can see ----------------------- */

typedef struct fake {
    rf_backend base;
    rf_limits limits;
    int32_t *cells[N_GROUPS]; /* token at [block][position in block] */
    bool bound, fail_next, nan_next;
    bool *destroyed;
    uint32_t n_runs;
} fake;

static rf_status fake_bind(rf_backend *backend, const rf_program *program, const rf_limits *limits,
                           rf_progress_fn progress, void *user, rf_error *err) {
    fake *f = (fake *)backend;
    (void)progress, (void)user;
    f->limits = *limits;
    for (uint32_t g = 0; g < program->n_kv_groups; g++) {
        f->cells[g] =
            rf_calloc((size_t)limits->n_blocks[g] * limits->block_tokens, sizeof(int32_t));
        if (!f->cells[g])
            return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the fake");
    }
    f->bound = true;
    return RF_OK;
}

static int32_t *cell(const fake *f, const rf_batch *batch, uint32_t group, int32_t seq,
                     int32_t position) {
    int32_t in_block = (int32_t)f->limits.block_tokens;
    assert_true(position / in_block < batch->table_stride);
    int32_t block =
        batch->block_tables[((int32_t)group * batch->n_seqs + seq) * batch->table_stride +
                            position / in_block];
    assert_in_range(block, 0, f->limits.n_blocks[group] - 1);
    return &f->cells[group][block * in_block + position % in_block];
}

static uint32_t mix(uint32_t h, int32_t token, int32_t position) {
    return (h ^ (uint32_t)token * 2654435761u ^ (uint32_t)position * 40503u) * 16777619u;
}

static float to_logit(uint32_t h, uint32_t i) {
    return (float)(((h + i * 7919u) * 2654435761u) >> 8) / 16777216.0f;
}

static rf_status fake_run(rf_backend *backend, const rf_batch *batch, const rf_outputs *outputs,
                          rf_error *err) {
    fake *f = (fake *)backend;
    int32_t out = 0;
    f->n_runs++;
    assert_int_equal(batch->seq_start[0], 0);
    assert_int_equal(batch->seq_start[batch->n_seqs], batch->n_tokens);
    for (int32_t s = 0; s < batch->n_seqs; s++) {
        for (int32_t r = batch->seq_start[s]; r < batch->seq_start[s + 1]; r++) {
            for (uint32_t g = 0; g < N_GROUPS; g++)
                *cell(f, batch, g, s, batch->positions[r]) = batch->tokens[r];
        }
    }
    if (f->fail_next) {
        f->fail_next = false;
        return rf_fail(err, RF_ERR_INTERNAL, "the fake was told to fail");
    }
    for (int32_t s = 0; s < batch->n_seqs; s++) {
        for (int32_t r = batch->seq_start[s]; r < batch->seq_start[s + 1]; r++) {
            if (out == batch->n_outputs || batch->output_rows[out] != r)
                continue;
            uint32_t h = 2166136261u;
            int32_t p = batch->positions[r];
            for (int32_t q = 0; q <= p; q++)
                h = mix(h, *cell(f, batch, 1, s, q), q);
            for (int32_t q = p - WINDOW + 1 > 0 ? p - WINDOW + 1 : 0; q <= p; q++)
                h = mix(h, *cell(f, batch, 0, s, q), q);
            for (uint32_t i = 0; i < N_VOCAB; i++)
                outputs->logits[(size_t)out * N_VOCAB + i] = to_logit(h, i);
            out++;
        }
    }
    assert_int_equal(out, batch->n_outputs);
    if (f->nan_next && out)
        outputs->logits[3] = NAN;
    f->nan_next = false;
    return RF_OK;
}

static void fake_destroy(rf_backend *backend) {
    fake *f = (fake *)backend;
    for (uint32_t g = 0; g < N_GROUPS; g++)
        rf_free(f->cells[g]);
    *f->destroyed = true;
    rf_free(f);
}

static const rf_backend_api fake_api = {
    .name = "fake", .bind = fake_bind, .run = fake_run, .destroy = fake_destroy};

static const rf_program program = {.n_kv_groups = N_GROUPS,
                                   .kv_groups = {{WINDOW}, {0}},
                                   .n_vocab = N_VOCAB,
                                   .n_embd = 8,
                                   .n_ctx_train = MAX_CTX};

static bool destroyed;

static fake *make_fake(void) {
    fake *f = rf_calloc(1, sizeof *f);
    assert_non_null(f);
    f->base.api = &fake_api;
    f->destroyed = &destroyed;
    destroyed = false;
    return f;
}

static rf_runner *make_runner(const rf_runner_options *options, fake **out) {
    rf_runner *runner = NULL;
    rf_error err = {0};
    *out = make_fake();
    assert_int_equal(rf_runner_create(&(*out)->base, &program, options, NULL, NULL, &runner, &err),
                     RF_OK);
    assert_true((*out)->bound);
    return runner;
}

/* ---- what is right ----------------------------------------------------------------------------
 */

typedef struct twin {
    int32_t seq; /* -1: closed */
    uint32_t n;
    int32_t tokens[MAX_CTX];
} twin;

static void check_row(const twin *t, uint32_t n_seen, const float *row) {
    uint32_t h = 2166136261u;
    for (uint32_t q = 0; q < n_seen; q++)
        h = mix(h, t->tokens[q], (int32_t)q);
    for (uint32_t q = n_seen > WINDOW ? n_seen - WINDOW : 0; q < n_seen; q++)
        h = mix(h, t->tokens[q], (int32_t)q);
    for (uint32_t i = 0; i < N_VOCAB; i++)
        assert_true(row[i] == to_logit(h, i));
}

enum { N_TWINS = 6 };

typedef struct scenario {
    rf_runner *runner;
    fake *backend;
    rf_rng rng;
    twin twins[N_TWINS];
    uint32_t n_full, n_failed, n_forgotten, n_stepped;
} scenario;

static uint32_t build_feeds(scenario *sc, rf_feed *feeds, uint32_t budget) {
    uint32_t n_feeds = 0, first = rf_rng_below(&sc->rng, N_TWINS);
    for (uint32_t k = 0; k < N_TWINS; k++) {
        twin *t = &sc->twins[(first + k) % N_TWINS];
        uint32_t n = rf_rng_below(&sc->rng, 3) ? 1 : 1 + rf_rng_below(&sc->rng, 60);
        if (t->seq < 0 || n > budget || t->n + n > MAX_CTX || rf_rng_below(&sc->rng, 3) == 0)
            continue;
        for (uint32_t i = 0; i < n; i++)
            t->tokens[t->n + i] = (int32_t)rf_rng_below(&sc->rng, N_VOCAB);
        feeds[n_feeds++] =
            (rf_feed){t->seq, t->tokens + t->n, n, (rf_want)rf_rng_below(&sc->rng, 3)};
        budget -= n;
    }
    return n_feeds;
}

static void step_some(scenario *sc) {
    rf_feed feeds[N_TWINS];
    uint32_t n_feeds = build_feeds(sc, feeds, sc->runner ? 64 : 0);
    if (n_feeds == 0)
        return;
    const float *logits = NULL;
    rf_error err = {0};
    bool made_to_fail = rf_rng_below(&sc->rng, 20) == 0;
    sc->backend->fail_next = made_to_fail;
    rf_status status = rf_runner_step(sc->runner, feeds, n_feeds, &logits, &err);
    sc->backend->fail_next = false;
    if (status != RF_OK) {
        assert_true(status == RF_ERR_LIMIT || (made_to_fail && status == RF_ERR_INTERNAL));
        assert_true(err.text[0]);
        assert_null(logits);
        sc->n_full += status == RF_ERR_LIMIT;
        sc->n_failed += status == RF_ERR_INTERNAL;
        return;
    }
    sc->n_stepped++;
    for (uint32_t i = 0; i < n_feeds; i++) {
        twin *t = NULL;
        for (int k = 0; k < N_TWINS; k++)
            t = sc->twins[k].seq == feeds[i].seq ? &sc->twins[k] : t;
        t->n += feeds[i].n_tokens;
        uint32_t n_rows =
            feeds[i].want == RF_WANT_ALL ? feeds[i].n_tokens : feeds[i].want == RF_WANT_LAST;
        for (uint32_t r = 0; r < n_rows; r++, logits += N_VOCAB)
            check_row(t, t->n - n_rows + r + 1, logits);
    }
}

static void change_one(scenario *sc) {
    twin *t = &sc->twins[rf_rng_below(&sc->rng, N_TWINS)];
    rf_error err = {0};
    if (t->seq < 0) {
        assert_int_equal(rf_runner_open(sc->runner, &t->seq, &err), RF_OK);
        t->n = 0;
    } else if (rf_rng_below(&sc->rng, 2)) {
        rf_runner_close(sc->runner, t->seq);
        *t = (twin){.seq = -1};
    } else {
        uint32_t to = rf_rng_below(&sc->rng, t->n + 1);
        rf_runner_truncate(sc->runner, t->seq, to);
        uint32_t left = rf_runner_length(sc->runner, t->seq);
        assert_true(left == to || (left == 0 && t->n > WINDOW));
        sc->n_forgotten += left != to;
        t->n = left;
    }
}

static void test_random_company(void **state) {
    (void)state;
    scenario sc = {.rng = rf_rng_make(5, 0)};
    for (int i = 0; i < N_TWINS; i++)
        sc.twins[i].seq = -1;
    sc.runner = make_runner(
        &(rf_runner_options){
            .n_ctx = MAX_CTX, .kv_tokens = 3 * MAX_CTX, .batch_tokens = 64, .max_seqs = N_TWINS},
        &sc.backend);
    for (int i = 0; i < 20000; i++) {
        if (rf_rng_below(&sc.rng, 12) == 0)
            change_one(&sc);
        else
            step_some(&sc);
        for (int k = 0; k < N_TWINS; k++)
            assert_int_equal(rf_runner_length(sc.runner, sc.twins[k].seq), sc.twins[k].n);
    }
    assert_true(sc.n_stepped > 5000 && sc.n_full > 10 && sc.n_failed > 100);
    assert_true(sc.n_forgotten > 0);
    rf_runner_destroy(sc.runner);
    assert_true(destroyed);
}

/* A sequence of any length runs within the windowed group's small pool, and the whole pool of
 * kv_tokens can be used by one sequence or by all. */
static void test_pool_suffices(void **state) {
    (void)state;
    for (uint32_t n_seqs = 1; n_seqs <= 5; n_seqs++) {
        fake *backend = NULL;
        rf_runner *runner = make_runner(
            &(rf_runner_options){
                .n_ctx = MAX_CTX, .kv_tokens = 160, .batch_tokens = 37, .max_seqs = n_seqs},
            &backend);
        int32_t tokens[MAX_CTX] = {0}, seqs[8];
        const float *logits = NULL;
        rf_error err = {0};
        for (uint32_t s = 0; s < n_seqs; s++)
            assert_int_equal(rf_runner_open(runner, &seqs[s], &err), RF_OK);
        int32_t none;
        assert_int_equal(rf_runner_open(runner, &none, &err), RF_ERR_LIMIT);
        uint32_t each = 160 / n_seqs;
        for (uint32_t at = 0, n; at < each; at += n) {
            n = each - at < 7 ? each - at : 7;
            for (uint32_t s = 0; s < n_seqs; s++) {
                rf_feed feed = {seqs[s], tokens, n, RF_WANT_LAST};
                assert_int_equal(rf_runner_step(runner, &feed, 1, &logits, &err), RF_OK);
            }
        }
        rf_runner_destroy(runner);
    }
}

static void test_refusals(void **state) {
    (void)state;
    fake *backend = NULL;
    rf_runner *runner = make_runner(
        &(rf_runner_options){
            .n_ctx = 100, .kv_tokens = 64, .batch_tokens = 50, .max_seqs = 2, .max_outputs = 3},
        &backend);
    int32_t tokens[128] = {0}, a = -1, b = -1;
    rf_error err = {0};
    const float *logits = NULL;
    assert_int_equal(rf_runner_open(runner, &a, &err), RF_OK);
    assert_int_equal(rf_runner_open(runner, &b, &err), RF_OK);
    rf_feed ok = {a, tokens, 10, RF_WANT_LAST};
    assert_int_equal(rf_runner_step(runner, &ok, 1, &logits, &err), RF_OK);
    int32_t bad_tokens[2] = {1, N_VOCAB}, negative[1] = {-1};
    const struct {
        rf_feed feeds[3];
        uint32_t n;
        rf_status status;
        const char *says;
    } cases[] = {
        {{{0}}, 0, RF_ERR_INVALID, "0 sequences"},
        {{{7, tokens, 1, RF_WANT_LAST}}, 1, RF_ERR_INVALID, "sequence 7 is not open"},
        {{{-1, tokens, 1, RF_WANT_LAST}}, 1, RF_ERR_INVALID, "sequence -1 is not open"},
        {{{a, tokens, 0, RF_WANT_LAST}}, 1, RF_ERR_INVALID, "at least one token"},
        {{{a, NULL, 1, RF_WANT_LAST}}, 1, RF_ERR_INVALID, "at least one token"},
        {{{a, bad_tokens, 2, RF_WANT_LAST}}, 1, RF_ERR_INVALID, "token 1 is 50"},
        {{{a, negative, 1, RF_WANT_LAST}}, 1, RF_ERR_INVALID, "token 0 is -1"},
        {{{a, tokens, 1, RF_WANT_LAST}, {a, tokens, 1, RF_WANT_LAST}}, 2, RF_ERR_INVALID, "twice"},
        {{{a, tokens, 91, RF_WANT_LAST}}, 1, RF_ERR_LIMIT, "context of 100"},
        {{{a, tokens, 51, RF_WANT_LAST}}, 1, RF_ERR_LIMIT, "step of 51 tokens"},
        {{{a, tokens, 4, RF_WANT_ALL}}, 1, RF_ERR_LIMIT, "4 rows of logits"},
        {{{a, tokens, 5, RF_WANT_NONE}, {b, tokens, 45, RF_WANT_NONE}, {0}}, 2, RF_OK, NULL},
        {{{b, tokens, 50, RF_WANT_NONE}}, 1, RF_ERR_LIMIT, "the cache is full"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t length_a = rf_runner_length(runner, a), n_runs = backend->n_runs;
        rf_status status = rf_runner_step(runner, cases[i].feeds, cases[i].n, &logits, &err);
        assert_int_equal(status, cases[i].status);
        if (status == RF_OK)
            continue;
        if (!strstr(err.text, cases[i].says))
            fail_msg("\"%s\" does not say \"%s\"", err.text, cases[i].says);
        assert_int_equal(rf_runner_length(runner, a), length_a);
        assert_int_equal(backend->n_runs, n_runs);
        assert_null(logits);
    }
    rf_runner_close(runner, 99);
    rf_runner_truncate(runner, -5, 0);
    assert_int_equal(rf_runner_length(runner, 99), 0);
    rf_runner_destroy(runner);
}

static void test_nan(void **state) {
    (void)state;
    fake *backend = NULL;
    rf_runner *runner = make_runner(&(rf_runner_options){.n_ctx = 64}, &backend);
    int32_t tokens[3] = {1, 2, 3}, seq = -1;
    rf_error err = {0};
    const float *logits = NULL;
    assert_int_equal(rf_runner_open(runner, &seq, &err), RF_OK);
    rf_feed feed = {seq, tokens, 3, RF_WANT_LAST};
    backend->nan_next = true;
    assert_int_equal(rf_runner_step(runner, &feed, 1, &logits, &err), RF_ERR_INVALID);
    assert_non_null(strstr(err.text, "position 2 are not finite"));
    assert_int_equal(rf_runner_length(runner, seq), 0);
    assert_int_equal(rf_runner_step(runner, &feed, 1, &logits, &err), RF_OK);
    assert_int_equal(rf_runner_length(runner, seq), 3);
    rf_runner_destroy(runner);
}

static void test_limits(void **state) {
    (void)state;
    rf_limits limits;
    rf_error err = {0};
    assert_int_equal(rf_runner_limits(&program, &(rf_runner_options){0}, &limits, &err), RF_OK);
    assert_int_equal(limits.max_context, MAX_CTX);
    assert_int_equal(limits.max_tokens, 512);
    assert_int_equal(limits.max_outputs, 512);
    assert_int_equal(limits.max_seqs, 1);
    assert_int_equal(limits.n_blocks[1], (MAX_CTX + 31) / 32);
    rf_runner_options long_one = {.n_ctx = 1 << 20, .batch_tokens = 64, .max_seqs = 2};
    assert_int_equal(rf_runner_limits(&program, &long_one, &limits, &err), RF_OK);
    assert_int_equal(limits.n_blocks[1], (1 << 15) + 1);
    assert_int_equal(limits.n_blocks[0], 2 * (2 + 2) + 2);
    const rf_runner_options bad[] = {
        {.n_ctx = UINT32_MAX}, {.batch_tokens = UINT32_MAX}, {.kv_tokens = (uint32_t)INT32_MAX + 1},
        {.max_seqs = 1000000}, {.type_k = RF_KV_TYPE_COUNT}, {.type_v = (rf_kv_type)77},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(rf_runner_limits(&program, &bad[i], &limits, &err), RF_ERR_INVALID);
}

static void test_allocation_faults(void **state) {
    (void)state;
    for (uint64_t n = 1;; n++) {
        fake *backend = make_fake();
        size_t live = rf_alloc_live_bytes();
        rf_runner *runner = NULL;
        rf_error err = {0};
        rf_alloc_fail_at(n, 0);
        rf_status status = rf_runner_create(&backend->base, &program,
                                            &(rf_runner_options){.max_seqs = 3, .n_ctx = 99}, NULL,
                                            NULL, &runner, &err);
        rf_alloc_fail_at(0, 0);
        if (status == RF_OK) {
            assert_true(n > 10);
            rf_runner_destroy(runner);
            return;
        }
        assert_int_equal(status, RF_ERR_NO_MEMORY);
        assert_null(runner);
        assert_false(destroyed);
        fake_destroy(&backend->base);
        assert_true(rf_alloc_live_bytes() < live);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_company), cmocka_unit_test(test_pool_suffices),
        cmocka_unit_test(test_refusals),       cmocka_unit_test(test_nan),
        cmocka_unit_test(test_limits),         cmocka_unit_test(test_allocation_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
