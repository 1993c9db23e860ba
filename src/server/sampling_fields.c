#include "server/sampling_fields.h"

#include <math.h>

#include "base/alloc.h"
#include "base/number.h"

static bool no_memory(rf_refusal *refusal) {
    return rf_refuse(refusal, RF_REFUSE_FAILED, NULL, "out of memory for the request");
}

/* Names of other servers for the same. */
static json_t *value_of(const rf_ask *ask, const char *name) {
    static const char *const others[][2] = {{"repeat_penalty", "repetition_penalty"}};
    json_t *value = json_object_get(ask->root, name);
    for (size_t i = 0; !value && i < sizeof others / sizeof *others; i++)
        if (strcmp(name, others[i][0]) == 0)
            value = json_object_get(ask->root, others[i][1]);
    return json_is_null(value) ? NULL : value;
}

static bool take_samplers(rf_sampling_ask *sampling, const rf_ask *ask, rf_refusal *refusal) {
    bool samples = rf_ask_endpoint_samples(ask->endpoint);
    for (size_t i = 0; samples && i < RF_SAMPLE_PARAM_COUNT; i++) {
        const rf_sample_param_info *info = rf_sample_param_at(i);
        json_t *value = value_of(ask, info->json);
        rf_error err = {0};
        if (!value || (i == RF_SAMPLE_PARAM_n_probs && ask->endpoint != RF_ASK_NATIVE))
            continue;
        if (!json_is_number(value))
            return rf_refuse(refusal, RF_REFUSE_TYPE, info->json, "%s: found %s, expected a number",
                             info->json, rf_json_kind_name(value));
        rf_status status =
            json_is_integer(value) && info->kind == RF_SAMPLE_PARAM_INT
                ? rf_sample_param_set_int(&sampling->params, i, json_integer_value(value), &err)
                : rf_sample_param_set_float(&sampling->params, i, json_number_value(value), &err);
        if (status != RF_OK)
            return rf_refuse(refusal, RF_REFUSE_VALUE, info->json, "%s", err.text);
    }
    return true;
}

static bool take_stop(rf_sampling_ask *sampling, const char *field, const json_t *value,
                      rf_refusal *refusal) {
    size_t n = json_string_length(value);
    if (!json_is_string(value))
        return rf_refuse(refusal, RF_REFUSE_TYPE, field, "%s: found %s, expected a string", field,
                         rf_json_kind_name(value));
    if (n == 0 || n > RF_STOP_BYTES)
        return rf_refuse(refusal, RF_REFUSE_VALUE, field,
                         "%s: found a text of %zu bytes, expected 1 to %d", field, n,
                         RF_STOP_BYTES);
    char *copy = rf_strndup(json_string_value(value), n);
    if (!copy)
        return no_memory(refusal);
    sampling->stops[sampling->n_stops++] = copy;
    return true;
}

/* stop, which Anthropic calls stop_sequences. */
static bool take_stops(rf_sampling_ask *sampling, const rf_ask *ask, rf_refusal *refusal) {
    json_t *stop = rf_ask_json(ask, RF_FIELD_STOP), *value;
    const char *field = stop ? "stop" : "stop_sequences";
    if (!stop)
        stop = rf_ask_json(ask, RF_FIELD_STOP_SEQUENCES);
    if (!stop)
        return true;
    size_t n = json_is_array(stop) ? json_array_size(stop) : 1, i;
    if (n > RF_STOPS_MAX)
        return rf_refuse(refusal, RF_REFUSE_VALUE, field, "%s: found %zu texts, expected %d", field,
                         n, RF_STOPS_MAX);
    sampling->stops = rf_calloc(n + 1, sizeof *sampling->stops);
    if (!sampling->stops)
        return no_memory(refusal);
    if (!json_is_array(stop))
        return take_stop(sampling, field, stop, refusal);
    json_array_foreach(stop, i, value) {
        if (!take_stop(sampling, field, value, refusal))
            return false;
    }
    return true;
}

/* {"15043": -100}: ids are the keys, as OpenAI has it. */
static bool take_bias(rf_sampling_ask *sampling, const char *name, const json_t *value,
                      uint32_t n_vocab, rf_refusal *refusal) {
    int64_t id;
    if (!rf_number_int(name, &id) || id < 0 || id >= n_vocab)
        return rf_refuse(refusal, RF_REFUSE_VALUE, "logit_bias",
                         "logit_bias: found token \"%.32s\", expected an id from 0 to %u", name,
                         n_vocab - 1);
    double bias = json_number_value(value);
    if (!json_is_number(value) || !(fabs(bias) <= 1000))
        return rf_refuse(refusal, RF_REFUSE_VALUE, "logit_bias",
                         "logit_bias: found %s for token %lld, expected a number from -100 to 100",
                         json_is_number(value) ? "a number out of range" : rf_json_kind_name(value),
                         (long long)id);
    /* OpenAI: -100 "should result in a ban". */
    sampling->biases[sampling->params.n_logit_bias++] =
        (rf_logit_bias){(int32_t)id, bias <= -100 ? -INFINITY : (float)bias};
    return true;
}

