#include "model/rope.h"

#include <math.h>

static const double TWO_PI = 6.283185307179586476925286766559;

/*
 * YaRN (Peng et al., 2023, arXiv:2309.00071): pairs that turn more than beta_fast times within the
 * original context keep their frequency, those below beta_slow turns are interpolated, and a linear
 * ramp over the pair's index lies between.
 */
typedef struct yarn_ramp {
    double low, high; /* pair indices */
    double ext_factor;
} yarn_ramp;

static uint32_t original_context(const rf_hparams *hp) {
    return hp->n_ctx_orig ? hp->n_ctx_orig : hp->n_ctx_train;
}

static double yarn_pair(const rf_hparams *hp, double n_turns) {
    return hp->n_rot * log(original_context(hp) / (n_turns * TWO_PI)) /
           (2 * log((double)hp->rope_base));
}

static yarn_ramp yarn_make(const rf_hparams *hp) {
    yarn_ramp ramp = {.low = floor(yarn_pair(hp, (double)hp->yarn_beta_fast)),
                      .high = ceil(yarn_pair(hp, (double)hp->yarn_beta_slow)),
                      .ext_factor = hp->yarn_ext_factor < 0 ? 1 : (double)hp->yarn_ext_factor};
    ramp.low = fmax(ramp.low, 0);
    ramp.high = fmin(ramp.high, hp->n_rot - 1);
    return ramp;
}

/* Share of the unscaled frequency in pair i. */
static double yarn_keep(const yarn_ramp *ramp, uint32_t i) {
    double y = (i - ramp->low) / fmax(0.001, ramp->high - ramp->low);
    return (1 - fmin(1, fmax(0, y))) * ramp->ext_factor;
}

static double yarn_magnitude(double factor, double multiplier) {
    return factor <= 1 ? 1 : 0.1 * multiplier * log(factor) + 1;
}

/* What cos and sin are multiplied with. long_rope: the model has factor tensors for two lengths. */
static double magnitude(const rf_hparams *hp, bool long_rope) {
    double attn = hp->rope_attn_factor > 0 ? (double)hp->rope_attn_factor : 1;
    double factor = hp->rope_factor > 0 ? (double)hp->rope_factor : 1;
    if (hp->rope_scaling == RF_ROPE_SCALING_YARN && hp->yarn_ext_factor != 0) {
        if (hp->yarn_attn_factor > 0)
            return attn * (double)hp->yarn_attn_factor;
        double base = yarn_magnitude(factor, 1);
        if (hp->yarn_log_mul != 0)
            base /= yarn_magnitude(factor, (double)hp->yarn_log_mul);
        return attn * base;
    }
    /* LongRoPE (Ding et al., 2024, arXiv:2402.13753), where the file leaves it to be derived */
    if (long_rope && hp->rope_attn_factor == 0 && hp->n_ctx_train > original_context(hp) &&
        original_context(hp) > 1) {
        double grown = (double)hp->n_ctx_train / original_context(hp);
        return sqrt(1 + log(grown) / log(original_context(hp)));
    }
    return attn;
}

/* Divisors of the frequencies: those of Llama 3, or one of LongRoPE's two lists by the longest
 * sequence that will run; *out is NULL when the model has none. */
static rf_status find_factors(rf_builder *b, const float **out, bool *long_rope) {
    rf_weight_id freqs = RF_NONE, at_long = RF_NONE, at_short = RF_NONE;
    *out = NULL;
    *long_rope = false;
    RF_TRY(rf_builder_weight(b, RF_TENSOR_ROPE_FREQS, &freqs));
    if (freqs != RF_NONE)
        return rf_builder_factors(b, freqs, out);
    if (!rf_builder_has(b, RF_TENSOR_ROPE_LONG) && !rf_builder_has(b, RF_TENSOR_ROPE_SHORT))
        return b->hp->rope_scaling == RF_ROPE_SCALING_LONGROPE
                   ? rf_builder_need(b, RF_TENSOR_ROPE_LONG, &at_long)
                   : RF_OK;
    RF_TRY(rf_builder_need(b, RF_TENSOR_ROPE_LONG, &at_long));
    RF_TRY(rf_builder_need(b, RF_TENSOR_ROPE_SHORT, &at_short));
    *long_rope = true;
    return rf_builder_factors(b, b->n_ctx > original_context(b->hp) ? at_long : at_short, out);
}

static rf_status new_rope(rf_builder *b, rf_rope_kind kind, double base, float **out_freq,
                          uint32_t *out) {
    uint32_t n_pairs = b->hp->n_rot / 2;
    float *freq = RF_ARENA_ARRAY(b->arena, float, n_pairs);
    if (!freq)
        return rf_fail(b->err, RF_ERR_NO_MEMORY, "out of memory for the rope tables");
    for (uint32_t i = 0; i < n_pairs; i++)
        freq[i] = (float)pow(base, -2.0 * i / b->hp->n_rot);
    *out = b->program->n_ropes++;
    b->ropes[*out] =
        (rf_rope){.kind = kind, .n_dims = b->hp->n_rot, .magnitude = 1, .inv_freq = freq};
    *out_freq = freq;
    return RF_OK;
}

rf_status rf_build_rope(rf_builder *b, rf_rope_kind kind, uint32_t *out) {
    const rf_hparams *hp = b->hp;
    const float *factors = NULL;
    bool long_rope = false;
    float *freq = NULL;
    RF_TRY(find_factors(b, &factors, &long_rope));
    RF_TRY(new_rope(b, kind, (double)hp->rope_base, &freq, out));
    bool yarn = hp->rope_scaling == RF_ROPE_SCALING_YARN;
    bool scaled = yarn || hp->rope_scaling == RF_ROPE_SCALING_LINEAR;
    double scale = scaled && hp->rope_factor > 0 ? 1 / (double)hp->rope_factor : 1;
    yarn_ramp ramp = yarn_make(hp);
    for (uint32_t i = 0; i < hp->n_rot / 2; i++) {
        double full = pow((double)hp->rope_base, -2.0 * i / hp->n_rot);
        if (factors)
            full /= (double)factors[i];
        double keep = yarn ? yarn_keep(&ramp, i) : 0;
        freq[i] = (float)(full * (scale * (1 - keep) + keep));
    }
    b->ropes[*out].magnitude = (float)magnitude(hp, long_rope);
    return RF_OK;
}

rf_status rf_build_rope_local(rf_builder *b, rf_rope_kind kind, uint32_t *out) {
    float *freq = NULL;
    return new_rope(b, kind, (double)b->hp->rope_base_swa, &freq, out);
}
