#include "server/json_body.h"

#include "base/utf8.h"

/* What a walk over the bytes has seen, without parsing values. */
typedef struct place {
    size_t at;    /* where it stands, or where it went too deep */
    size_t depth; /* deepest so far */
    rf_str field; /* the last name of the outermost object */
} place;

static size_t skip_string(rf_str body, size_t at, size_t end) {
    for (at++; at < end && body.ptr[at] != '"'; at++)
        at += body.ptr[at] == '\\';
    return at;
}

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

/* From the beginning to end, or to where the depth is past the limit. */
static place walk(rf_str body, size_t end) {
    place p = {0};
    size_t depth = 0;
    rf_str text = {0};
    for (; p.at < end && p.depth <= RF_JSON_MAX_DEPTH; p.at++) {
        char c = body.ptr[p.at];
        if (c == '"') {
            size_t from = p.at + 1;
            p.at = skip_string(body, p.at, end);
            text = depth == 1 ? rf_str_sub(body, from, p.at < end ? p.at : end) : (rf_str){0};
        } else if (c == ':' && text.ptr) {
            p.field = text;
            text = (rf_str){0};
        } else if (c == '{' || c == '[') {
            p.depth = ++depth > p.depth ? depth : p.depth;
        } else if (c == '}' || c == ']') {
            depth -= depth > 0;
        }
        if (!is_blank(c) && c != '"')
            text = (rf_str){0};
    }
    return p;
}

static bool refuse_at(rf_refusal *refusal, rf_str body, size_t at, const char *what) {
    place p = walk(body, at < body.len ? at : body.len);
    char field[RF_PARAM_BYTES] = "";
    size_t n = rf_utf8_valid_prefix(p.field.ptr, p.field.len < sizeof field - 1 ? p.field.len
                                                                                : sizeof field - 1);
    if (n > 0)
        memcpy(field, p.field.ptr, n);
    return rf_refuse(refusal, RF_REFUSE_JSON, field, "the body is no JSON: %s at byte %zu", what,
                     at);
}

bool rf_json_body_parse(rf_str body, json_t **out, rf_refusal *refusal) {
    *out = NULL;
    if (body.len == 0)
        return rf_refuse(refusal, RF_REFUSE_JSON, NULL,
                         "the body is empty, expected a JSON object");
    size_t n_valid = rf_utf8_valid_prefix(body.ptr, body.len);
    if (n_valid < body.len)
        return refuse_at(refusal, body, n_valid, "bytes that are no UTF-8");
    place p = walk(body, body.len);
    if (p.depth > RF_JSON_MAX_DEPTH)
        return refuse_at(refusal, body, p.at - 1, "values nested deeper than 64 levels");
    json_error_t error;
    json_t *root = json_loadb(body.ptr, body.len, 0, &error);
    if (!root && json_error_code(&error) == json_error_numeric_overflow)
        root = json_loadb(body.ptr, body.len, JSON_DECODE_INT_AS_REAL, &error);
    if (!root)
        return refuse_at(refusal, body, error.position > 0 ? (size_t)error.position - 1 : 0,
                         error.text);
    if (!json_is_object(root)) {
        json_decref(root);
        return rf_refuse(refusal, RF_REFUSE_JSON, NULL, "the body is no JSON object");
    }
    *out = root;
    return true;
}
