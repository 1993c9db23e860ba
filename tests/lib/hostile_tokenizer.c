/* Hostile vocabularies. The containers are sound: the tokenizer must refuse them. */
#include <math.h>

#include "tests/lib/hostile_gguf.h"

enum { N_TOKENS = 320, N_MERGES = 58 };
static const char tokens[] = "tokenizer.ggml.tokens";
static const char types[] = "tokenizer.ggml.token_type";
static const char scores[] = "tokenizer.ggml.scores";
static const char merges[] = "tokenizer.ggml.merges";

/* n items of 4 bytes, each a copy of word. */
static void set_words(gguf_edit *edit, const char *name, uint32_t type, uint64_t n,
                      const void *word) {
    rf_buf value;
    rf_buf_init(&value, 1 << 20);
    rf_buf_append(&value, &type, sizeof type);
    rf_buf_append(&value, &n, sizeof n);
    for (uint64_t i = 0; i < n; i++)
        rf_buf_append(&value, word, 4);
    (void)edit_set_key(edit, name, RF_GGUF_ARRAY, value.data, value.len);
    rf_buf_deinit(&value);
}

void hostile_tokenizer_model(gguf_edit *edit, uint32_t variant) {
    const rf_str models[] = {RF_STR("nonsense"), RF_STR(""), RF_STR("gpt2 ")};
    if (variant < 3)
        (void)edit_set_str(edit, "tokenizer.ggml.model", models[variant]);
    else
        (void)edit_set_u32(edit, "tokenizer.ggml.model", 2);
}

void hostile_tokens_missing(gguf_edit *edit, uint32_t variant) {
    if (variant == 0)
        edit_drop_key(edit, tokens);
    else
        edit_resize_strings(edit, tokens, 0);
}

void hostile_tokens_type(gguf_edit *edit, uint32_t variant) {
    static const uint32_t nested[] = {RF_GGUF_ARRAY, 1, 0, RF_GGUF_STRING, 0, 0};
    const uint32_t word = 1;
    if (variant == 0)
        set_words(edit, tokens, RF_GGUF_U32, N_TOKENS, &word);
    else if (variant == 1)
        (void)edit_set_str(edit, tokens, RF_STR("a b c"));
    else if (variant == 2)
        (void)edit_set_key(edit, tokens, RF_GGUF_ARRAY, nested, sizeof nested);
    else
        set_words(edit, tokens, RF_GGUF_F32, N_TOKENS, &word);
}

/* In tokens that no merge names: 314 to 318. */
void hostile_token_bytes(gguf_edit *edit, uint32_t variant) {
    const rf_str texts[] = {RF_STR("\0"), RF_STR("a\0b"), RF_STR("\xff\xfe"), RF_STR("\xc4"),
                            RF_STR("\xed\xa0\x80")};
    edit_set_item(edit, tokens, 314 + variant, texts[variant]);
}

void hostile_token_types_count(gguf_edit *edit, uint32_t variant) {
    static const uint64_t counts[] = {0, N_TOKENS - 1, N_TOKENS + 1};
    set_words(edit, types, RF_GGUF_I32, counts[variant], &(int32_t){1});
}

void hostile_token_types_value(gguf_edit *edit, uint32_t variant) {
    static const int32_t values[] = {-1, 7, INT32_MAX};
    set_words(edit, types, RF_GGUF_I32, N_TOKENS, &values[variant]);
}

void hostile_token_types_type(gguf_edit *edit, uint32_t variant) {
    if (variant == 0)
        set_words(edit, types, RF_GGUF_F32, N_TOKENS, &(float){1});
    else if (variant == 1)
        (void)edit_set_u32(edit, types, 1);
    else
        (void)edit_set_key(edit, types, RF_GGUF_ARRAY, "\1\0\0\0\4\0\0\0\0\0\0\0\1\1\1\1", 16);
}

