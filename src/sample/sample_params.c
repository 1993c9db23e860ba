#include "sample/sample_params.h"

#include <float.h>
#include <math.h>

static const rf_sample_param_info params_table[] = {
#define INT_RANGE_FLOAT(min, max) 0, 0
#define INT_RANGE_INT(min, max)   min, max
#define X(field, kind, flags, json, def, min, max, help) \
    {RF_SAMPLE_PARAM_##kind,                             \
     #field,                                             \
     flags,                                              \
     json,                                               \
     help,                                               \
     (double)(def),                                      \
     (double)(min),                                      \
     (double)(max),                                      \
     INT_RANGE_##kind(min, max),                         \
     offsetof(rf_sample_params, field)},
#include "sample/sample_params.def"
#undef X
};

static const struct {
    const char *name, *others;
    char letter;
    uint8_t standard;
} samplers[] = {
#define X(id, name, others, letter, reshapes, standard) {#name, others, letter, standard},
#include "sample/samplers.def"
#undef X
};

const rf_sample_param_info *rf_sample_param_at(size_t i) { return &params_table[i]; }

rf_sample_params rf_sample_params_default(void) {
    rf_sample_params params = {
#define X(field, kind, flags, json, def, min, max, help) .field = (RF_SAMPLE_TYPE_##kind)(def),
#include "sample/sample_params.def"
#undef X
    };
    for (int i = 0; i < RF_SAMPLER_COUNT; i++)
        if (samplers[i].standard)
            params.order[params.n_order++] = (uint8_t)i;
    return params;
}

static rf_status check_float(const rf_sample_param_info *info, double value, rf_error *err) {
    if (value >= (double)(float)info->min && value <= (double)(float)info->max)
        return RF_OK;
    return rf_fail(err, RF_ERR_USAGE, "%s is %.9g; expected %.9g to %.9g", info->json, value,
                   info->min, info->max);
}

static rf_status check_int(const rf_sample_param_info *info, int64_t value, rf_error *err) {
    if (value >= info->int_min && value <= info->int_max)
        return RF_OK;
    return rf_fail(err, RF_ERR_USAGE, "%s is %lld; expected %lld to %lld", info->json,
                   (long long)value, (long long)info->int_min, (long long)info->int_max);
}

rf_status rf_sample_param_set_float(rf_sample_params *params, size_t i, double value,
                                    rf_error *err) {
    const rf_sample_param_info *info = &params_table[i];
    if (info->kind == RF_SAMPLE_PARAM_INT) {
        if (!(fabs(value) < 0x1p63) || value != floor(value))
            return rf_fail(err, RF_ERR_USAGE, "%s is %.9g; expected an integer", info->json, value);
        return rf_sample_param_set_int(params, i, (int64_t)value, err);
    }
    RF_TRY(check_float(info, value, err));
    *(float *)((char *)params + info->offset) = (float)value;
    return RF_OK;
}

rf_status rf_sample_param_set_int(rf_sample_params *params, size_t i, int64_t value,
                                  rf_error *err) {
    const rf_sample_param_info *info = &params_table[i];
    if (info->kind == RF_SAMPLE_PARAM_FLOAT)
        return rf_sample_param_set_float(params, i, (double)value, err);
    RF_TRY(check_int(info, value, err));
    *(int64_t *)((char *)params + info->offset) = value;
    return RF_OK;
}

static char plain(char c) {
    if (c >= 'A' && c <= 'Z')
        return (char)(c - 'A' + 'a');
    return c == '-' ? '_' : c;
}

static bool same_name(rf_str a, rf_str b) {
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (plain(a.ptr[i]) != plain(b.ptr[i]))
            return false;
    return true;
}

/* Cuts the part before the next separator off *rest. */
static rf_str cut(rf_str *rest, char separator) {
    size_t n = 0;
    while (n < rest->len && rest->ptr[n] != separator)
        n++;
    rf_str part = rf_str_sub(*rest, 0, n);
    *rest = rf_str_sub(*rest, n + 1, rest->len);
    return part;
}

static bool is_called(int kind, rf_str name) {
    if (same_name(name, rf_str_of(samplers[kind].name)))
        return true;
    rf_str others = rf_str_of(samplers[kind].others);
    while (others.len > 0)
        if (same_name(name, cut(&others, ' ')))
            return true;
    return false;
}

static rf_str trim(rf_str s) {
    while (s.len > 0 && s.ptr[0] == ' ')
        s = rf_str_sub(s, 1, s.len);
    while (s.len > 0 && s.ptr[s.len - 1] == ' ')
        s.len--;
    return s;
}

#define X(id, name, others, letter, reshapes, standard) " " #name
static const char known_names[] =
#include "sample/samplers.def"
    ;
#undef X

static rf_status append(rf_sample_params *chain, int kind, rf_error *err) {
    if (chain->n_order == RF_SAMPLE_MAX_ORDER)
        return rf_fail(err, RF_ERR_USAGE, "more than %d samplers", RF_SAMPLE_MAX_ORDER);
    chain->order[chain->n_order++] = (uint8_t)kind;
    return RF_OK;
}

