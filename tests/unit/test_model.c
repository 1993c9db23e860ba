/* Models: what is read, how the program looks, and what a wrong file is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "model/model.h"
#include "tests/lib/gguf_edit.h"
#include "tests/lib/golden.h"

typedef struct edited {
    golden_file file;
    gguf_edit edit;
    rf_buf bytes;
    rf_gguf *gguf;
    rf_model *model;
    rf_error err;
} edited;

static void begin(edited *e, const char *path) {
    *e = (edited){.file = golden_read(path)};
    assert_non_null(e->file.bytes);
    assert_true(gguf_edit_init(&e->edit, e->file.bytes, e->file.n));
    rf_buf_init(&e->bytes, 64 << 20);
}

/* Writes the edited file, opens it and makes a model of it. */
static rf_status create(edited *e, const rf_model_options *options) {
    gguf_edit_write(&e->edit, &e->bytes);
    assert_false(e->bytes.failed);
    if (rf_gguf_open_memory(e->bytes.data, e->bytes.len, &e->gguf, &e->err) != RF_OK)
        fail_msg("the container was refused: %s", e->err.text);
    return rf_model_create(e->gguf, options, &e->model, &e->err);
}

static void end(edited *e) {
    rf_model_destroy(e->model);
    rf_gguf_close(e->gguf);
    rf_buf_deinit(&e->bytes);
    gguf_edit_deinit(&e->edit);
    golden_free(&e->file);
}

static void expect_text(const edited *e, const char *part) {
    if (!strstr(e->err.text, part))
        fail_msg("\"%s\" does not say \"%s\"", e->err.text, part);
}

#define MODELS "tests/golden/models/"

static void test_info(void **state) {
    (void)state;
    edited e;
    begin(&e, MODELS "qwen3moe.gguf");
    assert_int_equal(create(&e, NULL), RF_OK);
    const rf_model_info *info = rf_model_get_info(e.model);
    assert_string_equal(info->arch, "qwen3moe");
    assert_int_equal(info->n_layer, 3);
    assert_int_equal(info->n_embd, 96);
    assert_int_equal(info->n_head, 6);
    assert_int_equal(info->n_head_kv, 2);
    assert_int_equal(info->head_dim, 16);
    assert_int_equal(info->n_ff, 128);
    assert_int_equal(info->n_vocab, 320);
    assert_int_equal(info->n_ctx_train, 512);
    assert_int_equal(info->n_expert, 8);
    assert_int_equal(info->n_expert_used, 3);
    assert_int_equal(info->n_params * 4, info->weights_bytes);
    uint64_t n = 0;
    for (size_t i = 0; i < rf_gguf_n_tensors(e.gguf); i++)
        n += rf_gguf_tensor_at(e.gguf, i)->n_elements;
    assert_int_equal(info->n_params, n);
    end(&e);
}

static void test_arch_names(void **state) {
    (void)state;
    size_t n = 0;
    while (rf_model_arch_name(n))
        n++;
    assert_int_equal(n, 8);
    assert_string_equal(rf_model_arch_name(0), "llama");
    assert_null(rf_model_arch_name(n + 1));
}

/* Windows by layer, and one cache group for each size. */
static void test_windows(void **state) {
    (void)state;
    edited e;
    begin(&e, MODELS "gemma3.gguf");
    assert_int_equal(create(&e, NULL), RF_OK);
    const rf_program *p = rf_model_program(e.model);
    assert_int_equal(p->n_kv_groups, 2);
    assert_int_equal(p->n_kv_layers, 7);
    for (uint32_t i = 0; i < 7; i++)
        assert_int_equal(p->kv_groups[p->kv_layers[i].group].window, i == 5 ? 0 : 16);
    for (uint32_t i = 0; i < p->n_ops; i++) {
        const rf_op *op = &p->ops[i];
        if (op->kind == RF_OP_ATTENTION)
            assert_int_equal(op->u.attention.window, op->layer == 5 ? 0 : 16);
        if (op->kind == RF_OP_ROPE_STORE) {
            const rf_rope *rope = &p->ropes[op->u.rope_store.rope];
            double base = op->layer == 5 ? 1e6 : 1e4;
            assert_true(fabs((double)rope->inv_freq[1] - pow(base, -2.0 / 16)) < 1e-6);
        }
    }
    end(&e);
    begin(&e, MODELS "gemma3.gguf");
    (void)edit_set_u32s(&e.edit, "gemma3.attention.sliding_window_pattern",
                        (const uint32_t[]){0, 1, 0, 1, 0, 1, 1}, 7);
    assert_int_equal(create(&e, NULL), RF_OK);
    p = rf_model_program(e.model);
    for (uint32_t i = 0; i < 7; i++)
        assert_int_equal(p->kv_groups[p->kv_layers[i].group].window,
                         i == 0 || i == 2 || i == 4 ? 0 : 16);
    end(&e);
}

