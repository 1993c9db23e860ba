/* Vocabularies, hyper-parameters and chat templates that lie: refused by the tokenizer, the model
 * or the template engine, quickly, in bounded memory, with a message that names what is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <time.h>

#include "base/alloc.h"
#include "chat/template.h"
#include "model/model.h"
#include "tests/lib/hostile_gguf.h"
#include "tokenizer/tokenizer.h"

/* Whether a message says which key or tensor is wrong. */
static bool names_it(const char *text) {
    static const char *const marks[] = {"key ", "tensor ", "llama.", "qwen3moe."};
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++)
        if (strstr(text, marks[i]))
            return true;
    return false;
}

/* Compiles and renders the file's template. */
static rf_status render(const rf_gguf *gguf, rf_error *err) {
    const rf_template_limits limits = {.max_steps = 1000000, .max_memory_bytes = 8 << 20};
    rf_str source;
    rf_template *tmpl = NULL;
    rf_template_error_kind kind;
    rf_buf out;
    RF_TRY(rf_gguf_get_str(gguf, "tokenizer.chat_template", &source, err));
    RF_TRY(rf_template_compile(source, &limits, &tmpl, err));
    rf_buf_init(&out, 1 << 22);
    rf_status status = rf_template_render(
        tmpl, RF_STR("{\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]}"), 0, &out, &kind,
        err);
    rf_buf_deinit(&out);
    rf_template_destroy(tmpl);
    return status;
}

static rf_status load(const rf_buf *file, hostile_layer layer, rf_error *err) {
    const rf_model_options options = {.n_ctx = 0};
    rf_gguf *gguf = NULL;
    rf_tokenizer *tokenizer = NULL;
    rf_model *model = NULL;
    RF_TRY(rf_gguf_open_memory(file->data, file->len, &gguf, err));
    rf_status status = rf_tokenizer_create(gguf, &tokenizer, err);
    if (layer == HOSTILE_MODEL && status == RF_OK)
        status = rf_model_create(gguf, &options, &model, err);
    if (layer == HOSTILE_TEMPLATE && status == RF_OK)
        status = render(gguf, err);
    rf_model_destroy(model);
    rf_tokenizer_destroy(tokenizer);
    rf_gguf_close(gguf);
    return status;
}

/* The number of complaints. */
static int check(const hostile_family *family, uint32_t variant) {
    rf_buf file;
    rf_error err = {0};
    rf_buf_init(&file, 64 << 20);
    assert_true(hostile_make(family, variant, &file));
    rf_alloc_peak_reset();
    size_t live = rf_alloc_live_bytes();
    uint64_t start = hostile_cpu_ns();
    rf_status status = load(&file, family->layer, &err);
    uint64_t took = hostile_cpu_ns() - start;
    size_t peak = rf_alloc_peak_bytes() - live;
    int bad = 0;
    if (status == RF_OK) {
        print_error("%s %u: was loaded\n", family->name, variant);
        bad++;
    } else if (family->layer != HOSTILE_TEMPLATE && !names_it(err.text)) {
        print_error("%s %u: names nothing: %s\n", family->name, variant, err.text);
        bad++;
    }
    if (took > HOSTILE_MAX_NS || peak > 4 * file.len + HOSTILE_MEMORY_FLOOR) {
        print_error("%s %u: %.1f ms, %zu bytes\n", family->name, variant, (double)took * 1e-6,
                    peak);
        bad++;
    }
    if (rf_alloc_live_bytes() != live) {
        print_error("%s %u: leaks\n", family->name, variant);
        bad++;
    }
    rf_buf_deinit(&file);
    return bad;
}

static void check_layer(hostile_layer layer) {
    int bad = 0;
    for (size_t i = 0; i < hostile_n_families; i++)
        if (hostile_families[i].layer == layer)
            for (uint32_t variant = 0; variant < hostile_families[i].n_variants; variant++)
                bad += check(&hostile_families[i], variant);
    assert_int_equal(bad, 0);
}

static void vocabularies_are_refused(void **state) {
    (void)state;
    check_layer(HOSTILE_TOKENIZER);
}

static void hyper_parameters_are_refused(void **state) {
    (void)state;
    check_layer(HOSTILE_MODEL);
}

static void templates_are_refused(void **state) {
    (void)state;
    check_layer(HOSTILE_TEMPLATE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vocabularies_are_refused),
        cmocka_unit_test(hyper_parameters_are_refused),
        cmocka_unit_test(templates_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
