#include "chat/reply.h"

#include "chat/reply_state.h"

enum { HELD_MAX_BYTES = 64 << 20 };

/* ---- what the states share ------------------------------------------------------------------- */

void rf_reply_give(rf_reply *reply, reply_out *out, rf_reply_part part, rf_str text) {
    bool empty = text.len == 0 && part != RF_REPLY_CALL && part != RF_REPLY_CALL_END;
    if (out->status == RF_OK && !empty)
        out->status = reply->options.on_part(reply->options.user, part, text, out->err);
}

void rf_reply_drop_read(rf_reply *reply) {
    size_t rest = reply->held.len - reply->at;
    if (reply->at > 0 && rest > 0)
        memmove(reply->held.data, reply->held.data + reply->at, rest);
    reply->held.len = rest;
    reply->at = 0;
}

void rf_reply_skip_space(rf_reply *reply) {
    while (reply->at < reply->held.len && rf_reply_is_space(reply->held.data[reply->at]))
        reply->at++;
}

void rf_reply_announce(rf_reply *reply, reply_out *out, rf_str name) {
    reply->announced = true;
    rf_reply_give(reply, out, RF_REPLY_CALL, name);
}

void rf_reply_end_call(rf_reply *reply, reply_out *out) {
    reply->announced = false;
    reply->n_calls++;
    rf_reply_give(reply, out, RF_REPLY_CALL_END, (rf_str){0});
    rf_reply_drop_read(reply);
}

reply_step rf_reply_match(const rf_reply *reply, rf_str text, const char *marker) {
    rf_str m = rf_str_of(marker);
    if (rf_str_starts(text, m))
        return REPLY_ON;
    return !reply->final && rf_str_starts(m, text) ? REPLY_MORE : REPLY_BAD;
}

size_t rf_reply_find(const rf_reply *reply, rf_str text, const char *const *markers, size_t n,
                     int *which) {
    *which = -1;
    size_t first = text.len, held = text.len;
    for (size_t i = 0; i < n; i++) {
        rf_str m = rf_str_of(markers[i]);
        const char *at = m.len && text.len ? memmem(text.ptr, text.len, m.ptr, m.len) : NULL;
        if (at && (size_t)(at - text.ptr) < first) {
            first = (size_t)(at - text.ptr);
            *which = (int)i;
        }
        for (size_t k = text.len > m.len ? text.len - m.len : 0; m.len && k < held; k++)
            if (rf_str_starts(m, rf_str_sub(text, k, text.len)))
                held = k;
    }
    return *which >= 0 || reply->final ? first : held;
}

static bool known(const rf_reply *reply, rf_str name) {
    return name.len > 0 &&
           (!reply->options.is_tool || reply->options.is_tool(reply->options.user, name));
}

rf_str rf_reply_tool(const rf_reply *reply, rf_str name) {
    while (name.len > 0 && rf_reply_is_space(name.ptr[0]))
        name = rf_str_sub(name, 1, name.len);
    while (name.len > 0 && rf_reply_is_space(name.ptr[name.len - 1]))
        name.len--;
    rf_str space = RF_STR("functions.");
    if (rf_str_starts(name, space)) {
        rf_str inner = rf_str_sub(name, space.len, name.len);
        size_t n = inner.len;
        while (n > 0 && inner.ptr[n - 1] >= '0' && inner.ptr[n - 1] <= '9')
            n--;
        if (n > 1 && n < inner.len && inner.ptr[n - 1] == ':')
            inner.len = n - 1;
        if (known(reply, inner))
            return inner;
    }
    return known(reply, name) ? name : (rf_str){0};
}

/* ---- life ----------------------------------------------------------------------------------- */

static reply_step (*const states[])(rf_reply *, reply_out *) = {
    [RF_REPLY_STATE_START] = rf_reply_start,
    [RF_REPLY_STATE_REASONING] = rf_reply_reasoning,
    [RF_REPLY_STATE_TEXT] = rf_reply_text,
    [RF_REPLY_STATE_SECTION] = rf_reply_section,
    [RF_REPLY_STATE_OBJECT] = rf_reply_object,
    [RF_REPLY_STATE_NAME] = rf_reply_name,
    [RF_REPLY_STATE_ARGUMENTS] = rf_reply_arguments,
    [RF_REPLY_STATE_CALL_TAIL] = rf_reply_call_tail,
    [RF_REPLY_STATE_PARAMS] = rf_reply_params,
    [RF_REPLY_STATE_VALUE] = rf_reply_value,
    [RF_REPLY_STATE_HEADER] = rf_reply_header,
    [RF_REPLY_STATE_BODY] = rf_reply_body,
};
_Static_assert(sizeof states / sizeof *states == RF_REPLY_STATE_COUNT, "every state has a step");

