#include <jansson.h>
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
#include "gguf/writer.h"
#include "model/mix.h"
#include "tests/lib/temp_path.h"

enum { MAX_TENSORS = 1024 };

static float zeros[512 * 16]; /* data of every tensor */

typedef struct sample {
    rf_gguf_writer *writer;
    char names[MAX_TENSORS][48]; /* of the matrices in the golden order */
    size_t n;
} sample;

static void add(sample *s, const char *name, uint64_t n_cols, uint64_t n_rows,
                uint64_t n_matrices) {
    uint64_t ne[3] = {n_cols, n_rows, n_matrices};
    assert_true(n_cols * n_rows * n_matrices <= sizeof zeros / sizeof *zeros);
    rf_gguf_writer_tensor(s->writer, rf_str_of(name), 0,
                          n_matrices > 1 ? 3
                          : n_rows > 1   ? 2
                                         : 1,
                          ne, zeros, n_cols * n_rows * n_matrices * sizeof *zeros);
}

static void add_matrix(sample *s, int layer, const char *what, uint64_t n_matrices) {
    char *name = s->names[s->n++];
    if (layer < 0)
        (void)snprintf(name, sizeof s->names[0], "%s.weight", what);
    else
        (void)snprintf(name, sizeof s->names[0], "blk.%d.%s.weight", layer, what);
    add(s, name, 256, 2, n_matrices);
}

static void start(sample *s, uint32_t n_layer, uint32_t n_head, uint32_t n_head_kv,
                  uint32_t n_expert) {
    rf_error err = {0};
    s->n = 0;
    assert_int_equal(rf_gguf_writer_create(0, &s->writer, &err), RF_OK);
    rf_gguf_writer_str(s->writer, "general.architecture", RF_STR("llama"));
    rf_gguf_writer_u32(s->writer, "llama.block_count", n_layer);
    rf_gguf_writer_u32(s->writer, "llama.attention.head_count", n_head);
    rf_gguf_writer_u32(s->writer, "llama.attention.head_count_kv", n_head_kv);
    if (n_expert)
        rf_gguf_writer_u32(s->writer, "llama.expert_count", n_expert);
}

static rf_gguf *finish(sample *s) {
    rf_error err = {0};
    rf_gguf *gguf = NULL;
    if (rf_gguf_writer_finish(s->writer, temp_path, &err) != RF_OK ||
        rf_gguf_open(temp_path, NULL, &gguf, &err) != RF_OK)
        fail_msg("%s", err.text);
    rf_gguf_writer_destroy(s->writer);
    return gguf;
}

static rf_gguf *build_case(sample *s, const json_t *c) {
    static const char *const dense[] = {"attn_q",   "attn_k", "attn_v",  "attn_output",
                                        "ffn_gate", "ffn_up", "ffn_down"};
    static const char *const sparse[] = {"attn_q",       "attn_k",        "attn_v",
                                         "attn_output",  "ffn_gate_exps", "ffn_up_exps",
                                         "ffn_down_exps"};
    int n_layer = (int)json_integer_value(json_object_get(c, "n_layer"));
    uint32_t n_expert = (uint32_t)json_integer_value(json_object_get(c, "n_expert"));
    start(s, (uint32_t)n_layer, (uint32_t)json_integer_value(json_object_get(c, "n_head")),
          (uint32_t)json_integer_value(json_object_get(c, "n_head_kv")), n_expert);
    add_matrix(s, -1, "token_embd", 1);
    if (json_is_false(json_object_get(c, "tied")))
        add_matrix(s, -1, "output", 1);
    for (int layer = 0; layer < n_layer; layer++)
        for (int i = 0; i < 7; i++)
            add_matrix(s, layer, (n_expert ? sparse : dense)[i], n_expert && i > 3 ? n_expert : 1);
    return finish(s);
}

static const rf_mix_choice *choice_of(const rf_gguf *gguf, const rf_mix_choice *choices,
                                      const char *name) {
    for (size_t i = 0; i < rf_gguf_n_tensors(gguf); i++)
        if (rf_str_is(rf_gguf_tensor_at(gguf, i)->name, name))
            return &choices[i];
    fail_msg("no tensor %s", name);
    return NULL;
}