static bool take_biases(rf_sampling_ask *sampling, const rf_ask *ask, const rf_tokenizer *tokenizer,
                        rf_refusal *refusal) {
    json_t *given = rf_ask_json(ask, RF_FIELD_LOGIT_BIAS), *value;
    const char *name;
    size_t n_eog, n = json_object_size(given);
    const int32_t *eog = rf_tokenizer_eog(tokenizer, &n_eog);
    if (given && !json_is_object(given))
        return rf_refuse(refusal, RF_REFUSE_TYPE, "logit_bias",
                         "logit_bias: found %s, expected an object", rf_json_kind_name(given));
    n_eog = sampling->ignore_eos ? n_eog : 0;
    if (n + n_eog > RF_SAMPLE_MAX_BIASES)
        return rf_refuse(refusal, RF_REFUSE_VALUE, "logit_bias",
                         "logit_bias: found %zu tokens, expected at most %d", n,
                         RF_SAMPLE_MAX_BIASES);
    if (n + n_eog == 0)
        return true;
    sampling->biases = rf_calloc(n + n_eog, sizeof *sampling->biases);
    if (!sampling->biases)
        return no_memory(refusal);
    sampling->params.logit_bias = sampling->biases;
    sampling->params.n_logit_bias = 0;
    json_object_foreach(given, name, value) {
        if (!take_bias(sampling, name, value, rf_tokenizer_n_tokens(tokenizer), refusal))
            return false;
    }
    for (size_t i = 0; i < n_eog; i++)
        sampling->biases[sampling->params.n_logit_bias++] = (rf_logit_bias){eog[i], -INFINITY};
    return true;
}

static bool take_logprobs(rf_sampling_ask *sampling, const rf_ask *ask, rf_refusal *refusal) {
    if (ask->endpoint == RF_ASK_NATIVE) {
        sampling->n_top = (uint32_t)sampling->params.n_probs;
        sampling->logprobs = sampling->n_top > 0;
    } else if (ask->endpoint == RF_ASK_CHAT) {
        sampling->logprobs = rf_ask_on(ask, RF_FIELD_LOGPROBS);
        sampling->n_top = (uint32_t)rf_ask_int(ask, RF_FIELD_TOP_LOGPROBS);
        if (sampling->n_top > 0 && !sampling->logprobs)
            return rf_refuse(refusal, RF_REFUSE_VALUE, "top_logprobs",
                             "top_logprobs: expected logprobs to be true beside it");
    } else if (ask->endpoint == RF_ASK_RESPONSES) {
        sampling->n_top = (uint32_t)rf_ask_int(ask, RF_FIELD_RESPONSE_TOP_LOGPROBS);
        sampling->logprobs = sampling->n_top > 0;
    } else if (rf_ask_int(ask, RF_FIELD_LEGACY_LOGPROBS) >= 0) {
        sampling->logprobs = true;
        sampling->n_top = (uint32_t)rf_ask_int(ask, RF_FIELD_LEGACY_LOGPROBS);
    }
    sampling->params.n_probs = sampling->logprobs ? sampling->n_top + (sampling->n_top == 0) : 0;
    return true;
}

bool rf_sampling_ask_init(rf_sampling_ask *sampling, const rf_ask *ask,
                          const rf_sample_params *defaults, const rf_tokenizer *tokenizer,
                          rf_refusal *refusal) {
    *sampling = (rf_sampling_ask){.params = *defaults};
    sampling->ignore_eos = rf_ask_on(ask, RF_FIELD_IGNORE_EOS);
    rf_error err = {0};
    if (!take_samplers(sampling, ask, refusal) || !take_stops(sampling, ask, refusal) ||
        !take_biases(sampling, ask, tokenizer, refusal) || !take_logprobs(sampling, ask, refusal))
        return false;
    if (rf_sample_params_validate(&sampling->params, rf_tokenizer_n_tokens(tokenizer), &err) !=
        RF_OK)
        return rf_refuse(refusal, RF_REFUSE_VALUE, NULL, "%s", err.text);
    return true;
}

void rf_sampling_ask_deinit(rf_sampling_ask *sampling) {
    for (size_t i = 0; i < sampling->n_stops; i++)
        rf_free(sampling->stops[i]);
    rf_free(sampling->stops);
    rf_free(sampling->biases);
    *sampling = (rf_sampling_ask){0};
}
