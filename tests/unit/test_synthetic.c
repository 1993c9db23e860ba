#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/alloc.h"
#include "model/model.h"
#include "model/synthetic.h"

static rf_gguf *open_spec(const char *text, bool hollow) {
    rf_error err = {0};
    rf_synthetic_spec spec;
    rf_synthetic_options options = {.hollow = hollow};
    rf_gguf *gguf = NULL;
    if (rf_synthetic_parse(rf_str_of(text), &spec, &err) != RF_OK ||
        rf_synthetic_open(&spec, &options, &gguf, &err) != RF_OK)
        fail_msg("%s: %s", text, err.text);
    return gguf;
}

/* Weights of the models as Hugging Face counts them; Llama 3.2 has 32 rope factors more here. */
static void shapes_are_those_of_the_models(void **state) {
    static const struct {
        const char *spec;
        uint64_t n_params, n_embd, n_vocab;
        uint32_t n_kv_groups;
    } known[] = {{"smollm2-135m:q8_0", 134515008, 576, 49152, 1},
                 {"gemma3-270m:q4_k_m", 268098176, 640, 262144, 2},
                 {"llama3.2-1b:q4_k_m", 1235814400 + 32, 2048, 128256, 1},
                 {"qwen3-4b:iq4_xs", 4022468096, 2560, 151936, 1},
                 {"llama3-8b:q4_k_m", 8030261248, 4096, 128256, 1},
                 {"qwen3-30b-a3b:mxfp4", 30532122624, 2048, 151936, 1},
                 {"mixtral-8x7b:q3_k_l", 46702792704, 4096, 32000, 1},
                 {"llama3-70b:q4_k_m", 70553706496, 8192, 128256, 1}};
    (void)state;
    assert_null(rf_synthetic_shape_name(sizeof known / sizeof *known));
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        rf_error err = {0};
        rf_model *model = NULL;
        rf_gguf *gguf = open_spec(known[i].spec, true);
        if (rf_model_create(gguf, NULL, &model, &err) != RF_OK)
            fail_msg("%s: %s", known[i].spec, err.text);
        const rf_model_info *info = rf_model_get_info(model);
        assert_int_equal(info->n_params, known[i].n_params);
        assert_int_equal(info->n_embd, known[i].n_embd);
        assert_int_equal(info->n_vocab, known[i].n_vocab);
        assert_int_equal(rf_model_program(model)->n_kv_groups, known[i].n_kv_groups);
        assert_true(rf_gguf_file_bytes(gguf) >= info->weights_bytes);
        rf_model_destroy(model);
        rf_gguf_close(gguf);
    }
}

static rf_qtype type_of(const rf_gguf *gguf, const char *name) {
    rf_qtype type = RF_QTYPE_COUNT;
    const rf_gguf_tensor *tensor = rf_gguf_find_tensor(gguf, rf_str_of(name));
    assert_non_null(tensor);
    assert_true(rf_qtype_from_gguf(tensor->type_id, &type));
    return type;
}

/* Every mix of a shape gives each tensor the type that quantising its F32 version would. */
static void types_are_the_mix(void **state) {
    static const char *const shapes[] = {"smollm2-135m", "llama3.2-1b", "mixtral-8x7b"};
    (void)state;
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        char text[64];
        rf_error err = {0};
        (void)snprintf(text, sizeof text, "%s:F32", shapes[i]);
        rf_gguf *plain = open_spec(text, true);
        size_t n = rf_gguf_n_tensors(plain);
        rf_mix_choice *choices = rf_calloc(n, sizeof *choices);
        assert_non_null(choices);
        for (int mix = 0; mix < RF_MIX_COUNT; mix++) {
            rf_mix_options options = {.mix = (rf_mix)mix};
            (void)snprintf(text, sizeof text, "%s:%s", shapes[i], rf_mix_name((rf_mix)mix));
            rf_gguf *gguf = open_spec(text, true);
            assert_int_equal(rf_gguf_n_tensors(gguf), n);
            assert_int_equal(rf_mix_choose(plain, &options, choices, &err), RF_OK);
            for (size_t t = 0; t < n; t++) {
                rf_qtype want = choices[t].keep ? RF_QTYPE_F32 : choices[t].type;
                assert_int_equal(rf_gguf_tensor_at(gguf, t)->type_id, rf_qtype_get(want)->gguf_id);
            }
            rf_gguf_close(gguf);
        }
        rf_free(choices);
        rf_gguf_close(plain);
    }
}

static void rows_that_do_not_divide_fall_back(void **state) {
    (void)state;
    rf_gguf *gguf = open_spec("smollm2-135m:Q4_K_M", true);
    assert_int_equal(type_of(gguf, "blk.0.attn_q.weight"), RF_QTYPE_Q5_0);
    assert_int_equal(type_of(gguf, "blk.0.ffn_down.weight"), RF_QTYPE_Q6_K);
    assert_int_equal(type_of(gguf, "blk.5.ffn_down.weight"), RF_QTYPE_Q6_K);
    assert_int_equal(type_of(gguf, "blk.3.ffn_down.weight"), RF_QTYPE_Q4_K);
    assert_int_equal(type_of(gguf, "token_embd.weight"), RF_QTYPE_Q8_0);
    assert_int_equal(type_of(gguf, "output_norm.weight"), RF_QTYPE_F32);
    rf_gguf_close(gguf);
}

/* Weights have the spread that keeps activations in range, differ from row to row, and are the
 * same each time. */