static void check_mix(const sample *s, const rf_gguf *gguf, const char *label, const char *mix_name,
                      const char *want) {
    static rf_mix_choice choices[MAX_TENSORS];
    rf_mix_options options = {0};
    rf_error err = {0};
    size_t i = 0;
    assert_true(rf_mix_from_name(rf_str_of(mix_name), &options.mix));
    assert_int_equal(rf_mix_choose(gguf, &options, choices, &err), RF_OK);
    for (int used; *want; want += used) {
        char type[16];
        size_t n;
        assert_int_equal(sscanf(want, " %15s %zu%n", type, &n, &used), 2);
        for (; n > 0; n--, i++) {
            const rf_mix_choice *choice = choice_of(gguf, choices, s->names[i]);
            assert_false(choice->keep);
            if (strcmp(rf_qtype_get(choice->type)->name, type) != 0)
                fail_msg("%s, %s: %s is %s, expected %s", label, mix_name, s->names[i],
                         rf_qtype_get(choice->type)->name, type);
        }
    }
    assert_int_equal(i, s->n);
}

static void golden_choices(void **state) {
    (void)state;
    static sample s;
    json_t *root = json_load_file("tests/golden/types/mixes.json", 0, NULL), *c, *types;
    const char *label, *mix;
    int n = 0;
    assert_non_null(root);
    json_object_foreach(json_object_get(root, "cases"), label, c) {
        rf_gguf *gguf = build_case(&s, c);
        json_object_foreach(json_object_get(c, "mixes"), mix, types) {
            check_mix(&s, gguf, label, mix, json_string_value(types));
            n++;
        }
        rf_gguf_close(gguf);
    }
    assert_int_equal(n, 5 * (RF_MIX_COUNT - 1)); /* llama.cpp does not write F32 */
    json_decref(root);
}

static rf_qtype type_under(const rf_gguf *gguf, rf_mix_options options, const char *name) {
    static rf_mix_choice choices[MAX_TENSORS];
    rf_error err = {0};
    assert_int_equal(rf_mix_choose(gguf, &options, choices, &err), RF_OK);
    const rf_mix_choice *choice = choice_of(gguf, choices, name);
    assert_false(choice->keep);
    return choice->type;
}

static void imatrix_and_pure(void **state) {
    (void)state;
    static sample s;
    start(&s, 16, 8, 8, 0);
    add_matrix(&s, -1, "output", 1);
    for (int layer = 0; layer < 16; layer++)
        add_matrix(&s, layer, "ffn_down", 1);
    rf_gguf *gguf = finish(&s);
    static const struct {
        rf_mix mix;
        rf_qtype untold, told; /* of a layer in the first eighth */
    } cases[] = {{RF_MIX_IQ4_XS, RF_QTYPE_Q5_K, RF_QTYPE_IQ4_XS},
                 {RF_MIX_IQ4_NL, RF_QTYPE_Q5_K, RF_QTYPE_IQ4_NL},
                 {RF_MIX_Q4_0, RF_QTYPE_Q4_0, RF_QTYPE_Q4_1},
                 {RF_MIX_Q5_0, RF_QTYPE_Q5_0, RF_QTYPE_Q5_1},
                 {RF_MIX_Q4_K_M, RF_QTYPE_Q6_K, RF_QTYPE_Q6_K}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rf_mix_options plain = {.mix = cases[i].mix},
                       told = {.mix = cases[i].mix, .has_imatrix = true};
        assert_int_equal(type_under(gguf, plain, "blk.1.ffn_down.weight"), cases[i].untold);
        assert_int_equal(type_under(gguf, told, "blk.1.ffn_down.weight"), cases[i].told);
    }
    for (int mix = 0; mix < RF_MIX_COUNT; mix++) {
        rf_mix_options pure = {.mix = (rf_mix)mix, .pure = true};
        rf_qtype type = type_under(gguf, pure, "output.weight");
        assert_int_equal(type_under(gguf, pure, "blk.1.ffn_down.weight"), type);
        assert_int_equal(strncmp(rf_mix_name((rf_mix)mix), rf_qtype_get(type)->name,
                                 strlen(rf_qtype_get(type)->name)),
                         0);
    }
    rf_gguf_close(gguf);
}

