/* Gemma 3: Gemma 2 with normalised q and k instead of the attention's soft cap; five of six layers
 * are windowed and rotate with a base of their own, and only the sixth is scaled. */
#include <math.h>

#include "model/decoder.h"
#include "model/rope.h"

enum { LAYERS_27B = 62 };

static void defaults(rf_hparams *hp) {
    hp->windowed = true;
    hp->window_period = 6;
    hp->rope_base = 1e6f;
}

static rf_status emit(rf_builder *b) {
    const rf_hparams *hp = b->hp;
    rf_attention_block attention = {.qk_norm = true, .post_norm = true};
    rf_ffn_block ffn = {.act = RF_ACT_GELU_TANH, .post_norm = true};
    uint32_t rope_full = 0, rope_local = 0;
    RF_TRY(rf_build_rope(b, RF_ROPE_NEOX, &rope_full));
    RF_TRY(rf_build_rope_local(b, RF_ROPE_NEOX, &rope_local));
    /* GGUF has no key for it: the 27B model alone scales by n_embd / n_head. */
    if (hp->n_layer == LAYERS_27B)
        attention.scale = 1 / sqrtf((float)hp->n_embd / (float)hp->n_head[0]);
    RF_TRY(rf_build_embed(b, sqrtf((float)hp->n_embd)));
    b->in_layers = true;
    for (b->layer = 0; b->layer < hp->n_layer; b->layer++) {
        attention.rope = hp->layer_window[b->layer] ? rope_local : rope_full;
        RF_TRY(rf_build_attention(b, &attention));
        RF_TRY(rf_build_ffn(b, &ffn));
    }
    return rf_build_output(b);
}

const rf_arch rf_arch_gemma3 = {"gemma3", defaults, emit};
