/* Qwen 3, dense: each head of q and k is normalised before it is rotated. */
#include "model/decoder.h"
#include "model/rope.h"

static rf_status emit(rf_builder *b) {
    rf_attention_block attention = {.qk_norm = true};
    RF_TRY(rf_build_rope(b, RF_ROPE_NEOX, &attention.rope));
    return rf_build_decoder(b, &attention, &(rf_ffn_block){.act = RF_ACT_SILU});
}

const rf_arch rf_arch_qwen3 = {"qwen3", NULL, emit};