/* Rows that no block divides: the smaller block of like size, then F16. */
static void fallbacks(void **state) {
    (void)state;
    static sample s;
    static const struct {
        rf_mix mix;
        rf_qtype at_96, at_40;
    } cases[] = {{RF_MIX_Q2_K, RF_QTYPE_Q4_0, RF_QTYPE_F16},
                 {RF_MIX_Q3_K_S, RF_QTYPE_Q4_0, RF_QTYPE_F16},
                 {RF_MIX_Q4_K_S, RF_QTYPE_Q5_0, RF_QTYPE_F16},
                 {RF_MIX_Q5_K_S, RF_QTYPE_Q5_1, RF_QTYPE_F16},
                 {RF_MIX_Q6_K, RF_QTYPE_Q8_0, RF_QTYPE_F16},
                 {RF_MIX_IQ4_XS, RF_QTYPE_IQ4_NL, RF_QTYPE_F16},
                 {RF_MIX_Q4_0, RF_QTYPE_Q4_0, RF_QTYPE_F16},
                 {RF_MIX_F32, RF_QTYPE_F32, RF_QTYPE_F32}};
    start(&s, 1, 8, 8, 0);
    add(&s, "blk.0.attn_q.weight", 96, 2, 1);
    add(&s, "blk.0.attn_k.weight", 40, 2, 1);
    add(&s, "output.weight", 96, 2, 1);
    rf_gguf *gguf = finish(&s);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rf_mix_options options = {.mix = cases[i].mix};
        rf_qtype output = type_under(gguf, options, "output.weight");
        assert_int_equal(type_under(gguf, options, "blk.0.attn_q.weight"), cases[i].at_96);
        assert_int_equal(type_under(gguf, options, "blk.0.attn_k.weight"), cases[i].at_40);
        /* 96 is no multiple of 256, nor of what Q6_K needs: the output takes Q8_0 */
        assert_int_equal(output, cases[i].mix == RF_MIX_F32 ? RF_QTYPE_F32 : RF_QTYPE_Q8_0);
    }
    rf_gguf_close(gguf);
}

static void what_stays(void **state) {
    (void)state;
    static sample s;
    static const char *const kept[] = {"blk.0.attn_q_norm.weight", "blk.0.ffn_gate_inp.weight",
                                       "blk.0.attn_q.bias", "blk.0.ssm_conv1d.weight"};
    static rf_mix_choice choices[8];
    start(&s, 1, 8, 8, 0);
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        add(&s, kept[i], 256, 2, 1);
    add(&s, "blk.0.attn_k.weight", 256, 1, 1); /* one row is a vector */
    rf_gguf *gguf = finish(&s);
    rf_error err = {0};
    rf_mix_options options = {.mix = RF_MIX_Q8_0};
    assert_int_equal(rf_mix_choose(gguf, &options, choices, &err), RF_OK);
    for (size_t i = 0; i < rf_gguf_n_tensors(gguf); i++)
        assert_true(choices[i].keep);
    rf_gguf_close(gguf);
}

static void hostile_layers(void **state) {
    (void)state;
    static sample s;
    static rf_mix_choice choices[8];
    static const char *const names[] = {"blk.1.ffn_down_exps.weight",
                                        "blk.99999999999999999999.ffn_down.weight",
                                        "ffn_down.weight", "blk..ffn_down.weight"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        start(&s, 1, 8, 8, 4);
        add(&s, names[i], 256, 2, 1);
        rf_gguf *gguf = finish(&s);
        rf_error err = {0};
        rf_mix_options options = {.mix = RF_MIX_Q4_K_M};
        assert_int_equal(rf_mix_choose(gguf, &options, choices, &err), RF_ERR_INVALID);
        assert_non_null(strstr(err.text, names[i]));
        assert_non_null(strstr(err.text, "block_count"));
        rf_gguf_close(gguf);
    }
}

static void names(void **state) {
    (void)state;
    rf_mix mix;
    assert_true(rf_mix_from_name(RF_STR("q4_k"), &mix) && mix == RF_MIX_Q4_K_M);
    assert_true(rf_mix_from_name(RF_STR("mxfp4_moe"), &mix) && mix == RF_MIX_MXFP4);
    for (int i = 0; i < RF_MIX_COUNT; i++)
        assert_true(rf_mix_from_name(rf_str_of(rf_mix_name((rf_mix)i)), &mix) && mix == (rf_mix)i);
    assert_false(rf_mix_from_name(RF_STR("q4"), &mix));
    assert_false(rf_mix_from_name(RF_STR(""), &mix));
    assert_int_equal(rf_mix_file_type(RF_MIX_Q4_K_M), 15);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(golden_choices), cmocka_unit_test(imatrix_and_pure),
        cmocka_unit_test(fallbacks),      cmocka_unit_test(what_stays),
        cmocka_unit_test(hostile_layers), cmocka_unit_test(names),
    };
    return cmocka_run_group_tests(tests, temp_path_make, temp_path_drop);
}