/* The rotation tables of every scaling, pair by pair, from the papers' formulas. */
static const rf_rope *rope_of(edited *e, const rf_model_options *options) {
    if (create(e, options) != RF_OK)
        fail_msg("%s", e->err.text);
    return &rf_model_program(e->model)->ropes[0];
}

static void expect_freq(const rf_rope *rope, uint32_t i, double want) {
    if (fabs((double)rope->inv_freq[i] - want) > 1e-6 * want)
        fail_msg("inv_freq[%u] is %.9g, expected %.9g", i, (double)rope->inv_freq[i], want);
}

static void test_rope_plain_and_linear(void **state) {
    (void)state;
    edited e;
    begin(&e, MODELS "llama.gguf");
    const rf_rope *rope = rope_of(&e, NULL);
    assert_int_equal(rope->kind, RF_ROPE_NORM);
    assert_int_equal(rope->n_dims, 16);
    for (uint32_t i = 0; i < 8; i++)
        expect_freq(rope, i, pow(10000, -2.0 * i / 16));
    end(&e);
    begin(&e, MODELS "llama.gguf");
    (void)edit_set_f32(&e.edit, "llama.rope.scale_linear", 2.5f); /* the old key */
    rope = rope_of(&e, NULL);
    for (uint32_t i = 0; i < 8; i++)
        expect_freq(rope, i, pow(10000, -2.0 * i / 16) / 2.5);
    assert_true(rope->magnitude == 1);
    end(&e);
    begin(&e, MODELS "llama.gguf");
    (void)edit_set_f32(&e.edit, "llama.rope.scaling.factor", 4);
    (void)edit_set_str(&e.edit, "llama.rope.scaling.type", RF_STR("none"));
    rope = rope_of(&e, NULL);
    expect_freq(rope, 3, pow(10000, -6.0 / 16));
    end(&e);
}

static void test_rope_yarn(void **state) {
    (void)state;
    edited e;
    begin(&e, MODELS "llama.gguf");
    (void)edit_set_str(&e.edit, "llama.rope.scaling.type", RF_STR("yarn"));
    (void)edit_set_f32(&e.edit, "llama.rope.scaling.factor", 4);
    (void)edit_set_u32(&e.edit, "llama.rope.scaling.original_context_length", 256);
    const rf_rope *rope = rope_of(&e, NULL);
    /* pairs that turn 32 times and once within 256 positions: 0.21 and 3.22, so 0 and 4 */
    for (uint32_t i = 0; i < 8; i++) {
        double full = pow(10000, -2.0 * i / 16), ramp = i < 4 ? i / 4.0 : 1;
        expect_freq(rope, i, full / 4 * ramp + full * (1 - ramp));
    }
    assert_true(fabs((double)rope->magnitude - (0.1 * log(4) + 1)) < 1e-6);
    end(&e);
}

