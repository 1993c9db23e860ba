/* Hostile hyper-parameters and weights that do not fit them. The containers are sound: loading the
 * model must refuse them. */
#include <math.h>
#include <stdio.h>

#include "tests/lib/hostile_gguf.h"

static const char *const counts[] = {"llama.block_count",         "llama.embedding_length",
                                     "llama.feed_forward_length", "llama.attention.head_count",
                                     "llama.context_length",      "llama.attention.head_count_kv"};
static const char epsilon[] = "llama.attention.layer_norm_rms_epsilon";

void hostile_architecture(gguf_edit *edit, uint32_t variant) {
    if (variant == 0)
        edit_drop_key(edit, "general.architecture");
    else if (variant == 1)
        (void)edit_set_str(edit, "general.architecture", RF_STR("nonsense"));
    else if (variant == 2)
        (void)edit_set_str(edit, "general.architecture", RF_STR(""));
    else
        (void)edit_set_u32(edit, "general.architecture", 1);
}

void hostile_hyper_missing(gguf_edit *edit, uint32_t variant) {
    edit_drop_key(edit, variant < 4 ? counts[variant] : epsilon);
}

void hostile_hyper_zero(gguf_edit *edit, uint32_t variant) {
    (void)edit_set_u32(edit, counts[variant], 0);
}

void hostile_hyper_huge(gguf_edit *edit, uint32_t variant) {
    (void)edit_set_u32(edit, counts[variant % 6], variant < 6 ? 1u << 31 : UINT32_MAX);
}

void hostile_hyper_type(gguf_edit *edit, uint32_t variant) {
    const char *name = counts[variant / 3];
    if (variant % 3 == 0)
        (void)edit_set_str(edit, name, RF_STR("4"));
    else if (variant % 3 == 1)
        (void)edit_set_f32(edit, name, 4);
    else
        (void)edit_set_key(edit, name, RF_GGUF_BOOL, "\1", 1);
}

void hostile_hyper_negative(gguf_edit *edit, uint32_t variant) {
    (void)edit_set_key(edit, counts[variant], RF_GGUF_I32, &(int32_t){-4}, 4);
}

void hostile_heads_divide(gguf_edit *edit, uint32_t variant) {
    static const uint32_t pairs[][2] = {{4, 3}, {5, 2}, {4, 8}, {7, 1}};
    (void)edit_set_u32(edit, counts[3], pairs[variant][0]);
    (void)edit_set_u32(edit, counts[5], pairs[variant][1]);
}

/* One layer, but as many values. */
void hostile_heads_per_layer(gguf_edit *edit, uint32_t variant) {
    static const uint32_t values[] = {1, 0, 3};
    static const uint64_t n[] = {0, 1, 1};
    (void)edit_set_u32s(edit, counts[5], &values[variant], n[variant]);
}

void hostile_head_dim(gguf_edit *edit, uint32_t variant) {
    static const uint32_t values[] = {0, 63, 128, 1u << 16, UINT32_MAX};
    (void)edit_set_u32(edit, "llama.attention.key_length", values[variant]);
}

void hostile_layers_more(gguf_edit *edit, uint32_t variant) {
    static const uint32_t values[] = {2, 1000, 100000000};
    (void)edit_set_u32(edit, counts[0], values[variant]);
}

void hostile_rope_base(gguf_edit *edit, uint32_t variant) {
    const float values[] = {NAN, INFINITY, -INFINITY, 0, -10000};
    (void)edit_set_f32(edit, "llama.rope.freq_base", values[variant]);
}

void hostile_rope_dims(gguf_edit *edit, uint32_t variant) {
    static const uint32_t values[] = {63, 128, 1u << 31, UINT32_MAX};
    (void)edit_set_u32(edit, "llama.rope.dimension_count", values[variant]);
}

void hostile_rope_scaling(gguf_edit *edit, uint32_t variant) {
    const float factors[] = {NAN, INFINITY, -2, 4, 4};
    (void)edit_set_str(edit, "llama.rope.scaling.type",
                       variant == 5 ? RF_STR("nonsense") : RF_STR("yarn"));
    (void)edit_set_u32(edit, "llama.rope.scaling.original_context_length", variant == 3 ? 0 : 128);
    (void)edit_set_f32(edit, "llama.rope.scaling.factor", variant == 5 ? 4 : factors[variant]);
    if (variant == 4)
        (void)edit_set_f32(edit, "llama.rope.scaling.attn_factor", NAN);
}

