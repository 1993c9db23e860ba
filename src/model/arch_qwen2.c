/* Qwen 2 and 2.5: Llama with biases of q, k and v, and half-split rotation. */
#include "model/decoder.h"
#include "model/rope.h"

static rf_status emit(rf_builder *b) {
    rf_attention_block attention = {0};
    RF_TRY(rf_build_rope(b, RF_ROPE_NEOX, &attention.rope));
    return rf_build_decoder(b, &attention, &(rf_ffn_block){.act = RF_ACT_SILU});
}

const rf_arch rf_arch_qwen2 = {"qwen2", NULL, emit};
