#include "server/fields.h"

#include <math.h>
#include <stdatomic.h>

#include "base/log.h"
#include "base/map.h"
#include "sample/sample_params.h"
#include "server/json_body.h"

#define EP(endpoint) (1u << RF_ASK_##endpoint)

static const rf_field_info rows[] = {
#define X(id, name, kind, least, most, fallback, endpoints) \
    {name, RF_FIELD_KIND_##kind, least, most, fallback, endpoints},
#include "server/fields.def"
#undef X
};

const rf_field_info *rf_field_at(size_t field) { return &rows[field]; }

bool rf_ask_endpoint_samples(rf_ask_endpoint endpoint) {
    return endpoint != RF_ASK_NONE &&
           !((EP(TEMPLATE) | EP(TOKENIZE) | EP(DETOKENIZE) | EP(EMBEDDINGS)) >> endpoint & 1);
}

const char *rf_json_kind_name(const json_t *value) {
    static const char *const names[] = {"an object", "an array", "a string", "an integer",
                                        "a number",  "true",     "false",    "null"};
    return value ? names[json_typeof(value)] : "nothing";
}

static bool wrong_type(rf_refusal *refusal, const rf_field_info *row, const json_t *value,
                       const char *expected) {
    return rf_refuse(refusal, RF_REFUSE_TYPE, row->name, "%s: found %s, expected %s", row->name,
                     rf_json_kind_name(value), expected);
}

static bool take_flag(const rf_field_info *row, const json_t *value, rf_field_value *out,
                      rf_refusal *refusal) {
    if (!json_is_boolean(value))
        return wrong_type(refusal, row, value, "true or false");
    out->integer = json_is_true(value);
    return true;
}

/* Integers may come as 5.0. */
static bool take_number(const rf_field_info *row, const json_t *value, rf_field_value *out,
                        rf_refusal *refusal) {
    bool whole = row->kind == RF_FIELD_KIND_INT;
    if (!json_is_number(value))
        return wrong_type(refusal, row, value, whole ? "an integer" : "a number");
    double real = json_number_value(value);
    if (whole && real != floor(real))
        return rf_refuse(refusal, RF_REFUSE_TYPE, row->name, "%s: found %g, expected an integer",
                         row->name, real);
    if (!(real >= row->least && real <= row->most))
        return rf_refuse(refusal, RF_REFUSE_VALUE, row->name, "%s: found %.17g, expected %g to %g",
                         row->name, real, row->least, row->most);
    out->real = real;
    out->integer = (int64_t)real;
    return true;
}

static bool take_text(const rf_field_info *row, const json_t *value, rf_field_value *out,
                      rf_refusal *refusal) {
    if (!json_is_string(value))
        return wrong_type(refusal, row, value, "a string");
    out->text = (rf_str){json_string_value(value), json_string_length(value)};
    if ((double)out->text.len < row->least || (double)out->text.len > row->most)
        return rf_refuse(refusal, RF_REFUSE_VALUE, row->name,
                         "%s: found %zu bytes, expected %.0f to %.0f", row->name, out->text.len,
                         row->least, row->most);
    return true;
}

static bool take_container(const rf_field_info *row, const json_t *value, rf_refusal *refusal) {
    bool list = row->kind == RF_FIELD_KIND_LIST;
    if (list ? !json_is_array(value) : !json_is_object(value))
        return wrong_type(refusal, row, value, list ? "an array" : "an object");
    double n = (double)(list ? json_array_size(value) : json_object_size(value));
    if (n < row->least || n > row->most)
        return rf_refuse(refusal, RF_REFUSE_VALUE, row->name,
                         "%s: found %.0f elements, expected %.0f to %.0f", row->name, n, row->least,
                         row->most);
    return true;
}

/* Values of REFUSED fields that ask for nothing. */
static bool asks_nothing(const json_t *value) {
    const char *text = json_string_value(value);
    if (json_is_object(value)) {
        const char *type = json_string_value(json_object_get(value, "type"));
        return json_object_size(value) == 0 || (type && strcmp(type, "text") == 0);
    }
    if (json_is_number(value)) /* -1 and 0 say "none" */
        return json_number_value(value) <= 0;
    return json_is_false(value) || (json_is_array(value) && json_array_size(value) == 0) ||
           (text && (!text[0] || strcmp(text, "none") == 0 || strcmp(text, "auto") == 0));
}

static bool take(const rf_field_info *row, json_t *value, rf_field_value *out,
                 rf_refusal *refusal) {
    out->given = true;
    out->json = value;
    switch (row->kind) {
    case RF_FIELD_KIND_FLAG: return take_flag(row, value, out, refusal);
    case RF_FIELD_KIND_INT:
    case RF_FIELD_KIND_REAL: return take_number(row, value, out, refusal);
    case RF_FIELD_KIND_TEXT: return take_text(row, value, out, refusal);
    case RF_FIELD_KIND_LIST:
    case RF_FIELD_KIND_OBJECT: return take_container(row, value, refusal);
    case RF_FIELD_KIND_REFUSED:
        return asks_nothing(value) ||
               rf_refuse(refusal, RF_REFUSE_UNSUPPORTED, row->name,
                         "%s: this server does not do what it asks for", row->name);
    case RF_FIELD_KIND_ANY:
    case RF_FIELD_KIND_IGNORED: break;
    }
    return true;
}

static bool is_known(const rf_ask *ask, const char *name) {
    for (size_t i = 0; i < RF_FIELD_COUNT; i++)
        if (rf_field_is_of(&rows[i], ask->endpoint) && strcmp(rows[i].name, name) == 0)
            return true;
    for (size_t i = 0; rf_ask_endpoint_samples(ask->endpoint) && i < RF_SAMPLE_PARAM_COUNT; i++)
        if (strcmp(rf_sample_param_at(i)->json, name) == 0)
            return true;
    return false;
}

/* Once a name: names are kept by their hash, and no more than fit. */
static bool is_first_time(const char *name) {
    enum { N_NAMES = 256 };
    static atomic_ullong seen[N_NAMES];
    unsigned long long hash = rf_hash(name, strlen(name), rf_hash_random_seed()) | 1;
    for (size_t i = 0; i < N_NAMES; i++) {
        unsigned long long there = 0;
        if (atomic_compare_exchange_strong(&seen[i], &there, hash))
            return true;
        if (there == hash)
            return false;
    }
    return false;
}

static void note_unknown(const rf_ask *ask) {
    const char *name;
    json_t *value;
    json_object_foreach(ask->root, name, value) {
        if (!is_known(ask, name) && is_first_time(name))
            rf_log(RF_LOG_WARN, "request", "unknown field %.64s is ignored, now and later", name);
    }
}

bool rf_ask_init(rf_ask *ask, rf_ask_endpoint endpoint, rf_str body, rf_refusal *refusal) {
    *ask = (rf_ask){.endpoint = endpoint};
    if (!rf_json_body_parse(body, &ask->root, refusal))
        return false;
    for (size_t i = 0; i < RF_FIELD_COUNT; i++) {
        rf_field_value *out = &ask->values[i];
        out->real = rows[i].fallback;
        out->integer = (int64_t)rows[i].fallback;
        json_t *value = json_object_get(ask->root, rows[i].name);
        if (!rf_field_is_of(&rows[i], endpoint) || !value || json_is_null(value))
            continue;
        if (!take(&rows[i], value, out, refusal))
            return false;
    }
    note_unknown(ask);
    return true;
}

void rf_ask_deinit(rf_ask *ask) {
    json_decref(ask->root);
    *ask = (rf_ask){0};
}
