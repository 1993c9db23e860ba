#include "text/call_rules.h"

#include <string.h>

#include "base/alloc.h"
#include "grammar/schema.h"
#include "text/vocab_bytes.h"

enum { CALLS_MAX = 16, PARAMS_MAX = 200 };

static rf_expr text(rf_rules *r, const char *t) { return rf_rules_text(r, rf_str_of(t)); }

/* The longest control token that text begins with; -1: none. Those that end answers are no parts of
 * one. */
static int32_t control_at(const rf_tokenizer *tokenizer, rf_str text, size_t *n) {
    for (*n = text.len; *n > 0; --*n) {
        int32_t id = rf_tokenizer_find(tokenizer, rf_str_sub(text, 0, *n));
        if (id >= 0 && rf_tokenizer_type(tokenizer, id) == RF_TOKEN_CONTROL &&
            !rf_tokenizer_is_eog(tokenizer, id))
            return id;
    }
    return -1;
}

/* A marker as models write it: what is a control token in it is that token, the rest is spelt. */
static rf_expr marker(rf_rules *r, const rf_tokenizer *tokenizer, const char *t) {
    rf_str all = rf_str_of(t);
    rf_expr e = rf_rules_empty(r);
    size_t spelt = 0;
    for (size_t at = 0, n; at < all.len;) {
        char bytes[RF_CONTROL_BYTES];
        int32_t id = control_at(tokenizer, rf_str_sub(all, at, all.len), &n);
        if (id < 0) {
            at++;
            continue;
        }
        const rf_expr parts[] = {e, rf_rules_text(r, rf_str_sub(all, spelt, at)),
                                 rf_rules_text(r, rf_control_bytes(id, bytes))};
        e = rf_rules_seq(r, parts, 3);
        spelt = at += n;
    }
    return rf_rules_seq2(r, e, rf_rules_text(r, rf_str_sub(all, spelt, all.len)));
}

/* Characters up to a marker, without the first byte of it. */
static rf_expr text_before(rf_rules *r, const char *marker) {
    uint32_t stop = (uint8_t)marker[0] < 0x80 ? (uint8_t)marker[0] : 0;
    const rf_char_range ranges[] = {{0, stop > 0 ? stop - 1 : 0}, {stop + 1, 0x10ffff}};
    return rf_rules_repeat(r, rf_rules_class(r, ranges, 2), 0, RF_RULES_ANY_NUMBER);
}

static rf_expr space(rf_rules *r) {
    static const rf_char_range blanks[] = {{' ', ' '}, {'\n', '\n'}};
    return rf_rules_repeat(r, rf_rules_class(r, blanks, 2), 0, 2);
}

static rf_status arguments_of(rf_rules *r, const json_t *function, rf_expr *out, rf_error *err) {
    json_t *schema = json_object_get(function, "parameters");
    rf_status status = rf_schema_rules(r, schema, out, err);
    if (status == RF_OK)
        return RF_OK;
    return rf_fail_prefix(err, "parameters of %s",
                          json_string_value(json_object_get(function, "name")));
}

/* {"name": "f", "arguments": {…}} */
static rf_status object_of(rf_rules *r, const rf_answer_spec *spec, const json_t *function,
                           rf_expr *out, rf_error *err) {
    rf_expr arguments;
    RF_TRY(arguments_of(r, function, &arguments, err));
    char *name = json_dumps(json_object_get(function, "name"), JSON_ENCODE_ANY);
    bool llama = strcmp(spec->calls->call, "<|python_tag|>") == 0;
    const rf_expr parts[] = {text(r, "{\"name\": "), name ? text(r, name) : 0,
                             text(r, llama ? ", \"parameters\": " : ", \"arguments\": "), arguments,
                             text(r, "}")};
    rf_free(name);
    *out = rf_rules_seq(r, parts, 5);
    return RF_OK;
}

/* A value between markers: texts as they are, other values as JSON. */
static rf_status param_of(rf_rules *r, const rf_tokenizer *tokenizer, const rf_call_syntax *syntax,
                          const char *key, json_t *schema, rf_expr *out, rf_error *err) {
    const char *type = json_string_value(json_object_get(schema, "type"));
    bool plain = type && strcmp(type, "string") == 0 && !json_object_get(schema, "enum") &&
                 !json_object_get(schema, "pattern") && !json_object_get(schema, "format");
    rf_expr value;
    if (plain)
        value = text_before(r, syntax->param_end);
    else
        RF_TRY(rf_schema_rules(r, schema, &value, err));
    rf_expr line = rf_rules_optional(r, text(r, "\n"));
    const rf_expr parts[] = {space(r),
                             marker(r, tokenizer, syntax->param),
                             text(r, key),
                             marker(r, tokenizer, syntax->key_end),
                             marker(r, tokenizer, syntax->value),
                             line,
                             value,
                             line,
                             marker(r, tokenizer, syntax->param_end)};
    *out = rf_rules_seq(r, parts, sizeof parts / sizeof *parts);
    return RF_OK;
}

static bool is_required(const json_t *schema, const char *name) {
    json_t *one;
    size_t i;
    json_array_foreach(json_object_get(schema, "required"), i, one) {
        if (json_is_string(one) && strcmp(json_string_value(one), name) == 0)
            return true;
    }
    return false;
}

