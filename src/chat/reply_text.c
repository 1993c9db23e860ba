/* What stands outside of calls: text, and reasoning at its beginning. */
#include "chat/reply_state.h"

/* Gives out held text up to n bytes after at; spaces at its end stay while they may end the text.
 */
static void give_text(rf_reply *reply, reply_out *out, rf_reply_part part, size_t n,
                      bool keeps_end) {
    rf_str text = rf_str_sub(rf_reply_rest(reply), 0, n);
    size_t from = 0, to = text.len;
    while (reply->skips_space && from < to && rf_reply_is_space(text.ptr[from]))
        from++;
    while (!keeps_end && to > from && rf_reply_is_space(text.ptr[to - 1]))
        to--;
    if (to > from)
        reply->skips_space = false;
    rf_reply_give(reply, out, part, rf_str_sub(text, from, to));
    reply->at += to > from ? to : from;
}

/* Calls begin at at; what is held from here on is given out as text if they are none. */
static reply_step enter_section(rf_reply *reply, size_t open) {
    rf_reply_drop_read(reply);
    reply->at = open;
    reply->n_calls = 0;
    return rf_reply_enter(reply, RF_REPLY_STATE_SECTION);
}

reply_step rf_reply_start(rf_reply *reply, reply_out *out) {
    const rf_reply_options *o = &reply->options;
    (void)out;
    size_t spaces = reply->at;
    rf_reply_skip_space(reply);
    rf_str text = rf_reply_rest(reply);
    if (text.len == 0 && !reply->final) {
        reply->at = spaces;
        return REPLY_MORE;
    }
    reply_step match = o->reasoning ? rf_reply_match(reply, text, o->reasoning->begin) : REPLY_BAD;
    if (match == REPLY_ON) {
        reply->at += strlen(o->reasoning->begin);
        reply->skips_space = true;
        return rf_reply_enter(reply, RF_REPLY_STATE_REASONING);
    }
    bool bare = o->syntax && o->syntax->open[0] == 0 && !reply->was_bare;
    reply_step call =
        bare && o->syntax->call[0] ? rf_reply_match(reply, text, o->syntax->call) : REPLY_BAD;
    if (match == REPLY_MORE || call == REPLY_MORE) {
        reply->at = spaces;
        return REPLY_MORE;
    }
    if (bare && (call == REPLY_ON || (text.len > 0 && rf_reply_is_one_of(text.ptr[0], "{[")))) {
        size_t read = reply->at - spaces + (call == REPLY_ON ? strlen(o->syntax->call) : 0);
        reply->was_bare = true;
        reply->at = spaces;
        return enter_section(reply, read);
    }
    reply->at = reply->skips_space ? reply->at : spaces;
    return rf_reply_enter(reply, RF_REPLY_STATE_TEXT);
}

reply_step rf_reply_reasoning(rf_reply *reply, reply_out *out) {
    const char *const end[] = {reply->options.reasoning->end};
    int which;
    size_t n = rf_reply_find(reply, rf_reply_rest(reply), end, 1, &which);
    give_text(reply, out, RF_REPLY_REASONING, n, false);
    if (which < 0) {
        rf_reply_drop_read(reply);
        return REPLY_MORE;
    }
    rf_reply_skip_space(reply);
    reply->at += strlen(end[0]);
    rf_reply_drop_read(reply);
    reply->skips_space = true;
    return rf_reply_enter(reply, RF_REPLY_STATE_START);
}

reply_step rf_reply_text(rf_reply *reply, reply_out *out) {
    const rf_call_syntax *syntax = reply->options.syntax;
    const char *const open[] = {syntax ? syntax->open : ""};
    int which;
    rf_str rest = rf_reply_rest(reply);
    size_t n = rf_reply_find(reply, rest, open, 1, &which);
    /* Text after a call that was none is given out from its first byte on. */
    give_text(reply, out, RF_REPLY_TEXT, n, which < 0 && reply->final);
    if (which < 0) {
        rf_reply_drop_read(reply);
        return REPLY_MORE;
    }
    return enter_section(reply, n - (rest.len - rf_reply_rest(reply).len) + strlen(open[0]));
}
