/* Any bytes: a file, its tokenizer and its model either load or are refused with a message, within
 * the memory that the file allows. */
#include "base/alloc.h"
#include "model/model.h"
#include "tokenizer/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

#define MUST(condition)       \
    do {                      \
        if (!(condition))     \
            __builtin_trap(); \
    } while (0)

static void load(const rf_gguf *gguf) {
    const rf_model_options options = {.n_ctx = 64, .allow_slow_types = true};
    rf_tokenizer *tokenizer = NULL;
    rf_model *model = NULL;
    rf_error err = {0};
    rf_status status = rf_tokenizer_create(gguf, &tokenizer, &err);
    MUST(status == RF_OK ? tokenizer != NULL : tokenizer == NULL && err.text[0] != 0);
    rf_error other = {0};
    status = rf_model_create(gguf, &options, &model, &other);
    MUST(status == RF_OK ? model != NULL : model == NULL && other.text[0] != 0);
    rf_model_destroy(model);
    rf_tokenizer_destroy(tokenizer);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    rf_gguf *gguf = NULL;
    rf_error err = {0};
    rf_alloc_peak_reset();
    size_t live = rf_alloc_live_bytes();
    if (rf_gguf_open_memory(bytes, n, &gguf, &err) == RF_OK)
        load(gguf);
    rf_gguf_close(gguf);
    MUST(rf_alloc_peak_bytes() - live <= 4 * n + (16u << 20));
    MUST(rf_alloc_live_bytes() == live);
    return 0;
}
