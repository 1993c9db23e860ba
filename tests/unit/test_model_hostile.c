/* Files whose container is sound and whose model is not: refused in bounded time and memory, with
 * a message that names key or tensor, what was found and what was expected. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/rng.h"
#include "tests/lib/golden.h"
#include "tests/lib/golden_model.h"
#include "tests/lib/hostile_gguf.h"

enum { MAX_NS = 100000000, MEMORY_FLOOR = 16 << 20 };

typedef struct attempt {
    rf_status status;
    uint64_t ns;
    size_t peak_bytes; /* of opening the file and making the model */
    rf_error err;
} attempt;

/* What loads must run, or be refused by the backend or the step with a message. */
static void run_a_little(const rf_model *model) {
    enum { N_PIECES = 8, PIECE = 5 };
    static const int32_t tokens[N_PIECES * PIECE] = {3, 1, 4, 1, 5, 9, 2, 6, 5, 3};
    rf_cpu_options cpu = {.n_threads = 1, .features = UINT32_MAX};
    rf_engine_options options = {.n_ctx = N_PIECES * PIECE, .batch_tokens = 8, .max_seqs = 2};
    row_engine engine;
    rf_error err = {0};
    if (row_engine_open(&engine, rf_model_program(model), &cpu, &options, &err) != RF_OK) {
        assert_true(err.text[0]);
        return;
    }
    float *row = rf_calloc(engine.n_vocab, sizeof *row);
    assert_non_null(row);
    for (uint32_t n = PIECE; n <= N_PIECES * PIECE; n += PIECE) {
        row_feed feed = {.tokens = tokens, .n_tokens = n, .from = n - 1, .rows = row};
        if (row_engine_run(&engine, &feed, 1, &err) != RF_OK) {
            assert_true(err.text[0]);
            break;
        }
    }
    row_engine_close(&engine);
    rf_free(row);
}

static attempt load(const void *bytes, size_t n) {
    attempt a = {0};
    rf_gguf *gguf = NULL;
    rf_model *model = NULL;
    rf_alloc_peak_reset();
    size_t live = rf_alloc_live_bytes();
    uint64_t start = rf_clock_ns();
    a.status = rf_gguf_open_memory(bytes, n, &gguf, &a.err);
    if (a.status == RF_OK)
        a.status = rf_model_create(gguf, NULL, &model, &a.err);
    a.ns = rf_clock_ns() - start;
    a.peak_bytes = rf_alloc_peak_bytes() - live;
    if (model)
        run_a_little(model);
    rf_model_destroy(model);
    rf_gguf_close(gguf);
    assert_int_equal(rf_alloc_live_bytes(), live);
    return a;
}

static void check_bounds(const attempt *a, size_t n, const char *what, uint32_t variant) {
    if (a->ns > MAX_NS || a->peak_bytes > 4 * n + MEMORY_FLOOR)
        fail_msg("%s %u: %.1f ms, %zu bytes", what, variant, (double)a->ns * 1e-6, a->peak_bytes);
}

static void test_families(void **state) {
    (void)state;
    uint32_t n_files = 0;
    for (size_t i = 0; i < hostile_n_families; i++) {
        const hostile_family *family = &hostile_families[i];
        for (uint32_t v = 0; v < family->n_variants && family->layer == HOSTILE_MODEL; v++) {
            rf_buf file;
            rf_buf_init(&file, 64 << 20);
            assert_true(hostile_make(family, v, &file));
            attempt a = load(file.data, file.len);
            check_bounds(&a, file.len, family->name, v);
            if (a.status == RF_OK || strncmp(a.err.text, "memory: ", 8) != 0 ||
                (!strstr(a.err.text, "key \"") && !strstr(a.err.text, "tensor \"")))
                fail_msg("%s %u: %s", family->name, v, a.status ? a.err.text : "was accepted");
            bool missing = strstr(a.err.text, "is missing") != NULL;
            if (!missing && (!strstr(a.err.text, "found ") || !strstr(a.err.text, "expected ")))
                fail_msg("%s %u: %s", family->name, v, a.err.text);
            rf_buf_deinit(&file);
            n_files++;
        }
    }
    assert_true(n_files >= 80);
}