static void test_rope_long(void **state) {
    (void)state;
    const struct {
        uint32_t n_ctx;
        float first; /* divisor of pair 0 */
    } cases[] = {{0, 8}, {33, 8}, {32, 2}, {8, 2}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        edited e;
        begin(&e, MODELS "phi3.gguf");
        float factors[2][8] = {{8, 8, 8, 8, 8, 8, 8, 8}, {2, 2, 2, 2, 2, 2, 2, 2}};
        rf_buf data;
        rf_buf_init(&data, 64 << 20);
        rf_buf_str(&data, e.edit.data);
        while (data.len % 32)
            rf_buf_put(&data, 0);
        size_t at = data.len;
        rf_buf_append(&data, factors, sizeof factors);
        e.edit.data = rf_buf_view(&data);
        (void)edit_add_tensor(&e.edit, "rope_factors_long.weight", 0, 8, at);
        (void)edit_add_tensor(&e.edit, "rope_factors_short.weight", 0, 8, at + 32);
        (void)edit_set_u32(&e.edit, "phi3.rope.scaling.original_context_length", 32);
        const rf_rope *rope = rope_of(&e, &(rf_model_options){.n_ctx = cases[i].n_ctx});
        expect_freq(rope, 0, 1 / (double)cases[i].first);
        /* trained for 512 on top of 32 */
        assert_true(fabs((double)rope->magnitude - sqrt(1 + log(512 / 32) / log(32))) < 1e-6);
        end(&e);
        rf_buf_deinit(&data);
    }
}

static void refused(const char *path, void (*lie)(gguf_edit *), const char *says) {
    edited e;
    begin(&e, path);
    lie(&e.edit);
    rf_status status = create(&e, NULL);
    assert_true(status == RF_ERR_INVALID || status == RF_ERR_UNSUPPORTED);
    assert_null(e.model);
    expect_text(&e, says);
    end(&e);
}

static void lie_arch(gguf_edit *edit) {
    (void)edit_set_str(edit, "general.architecture", RF_STR("gpt-17"));
}
static void lie_missing_key(gguf_edit *edit) { edit_drop_key(edit, "llama.embedding_length"); }
static void lie_eps(gguf_edit *edit) {
    (void)edit_set_f32(edit, "llama.attention.layer_norm_rms_epsilon", NAN);
}
static void lie_layers(gguf_edit *edit) { (void)edit_set_u32(edit, "llama.block_count", 4000); }
static void lie_layer_missing(gguf_edit *edit) { (void)edit_set_u32(edit, "llama.block_count", 4); }
static void lie_heads(gguf_edit *edit) {
    (void)edit_set_u32(edit, "llama.attention.head_count_kv", 4);
}
static void lie_heads_array(gguf_edit *edit) {
    (void)edit_set_u32s(edit, "llama.attention.head_count_kv", (const uint32_t[]){2, 2}, 2);
}
static void lie_missing_tensor(gguf_edit *edit) { edit_drop_tensor(edit, "blk.1.ffn_up.weight"); }
static void lie_shape(gguf_edit *edit) {
    edit_find_tensor(edit, "blk.2.attn_k.weight")->ne[1] = 31;
}
static void lie_vocab(gguf_edit *edit) { edit_resize_strings(edit, "tokenizer.ggml.tokens", 300); }
static void lie_experts(gguf_edit *edit) {
    (void)edit_set_u32(edit, "qwen3moe.expert_used_count", 9);
}
static void lie_no_experts(gguf_edit *edit) {
    (void)edit_set_u32(edit, "qwen3moe.expert_count", 0);
}
static void lie_slow_type(gguf_edit *edit) {
    edit_tensor *t = edit_find_tensor(edit, "blk.0.attn_q.weight");
    t->type = 35; /* TQ2_0: 66 bytes for 256 weights */
}
static void lie_scaling(gguf_edit *edit) {
    (void)edit_set_str(edit, "llama.rope.scaling.type", RF_STR("su"));
}