static void sentencepiece(gguf_edit *edit) {
    (void)edit_set_str(edit, "tokenizer.ggml.model", RF_STR("llama"));
    edit_drop_key(edit, merges);
    set_words(edit, scores, RF_GGUF_F32, N_TOKENS, &(float){-1});
}

void hostile_scores_count(gguf_edit *edit, uint32_t variant) {
    static const uint64_t counts[] = {1, N_TOKENS - 1, N_TOKENS + 1};
    sentencepiece(edit);
    set_words(edit, scores, RF_GGUF_F32, counts[variant], &(float){-1});
}

void hostile_scores_value(gguf_edit *edit, uint32_t variant) {
    static const size_t ids[] = {0, 200, N_TOKENS - 1};
    sentencepiece(edit);
    edit_poke(edit, scores, 12 + 4 * ids[variant], &(float){NAN}, 4);
}

void hostile_scores_type(gguf_edit *edit, uint32_t variant) {
    sentencepiece(edit);
    if (variant == 0)
        set_words(edit, scores, RF_GGUF_I32, N_TOKENS, &(int32_t){1});
    else if (variant == 1)
        (void)edit_set_f32(edit, scores, 1);
    else
        (void)edit_set_key(edit, scores, RF_GGUF_ARRAY, "\1\0\0\0\4\0\0\0\0\0\0\0\1\1\1\1", 16);
}

void hostile_merges_missing(gguf_edit *edit, uint32_t variant) {
    (void)variant;
    edit_drop_key(edit, merges);
}

void hostile_merges_type(gguf_edit *edit, uint32_t variant) {
    if (variant == 0)
        set_words(edit, merges, RF_GGUF_U32, N_MERGES, &(uint32_t){1});
    else if (variant == 1)
        (void)edit_set_str(edit, merges, RF_STR("a b"));
    else
        (void)edit_set_u32(edit, merges, 1);
}

/* No blank, nothing, and parts or a product that the vocabulary lacks. */
void hostile_merges_broken(gguf_edit *edit, uint32_t variant) {
    const rf_str items[] = {RF_STR("ab"), RF_STR(""), RF_STR("qqq zzz"), RF_STR("z q")};
    edit_set_item(edit, merges, 10 * variant, items[variant]);
}

/* A part that is empty makes a token of itself. */
void hostile_merges_cyclic(gguf_edit *edit, uint32_t variant) {
    const rf_str items[] = {RF_STR("a "), RF_STR(" a"), RF_STR(" ")};
    edit_set_item(edit, merges, 20, items[variant]);
}

void hostile_special_id(gguf_edit *edit, uint32_t variant) {
    static const char *const names[] = {
        "tokenizer.ggml.bos_token_id", "tokenizer.ggml.eos_token_id",
        "tokenizer.ggml.unknown_token_id", "tokenizer.ggml.eot_token_id"};
    static const uint32_t ids[] = {N_TOKENS, 1u << 31, 1u << 20};
    (void)edit_set_u32(edit, names[variant % 4], ids[variant / 4]);
}

void hostile_special_id_type(gguf_edit *edit, uint32_t variant) {
    const char *name = variant & 1 ? "tokenizer.ggml.eos_token_id" : "tokenizer.ggml.bos_token_id";
    if (variant < 2)
        (void)edit_set_str(edit, name, RF_STR("</s>"));
    else if (variant == 2)
        (void)edit_set_f32(edit, name, 1);
    else
        (void)edit_set_u32s(edit, name, (const uint32_t[]){1, 2}, 2);
}

void hostile_add_bos_type(gguf_edit *edit, uint32_t variant) {
    static const char name[] = "tokenizer.ggml.add_bos_token";
    if (variant == 0)
        (void)edit_set_u32(edit, name, 1);
    else if (variant == 1)
        (void)edit_set_str(edit, name, RF_STR("true"));
    else
        (void)edit_set_f32(edit, name, 1);
}
