/* Sections of calls, names, and arguments that stand after a name. */
#include "chat/reply_state.h"

enum { NAME_MAX_BYTES = 1 << 10 };

static reply_step leave_section(rf_reply *reply) {
    rf_reply_drop_read(reply);
    reply->skips_space = reply->n_calls > 0;
    return rf_reply_enter(reply, RF_REPLY_STATE_TEXT);
}

static reply_step begin_call(rf_reply *reply, rf_reply_state state) {
    reply->scan = (rf_json_scan){0};
    rf_buf_clear(&reply->name);
    reply->n_params = 0;
    reply->name_at = reply->name_end = reply->args_at = reply->args_end = 0;
    reply->key_at = reply->value_at = reply->sent = 0;
    return rf_reply_enter(reply, state);
}

static reply_step section_of_json(rf_reply *reply) {
    for (; reply->at < reply->held.len; reply->at++) {
        char c = reply->held.data[reply->at];
        if (c == '{')
            return begin_call(reply, RF_REPLY_STATE_OBJECT);
        bool passes = rf_reply_is_space(c) || (c == '[' && reply->n_calls == 0) ||
                      (reply->n_calls > 0 && rf_reply_is_one_of(c, ",;]"));
        if (!passes)
            return reply->n_calls > 0 ? leave_section(reply) : REPLY_BAD;
    }
    return REPLY_MORE;
}

reply_step rf_reply_section(rf_reply *reply, reply_out *out) {
    const rf_call_syntax *syntax = reply->options.syntax;
    (void)out;
    if (syntax->close[0] != 0) {
        rf_reply_skip_space(reply);
        while (syntax->form == RF_CALL_JSON && reply->n_calls > 0 && reply->at < reply->held.len &&
               rf_reply_is_one_of(reply->held.data[reply->at], ",] \n"))
            reply->at++;
        reply_step match = rf_reply_match(reply, rf_reply_rest(reply), syntax->close);
        if (match == REPLY_ON && reply->n_calls > 0) {
            reply->at += strlen(syntax->close);
            return leave_section(reply);
        }
        if (match == REPLY_MORE)
            return REPLY_MORE;
        if (match == REPLY_ON)
            return REPLY_BAD;
    }
    if (syntax->form == RF_CALL_JSON)
        return section_of_json(reply);
    rf_reply_skip_space(reply);
    if (syntax->call[0] == 0 && reply->n_calls > 0)
        return leave_section(reply);
    reply_step match = rf_reply_match(reply, rf_reply_rest(reply), syntax->call);
    if (match == REPLY_BAD && reply->n_calls > 0)
        return leave_section(reply);
    if (match != REPLY_ON)
        return match;
    reply->at += strlen(syntax->call);
    return begin_call(reply, RF_REPLY_STATE_NAME);
}

/* The first of these ends a name; only name_end and the id's marker belong to it. */
reply_step rf_reply_name(rf_reply *reply, reply_out *out) {
    const rf_call_syntax *s = reply->options.syntax;
    const char *const ends[] = {s->name_end, s->id, s->param, s->call_end, s->close};
    bool params = s->form == RF_CALL_PARAMS;
    int which;
    rf_str rest = rf_reply_rest(reply);
    size_t n = rf_reply_find(reply, rest, ends, params ? 5 : 2, &which);
    if (n > NAME_MAX_BYTES || (which < 0 && reply->final))
        return REPLY_BAD;
    if (which < 0)
        return REPLY_MORE;
    rf_str tool = rf_reply_tool(reply, rf_str_sub(rest, 0, n));
    if (tool.len == 0)
        return REPLY_BAD;
    if (which == 1) { /* the id goes up to name_end */
        int end;
        size_t m = rf_reply_find(reply, rf_str_sub(rest, n, rest.len), ends, 1, &end);
        if (m > NAME_MAX_BYTES || (end < 0 && reply->final))
            return REPLY_BAD;
        if (end < 0)
            return REPLY_MORE;
        n += m;
        which = 0;
    }
    rf_buf_str(&reply->name, tool);
    reply->at += n + (which == 0 ? strlen(s->name_end) : 0);
    if (!params)
        return rf_reply_enter(reply, RF_REPLY_STATE_ARGUMENTS);
    rf_reply_announce(reply, out, rf_buf_view(&reply->name));
    rf_reply_give(reply, out, RF_REPLY_ARGUMENTS, RF_STR("{"));
    rf_reply_drop_read(reply);
    return rf_reply_enter(reply, RF_REPLY_STATE_PARAMS);
}

reply_step rf_reply_arguments(rf_reply *reply, reply_out *out) {
    if (!reply->announced) {
        rf_reply_skip_space(reply);
        if (reply->at == reply->held.len)
            return reply->final ? REPLY_BAD : REPLY_MORE;
        if (reply->held.data[reply->at] != '{')
            return REPLY_BAD;
        rf_reply_announce(reply, out, rf_buf_view(&reply->name));
        rf_reply_drop_read(reply);
    }
    size_t from = reply->at;
    rf_json_scan_state state = reply->scan.state;
    while (reply->at < reply->held.len && state != RF_JSON_DONE && state != RF_JSON_BAD) {
        state = rf_json_scan_push(&reply->scan, reply->held.data[reply->at]);
        reply->at += state != RF_JSON_BAD;
    }
    rf_reply_give(reply, out, RF_REPLY_ARGUMENTS,
                  rf_str_sub(rf_buf_view(&reply->held), from, reply->at));
    rf_reply_drop_read(reply);
    if (state == RF_JSON_DONE)
        return rf_reply_enter(reply, RF_REPLY_STATE_CALL_TAIL);
    return state == RF_JSON_BAD ? REPLY_BAD : REPLY_MORE;
}

/* After the arguments; a missing marker is forgiven. */
reply_step rf_reply_call_tail(rf_reply *reply, reply_out *out) {
    const char *end = reply->options.syntax->call_end;
    while (rf_reply_is_space(end[0]))
        end++;
    size_t from = reply->at;
    rf_reply_skip_space(reply);
    reply_step match = rf_reply_match(reply, rf_reply_rest(reply), end);
    if (match == REPLY_MORE) {
        reply->at = from;
        return REPLY_MORE;
    }
    reply->at = match == REPLY_ON && end[0] ? reply->at + strlen(end) : from;
    rf_reply_end_call(reply, out);
    bool channels = reply->options.syntax->form == RF_CALL_CHANNELS;
    return rf_reply_enter(reply, channels ? RF_REPLY_STATE_HEADER : RF_REPLY_STATE_SECTION);
}