static rf_status params_of(rf_rules *r, const rf_tokenizer *tokenizer, const rf_call_syntax *syntax,
                           const json_t *function, rf_expr *out, rf_error *err) {
    const json_t *schema = json_object_get(function, "parameters");
    json_t *properties = json_object_get(schema, "properties"), *value;
    rf_expr parts[PARAMS_MAX];
    size_t n = 0;
    const char *key;
    if (json_object_size(properties) > PARAMS_MAX)
        return rf_fail(err, RF_ERR_LIMIT, "more than %d parameters", PARAMS_MAX);
    json_object_foreach(properties, key, value) {
        RF_TRY(param_of(r, tokenizer, syntax, key, value, &parts[n], err));
        if (!is_required(schema, key))
            parts[n] = rf_rules_optional(r, parts[n]);
        n++;
    }
    *out = rf_rules_seq(r, parts, n);
    return RF_OK;
}

/* One call without what stands around all of them. */
static rf_status call_of(rf_rules *r, const rf_tokenizer *tokenizer, const rf_answer_spec *spec,
                         const json_t *function, rf_expr *out, rf_error *err) {
    const rf_call_syntax *s = spec->calls;
    rf_expr name = text(r, json_string_value(json_object_get(function, "name"))), inside;
    if (s->form == RF_CALL_JSON)
        return object_of(r, spec, function, out, err);
    if (s->form == RF_CALL_PARAMS)
        RF_TRY(params_of(r, tokenizer, s, function, &inside, err));
    else
        RF_TRY(arguments_of(r, function, &inside, err));
    if (s->form == RF_CALL_CHANNELS) {
        const rf_expr parts[] = {marker(r, tokenizer, "<|channel|>commentary to=functions."), name,
                                 marker(r, tokenizer, " <|constrain|>json<|message|>"), inside};
        *out = rf_rules_seq(r, parts, 4);
        return RF_OK;
    }
    const rf_expr parts[] = {marker(r, tokenizer, s->call),
                             name,
                             marker(r, tokenizer, s->name_end),
                             inside,
                             s->form == RF_CALL_PARAMS ? space(r) : rf_rules_empty(r),
                             marker(r, tokenizer, s->call_end)};
    *out = rf_rules_seq(r, parts, 6);
    return RF_OK;
}

/* As many calls as may be, with what is between and around them. */
static rf_expr around(rf_rules *r, const rf_tokenizer *tokenizer, const rf_answer_spec *spec,
                      rf_expr call) {
    const rf_call_syntax *s = spec->calls;
    int32_t more = spec->one_call ? 0 : CALLS_MAX - 1;
    bool pairs = s->open[0] && s->close[0]; /* each call, or all of them, between two markers */
    if (s->form == RF_CALL_CHANNELS || s->open[0] == 0)
        return call;
    if (s->form == RF_CALL_JSON && !pairs) {
        rf_expr next = rf_rules_seq2(r, text(r, ", "), call);
        const rf_expr list[] = {text(r, "["), call, rf_rules_repeat(r, next, 0, more),
                                text(r, "]")};
        return rf_rules_seq2(r, marker(r, tokenizer, s->open),
                             rf_rules_any2(r, rf_rules_seq(r, list, 4), call));
    }
    if (s->form == RF_CALL_NAMED && s->call[0]) /* one section of calls */
        return rf_rules_seq(r,
                            (const rf_expr[]){marker(r, tokenizer, s->open), call,
                                              rf_rules_repeat(r, call, 0, more),
                                              marker(r, tokenizer, s->close)},
                            4);
    rf_expr gap = s->form == RF_CALL_NAMED ? rf_rules_empty(r) : space(r);
    rf_expr one = rf_rules_seq(r,
                               (const rf_expr[]){marker(r, tokenizer, s->open), gap, call, gap,
                                                 marker(r, tokenizer, s->close)},
                               5);
    if (s->form == RF_CALL_NAMED && !s->call_end[0])
        return one; /* nothing would tell where the next begins */
    return rf_rules_seq2(r, one, rf_rules_repeat(r, rf_rules_seq2(r, gap, one), 0, more));
}

rf_status rf_call_rules(rf_rules *r, const rf_tokenizer *tokenizer, const rf_answer_spec *spec,
                        rf_expr *out, rf_error *err) {
    size_t n = 0, i;
    json_t *tool;
    rf_expr *ways = rf_calloc(json_array_size(spec->tools) + 1, sizeof *ways);
    rf_status status = ways ? RF_OK : rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the tools");
    json_array_foreach(spec->tools, i, tool) {
        const json_t *function = json_object_get(tool, "function");
        const char *name = json_string_value(json_object_get(function, "name"));
        bool wanted = !spec->tool_name || (name && strcmp(name, spec->tool_name) == 0);
        if (status == RF_OK && wanted)
            status = call_of(r, tokenizer, spec, function, &ways[n++], err);
    }
    if (status == RF_OK)
        *out = around(r, tokenizer, spec, rf_rules_any(r, ways, n));
    rf_free(ways);
    return status;
}

rf_expr rf_reasoning_rules(rf_rules *r, const rf_tokenizer *tokenizer, const rf_answer_spec *spec,
                           rf_expr answer) {
    const rf_reasoning_syntax *s = spec->reasoning;
    if (spec->calls && spec->calls->form == RF_CALL_CHANNELS) {
        const rf_expr parts[] = {marker(r, tokenizer, "<|channel|>analysis<|message|>"),
                                 text_before(r, "<"),
                                 marker(r, tokenizer, "<|end|><|start|>assistant")};
        return rf_rules_seq2(r, rf_rules_optional(r, rf_rules_seq(r, parts, 3)), answer);
    }
    if (!s)
        return answer;
    rf_expr rest = rf_rules_seq(
        r, (const rf_expr[]){text_before(r, s->end), marker(r, tokenizer, s->end), space(r)}, 3);
    if (!spec->reasoning_open)
        rest = rf_rules_optional(r, rf_rules_seq2(r, marker(r, tokenizer, s->begin), rest));
    return rf_rules_seq2(r, rest, answer);
}