/* Every number in the metadata replaced by every awkward one: refused or loaded, in bounds. */
static void test_every_number(void **state) {
    (void)state;
    static const char *const bases[] = {"llama", "qwen3moe", "gemma3", "phi3"};
    const float floats[] = {0, -1, 1e-30f, 1e30f, -1e38f};
    static const uint32_t ints[] = {0,     1,         2,          3,          17,        65535,
                                    65536, INT32_MAX, UINT32_MAX, 1000000000, 0x80000000};
    uint32_t n_refused = 0, n_loaded = 0;
    for (size_t b = 0; b < sizeof bases / sizeof bases[0]; b++) {
        char path[64];
        (void)snprintf(path, sizeof path, "tests/golden/models/%s.gguf", bases[b]);
        golden_file base = golden_read(path);
        assert_non_null(base.bytes);
        gguf_edit edit;
        assert_true(gguf_edit_init(&edit, base.bytes, base.n));
        for (size_t k = 0; k < edit.n_keys; k++) {
            edit_key saved = edit.keys[k];
            size_t n_values = saved.type == RF_GGUF_U32   ? sizeof ints / sizeof ints[0]
                              : saved.type == RF_GGUF_F32 ? sizeof floats / sizeof floats[0]
                                                          : 0;
            for (size_t v = 0; v < n_values; v++) {
                char bytes[4];
                memcpy(bytes,
                       saved.type == RF_GGUF_U32 ? (const void *)&ints[v]
                                                 : (const void *)&floats[v],
                       sizeof bytes);
                edit.keys[k].value = (rf_str){bytes, sizeof bytes};
                rf_buf file;
                rf_buf_init(&file, 64 << 20);
                gguf_edit_write(&edit, &file);
                attempt a = load(file.data, file.len);
                check_bounds(&a, file.len, bases[b], (uint32_t)(k * 100 + v));
                n_refused += a.status != RF_OK;
                n_loaded += a.status == RF_OK;
                assert_true(a.status == RF_OK || a.err.text[0]);
                rf_buf_deinit(&file);
            }
            edit.keys[k] = saved;
        }
        gguf_edit_deinit(&edit);
        golden_free(&base);
    }
    assert_true(n_refused > 200 && n_loaded > 50);
}

/* Each tensor taken away, and each of its dimensions changed. */
static void test_every_tensor(void **state) {
    (void)state;
    static const char *const bases[] = {"mixtral", "gemma2", "phi3"};
    for (size_t b = 0; b < sizeof bases / sizeof bases[0]; b++) {
        char path[64];
        (void)snprintf(path, sizeof path, "tests/golden/models/%s.gguf", bases[b]);
        golden_file base = golden_read(path);
        assert_non_null(base.bytes);
        gguf_edit edit;
        assert_true(gguf_edit_init(&edit, base.bytes, base.n));
        for (size_t t = 0; t < edit.n_tensors; t++) {
            edit_tensor saved = edit.tensors[t];
            bool optional = rf_str_is(saved.name, "output.weight");
            for (uint32_t change = 0; change < 3; change++) {
                if (change == 0)
                    edit.tensors[t].name = rf_str_sub(
                        (rf_str){"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 32}, 0, saved.name.len);
                else
                    edit.tensors[t].ne[change - 1] -= 1;
                rf_buf file;
                rf_buf_init(&file, 64 << 20);
                gguf_edit_write(&edit, &file);
                attempt a = load(file.data, file.len);
                check_bounds(&a, file.len, bases[b], (uint32_t)t);
                bool same = change == 2 && saved.n_dims == 1;
                if ((a.status == RF_OK) != (same || (optional && change == 0)))
                    if (!(same && a.status != RF_OK)) /* a second dimension of 0 */
                        fail_msg("%s %.*s change %u: %s", bases[b], RF_STR_ARG(saved.name), change,
                                 a.err.text);
                if (a.status != RF_OK && !optional &&
                    !memmem(a.err.text, strlen(a.err.text), saved.name.ptr, saved.name.len) &&
                    change == 0)
                    fail_msg("%.*s is not named: %s", RF_STR_ARG(saved.name), a.err.text);
                rf_buf_deinit(&file);
                edit.tensors[t] = saved;
            }
        }
        gguf_edit_deinit(&edit);
        golden_free(&base);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_families),
        cmocka_unit_test(test_every_number),
        cmocka_unit_test(test_every_tensor),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
