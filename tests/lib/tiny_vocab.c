#include "tests/lib/tiny_vocab.h"

#include <stdio.h>

#include "base/utf8.h"

void tiny_vocab_init(tiny_vocab *vocab) {
    *vocab = (tiny_vocab){0};
    rf_buf_init(&vocab->keys, 1 << 24);
}

void tiny_vocab_deinit(tiny_vocab *vocab) { rf_buf_deinit(&vocab->keys); }

static void put_u32(rf_buf *buf, uint32_t value) { rf_buf_append(buf, &value, sizeof value); }
static void put_u64(rf_buf *buf, uint64_t value) { rf_buf_append(buf, &value, sizeof value); }

static void put_text(rf_buf *buf, const char *text) {
    put_u64(buf, strlen(text));
    rf_buf_text(buf, text);
}

static void begin_key(tiny_vocab *vocab, const char *key, uint32_t type) {
    char name[128];
    const char *prefix = strncmp(key, "general.", 8) == 0 ? "" : "tokenizer.ggml.";
    (void)snprintf(name, sizeof name, "%s%s", prefix, key);
    put_text(&vocab->keys, name);
    put_u32(&vocab->keys, type);
    vocab->n_keys++;
}

static void begin_array(tiny_vocab *vocab, const char *key, uint32_t type, size_t n) {
    begin_key(vocab, key, RF_GGUF_ARRAY);
    put_u32(&vocab->keys, type);
    put_u64(&vocab->keys, n);
}

void tiny_vocab_str(tiny_vocab *vocab, const char *key, const char *value) {
    begin_key(vocab, key, RF_GGUF_STRING);
    put_text(&vocab->keys, value);
}

void tiny_vocab_u32(tiny_vocab *vocab, const char *key, uint32_t value) {
    begin_key(vocab, key, RF_GGUF_U32);
    put_u32(&vocab->keys, value);
}

void tiny_vocab_bool(tiny_vocab *vocab, const char *key, bool value) {
    begin_key(vocab, key, RF_GGUF_BOOL);
    rf_buf_put(&vocab->keys, value ? 1 : 0);
}

void tiny_vocab_strings(tiny_vocab *vocab, const char *key, const char *const *items, size_t n) {
    begin_array(vocab, key, RF_GGUF_STRING, n);
    for (size_t i = 0; i < n; i++)
        put_text(&vocab->keys, items[i]);
}

void tiny_vocab_i32s(tiny_vocab *vocab, const char *key, const int32_t *items, size_t n) {
    begin_array(vocab, key, RF_GGUF_I32, n);
    rf_buf_append(&vocab->keys, items, n * sizeof *items);
}

void tiny_vocab_f32s(tiny_vocab *vocab, const char *key, const float *items, size_t n) {
    begin_array(vocab, key, RF_GGUF_F32, n);
    rf_buf_append(&vocab->keys, items, n * sizeof *items);
}

/* GPT-2's character for a byte, counted out as its authors do. */
static void byte_char(unsigned byte, char out[5]) {
    unsigned moved = 0, code = byte;
    for (unsigned b = 0; b <= byte; b++) {
        bool printable = (b >= '!' && b <= '~') || (b >= 0xa1 && b <= 0xac) || b >= 0xae;
        if (b == byte && !printable)
            code = 256 + moved;
        moved += !printable;
    }
    out[rf_utf8_encode(code, out)] = 0;
}

void tiny_vocab_bpe(tiny_vocab *vocab, const char *pre) {
    static const char *const more[] = {"he",      "ll",
                                       "hell",    "hello",
                                       "Ġw",      "or",
                                       "Ġwor",    "aa",
                                       "aaaa",    "Ã©", /* 256 … 265 */
                                       "<|end|>", "<|endoftext|>",
                                       "<tool>",  "<tool>x",
                                       "  "}; /* 266 … 270 */
    static const char *const merges[] = {"h e", "l l",   "he ll", "hell o", "Ġ w",
                                         "o r", "Ġw or", "a a",   "aa aa",  "Ã ©"};
    enum { N_MORE = sizeof more / sizeof *more, N = TINY_BPE_BYTES + N_MORE };
    char bytes[TINY_BPE_BYTES][5];
    const char *tokens[N];
    int32_t types[N];
    for (unsigned i = 0; i < N; i++) {
        if (i < TINY_BPE_BYTES)
            byte_char(i, bytes[i]);
        tokens[i] = i < TINY_BPE_BYTES ? bytes[i] : more[i - TINY_BPE_BYTES];
        types[i] = i < 266 ? RF_TOKEN_NORMAL : i < 268 ? RF_TOKEN_CONTROL : RF_TOKEN_USER_DEFINED;
    }
    tiny_vocab_init(vocab);
    tiny_vocab_str(vocab, "model", "gpt2");
    if (pre)
        tiny_vocab_str(vocab, "pre", pre);
    tiny_vocab_strings(vocab, "tokens", tokens, N);
    tiny_vocab_i32s(vocab, "token_type", types, N);
    tiny_vocab_strings(vocab, "merges", merges, sizeof merges / sizeof *merges);
}

