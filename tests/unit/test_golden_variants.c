/* What the golden models leave out, against logits by llama.cpp: tests/golden/variants/README.md.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/cpu_features.h"
#include "tests/lib/gguf_edit.h"
#include "tests/lib/golden.h"
#include "tests/lib/golden_model.h"

static void linear(gguf_edit *edit) {
    (void)edit_set_str(edit, "llama.rope.scaling.type", RF_STR("linear"));
    (void)edit_set_f32(edit, "llama.rope.scaling.factor", 4);
}

static void old_linear(gguf_edit *edit) {
    (void)edit_set_f32(edit, "llama.rope.scale_linear", 2.5f);
}

static void yarn(gguf_edit *edit, float factor, uint32_t original) {
    (void)edit_set_str(edit, "llama.rope.scaling.type", RF_STR("yarn"));
    (void)edit_set_f32(edit, "llama.rope.scaling.factor", factor);
    (void)edit_set_u32(edit, "llama.rope.scaling.original_context_length", original);
}

static void yarn16(gguf_edit *edit) { yarn(edit, 4, 16); }
static void yarn64(gguf_edit *edit) { yarn(edit, 8, 64); }

/* The original length is the trained one. */
static void qwen_yarn(gguf_edit *edit) {
    (void)edit_set_str(edit, "qwen2.rope.scaling.type", RF_STR("yarn"));
    (void)edit_set_f32(edit, "qwen2.rope.scaling.factor", 4);
}

static void gemma_linear(gguf_edit *edit) {
    (void)edit_set_str(edit, "gemma3.rope.scaling.type", RF_STR("linear"));
    (void)edit_set_f32(edit, "gemma3.rope.scaling.factor", 8);
}

static void window7(gguf_edit *edit) {
    (void)edit_set_u32(edit, "gemma2.attention.sliding_window", 7);
}

static void partial(gguf_edit *edit) { (void)edit_set_u32(edit, "phi3.rope.dimension_count", 12); }

static void long_rope(gguf_edit *edit, uint32_t original) {
    float factors[2][8];
    for (int i = 0; i < 8; i++) {
        factors[0][i] = 1 + 3 * (float)i / 7;
        factors[1][i] = 1 + (float)i / 14;
    }
    size_t at = (edit->data.len + 31) / 32 * 32;
    char *data = rf_arena_calloc(&edit->arena, 1, at + sizeof factors);
    assert_non_null(data);
    memcpy(data, edit->data.ptr, edit->data.len);
    memcpy(data + at, factors, sizeof factors);
    edit->data = (rf_str){data, at + sizeof factors};
    (void)edit_add_tensor(edit, "rope_factors_long.weight", 0, 8, at);
    (void)edit_add_tensor(edit, "rope_factors_short.weight", 0, 8, at + 32);
    (void)edit_set_u32(edit, "phi3.rope.scaling.original_context_length", original);
    (void)edit_set_f32(edit, "phi3.rope.scaling.attn_factor", 1.19f);
}

static void long_rope_long(gguf_edit *edit) { long_rope(edit, 32); }
static void long_rope_short(gguf_edit *edit) { long_rope(edit, 256); }
static void nothing(gguf_edit *edit) { (void)edit; }

static const struct {
    const char *name, *base;
    void (*change)(gguf_edit *edit);
    double bound;
} variants[] = {
    {"llama-linear", "models/llama", linear, 2e-5},
    {"llama-oldlinear", "models/llama", old_linear, 2e-5},
    {"llama-yarn16", "models/llama", yarn16, 2e-5},
    {"llama-yarn64", "models/llama", yarn64, 2e-5},
    {"llama-bias", "variants/llama-bias", nothing, 2e-5},
    {"qwen2-yarn", "models/qwen2", qwen_yarn, 2e-5},
    {"qwen2moe", "variants/qwen2moe", nothing, 2e-5},
    {"phi3-long", "models/phi3", long_rope_long, 2e-5},
    {"phi3-short", "models/phi3", long_rope_short, 2e-5},
    {"phi3-partial", "models/phi3", partial, 2e-5},
    {"gemma2-win7", "models/gemma2", window7, 1e-3},
    {"gemma3-linear", "models/gemma3", gemma_linear, 1e-3},
};

static void run(const golden_model *golden, size_t variant, bool reference) {
    rf_cpu_options cpu = {.n_threads = 1, .features = UINT32_MAX, .reference = reference};
    row_engine engine;
    assert_true(golden_engine_open(&engine, golden, &cpu, RF_KV_F32, 1, 0));
    float *logits = golden_run(golden, &engine, golden->n_tokens, NULL);
    if (!logits)
        fail_msg("%s: no logits", variants[variant].name);
    double rel = golden_rel(logits, golden->logits, (size_t)golden->n_tokens * golden->n_vocab);
    if (rel > variants[variant].bound ||
        golden_n_best_differ(logits, golden->logits, golden->n_tokens, golden->n_vocab))
        fail_msg("%s: rel %.3g, bound %.3g", variants[variant].name, rel, variants[variant].bound);
    rf_free(logits);
    row_engine_close(&engine);
}

static void test_variants(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof variants / sizeof variants[0]; i++) {
        char base[128], expected[128];
        (void)snprintf(base, sizeof base, "tests/golden/%s.gguf", variants[i].base);
        (void)snprintf(expected, sizeof expected, "tests/golden/variants/%s.expected.gguf",
                       variants[i].name);
        golden_file file = golden_read(base);
        assert_non_null(file.bytes);
        gguf_edit edit;
        assert_true(gguf_edit_init(&edit, file.bytes, file.n));
        variants[i].change(&edit);
        rf_buf bytes;
        rf_buf_init(&bytes, 64 << 20);
        gguf_edit_write(&edit, &bytes);
        assert_false(bytes.failed);
        rf_gguf *gguf = NULL;
        rf_error err = {0};
        if (rf_gguf_open_memory(bytes.data, bytes.len, &gguf, &err) != RF_OK)
            fail_msg("%s: %s", variants[i].name, err.text);
        golden_model golden;
        assert_true(golden_model_bind(&golden, gguf, GOLDEN_CTX, expected));
        run(&golden, i, false);
        run(&golden, i, true);
        golden_model_close(&golden);
        rf_buf_deinit(&bytes);
        gguf_edit_deinit(&edit);
        golden_free(&file);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_variants)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
