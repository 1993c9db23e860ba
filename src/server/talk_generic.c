/* Tools for models whose chat template knows none: told in the system message, as JSON; calls of
 * the past are written as the model is asked to write them. */
#include "base/alloc.h"
#include "base/buf.h"
#include "server/talk.h"

enum { TEXT_BYTES = 64 << 20 };

static bool append_json(rf_buf *out, const json_t *value) {
    char *text = json_dumps(value, JSON_ENCODE_ANY);
    rf_buf_text(out, text ? text : "");
    rf_free(text);
    return text != NULL;
}

static bool write_tools(const json_t *tools, rf_buf *out) {
    json_t *tool;
    size_t i;
    rf_buf_text(out, "You may call these functions:\n");
    json_array_foreach(tools, i, tool) {
        if (!append_json(out, json_object_get(tool, "function")))
            return false;
        rf_buf_put(out, '\n');
    }
    rf_buf_text(out, "To call one, answer with nothing but a JSON object: "
                     "{\"name\": the function's name, \"arguments\": {its arguments}}. "
                     "You will be told what it returns.");
    return true;
}

static bool set_content(json_t *message, const rf_buf *text) {
    return !text->failed &&
           json_object_set_new(message, "content",
                               json_stringn(text->data ? text->data : "", text->len)) == 0;
}

/* Into the first message, which is the system's, or becomes one. */
static bool tell(json_t *messages, const json_t *tools) {
    json_t *first = json_array_get(messages, 0);
    const char *role = json_string_value(json_object_get(first, "role"));
    bool is_system = role && strcmp(role, "system") == 0;
    const json_t *said = is_system ? json_object_get(first, "content") : NULL;
    rf_buf text;
    rf_buf_init(&text, TEXT_BYTES);
    if (json_string_length(said) > 0) {
        rf_buf_append(&text, json_string_value(said), json_string_length(said));
        rf_buf_text(&text, "\n\n");
    }
    bool ok = write_tools(tools, &text);
    if (ok && !is_system) {
        first = json_pack("{s:s}", "role", "system");
        ok = first && json_array_insert_new(messages, 0, first) == 0;
    }
    ok = ok && set_content(first, &text);
    rf_buf_deinit(&text);
    return ok;
}

static bool write_calls(json_t *message, const json_t *calls) {
    const json_t *said = json_object_get(message, "content");
    json_t *call;
    size_t i;
    bool ok = true;
    rf_buf text;
    rf_buf_init(&text, TEXT_BYTES);
    rf_buf_append(&text, json_string_value(said), json_string_length(said));
    json_array_foreach(calls, i, call) {
        const json_t *function = json_object_get(call, "function");
        rf_buf_text(&text, text.len > 0 ? "\n{\"name\": " : "{\"name\": ");
        ok = ok && append_json(&text, json_object_get(function, "name"));
        rf_buf_text(&text, ", \"arguments\": ");
        ok = ok && append_json(&text, json_object_get(function, "arguments"));
        rf_buf_put(&text, '}');
    }
    ok = ok && set_content(message, &text);
    rf_buf_deinit(&text);
    return ok;
}

bool rf_talk_tell_tools(json_t *messages, const json_t *tools) {
    json_t *message;
    size_t i;
    json_array_foreach(messages, i, message) {
        const json_t *calls = json_object_get(message, "tool_calls");
        if (json_array_size(calls) > 0 && !write_calls(message, calls))
            return false;
    }
    return !tools || tell(messages, tools);
}
