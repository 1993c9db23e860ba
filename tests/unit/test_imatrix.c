#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "gguf/writer.h"
#include "model/imatrix.h"
#include "tests/lib/temp_path.h"

typedef struct sample {
    float sums[2][4], counts[2];
    uint64_t n_counts;
    const char *counts_name;
} sample;

static const sample sound = {{{2, 4, 0, 8}, {1, 1, 1, 1}}, {2, 0}, 2, "blk.0.attn_q.weight.counts"};

static void write_sample(const sample *s) {
    rf_error err = {0};
    rf_gguf_writer *writer = NULL;
    const rf_str texts[] = {RF_STR("text.txt")};
    uint64_t ne[2] = {4, 2}, ne_counts[2] = {1, s->n_counts};
    assert_int_equal(rf_gguf_writer_create(0, &writer, &err), RF_OK);
    rf_gguf_writer_str(writer, "general.type", RF_STR("imatrix"));
    rf_gguf_writer_strings(writer, "imatrix.datasets", texts, 1);
    rf_gguf_writer_u32(writer, "imatrix.chunk_count", 7);
    rf_gguf_writer_tensor(writer, RF_STR("blk.0.attn_q.weight.in_sum2"), 0, 2, ne, s->sums,
                          sizeof s->sums);
    rf_gguf_writer_tensor(writer, rf_str_of(s->counts_name), 0, 2, ne_counts, s->counts,
                          s->n_counts * sizeof *s->counts);
    if (rf_gguf_writer_finish(writer, temp_path, &err) != RF_OK)
        fail_msg("%s", err.text);
    rf_gguf_writer_destroy(writer);
}

static void means(void **state) {
    (void)state;
    rf_error err = {0};
    rf_imatrix *imatrix = NULL;
    const float *found = NULL;
    static const float want[2][4] = {{1, 2, 0, 4}, {1, 1, 1, 1}}; /* no count: all alike */
    write_sample(&sound);
    assert_int_equal(rf_imatrix_open(temp_path, &imatrix, &err), RF_OK);
    assert_int_equal(rf_imatrix_n_entries(imatrix), 1);
    assert_int_equal(rf_imatrix_n_chunks(imatrix), 7);
    assert_true(rf_str_is(rf_imatrix_dataset(imatrix), "text.txt"));
    assert_int_equal(rf_imatrix_find(imatrix, RF_STR("blk.0.attn_q.weight"), 4, 2, &found, &err),
                     RF_OK);
    assert_memory_equal(found, want, sizeof want);
    assert_int_equal(rf_imatrix_find(imatrix, RF_STR("other"), 4, 2, &found, &err), RF_OK);
    assert_null(found);
    assert_int_equal(rf_imatrix_find(NULL, RF_STR("other"), 4, 2, &found, &err), RF_OK);
    assert_null(found);
    assert_int_equal(rf_imatrix_find(imatrix, RF_STR("blk.0.attn_q.weight"), 8, 1, &found, &err),
                     RF_ERR_INVALID);
    assert_non_null(strstr(err.text, "shape 4 x 2, expected 8 x 1"));
    rf_imatrix_close(imatrix);
}

static void refuses(sample s, const char *says) {
    rf_error err = {0};
    rf_imatrix *imatrix = NULL;
    write_sample(&s);
    assert_int_equal(rf_imatrix_open(temp_path, &imatrix, &err), RF_ERR_INVALID);
    assert_null(imatrix);
    if (!strstr(err.text, says))
        fail_msg("\"%s\" does not say \"%s\"", err.text, says);
    assert_non_null(strstr(err.text, "blk.0.attn_q.weight.in_sum2"));
}

static void bad_values(void **state) {
    (void)state;
    static const float bad[] = {NAN, INFINITY, -1};
    sample s = sound;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        s.sums[0][3] = bad[i];
        refuses(s, "negative, infinite or NaN");
    }
    s = sound;
    s.n_counts = 1;
    refuses(s, "number of counts");
    s = sound;
    s.counts_name = "blk.0.attn_k.weight.counts";
    refuses(s, "no .counts");
    rf_error err = {0};
    rf_imatrix *imatrix = NULL;
    assert_int_equal(rf_imatrix_open("tests/golden/models/llama.gguf", &imatrix, &err),
                     RF_ERR_INVALID);
    assert_non_null(strstr(err.text, "expected an importance matrix"));
    assert_int_equal(rf_imatrix_open("/nonexistent", &imatrix, &err), RF_ERR_NOT_FOUND);
}

static void memory_runs_out(void **state) {
    (void)state;
    rf_status status = RF_ERR_NO_MEMORY;
    write_sample(&sound);
    for (uint64_t n = 1; status != RF_OK; n++) {
        rf_error err = {0};
        rf_imatrix *imatrix = NULL;
        size_t before = rf_alloc_live_bytes();
        assert_true(n < 1000);
        rf_alloc_fail_at(n, 0);
        status = rf_imatrix_open(temp_path, &imatrix, &err);
        rf_alloc_fail_at(0, 0);
        assert_true(status == RF_OK || status == RF_ERR_NO_MEMORY);
        rf_imatrix_close(imatrix);
        assert_int_equal(rf_alloc_live_bytes(), before);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(means),
        cmocka_unit_test(bad_values),
        cmocka_unit_test(memory_runs_out),
    };
    return cmocka_run_group_tests(tests, temp_path_make, temp_path_drop);
}