/* Llama 3's table of factors, 8 of them here. */
void hostile_rope_factors(gguf_edit *edit, uint32_t variant) {
    edit_tensor *factors = edit_find_tensor(edit, "rope_freqs.weight");
    static const uint64_t lens[] = {1, 7, 4};
    if (variant < 3) {
        factors->ne[0] = lens[variant];
    } else {
        factors->type = 26; /* i32 */
    }
}

void hostile_epsilon(gguf_edit *edit, uint32_t variant) {
    const float values[] = {NAN, INFINITY, -1, -INFINITY};
    (void)edit_set_f32(edit, epsilon, values[variant]);
}

/* Eight experts of which three are used. */
void hostile_experts(gguf_edit *edit, uint32_t variant) {
    static const char count[] = "qwen3moe.expert_count", used[] = "qwen3moe.expert_used_count";
    static const uint32_t pairs[][2] = {{8, 0}, {8, 9},        {0, 3},         {7, 3},
                                        {9, 3}, {1u << 31, 3}, {8, UINT32_MAX}};
    if (variant == 7)
        edit_drop_key(edit, used);
    else if (variant == 8)
        (void)edit_set_u32(edit, "qwen3moe.expert_feed_forward_length", 0);
    else {
        (void)edit_set_u32(edit, count, pairs[variant][0]);
        (void)edit_set_u32(edit, used, pairs[variant][1]);
    }
}

static const char *const weights[] = {"token_embd.weight",     "blk.0.attn_norm.weight",
                                      "blk.0.ffn_down.weight", "blk.0.ffn_gate.weight",
                                      "blk.0.ffn_up.weight",   "blk.0.ffn_norm.weight",
                                      "blk.0.attn_k.weight",   "blk.0.attn_q.weight",
                                      "blk.0.attn_v.weight",   "blk.0.attn_output.weight"};

void hostile_weight_missing(gguf_edit *edit, uint32_t variant) {
    edit_drop_tensor(edit, weights[variant]);
}

void hostile_weight_shape(gguf_edit *edit, uint32_t variant) {
    edit_tensor *tensor = edit_find_tensor(edit, weights[variant]);
    if (tensor->n_dims == 1)
        tensor->ne[0] -= 1;
    else
        tensor->ne[1] -= 1;
}

/* Norms of types that nobody multiplies with. */
void hostile_weight_type(gguf_edit *edit, uint32_t variant) {
    static const uint32_t type_ids[] = {24, 26, 25}; /* i8, i32, i16 */
    static const uint32_t which[] = {1, 1, 5};
    edit_find_tensor(edit, weights[which[variant]])->type = type_ids[variant];
}

/* More tokens than rows of the embedding: their ids would read behind it. */
void hostile_vocabulary_size(gguf_edit *edit, uint32_t variant) {
    static const uint64_t n[] = {321, 400};
    edit_resize_strings(edit, "tokenizer.ggml.tokens", n[variant]);
    for (uint64_t i = 320; i < n[variant]; i++) {
        char text[16];
        int len = snprintf(text, sizeof text, "<extra%d>", (int)i);
        edit_set_item(edit, "tokenizer.ggml.tokens", i, (rf_str){text, (size_t)len});
    }
    rf_buf value;
    rf_buf_init(&value, 1 << 20);
    rf_buf_append(&value, &(uint32_t){RF_GGUF_I32}, 4);
    rf_buf_append(&value, &n[variant], 8);
    for (uint64_t i = 0; i < n[variant]; i++)
        rf_buf_append(&value, &(int32_t){1}, 4);
    (void)edit_set_key(edit, "tokenizer.ggml.token_type", RF_GGUF_ARRAY, value.data, value.len);
    rf_buf_deinit(&value);
}

/* The last tensor is output_norm.weight, 256 floats at the end of the file. */
void hostile_weight_nan(rf_buf *file, uint32_t variant) {
    const float values[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 256; i++)
        memcpy(file->data + file->len - 4 * (i + 1), &values[variant], 4);
}
