/*
 * What a request may ask of its sampler: one table (sample_params.def) that options, JSON fields,
 * defaults and ranges come from, and the chain's order. Plain values; any thread.
 */
#ifndef RF_SAMPLE_SAMPLE_PARAMS_H
#define RF_SAMPLE_SAMPLE_PARAMS_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "base/str.h"

enum {
    RF_SAMPLE_MAX_PROBS = 128,    /* n_probs */
    RF_SAMPLE_MAX_ORDER = 32,     /* samplers in a chain */
    RF_SAMPLE_MAX_BIASES = 65536, /* entries of logit_bias */
    RF_SAMPLE_MAX_BREAKERS = 65536,
    RF_SAMPLE_MAX_BREAKER_TOKENS = 32
};

typedef enum rf_sampler_kind {
#define X(id, name, others, letter, reshapes, standard) RF_SAMPLER_##id,
#include "sample/samplers.def"
#undef X
    RF_SAMPLER_COUNT
} rf_sampler_kind;

typedef struct rf_logit_bias {
    int32_t token;
    float bias; /* added to the logit; -INFINITY bans the token */
} rf_logit_bias;

typedef struct rf_token_span {
    const int32_t *tokens; /* borrowed */
    uint32_t n_tokens;
} rf_token_span;

#define RF_SAMPLE_TYPE_FLOAT float
#define RF_SAMPLE_TYPE_INT   int64_t

typedef struct rf_sample_params {
#define X(field, kind, flags, json, def, min, max, help) RF_SAMPLE_TYPE_##kind field;
#include "sample/sample_params.def"
#undef X
    uint8_t order[RF_SAMPLE_MAX_ORDER]; /* rf_sampler_kind */
    uint32_t n_order;
    const rf_logit_bias *logit_bias; /* borrowed; rf_sampler_create copies it */
    uint32_t n_logit_bias;
    const rf_token_span *dry_breakers; /* borrowed; copied likewise. A breaker ends repetitions. */
    uint32_t n_dry_breakers;
} rf_sample_params;

typedef enum rf_sample_param_kind {
    RF_SAMPLE_PARAM_FLOAT,
    RF_SAMPLE_PARAM_INT
} rf_sample_param_kind;

enum {
#define X(field, kind, flags, json, def, min, max, help) RF_SAMPLE_PARAM_##field,
#include "sample/sample_params.def"
#undef X
    RF_SAMPLE_PARAM_COUNT
};

typedef struct rf_sample_param_info {
    rf_sample_param_kind kind;
    const char *field;
    const char *flags; /* space separated */
    const char *json;
    const char *help;
    double def, min, max;
    int64_t int_min, int_max; /* exact, for INT */
    size_t offset;            /* in rf_sample_params */
} rf_sample_param_info;

/* i below RF_SAMPLE_PARAM_COUNT. */
const rf_sample_param_info *rf_sample_param_at(size_t i);

rf_sample_params rf_sample_params_default(void);

/* Sets one parameter. A value out of range, not finite, or with a fraction where an integer
 * belongs: RF_ERR_USAGE with name, value and range; *params is then as it was. */
RF_NODISCARD rf_status rf_sample_param_set_float(rf_sample_params *params, size_t i, double value,
                                                 rf_error *err);
RF_NODISCARD rf_status rf_sample_param_set_int(rf_sample_params *params, size_t i, int64_t value,
                                               rf_error *err);

/* The chain from names ("top_k;temperature", case and '-' or '_' are alike) or from letters ("kt").
 * Unknown ones: RF_ERR_USAGE with the name and the known ones. Empty: no sampler. */
RF_NODISCARD rf_status rf_sample_order_from_names(rf_sample_params *params, rf_str names,
                                                  rf_error *err);
RF_NODISCARD rf_status rf_sample_order_from_letters(rf_sample_params *params, rf_str letters,
                                                    rf_error *err);
const char *rf_sampler_name(rf_sampler_kind kind);

/* Checks all of it: ranges, order, tokens of biases and breakers against n_vocab. */
RF_NODISCARD rf_status rf_sample_params_validate(const rf_sample_params *params, uint32_t n_vocab,
                                                 rf_error *err);

#endif
