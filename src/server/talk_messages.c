/* Messages of chats, checked and brought into the shape that templates know. */
#include "server/talk.h"

enum { TEXT_BYTES = 256 << 20 };

static bool no_memory(rf_refusal *refusal) {
    return rf_refuse(refusal, RF_REFUSE_FAILED, NULL, "out of memory for the messages");
}

/* {"type": "text", "text": …}, the only kind of part that a text model can read. */
static bool add_part(const json_t *part, size_t i, rf_buf *text, rf_refusal *refusal) {
    const char *type = json_string_value(json_object_get(part, "type"));
    const json_t *words = json_object_get(part, "text");
    if (!type || strcmp(type, "text") != 0)
        return rf_refuse(refusal, RF_REFUSE_UNSUPPORTED, "messages",
                         "messages[%zu].content: found a part of type %.40s, expected text", i,
                         type ? type : rf_json_kind_name(json_object_get(part, "type")));
    if (!json_is_string(words))
        return rf_refuse(refusal, RF_REFUSE_TYPE, "messages",
                         "messages[%zu].content: found %s as the text of a part, expected a string",
                         i, rf_json_kind_name(words));
    rf_buf_append(text, json_string_value(words), json_string_length(words));
    return true;
}

static bool join_parts(json_t *message, const json_t *parts, size_t i, rf_refusal *refusal) {
    rf_buf text;
    rf_buf_init(&text, TEXT_BYTES);
    bool ok = true;
    for (size_t p = 0; ok && p < json_array_size(parts); p++)
        ok = add_part(json_array_get(parts, p), i, &text, refusal);
    if (ok && (text.failed ||
               json_object_set_new(message, "content",
                                   json_stringn(text.data ? text.data : "", text.len)) != 0))
        ok = no_memory(refusal);
    rf_buf_deinit(&text);
    return ok;
}

static bool check_content(json_t *message, size_t i, rf_refusal *refusal) {
    const json_t *content = json_object_get(message, "content");
    if (json_is_array(content))
        return join_parts(message, content, i, refusal);
    if (!content || json_is_null(content)) /* beside tool calls of the past, for one */
        return json_object_set_new(message, "content", json_string("")) == 0 || no_memory(refusal);
    return json_is_string(content) ||
           rf_refuse(refusal, RF_REFUSE_TYPE, "messages",
                     "messages[%zu].content: found %s, expected a string or an array", i,
                     rf_json_kind_name(content));
}

static bool check_message(json_t *message, size_t i, rf_refusal *refusal) {
    static const char *const roles[] = {"system", "user", "assistant", "tool", "function"};
    if (!json_is_object(message))
        return rf_refuse(refusal, RF_REFUSE_TYPE, "messages",
                         "messages[%zu]: found %s, expected an object", i,
                         rf_json_kind_name(message));
    const json_t *named = json_object_get(message, "role");
    const char *role = json_string_value(named);
    if (!role)
        return rf_refuse(refusal, named ? RF_REFUSE_TYPE : RF_REFUSE_MISSING, "messages",
                         "messages[%zu].role: found %s, expected a string", i,
                         rf_json_kind_name(named));
    if (strcmp(role, "developer") == 0) {
        if (json_object_set_new(message, "role", json_string("system")) != 0)
            return no_memory(refusal);
        return check_content(message, i, refusal);
    }
    for (size_t r = 0; r < sizeof roles / sizeof *roles; r++)
        if (strcmp(role, roles[r]) == 0)
            return check_content(message, i, refusal);
    return rf_refuse(refusal, RF_REFUSE_VALUE, "messages",
                     "messages[%zu].role: found %.40s, expected system, developer, user, "
                     "assistant or tool",
                     i, role);
}

/* Arguments of calls come as a text that holds an object; most templates want the object. */
bool rf_talk_open_arguments(json_t *messages, bool *changed) {
    json_t *message, *call;
    size_t i, c;
    json_array_foreach(messages, i, message) {
        json_array_foreach(json_object_get(message, "tool_calls"), c, call) {
            json_t *function = json_object_get(call, "function");
            const json_t *text = json_object_get(function, "arguments");
            json_t *object = json_is_string(text) ? json_loadb(json_string_value(text),
                                                               json_string_length(text), 0, NULL)
                                                  : NULL;
            if (!json_is_object(object)) {
                json_decref(object);
                continue;
            }
            if (json_object_set_new(function, "arguments", object) != 0)
                return false;
            *changed = true;
        }
    }
    return true;
}

bool rf_talk_check_messages(json_t *messages, rf_refusal *refusal) {
    json_t *message;
    size_t i;
    json_array_foreach(messages, i, message) {
        if (!check_message(message, i, refusal))
            return false;
    }
    return true;
}
