/* Gemma 2: norms before and after each block, soft caps, every second layer windowed. */
#include <math.h>

#include "model/decoder.h"
#include "model/rope.h"

enum { LAYERS_27B = 46 };

static void defaults(rf_hparams *hp) {
    hp->windowed = true;
    hp->window = 4096;
    hp->window_period = 2;
    hp->attn_soft_cap = 50;
    hp->final_soft_cap = 30;
}

static rf_status emit(rf_builder *b) {
    const rf_hparams *hp = b->hp;
    rf_attention_block attention = {.post_norm = true};
    rf_ffn_block ffn = {.act = RF_ACT_GELU_TANH, .post_norm = true};
    RF_TRY(rf_build_rope(b, RF_ROPE_NEOX, &attention.rope));
    /* GGUF has no key for it: the 27B model alone scales by n_embd / n_head. */
    if (hp->n_layer == LAYERS_27B)
        attention.scale = 1 / sqrtf((float)hp->n_embd / (float)hp->n_head[0]);
    RF_TRY(rf_build_embed(b, sqrtf((float)hp->n_embd)));
    b->in_layers = true;
    for (b->layer = 0; b->layer < hp->n_layer; b->layer++) {
        RF_TRY(rf_build_attention(b, &attention));
        RF_TRY(rf_build_ffn(b, &ffn));
    }
    return rf_build_output(b);
}

const rf_arch rf_arch_gemma2 = {"gemma2", defaults, emit};
