/*
 * The blocks that decoders are made of, each a few fused ops on the residual stream b->x. An
 * architecture file strings them together and sets their fields.
 */
#ifndef RF_MODEL_DECODER_H
#define RF_MODEL_DECODER_H

#include "model/builder.h"

/* x = token_embd[tokens] * scale */
RF_NODISCARD rf_status rf_build_embed(rf_builder *b, float scale);

typedef struct rf_attention_block {
    uint32_t rope;  /* index into the program's ropes */
    float scale;    /* of q . k; 0 = attention.scale, or 1 / sqrt(head_dim) */
    bool qk_norm;   /* RMS norm of each head of q and k */
    bool post_norm; /* the result is normalised before it is added to x */
    bool fused_qkv; /* q, k and v must be one tensor; otherwise they may */
} rf_attention_block;

/* x += attention(norm(x)) of the current layer, with its window and soft cap. */
RF_NODISCARD rf_status rf_build_attention(rf_builder *b, const rf_attention_block *block);

typedef struct rf_ffn_block {
    rf_activation act;
    bool post_norm;
    bool fused_up;      /* ffn_up holds gate and up, one after the other */
    bool shared_expert; /* beside the experts, weighted by its own sigmoid gate */
} rf_ffn_block;

/* x += (act(norm(x) . gate) * (norm(x) . up)) . down; of experts when the model has them and
 * otherwise dense. */
RF_NODISCARD rf_status rf_build_ffn(rf_builder *b, const rf_ffn_block *block);

/* logits = norm(x) . output of the rows that want them; output is token_embd where absent. */
RF_NODISCARD rf_status rf_build_output(rf_builder *b);

/* Embedding, n_layer times attention and feed-forward with the same fields, output. */
RF_NODISCARD rf_status rf_build_decoder(rf_builder *b, const rf_attention_block *attention,
                                        const rf_ffn_block *ffn);

#endif