rf_status rf_sample_order_from_names(rf_sample_params *params, rf_str names, rf_error *err) {
    rf_sample_params chain = {0};
    for (rf_str rest = names; rest.len > 0;) {
        rf_str name = trim(cut(&rest, ';'));
        int kind = 0;
        while (kind < RF_SAMPLER_COUNT && !is_called(kind, name))
            kind++;
        if (kind == RF_SAMPLER_COUNT)
            return rf_fail(err, RF_ERR_USAGE, "sampler \"%.*s\" is unknown; known:%s",
                           RF_STR_ARG(name), known_names);
        RF_TRY(append(&chain, kind, err));
    }
    memcpy(params->order, chain.order, sizeof chain.order);
    params->n_order = chain.n_order;
    return RF_OK;
}

rf_status rf_sample_order_from_letters(rf_sample_params *params, rf_str letters, rf_error *err) {
    rf_sample_params chain = {0};
    for (size_t i = 0; i < letters.len; i++) {
        int kind = 0;
        while (kind < RF_SAMPLER_COUNT && samplers[kind].letter != letters.ptr[i])
            kind++;
        if (kind == RF_SAMPLER_COUNT)
            return rf_fail(err, RF_ERR_USAGE, "sampler letter \"%.*s\" is unknown; known: "
#define X(id, name, others, letter, reshapes, standard) "%c"
#include "sample/samplers.def"
#undef X
                           ,
                           RF_STR_ARG(rf_str_sub(letters, i, i + 1))
#define X(id, name, others, letter, reshapes, standard) , letter
#include "sample/samplers.def"
#undef X
            );
        RF_TRY(append(&chain, kind, err));
    }
    memcpy(params->order, chain.order, sizeof chain.order);
    params->n_order = chain.n_order;
    return RF_OK;
}

const char *rf_sampler_name(rf_sampler_kind kind) {
    return (unsigned)kind < RF_SAMPLER_COUNT ? samplers[kind].name : "unknown";
}

static rf_status check_biases(const rf_sample_params *params, uint32_t n_vocab, rf_error *err) {
    if (params->n_logit_bias > RF_SAMPLE_MAX_BIASES)
        return rf_fail(err, RF_ERR_USAGE, "logit_bias has %u entries; expected at most %d",
                       params->n_logit_bias, RF_SAMPLE_MAX_BIASES);
    for (uint32_t i = 0; i < params->n_logit_bias; i++) {
        const rf_logit_bias *bias = &params->logit_bias[i];
        if (bias->token < 0 || (uint32_t)bias->token >= n_vocab)
            return rf_fail(err, RF_ERR_USAGE, "logit_bias names token %d; expected 0 to %u",
                           bias->token, n_vocab - 1);
        if (!(bias->bias <= FLT_MAX)) /* NaN or infinity; minus infinity is a ban */
            return rf_fail(err, RF_ERR_USAGE,
                           "logit_bias of token %d is %g; expected a number or -infinity",
                           bias->token, (double)bias->bias);
    }
    return RF_OK;
}

static rf_status check_breakers(const rf_sample_params *params, uint32_t n_vocab, rf_error *err) {
    if (params->n_dry_breakers > RF_SAMPLE_MAX_BREAKERS)
        return rf_fail(err, RF_ERR_USAGE, "%u DRY sequence breakers; expected at most %d",
                       params->n_dry_breakers, RF_SAMPLE_MAX_BREAKERS);
    for (uint32_t i = 0; i < params->n_dry_breakers; i++) {
        const rf_token_span *span = &params->dry_breakers[i];
        if (span->n_tokens < 1 || span->n_tokens > RF_SAMPLE_MAX_BREAKER_TOKENS)
            return rf_fail(err, RF_ERR_USAGE,
                           "DRY sequence breaker %u has %u tokens; expected 1 to %d", i,
                           span->n_tokens, RF_SAMPLE_MAX_BREAKER_TOKENS);
        for (uint32_t j = 0; j < span->n_tokens; j++)
            if (span->tokens[j] < 0 || (uint32_t)span->tokens[j] >= n_vocab)
                return rf_fail(err, RF_ERR_USAGE,
                               "DRY sequence breaker %u holds token %d; expected 0 to %u", i,
                               span->tokens[j], n_vocab - 1);
    }
    return RF_OK;
}

rf_status rf_sample_params_validate(const rf_sample_params *params, uint32_t n_vocab,
                                    rf_error *err) {
    if (n_vocab == 0 || n_vocab > INT32_MAX)
        return rf_fail(err, RF_ERR_INVALID, "vocabulary of %u tokens; expected 1 to %d", n_vocab,
                       INT32_MAX);
    for (size_t i = 0; i < RF_SAMPLE_PARAM_COUNT; i++) {
        const rf_sample_param_info *info = &params_table[i];
        const char *field = (const char *)params + info->offset;
        if (info->kind == RF_SAMPLE_PARAM_FLOAT)
            RF_TRY(check_float(info, (double)*(const float *)field, err));
        else
            RF_TRY(check_int(info, *(const int64_t *)field, err));
    }
    if (params->n_order > RF_SAMPLE_MAX_ORDER)
        return rf_fail(err, RF_ERR_USAGE, "%u samplers; expected at most %d", params->n_order,
                       RF_SAMPLE_MAX_ORDER);
    for (uint32_t i = 0; i < params->n_order; i++)
        if (params->order[i] >= RF_SAMPLER_COUNT)
            return rf_fail(err, RF_ERR_USAGE, "sampler %u of the order is %u; expected below %d", i,
                           params->order[i], RF_SAMPLER_COUNT);
    RF_TRY(check_biases(params, n_vocab, err));
    return check_breakers(params, n_vocab, err);
}