static void put_tokens(tiny_vocab *vocab, const char *model, const char *const *tokens,
                       const int32_t *types, const float *scores, size_t n) {
    tiny_vocab_init(vocab);
    tiny_vocab_str(vocab, "model", model);
    tiny_vocab_strings(vocab, "tokens", tokens, n);
    tiny_vocab_i32s(vocab, "token_type", types, n);
    if (scores)
        tiny_vocab_f32s(vocab, "scores", scores, n);
}

void tiny_vocab_spm(tiny_vocab *vocab) {
    static const char *const tokens[] = {"<unk>", "<s>", "</s>", "<0x0A>", "<0xC3>", "<0xA9>", "▁",
                                         "h",     "i",   "hi",   "▁h",     "▁hi",    "<|end|>"};
    static const int32_t types[] = {2, 3, 3, 6, 6, 6, 1, 1, 1, 1, 1, 1, 3};
    static const float scores[] = {0, 0, 0, 0, 0, 0, -9, -8, -7, -1, -2, -3, 0};
    put_tokens(vocab, "llama", tokens, types, scores, sizeof tokens / sizeof *tokens);
}

void tiny_vocab_unigram(tiny_vocab *vocab) {
    static const char *const tokens[] = {"<pad>", "</s>", "<unk>", "▁",  "a",
                                         "b",     "▁a",   "ab",    "▁ab"};
    static const int32_t types[] = {3, 3, 2, 1, 1, 1, 1, 1, 1};
    static const float scores[] = {0, 0, 0, -2, -3, -3, -4, -2.5f, -8};
    put_tokens(vocab, "t5", tokens, types, scores, sizeof tokens / sizeof *tokens);
    tiny_vocab_bool(vocab, "remove_extra_whitespaces", true);
}

void tiny_vocab_bert(tiny_vocab *vocab) {
    static const char *const tokens[] = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "▁un",
                                         "able",  "▁!",    "▁uber", "▁中",   "▁i"};
    static const int32_t types[] = {3, 2, 3, 3, 1, 1, 1, 1, 1, 1};
    put_tokens(vocab, "bert", tokens, types, NULL, sizeof tokens / sizeof *tokens);
}

void tiny_vocab_raw(tiny_vocab *vocab) {
    static const char *const tokens[] = {"<pad>", "<bos>", "▁",    "h",      "i",     "hi",
                                         "▁hi",   "\n",    "\n\n", "<0xC3>", "<0xA9>"};
    static const int32_t types[] = {3, 3, 1, 1, 1, 1, 1, 1, 1, 6, 6};
    static const char *const merges[] = {"h i", "▁ hi", "\n \n"};
    put_tokens(vocab, "gemma4", tokens, types, NULL, sizeof tokens / sizeof *tokens);
    tiny_vocab_strings(vocab, "merges", merges, sizeof merges / sizeof *merges);
    tiny_vocab_u32(vocab, "bos_token_id", 1);
}

tiny_open tiny_vocab_open(tiny_vocab *vocab) {
    tiny_open open = {0};
    rf_buf_init(&open.file, 1 << 24);
    rf_buf_text(&open.file, "GGUF");
    put_u32(&open.file, 3);
    put_u64(&open.file, 0);
    put_u64(&open.file, vocab->n_keys);
    rf_buf_str(&open.file, rf_buf_view(&vocab->keys));
    tiny_vocab_deinit(vocab);
    if (rf_gguf_open_memory(open.file.data, open.file.len, &open.gguf, &open.err) == RF_OK &&
        rf_tokenizer_create(open.gguf, &open.tokenizer, &open.err) != RF_OK)
        open.tokenizer = NULL;
    return open;
}

void tiny_open_close(tiny_open *open) {
    rf_tokenizer_destroy(open->tokenizer);
    rf_gguf_close(open->gguf);
    rf_buf_deinit(&open->file);
}
