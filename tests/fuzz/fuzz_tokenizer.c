/* A vocabulary either is refused with a message, or encodes any text, and what it decodes is sound.
 * The input is a GGUF file, then a NUL-free text after the last byte 0x1e, if there is one. */
#include <string.h>

#include "base/alloc.h"
#include "base/utf8.h"
#include "tokenizer/tokenizer.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

#define MUST(condition)       \
    do {                      \
        if (!(condition))     \
            __builtin_trap(); \
    } while (0)

static void check_decode(const rf_tokenizer *tokenizer, const rf_tokens *tokens) {
    rf_buf whole, streamed;
    rf_error err = {0};
    rf_detokenizer stream = {0};
    rf_buf_init(&whole, 1 << 28);
    rf_buf_init(&streamed, 1 << 28);
    MUST(rf_tokenizer_decode(tokenizer, tokens->ids, tokens->n, &whole, &err) == RF_OK);
    for (size_t i = 0; i < tokens->n; i++)
        MUST(rf_detokenizer_push(&stream, tokenizer, tokens->ids[i], &streamed, &err) == RF_OK);
    rf_detokenizer_finish(&stream, &streamed);
    MUST(rf_utf8_valid_prefix(streamed.data, streamed.len) == streamed.len);
    if (rf_utf8_valid_prefix(whole.data, whole.len) == whole.len)
        MUST(rf_str_eq(rf_buf_view(&whole), rf_buf_view(&streamed)));
    rf_buf_deinit(&whole);
    rf_buf_deinit(&streamed);
}

static void check_encode(const rf_tokenizer *tokenizer, rf_str text) {
    for (int flags = 0; flags < 4; flags++) {
        rf_tokens tokens = {0};
        rf_error err = {0};
        rf_encode_options options = {(flags & 1) != 0, (flags & 2) != 0};
        rf_status status = rf_tokenizer_encode(tokenizer, text, options, &tokens, &err);
        if (rf_utf8_valid_prefix(text.ptr, text.len) < text.len) {
            MUST(status == RF_ERR_INVALID && tokens.n == 0);
        } else {
            MUST(status == RF_OK);
            for (size_t i = 0; i < tokens.n; i++)
                MUST(tokens.ids[i] >= 0 &&
                     (uint32_t)tokens.ids[i] < rf_tokenizer_n_tokens(tokenizer));
            check_decode(tokenizer, &tokens);
        }
        rf_tokens_deinit(&tokens);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n) {
    const uint8_t *mark = n ? memrchr(bytes, 0x1e, n) : NULL;
    size_t n_file = mark ? (size_t)(mark - bytes) : n;
    rf_str text = mark ? (rf_str){(const char *)mark + 1, n - n_file - 1}
                       : RF_STR("hello w\xc3\xb6rld <|end|> 123\n\n");
    rf_gguf *gguf = NULL;
    rf_tokenizer *tokenizer = NULL;
    rf_error err = {0};
    size_t live = rf_alloc_live_bytes();
    rf_alloc_peak_reset();
    if (rf_gguf_open_memory(bytes, n_file, &gguf, &err) == RF_OK) {
        rf_status status = rf_tokenizer_create(gguf, &tokenizer, &err);
        MUST(rf_alloc_peak_bytes() - live <= 4 * n_file + (16u << 20));
        if (status == RF_OK)
            check_encode(tokenizer, text);
        else
            MUST(tokenizer == NULL && err.code == status && err.text[0]);
    }
    rf_tokenizer_destroy(tokenizer);
    rf_gguf_close(gguf);
    MUST(rf_alloc_live_bytes() == live);
    return 0;
}
