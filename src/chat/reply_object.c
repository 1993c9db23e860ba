/* A call as a JSON object: its name and arguments may come in any order. */
#include <jansson.h>

#include "base/alloc.h"
#include "chat/reply_state.h"

static bool is_one_of(rf_str key, const char *a, const char *b) {
    return rf_str_is(key, a) || rf_str_is(key, b);
}

/* A JSON text's characters; false: not a text, or one that cannot be had. */
static bool decode(rf_str json, rf_buf *out) {
    json_t *value = json_loadb(json.ptr, json.len, JSON_DECODE_ANY, NULL);
    bool ok = json_is_string(value);
    rf_buf_clear(out);
    if (ok)
        rf_buf_append(out, json_string_value(value), json_string_length(value));
    json_decref(value);
    return ok;
}

static rf_str held(const rf_reply *reply, size_t from, size_t to) {
    return rf_str_sub(rf_buf_view(&reply->held), from, to);
}

static reply_step take_name(rf_reply *reply, size_t end) {
    rf_buf text;
    rf_buf_init(&text, 1 << 20);
    bool ok = decode(held(reply, reply->value_at, end), &text);
    rf_str tool = ok ? rf_reply_tool(reply, rf_buf_view(&text)) : (rf_str){0};
    rf_buf_clear(&reply->name);
    rf_buf_str(&reply->name, tool);
    rf_buf_deinit(&text);
    return reply->name.len > 0 ? REPLY_ON : REPLY_BAD;
}

/* Arguments may be written as a text that holds an object. */
static reply_step take_quoted(rf_reply *reply, reply_out *out, size_t end) {
    rf_buf text;
    rf_buf_init(&text, reply->held.max_bytes);
    bool ok = decode(held(reply, reply->value_at, end), &text);
    json_t *object = ok ? json_loadb(text.data ? text.data : "", text.len, 0, NULL) : NULL;
    ok = json_is_object(object) && reply->name.len > 0; /* before its name: too rare to keep */
    if (ok) {
        rf_reply_announce(reply, out, rf_buf_view(&reply->name));
        rf_reply_give(reply, out, RF_REPLY_ARGUMENTS, rf_buf_view(&text));
        reply->args_at = reply->args_end = reply->sent = end;
    }
    json_decref(object);
    rf_buf_deinit(&text);
    return ok ? REPLY_ON : REPLY_BAD;
}

static reply_step end_value(rf_reply *reply, reply_out *out, size_t end) {
    rf_str key = rf_buf_view(&reply->key);
    char first = reply->held.data[reply->value_at];
    if (is_one_of(key, "name", "tool_name"))
        return take_name(reply, end);
    if (!is_one_of(key, "arguments", "parameters") || reply->args_end > 0)
        return REPLY_ON;
    if (first == '{')
        reply->args_end = end;
    else if (first == '"')
        return take_quoted(reply, out, end);
    return first == '{' || first == 'n' ? REPLY_ON : REPLY_BAD; /* n: null */
}

static reply_step take_byte(rf_reply *reply, reply_out *out) {
    rf_json_scan_state before = reply->scan.state;
    uint32_t depth = reply->scan.depth;
    size_t at = reply->at;
    char c = reply->held.data[at];
    rf_json_scan_state now = rf_json_scan_push(&reply->scan, c);
    if (now == RF_JSON_BAD)
        return REPLY_BAD;
    reply->at++;
    if (depth == 1 && now == RF_JSON_IN_KEY && before != RF_JSON_IN_KEY)
        reply->key_at = at;
    if (depth == 1 && before == RF_JSON_IN_KEY && now == RF_JSON_BEFORE_COLON &&
        !decode(held(reply, reply->key_at, at + 1), &reply->key))
        return REPLY_BAD;
    if (depth == 1 && before == RF_JSON_BEFORE_VALUE && now != before) {
        reply->value_at = at;
        if (c == '{' && is_one_of(rf_buf_view(&reply->key), "arguments", "parameters") &&
            reply->args_at == 0)
            reply->args_at = reply->sent = at;
    }
    bool number = depth == 1 && before == RF_JSON_IN_NUMBER && now != RF_JSON_IN_NUMBER;
    bool other = reply->scan.depth == 1 && now == RF_JSON_AFTER_VALUE && !number &&
                 (before != RF_JSON_AFTER_VALUE || depth == 2);
    return number || other ? end_value(reply, out, number ? at : at + 1) : REPLY_ON;
}

/* The name is known and there are arguments that have not been given out. */
static void give_arguments(rf_reply *reply, reply_out *out) {
    if (reply->name.len == 0 || reply->args_at == 0)
        return;
    if (!reply->announced)
        rf_reply_announce(reply, out, rf_buf_view(&reply->name));
    size_t end = reply->args_end > 0 ? reply->args_end : reply->at;
    if (end > reply->sent)
        rf_reply_give(reply, out, RF_REPLY_ARGUMENTS, held(reply, reply->sent, end));
    reply->sent = end > reply->sent ? end : reply->sent;
}

reply_step rf_reply_object(rf_reply *reply, reply_out *out) {
    reply_step step = REPLY_ON;
    while (reply->at < reply->held.len && step == REPLY_ON && reply->scan.state != RF_JSON_DONE)
        step = take_byte(reply, out);
    give_arguments(reply, out);
    if (step == REPLY_BAD || reply->scan.state != RF_JSON_DONE)
        return step == REPLY_BAD ? REPLY_BAD : REPLY_MORE;
    if (reply->name.len == 0)
        return REPLY_BAD;
    if (!reply->announced) {
        rf_reply_announce(reply, out, rf_buf_view(&reply->name));
        rf_reply_give(reply, out, RF_REPLY_ARGUMENTS, RF_STR("{}"));
    }
    rf_reply_end_call(reply, out);
    reply->state = RF_REPLY_STATE_SECTION;
    return REPLY_ON;
}
