#include "cli/sampling.h"

#include <math.h>
#include <string.h>

#include "base/alloc.h"
#include "base/number.h"

void rf_sampling_deinit(rf_sampling *sampling) {
    rf_free(sampling->bias);
    rf_breakers_deinit(&sampling->breakers);
    *sampling = (rf_sampling){0};
}

/* "15043+1", "15043-0.5" or "15043-inf". */
static bool parse_bias(const char *text, rf_logit_bias *out) {
    char id_text[16];
    size_t n = strcspn(text, "+-");
    int64_t id;
    double bias = -INFINITY;
    if (n == 0 || n >= sizeof id_text || text[n] == 0)
        return false;
    memcpy(id_text, text, n);
    id_text[n] = 0;
    if (!rf_number_int(id_text, &id) || id > INT32_MAX)
        return false;
    if (strcmp(text + n, "-inf") != 0 && !rf_number_real(text + n, &bias))
        return false;
    *out = (rf_logit_bias){.token = (int32_t)id, .bias = (float)bias};
    return true;
}

static rf_status take_biases(rf_sampling *sampling, const rf_option_value *given,
                             const rf_tokenizer *tokenizer, bool ignore_eos, rf_error *err) {
    size_t n_vocab = rf_tokenizer_n_tokens(tokenizer), n = given->n_list;
    for (size_t id = 0; ignore_eos && id < n_vocab; id++)
        n += rf_tokenizer_is_eog(tokenizer, (int32_t)id);
    if (n == 0)
        return RF_OK;
    sampling->bias = rf_calloc(n, sizeof *sampling->bias);
    if (!sampling->bias)
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for %zu biases", n);
    n = 0;
    for (size_t i = 0; i < given->n_list; i++) {
        if (!parse_bias(given->list[i], &sampling->bias[n++]))
            return rf_fail(err, RF_ERR_USAGE,
                           "--logit-bias: found \"%.60s\", expected ID+BIAS or ID-BIAS, as "
                           "15043+1 or 15043-inf",
                           given->list[i]);
    }
    for (size_t id = 0; ignore_eos && id < n_vocab; id++) {
        if (rf_tokenizer_is_eog(tokenizer, (int32_t)id))
            sampling->bias[n++] = (rf_logit_bias){.token = (int32_t)id, .bias = -INFINITY};
    }
    sampling->params.logit_bias = sampling->bias;
    sampling->params.n_logit_bias = (uint32_t)n;
    return RF_OK;
}

static rf_status take_order(rf_sampling *sampling, const rf_options *options, rf_error *err) {
    const char *names = rf_opt_text(options, RF_OPT_SAMPLERS);
    const char *letters = rf_opt_text(options, RF_OPT_SAMPLER_SEQ);
    if (names && letters)
        return rf_fail(err, RF_ERR_USAGE,
                       "found --samplers and --sampler-seq, expected one of them");
    if (names && rf_sample_order_from_names(&sampling->params, rf_str_of(names), err) != RF_OK)
        return rf_fail_prefix(err, "--samplers");
    if (letters &&
        rf_sample_order_from_letters(&sampling->params, rf_str_of(letters), err) != RF_OK)
        return rf_fail_prefix(err, "--sampler-seq");
    return RF_OK;
}

static rf_status take_breakers(rf_sampling *sampling, const rf_options *options,
                               const rf_tokenizer *tokenizer, rf_error *err) {
    const rf_option_value *given = &options->values[RF_OPT_DRY_BREAKER];
    rf_status status =
        rf_breakers_init(&sampling->breakers, given->list, given->n_list, tokenizer, err);
    if (status != RF_OK)
        return rf_fail_prefix(err, "--dry-sequence-breaker");
    sampling->params.dry_breakers = sampling->breakers.spans;
    sampling->params.n_dry_breakers = sampling->breakers.n;
    return RF_OK;
}

static rf_status fill(rf_sampling *sampling, const rf_options *options,
                      const rf_tokenizer *tokenizer, bool ignore_eos, rf_error *err) {
    for (size_t i = 0; i < RF_SAMPLE_PARAM_COUNT; i++) {
        const rf_option_value *value = &options->values[RF_OPT_SAMPLE_seed + i];
        if (rf_sample_param_at(i)->kind == RF_SAMPLE_PARAM_INT)
            RF_TRY(rf_sample_param_set_int(&sampling->params, i, value->integer, err));
        else
            RF_TRY(rf_sample_param_set_float(&sampling->params, i, value->real, err));
    }
    RF_TRY(take_order(sampling, options, err));
    RF_TRY(take_biases(sampling, &options->values[RF_OPT_LOGIT_BIAS], tokenizer, ignore_eos, err));
    return sampling->params.dry_multiplier > 0 ? take_breakers(sampling, options, tokenizer, err)
                                               : RF_OK;
}

rf_status rf_sampling_init(rf_sampling *sampling, const rf_options *options,
                           const rf_tokenizer *tokenizer, bool ignore_eos, rf_error *err) {
    *sampling = (rf_sampling){.params = rf_sample_params_default()};
    rf_status status = fill(sampling, options, tokenizer, ignore_eos, err);
    if (status != RF_OK)
        rf_sampling_deinit(sampling);
    return status;
}
