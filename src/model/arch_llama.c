/* Llama 1 to 3, Mistral, Mixtral (experts), Yi, SmolLM, TinyLlama. Biases where the file has them.
 */
#include "model/decoder.h"
#include "model/rope.h"

static void defaults(rf_hparams *hp) { hp->windowed = true; }

static rf_status emit(rf_builder *b) {
    rf_attention_block attention = {0};
    RF_TRY(rf_build_rope(b, RF_ROPE_NORM, &attention.rope));
    return rf_build_decoder(b, &attention, &(rf_ffn_block){.act = RF_ACT_SILU});
}

const rf_arch rf_arch_llama = {"llama", defaults, emit};
