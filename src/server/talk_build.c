#include "server/talk_build.h"

bool rf_talk_set_text(json_t *message, const char *key, rf_str text) {
    return json_object_set_new(message, key, json_stringn(text.ptr ? text.ptr : "", text.len)) == 0;
}

json_t *rf_talk_add(json_t *messages, const char *role, rf_str content) {
    json_t *message = json_pack("{s:s}", "role", role);
    if (!message || !rf_talk_set_text(message, "content", content)) {
        json_decref(message);
        return NULL;
    }
    return json_array_append_new(messages, message) == 0 ? message : NULL;
}

bool rf_talk_add_call(json_t *message, const char *id, const char *name, const char *arguments) {
    json_t *calls = json_object_get(message, "tool_calls");
    if (!calls) {
        calls = json_array();
        if (!calls || json_object_set_new(message, "tool_calls", calls) != 0)
            return false;
    }
    return json_array_append_new(calls,
                                 json_pack("{s:s,s:s,s:{s:s,s:s}}", "id", id, "type", "function",
                                           "function", "name", name, "arguments", arguments)) == 0;
}

bool rf_talk_add_tool(json_t *tools, const json_t *name, json_t *description, json_t *parameters) {
    return json_array_append_new(tools, json_pack("{s:s,s:{s:O,s:O*,s:O*}}", "type", "function",
                                                  "function", "name", name, "description",
                                                  description, "parameters", parameters)) == 0;
}

static bool set_missing(json_t *object, const char *key, json_t *value) {
    if (!json_object_get(object, key))
        return json_object_set_new(object, key, value) == 0;
    json_decref(value);
    return true;
}

bool rf_talk_set_effort(rf_talk *talk, rf_str effort) {
    json_t *kwargs = talk->kwargs ? json_copy(talk->kwargs) : json_object();
    bool thinks = !rf_str_is(effort, "none");
    bool ok = kwargs &&
              set_missing(kwargs, "reasoning_effort", json_stringn(effort.ptr, effort.len)) &&
              set_missing(kwargs, "enable_thinking", json_boolean(thinks));
    if (!ok) {
        json_decref(kwargs);
        return false;
    }
    json_decref(talk->kwargs);
    talk->kwargs = kwargs;
    return true;
}