/* A call that was announced ends where it breaks; one that was not is text from its first byte,
 * which may be followed by a call. */
static void recover(rf_reply *reply, reply_out *out) {
    if (reply->announced) {
        if (reply->options.syntax->form == RF_CALL_PARAMS)
            rf_reply_give(reply, out, RF_REPLY_ARGUMENTS, RF_STR("}"));
        rf_reply_end_call(reply, out);
        reply->n_calls = 0;
    } else {
        size_t open = strlen(reply->options.syntax->open);
        reply->at = 0;
        reply->skips_space = false;
        size_t n = reply->n_calls == 0 && open > 0 && open <= reply->held.len ? open : 1;
        rf_reply_give(reply, out, RF_REPLY_TEXT, rf_str_sub(rf_buf_view(&reply->held), 0, n));
        reply->at = n < reply->held.len ? n : reply->held.len;
        rf_reply_drop_read(reply);
    }
    reply->state = RF_REPLY_STATE_TEXT;
}

static rf_status run(rf_reply *reply, rf_error *err) {
    reply_out out = {.err = err};
    if (reply->held.failed)
        return rf_fail(err, RF_ERR_LIMIT, "a call of a tool is longer than %d bytes",
                       HELD_MAX_BYTES);
    for (;;) {
        reply_step step = states[reply->state](reply, &out);
        if (step == REPLY_BAD)
            recover(reply, &out);
        if (out.status != RF_OK)
            return out.status;
        if (reply->name.failed || reply->key.failed)
            return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for a call");
        if (step == REPLY_MORE)
            return RF_OK;
    }
}

void rf_reply_init(rf_reply *reply, const rf_reply_options *options) {
    *reply = (rf_reply){.options = *options};
    rf_buf_init(&reply->held, HELD_MAX_BYTES);
    rf_buf_init(&reply->name, 1 << 20);
    rf_buf_init(&reply->key, 1 << 20);
    if (options->syntax && options->syntax->form == RF_CALL_CHANNELS)
        reply->state = RF_REPLY_STATE_HEADER;
    else if (options->reasoning && options->reasoning_open)
        reply->state = RF_REPLY_STATE_REASONING;
    reply->skips_space = reply->state == RF_REPLY_STATE_REASONING;
}

void rf_reply_deinit(rf_reply *reply) {
    rf_buf_deinit(&reply->held);
    rf_buf_deinit(&reply->name);
    rf_buf_deinit(&reply->key);
}

rf_status rf_reply_push(rf_reply *reply, rf_str piece, rf_error *err) {
    rf_buf_str(&reply->held, piece);
    return run(reply, err);
}

rf_status rf_reply_finish(rf_reply *reply, rf_error *err) {
    reply_out out = {.err = err};
    reply->final = true;
    RF_TRY(run(reply, err));
    if (reply->announced) {
        rf_reply_end_call(reply, &out); /* what came of it has been given out */
        return out.status;
    }
    bool inside = reply->state >= RF_REPLY_STATE_SECTION && reply->state < RF_REPLY_STATE_HEADER;
    if (inside && reply->n_calls == 0) { /* a call that never came to its end */
        reply->at = 0;
        rf_reply_give(reply, &out, RF_REPLY_TEXT, rf_buf_view(&reply->held));
    } else {
        rf_reply_skip_space(reply);
        rf_reply_give(reply, &out, RF_REPLY_TEXT, rf_reply_rest(reply));
    }
    rf_buf_clear(&reply->held);
    reply->at = 0;
    return out.status;
}

bool rf_reply_is_reasoning(const rf_reply *reply) {
    return reply->state == RF_REPLY_STATE_REASONING ||
           (reply->state == RF_REPLY_STATE_BODY && reply->is_reasoning);
}
