/* Phi-3, 3.5 and 4: q, k and v in one tensor, gate and up in another; LongRoPE where the file has
 * its factors. */
#include "model/decoder.h"
#include "model/rope.h"

static void defaults(rf_hparams *hp) { hp->windowed = true; }

static rf_status emit(rf_builder *b) {
    rf_attention_block attention = {.fused_qkv = true};
    RF_TRY(rf_build_rope(b, RF_ROPE_NEOX, &attention.rope));
    return rf_build_decoder(b, &attention, &(rf_ffn_block){.act = RF_ACT_SILU, .fused_up = true});
}

const rf_arch rf_arch_phi3 = {"phi3", defaults, emit};
