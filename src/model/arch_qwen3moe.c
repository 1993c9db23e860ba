/* Qwen 3 MoE: Qwen 3 with experts whose weights are renormalised. */
#include "model/decoder.h"
#include "model/rope.h"

static void defaults(rf_hparams *hp) { hp->expert_ff_is_a_share = true; }

static rf_status emit(rf_builder *b) {
    rf_attention_block attention = {.qk_norm = true};
    RF_TRY(rf_build_rope(b, RF_ROPE_NEOX, &attention.rope));
    return rf_build_decoder(b, &attention, &(rf_ffn_block){.act = RF_ACT_SILU});
}

const rf_arch rf_arch_qwen3moe = {"qwen3moe", defaults, emit};