static void test_refusals(void **state) {
    (void)state;
    const struct {
        const char *path;
        void (*lie)(gguf_edit *);
        const char *says;
    } cases[] = {
        {MODELS "llama.gguf", lie_arch,
         "found \"gpt-17\", expected one that this build knows: llama, qwen2,"},
        {MODELS "llama.gguf", lie_missing_key,
         "memory: key \"llama.embedding_length\": found none, but expected it"},
        {MODELS "llama.gguf", lie_eps, "found nan, expected a value from 0 to 1"},
        {MODELS "llama.gguf", lie_layers,
         "found 4000 layers, expected at most one for each of the file's 30 tensors"},
        {MODELS "llama.gguf", lie_layer_missing, "tensor \"blk.3.attn_norm.weight\": found none"},
        {MODELS "llama.gguf", lie_heads, "found 4 for layer 0, expected a divisor of the 6 heads"},
        {MODELS "llama.gguf", lie_heads_array, "found 2 items, expected one for each of the 3"},
        {MODELS "llama.gguf", lie_missing_tensor,
         "\"blk.1.ffn_up.weight\": found none, but llama models are expected to have it with "
         "shape [96, 128] (n_embd, n_ff)"},
        {MODELS "llama.gguf", lie_shape,
         "found shape [96, 31], expected [96, 32] (n_embd, n_head_"},
        {MODELS "llama.gguf", lie_vocab,
         "found 320 rows, expected one for each of the 300 tokens of key"},
        {MODELS "qwen3moe.gguf", lie_experts,
         "found 9 of 8 experts, expected from 1 to all of them"},
        {MODELS "qwen3moe.gguf", lie_no_experts, "expected 0 in a model without experts"},
        {"tests/golden/types/type-q4_k.gguf", lie_slow_type,
         "found type TQ2_0, which the slow reference alone runs, expected a native one"},
        {MODELS "llama.gguf", lie_scaling, "found \"su\", expected none, linear, yarn or longrope"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        refused(cases[i].path, cases[i].lie, cases[i].says);
}

static void test_slow_type_allowed(void **state) {
    (void)state;
    edited e;
    begin(&e, "tests/golden/types/type-q4_k.gguf");
    lie_slow_type(&e.edit);
    assert_int_equal(create(&e, &(rf_model_options){.allow_slow_types = true}), RF_OK);
    end(&e);
}

static char logged[512];
static void keep_log(void *user, rf_log_level level, const char *topic, const char *text) {
    (void)user, (void)topic;
    assert_int_equal(level, RF_LOG_WARN);
    size_t n = strlen(text) < sizeof logged - 1 ? strlen(text) : sizeof logged - 1;
    memcpy(logged, text, n);
    logged[n] = 0;
}

static void test_unused_tensor_is_named(void **state) {
    (void)state;
    edited e;
    begin(&e, MODELS "llama.gguf");
    edit_find_tensor(&e.edit, "output.weight")->name = RF_STR("mystery");
    edit_find_tensor(&e.edit, "mystery")->name_bytes = 7;
    rf_log_set(keep_log, NULL, RF_LOG_WARN);
    assert_int_equal(create(&e, NULL), RF_OK);
    rf_log_set(NULL, NULL, RF_LOG_WARN);
    assert_string_equal(logged, "1 tensors are not used, mystery the first");
    end(&e);
}

static void test_allocation_faults(void **state) {
    (void)state;
    rf_gguf *gguf = NULL;
    rf_error err = {0};
    assert_int_equal(rf_gguf_open(MODELS "gemma3.gguf", NULL, &gguf, &err), RF_OK);
    size_t live = rf_alloc_live_bytes();
    for (uint64_t n = 1;; n++) {
        rf_model *model = NULL;
        rf_alloc_fail_at(n, 0);
        rf_status status = rf_model_create(gguf, NULL, &model, &err);
        rf_alloc_fail_at(0, 0);
        rf_model_destroy(model);
        assert_int_equal(rf_alloc_live_bytes(), live);
        if (status == RF_OK) {
            assert_true(n > 3);
            break;
        }
        assert_int_equal(status, RF_ERR_NO_MEMORY);
        assert_null(model);
    }
    rf_gguf_close(gguf);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_info),
        cmocka_unit_test(test_arch_names),
        cmocka_unit_test(test_windows),
        cmocka_unit_test(test_rope_plain_and_linear),
        cmocka_unit_test(test_rope_yarn),
        cmocka_unit_test(test_rope_long),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_slow_type_allowed),
        cmocka_unit_test(test_unused_tensor_is_named),
        cmocka_unit_test(test_allocation_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
