/* A call's parameters as keys and values between markers: made into a JSON object on the way. */
#include <jansson.h>

#include "chat/messages.h"
#include "chat/reply_state.h"

static void give_quoted(rf_reply *reply, reply_out *out, rf_str text) {
    rf_buf quoted;
    rf_buf_init(&quoted, reply->held.max_bytes);
    rf_json_append_string(&quoted, text);
    if (quoted.failed)
        reply->key.failed = true; /* out of memory: see run in reply.c */
    else
        rf_reply_give(reply, out, RF_REPLY_ARGUMENTS,
                      rf_str_sub(rf_buf_view(&quoted), 1, quoted.len - 1));
    rf_buf_deinit(&quoted);
}

static reply_step end_params(rf_reply *reply, reply_out *out, size_t read) {
    reply->at += read;
    rf_reply_give(reply, out, RF_REPLY_ARGUMENTS, RF_STR("}"));
    rf_reply_end_call(reply, out);
    reply->state = RF_REPLY_STATE_SECTION;
    return REPLY_ON;
}

/* param was read: a key, its end, and what stands before the value. Reads nothing unless all of it
 * is there. */
static reply_step key(rf_reply *reply, reply_out *out) {
    const rf_call_syntax *s = reply->options.syntax;
    const char *const end[] = {s->key_end};
    size_t from = reply->at;
    int which;
    reply->at += strlen(s->param);
    rf_str rest = rf_reply_rest(reply);
    size_t n = rf_reply_find(reply, rest, end, 1, &which);
    reply_step match = which >= 0 ? REPLY_ON : reply->final ? REPLY_BAD : REPLY_MORE;
    if (match == REPLY_ON) {
        rf_buf_clear(&reply->key);
        rf_buf_str(&reply->key, rf_str_sub(rest, 0, n));
        reply->at += n + strlen(s->key_end);
        if (s->value[0] != 0) {
            rf_reply_skip_space(reply);
            match = rf_reply_match(reply, rf_reply_rest(reply), s->value);
        }
    }
    if (match != REPLY_ON) {
        reply->at = from;
        return match;
    }
    reply->at += strlen(s->value);
    rf_reply_drop_read(reply);
    rf_reply_give(reply, out, RF_REPLY_ARGUMENTS,
                  reply->n_params++ > 0 ? RF_STR(", \"") : RF_STR("\""));
    give_quoted(reply, out, rf_buf_view(&reply->key));
    rf_reply_give(reply, out, RF_REPLY_ARGUMENTS, RF_STR("\": "));
    reply->value_at = reply->sent = 0;
    reply->state = RF_REPLY_STATE_VALUE;
    return REPLY_ON;
}

reply_step rf_reply_params(rf_reply *reply, reply_out *out) {
    const rf_call_syntax *s = reply->options.syntax;
    const char *end = s->call_end[0] ? s->call_end : s->close;
    rf_reply_skip_space(reply);
    rf_str rest = rf_reply_rest(reply);
    reply_step match = rf_reply_match(reply, rest, end);
    if (match == REPLY_ON)
        return end_params(reply, out, s->call_end[0] ? strlen(end) : 0);
    reply_step param = rf_reply_match(reply, rest, s->param);
    if (param == REPLY_ON)
        return key(reply, out);
    return match == REPLY_MORE || param == REPLY_MORE ? REPLY_MORE : REPLY_BAD;
}

/* JSON where the schema asks for it; where nobody knows, whatever is no JSON is a text. */
static void give_value(rf_reply *reply, reply_out *out, rf_str text) {
    json_t *value = json_loadb(text.len ? text.ptr : "", text.len, JSON_DECODE_ANY, NULL);
    if (value && !json_is_string(value)) {
        rf_reply_give(reply, out, RF_REPLY_ARGUMENTS, text);
    } else {
        rf_reply_give(reply, out, RF_REPLY_ARGUMENTS, RF_STR("\""));
        give_quoted(reply, out, text);
        rf_reply_give(reply, out, RF_REPLY_ARGUMENTS, RF_STR("\""));
    }
    json_decref(value);
}

/* Texts go out as they come: sent counts them, but for a newline at each end, which is no part of
 * the value. Others wait until they are whole; value_at: where the end was looked for already. */
reply_step rf_reply_value(rf_reply *reply, reply_out *out) {
    const rf_reply_options *o = &reply->options;
    const char *const end[] = {o->syntax->param_end};
    rf_param_kind kind = RF_PARAM_UNKNOWN;
    if (o->param_kind)
        kind = o->param_kind(o->user, rf_buf_view(&reply->name), rf_buf_view(&reply->key));
    rf_str rest = rf_reply_rest(reply);
    int which;
    size_t n = reply->value_at +
               rf_reply_find(reply, rf_str_sub(rest, reply->value_at, rest.len), end, 1, &which);
    if (which < 0 && !reply->final)
        reply->value_at = n;
    bool text = kind == RF_PARAM_TEXT;
    rf_str value = rf_str_sub(rest, 0, n);
    if (value.len > 0 && value.ptr[value.len - 1] == '\n')
        value.len--;
    size_t from = value.len > 0 && value.ptr[0] == '\n';
    if (text && (value.len > 0 || which >= 0)) {
        if (reply->sent == 0)
            rf_reply_give(reply, out, RF_REPLY_ARGUMENTS, RF_STR("\""));
        from = reply->sent > 0 ? reply->sent - 1 : from;
        if (value.len > from)
            give_quoted(reply, out, rf_str_sub(value, from, value.len));
        reply->sent = 1 + (value.len > from ? value.len : from);
    }
    if (which < 0)
        return reply->final ? REPLY_BAD : REPLY_MORE;
    if (text)
        rf_reply_give(reply, out, RF_REPLY_ARGUMENTS, RF_STR("\""));
    else
        give_value(reply, out, rf_str_sub(value, from, value.len));
    reply->at += n + strlen(end[0]);
    rf_reply_drop_read(reply);
    reply->state = RF_REPLY_STATE_PARAMS;
    return REPLY_ON;
}
