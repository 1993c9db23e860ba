/* The reply parser as its own files see it; private to chat/. A step reads held from at on, and
 * says whether it went on. */
#ifndef RF_CHAT_REPLY_STATE_H
#define RF_CHAT_REPLY_STATE_H

#include "chat/reply.h"

typedef enum reply_step {
    REPLY_ON,   /* something was read, or the state is another one */
    REPLY_MORE, /* more text is needed */
    REPLY_BAD   /* this is no call */
} reply_step;

typedef struct reply_out {
    rf_status status; /* of the callback; the first failure stays */
    rf_error *err;
} reply_out;

static inline rf_str rf_reply_rest(const rf_reply *reply) {
    return rf_str_sub(rf_buf_view(&reply->held), reply->at, reply->held.len);
}
static inline bool rf_reply_is_space(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static inline bool rf_reply_is_one_of(char c, const char *set) { return c != 0 && strchr(set, c); }
static inline reply_step rf_reply_enter(rf_reply *reply, rf_reply_state state) {
    reply->state = state;
    return REPLY_ON;
}

void rf_reply_give(rf_reply *reply, reply_out *out, rf_reply_part part, rf_str text);
/* The call is one: what was held of it is not text any more. */
void rf_reply_announce(rf_reply *reply, reply_out *out, rf_str name);
void rf_reply_end_call(rf_reply *reply, reply_out *out);
/* Forgets what was read. */
void rf_reply_drop_read(rf_reply *reply);
void rf_reply_skip_space(rf_reply *reply);

/* Does text begin with the marker? MORE: it may, once there is more of it; never when final. */
reply_step rf_reply_match(const rf_reply *reply, rf_str text, const char *marker);
/* Index of the first marker of a list ("" never) in text, and which one; or where the end of text
 * may begin one (text.len when final). */
size_t rf_reply_find(const rf_reply *reply, rf_str text, const char *const *markers, size_t n,
                     int *which);
/* The name as the tools know it ("functions.f:0" is f); empty: there is no such tool. */
rf_str rf_reply_tool(const rf_reply *reply, rf_str name);

/* A step of each state. */
reply_step rf_reply_start(rf_reply *reply, reply_out *out);
reply_step rf_reply_reasoning(rf_reply *reply, reply_out *out);
reply_step rf_reply_text(rf_reply *reply, reply_out *out);
reply_step rf_reply_section(rf_reply *reply, reply_out *out);
reply_step rf_reply_name(rf_reply *reply, reply_out *out);
reply_step rf_reply_arguments(rf_reply *reply, reply_out *out);
reply_step rf_reply_call_tail(rf_reply *reply, reply_out *out);
reply_step rf_reply_object(rf_reply *reply, reply_out *out);
reply_step rf_reply_params(rf_reply *reply, reply_out *out);
reply_step rf_reply_value(rf_reply *reply, reply_out *out);
reply_step rf_reply_header(rf_reply *reply, reply_out *out);
reply_step rf_reply_body(rf_reply *reply, reply_out *out);

#endif
