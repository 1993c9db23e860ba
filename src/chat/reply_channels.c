/*
 * gpt-oss' messages (OpenAI's harmony format): a header that says the channel and, of a call, whom
 * it goes to, then <|message|>, the text, and a marker of its end.
 */
#include "chat/reply_state.h"

static const char *const message[] = {"<|message|>"};
static const char *const ends[] = {"<|end|>", "<|return|>", "<|call|>", "<|start|>"};
enum { HEADER_MAX_BYTES = 4096 };

static bool contains(rf_str text, const char *what) {
    return text.len > 0 && memmem(text.ptr, text.len, what, strlen(what));
}

/* "to=functions.f" in a header: f, if there is such a tool. */
static rf_str recipient(const rf_reply *reply, rf_str header) {
    rf_str to = RF_STR("to="), space = RF_STR("functions.");
    const char *at = header.len ? memmem(header.ptr, header.len, to.ptr, to.len) : NULL;
    if (!at)
        return (rf_str){0};
    rf_str name = rf_str_sub(header, (size_t)(at - header.ptr) + to.len, header.len);
    size_t n = 0;
    if (!rf_str_starts(name, space)) /* a built-in one, or the assistant */
        return (rf_str){0};
    while (n < name.len && !rf_reply_is_space(name.ptr[n]) && name.ptr[n] != '<')
        n++;
    return rf_reply_tool(reply, rf_str_sub(name, 0, n));
}

reply_step rf_reply_header(rf_reply *reply, reply_out *out) {
    (void)out;
    int which;
    rf_str rest = rf_reply_rest(reply);
    size_t n = rf_reply_find(reply, rest, message, 1, &which);
    if (n > HEADER_MAX_BYTES)
        return REPLY_BAD;
    if (which < 0) {
        bool header = rf_str_starts(rest, RF_STR("<|"));
        if (reply->final && header) /* cut off: no text of the answer */
            reply->at = reply->held.len;
        return REPLY_MORE;
    }
    rf_str header = rf_str_sub(rest, 0, n), tool = recipient(reply, header);
    rf_buf_clear(&reply->name);
    rf_buf_str(&reply->name, tool);
    reply->scan = (rf_json_scan){0};
    reply->is_reasoning = contains(header, "analysis");
    reply->at += n + strlen(message[0]);
    reply->state = tool.len > 0 ? RF_REPLY_STATE_ARGUMENTS : RF_REPLY_STATE_BODY;
    if (tool.len == 0)
        rf_reply_drop_read(reply);
    return REPLY_ON;
}

reply_step rf_reply_body(rf_reply *reply, reply_out *out) {
    int which;
    rf_str rest = rf_reply_rest(reply);
    size_t n = rf_reply_find(reply, rest, ends, sizeof ends / sizeof *ends, &which);
    rf_reply_give(reply, out, reply->is_reasoning ? RF_REPLY_REASONING : RF_REPLY_TEXT,
                  rf_str_sub(rest, 0, n));
    reply->at += n;
    if (which >= 0 && which < 3)
        reply->at += strlen(ends[which]);
    rf_reply_drop_read(reply);
    if (which < 0)
        return REPLY_MORE;
    reply->state = RF_REPLY_STATE_HEADER;
    return REPLY_ON;
}
