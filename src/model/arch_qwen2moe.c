/* Qwen 1.5 MoE and Qwen 2 57B: experts whose weights are not renormalised, and a shared one. */
#include "model/decoder.h"
#include "model/rope.h"

static void defaults(rf_hparams *hp) {
    hp->expert_norm = false;
    hp->expert_ff_is_a_share = true;
}

static rf_status emit(rf_builder *b) {
    rf_attention_block attention = {0};
    RF_TRY(rf_build_rope(b, RF_ROPE_NEOX, &attention.rope));
    return rf_build_decoder(b, &attention,
                            &(rf_ffn_block){.act = RF_ACT_SILU, .shared_expert = true});
}

const rf_arch rf_arch_qwen2moe = {"qwen2moe", defaults, emit};
