/*
 * The fields of a request's body, checked against fields.def. One thread; texts and lists are
 * borrowed from the body's JSON, which the rf_ask owns.
 */
#ifndef RF_SERVER_FIELDS_H
#define RF_SERVER_FIELDS_H

#include <jansson.h>
#include <stdint.h>

#include "server/refusal.h"

typedef enum rf_ask_endpoint {
    RF_ASK_COMPLETIONS,
    RF_ASK_CHAT,
    RF_ASK_TEMPLATE,
    RF_ASK_TOKENIZE,
    RF_ASK_DETOKENIZE,
    RF_ASK_EMBEDDINGS,
    RF_ASK_NATIVE, /* llama-server's completion */
    RF_ASK_RESPONSES,
    RF_ASK_MESSAGES, /* Anthropic's */
    RF_ASK_COUNT_TOKENS,
    RF_ASK_COUNT,
    RF_ASK_NONE = RF_ASK_COUNT /* an endpoint without a body */
} rf_ask_endpoint;

typedef enum rf_field_kind {
    RF_FIELD_KIND_FLAG,
    RF_FIELD_KIND_INT,
    RF_FIELD_KIND_REAL,
    RF_FIELD_KIND_TEXT,
    RF_FIELD_KIND_LIST,
    RF_FIELD_KIND_OBJECT,
    RF_FIELD_KIND_ANY,
    RF_FIELD_KIND_IGNORED,
    RF_FIELD_KIND_REFUSED
} rf_field_kind;

typedef enum rf_field {
#define X(id, name, kind, least, most, fallback, endpoints) RF_FIELD_##id,
#include "server/fields.def"
#undef X
    RF_FIELD_COUNT
} rf_field;

/* A row of fields.def. */
typedef struct rf_field_info {
    const char *name;
    rf_field_kind kind;
    double least, most, fallback;
    uint32_t endpoints; /* bits */
} rf_field_info;
const rf_field_info *rf_field_at(size_t field);
static inline bool rf_field_is_of(const rf_field_info *info, rf_ask_endpoint endpoint) {
    return (info->endpoints >> endpoint & 1) != 0;
}
/* It takes the samplers' fields too. */
bool rf_ask_endpoint_samples(rf_ask_endpoint endpoint);

typedef struct rf_field_value {
    bool given;
    int64_t integer; /* of INT and FLAG */
    double real;
    rf_str text;
    json_t *json; /* as it stands in the body; NULL: absent or null */
} rf_field_value;

typedef struct rf_ask {
    rf_ask_endpoint endpoint;
    json_t *root; /* owned */
    rf_field_value values[RF_FIELD_COUNT];
} rf_ask;

/* Parses and checks a body; false: *refusal says what is wrong. rf_ask_deinit either way. */
bool rf_ask_init(rf_ask *ask, rf_ask_endpoint endpoint, rf_str body, rf_refusal *refusal);
void rf_ask_deinit(rf_ask *ask);

static inline bool rf_ask_given(const rf_ask *ask, rf_field field) {
    return ask->values[field].given;
}
static inline int64_t rf_ask_int(const rf_ask *ask, rf_field field) {
    return ask->values[field].integer;
}
static inline bool rf_ask_on(const rf_ask *ask, rf_field field) {
    return ask->values[field].integer != 0;
}
static inline json_t *rf_ask_json(const rf_ask *ask, rf_field field) {
    return ask->values[field].json;
}
static inline rf_str rf_ask_text(const rf_ask *ask, rf_field field) {
    return ask->values[field].text;
}
/* "string", "array" …, for messages. */
const char *rf_json_kind_name(const json_t *value);

#endif