static void weights_are_random_and_repeat(void **state) {
    enum { N_COLS = 1536, N_ROWS = 576 };
    static float a[N_COLS * N_ROWS];
    (void)state;
    rf_gguf *one = open_spec("smollm2-135m:q4_k_m", false);
    rf_gguf *two = open_spec("smollm2-135m:q4_k_m", false);
    const char *names[] = {"blk.3.ffn_down.weight", "blk.4.ffn_down.weight"};
    for (int i = 0; i < 2; i++) {
        const rf_gguf_tensor *x = rf_gguf_find_tensor(one, rf_str_of(names[i]));
        const rf_gguf_tensor *y = rf_gguf_find_tensor(two, rf_str_of(names[i]));
        assert_memory_equal(x->data, y->data, (size_t)x->bytes);
        rf_qtype_get(type_of(one, names[i]))->dequant(x->data, a, N_COLS * N_ROWS);
        double squares = 0;
        for (size_t k = 0; k < N_COLS * N_ROWS; k++)
            squares += (double)a[k] * (double)a[k];
        double deviation = sqrt(squares / (N_COLS * N_ROWS));
        assert_true(fabs(deviation * sqrt(576) - 1) < 0.05);
        for (size_t r = 1; r < N_ROWS; r++)
            assert_memory_not_equal(a, a + r * N_COLS, N_COLS * sizeof *a);
    }
    rf_gguf_close(one);
    rf_gguf_close(two);
}

static void a_written_file_is_the_same(void **state) {
    char path[] = "/tmp/rf_test_synthetic_XXXXXX";
    int fd = mkstemp(path);
    rf_error err = {0};
    rf_synthetic_spec spec;
    rf_gguf *written = NULL, *memory = open_spec("SmolLM2-135M:Mxfp4", false);
    (void)state;
    assert_true(fd >= 0 && close(fd) == 0);
    assert_int_equal(rf_synthetic_parse(RF_STR("smollm2-135m:MXFP4"), &spec, &err), RF_OK);
    if (rf_synthetic_write(&spec, NULL, path, &err) != RF_OK ||
        rf_gguf_open(path, NULL, &written, &err) != RF_OK)
        fail_msg("%s", err.text);
    assert_int_equal(rf_gguf_file_bytes(written), rf_gguf_file_bytes(memory));
    for (size_t i = 0; i < rf_gguf_n_tensors(memory); i++) {
        const rf_gguf_tensor *a = rf_gguf_tensor_at(memory, i), *b = rf_gguf_tensor_at(written, i);
        assert_memory_equal(a->data, b->data, (size_t)a->bytes);
    }
    rf_gguf_close(written);
    rf_gguf_close(memory);
    (void)unlink(path);
}

static void bad_specs_are_named(void **state) {
    static const struct {
        const char *text, *says;
    } bad[] = {{"", "SHAPE:TYPE"},
               {"llama3-8b", "SHAPE:TYPE"},
               {"llama3-9b:q4_0", "\"llama3-9b\", expected one of smollm2-135m"},
               {":q4_0", "expected one of smollm2-135m"},
               {"llama3-8b:", "expected one of F32"},
               {"llama3-8b:iq2_xxs", "\"iq2_xxs\", expected one of F32"},
               {"llama3-8b:q4_0:q4_0", "\"q4_0:q4_0\""}};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        rf_error err = {0};
        rf_synthetic_spec spec;
        assert_int_equal(rf_synthetic_parse(rf_str_of(bad[i].text), &spec, &err), RF_ERR_USAGE);
        if (!strstr(err.text, bad[i].says))
            fail_msg("%s: %s", bad[i].text, err.text);
    }
}

static bool stop(void *user, uint64_t done, uint64_t total) {
    *(bool *)user = done <= total;
    return false;
}

static void failures_leave_nothing(void **state) {
    rf_error err = {0};
    rf_synthetic_spec spec;
    rf_gguf *gguf = NULL;
    bool sane = false;
    rf_synthetic_options options = {.progress = stop, .user = &sane};
    (void)state;
    size_t live = rf_alloc_live_bytes();
    assert_int_equal(rf_synthetic_parse(RF_STR("llama3-70b:f32"), &spec, &err), RF_OK);
    assert_int_equal(rf_synthetic_open(&spec, NULL, &gguf, &err), RF_ERR_LIMIT);
    assert_non_null(strstr(err.text, "564"));
    assert_non_null(strstr(err.text, "available"));
    assert_int_equal(rf_synthetic_parse(RF_STR("smollm2-135m:q4_0"), &spec, &err), RF_OK);
    assert_int_equal(rf_synthetic_open(&spec, &options, &gguf, &err), RF_ERR_INTERRUPTED);
    assert_true(sane);
    options = (rf_synthetic_options){.hollow = true};
    for (uint64_t n = 1;; n += 1 + n / 16) {
        rf_alloc_fail_at(n, 1);
        rf_status status = rf_synthetic_open(&spec, &options, &gguf, &err);
        rf_alloc_fail_at(0, 0);
        if (status == RF_OK)
            break;
        assert_int_equal(status, RF_ERR_NO_MEMORY);
    }
    rf_gguf_close(gguf);
    assert_int_equal(rf_alloc_live_bytes(), live);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes_are_those_of_the_models),
        cmocka_unit_test(types_are_the_mix),
        cmocka_unit_test(rows_that_do_not_divide_fall_back),
        cmocka_unit_test(weights_are_random_and_repeat),
        cmocka_unit_test(a_written_file_is_the_same),
        cmocka_unit_test(bad_specs_are_named),
        cmocka_unit_test(failures_leave_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
