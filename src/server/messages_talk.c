/* Anthropic's messages as a talk: blocks become texts, calls and results of tools in OpenAI's
 * shape. */
#include "base/alloc.h"
#include "server/anthropic.h"
#include "server/talk_build.h"

enum { TEXT_BYTES = 256 << 20 };

typedef struct reader {
    rf_talk *talk;
    rf_refusal *refusal;
    size_t i; /* of the message */
} reader;

static bool no_memory(const reader *r) {
    return rf_refuse(r->refusal, RF_REFUSE_FAILED, NULL, "out of memory for the messages");
}

static bool wrong(const reader *r, const char *what, const json_t *found, const char *expected) {
    return rf_refuse(r->refusal, found ? RF_REFUSE_TYPE : RF_REFUSE_MISSING, "messages",
                     "messages[%zu]%s: found %s, expected %s", r->i, what, rf_json_kind_name(found),
                     expected);
}

static bool unsupported(const reader *r, const char *type) {
    return rf_refuse(r->refusal, RF_REFUSE_UNSUPPORTED, "messages",
                     "messages[%zu].content: found a block of type %.40s, which this server cannot "
                     "read",
                     r->i, type);
}

static const char *type_of(const json_t *block) {
    return json_string_value(json_object_get(block, "type"));
}

static rf_str text_of(const json_t *value) {
    return (rf_str){json_string_value(value), json_string_length(value)};
}

/* The text of a string or of text blocks, one after another. */
static bool join(const reader *r, const json_t *content, const char *field, rf_buf *out) {
    json_t *block;
    size_t i;
    if (json_is_string(content))
        rf_buf_str(out, text_of(content));
    else if (content && !json_is_array(content))
        return rf_refuse(r->refusal, RF_REFUSE_TYPE, field,
                         "%s: found %s, expected a string or an array", field,
                         rf_json_kind_name(content));
    json_array_foreach(content, i, block) {
        const json_t *text = json_object_get(block, "text");
        const char *type = type_of(block);
        if (!type || strcmp(type, "text") != 0 || !json_is_string(text))
            return rf_refuse(r->refusal, RF_REFUSE_UNSUPPORTED, field,
                             "%s: found a block of type %.40s, expected text", field,
                             type ? type : rf_json_kind_name(block));
        /* Claude Code's line of the day, which would cost the prefix each time. */
        if (strncmp(json_string_value(text), "x-anthropic-billing-header", 26) == 0)
            continue;
        if (out->len > 0)
            rf_buf_text(out, "\n");
        rf_buf_str(out, text_of(text));
    }
    return !out->failed || no_memory(r);
}

/* What a tool returned is a message of its own. */
static bool add_result(const reader *r, const json_t *block) {
    const char *id = json_string_value(json_object_get(block, "tool_use_id"));
    if (!id)
        return wrong(r, ".content.tool_use_id", json_object_get(block, "tool_use_id"), "a string");
    rf_buf text;
    rf_buf_init(&text, TEXT_BYTES);
    bool ok = join(r, json_object_get(block, "content"), "messages", &text);
    json_t *message = ok ? rf_talk_add(r->talk->messages, "tool", rf_buf_view(&text)) : NULL;
    rf_buf_deinit(&text);
    if (!ok)
        return false;
    return (message && json_object_set_new(message, "tool_call_id", json_string(id)) == 0) ||
           no_memory(r);
}

static bool add_use(const reader *r, json_t *message, const json_t *block) {
    const char *id = json_string_value(json_object_get(block, "id"));
    const char *name = json_string_value(json_object_get(block, "name"));
    const json_t *input = json_object_get(block, "input");
    if (!id || !name)
        return wrong(r, ".content.tool_use",
                     id ? json_object_get(block, "name") : json_object_get(block, "id"),
                     "an id and a name, which are strings");
    if (!json_is_object(input))
        return wrong(r, ".content.tool_use.input", input, "an object");
    char *arguments = json_dumps(input, JSON_COMPACT);
    bool ok = arguments && rf_talk_add_call(message, id, name, arguments);
    rf_free(arguments);
    return ok || no_memory(r);
}

static bool take_user(const reader *r, const json_t *content, rf_buf *text) {
    json_t *block;
    size_t i;
    json_array_foreach(content, i, block) {
        const char *type = type_of(block);
        if (!type)
            return wrong(r, ".content.type", json_object_get(block, "type"), "a string");
        if (strcmp(type, "tool_result") == 0) {
            if (!add_result(r, block))
                return false;
            continue;
        }
        const json_t *words = json_object_get(block, "text");
        if (strcmp(type, "text") != 0)
            return unsupported(r, type);
        if (!json_is_string(words))
            return wrong(r, ".content.text", words, "a string");
        if (text->len > 0)
            rf_buf_text(text, "\n");
        rf_buf_str(text, text_of(words));
    }
    return true;
}

static bool take_assistant(const reader *r, const json_t *content, json_t *message, rf_buf *text,
                           rf_buf *thoughts) {
    json_t *block;
    size_t i;
    json_array_foreach(content, i, block) {
        const char *type = type_of(block);
        const json_t *words = json_object_get(block, "text");
        const json_t *thought = json_object_get(block, "thinking");
        if (!type)
            return wrong(r, ".content.type", json_object_get(block, "type"), "a string");
        if (strcmp(type, "text") == 0 && json_is_string(words))
            rf_buf_str(text, text_of(words));
        else if (strcmp(type, "thinking") == 0)
            rf_buf_str(thoughts, text_of(thought));
        else if (strcmp(type, "tool_use") == 0) {
            if (!add_use(r, message, block))
                return false;
        } else if (strcmp(type, "redacted_thinking") != 0) {
            return unsupported(r, type);
        }
    }
    return true;
}

static bool add_user(const reader *r, const char *role, const json_t *content) {
    rf_buf text;
    rf_buf_init(&text, TEXT_BYTES);
    bool ok =
        json_is_array(content) ? take_user(r, content, &text) : join(r, content, "messages", &text);
    bool results_alone = json_is_array(content) && text.len == 0 && json_array_size(content) > 0;
    if (ok && (text.failed ||
               (!results_alone && !rf_talk_add(r->talk->messages, role, rf_buf_view(&text)))))
        ok = no_memory(r);
    rf_buf_deinit(&text);
    return ok;
}

static bool add_assistant(const reader *r, const json_t *content) {
    rf_buf text, thoughts;
    rf_buf_init(&text, TEXT_BYTES);
    rf_buf_init(&thoughts, TEXT_BYTES);
    json_t *message = rf_talk_add(r->talk->messages, "assistant", (rf_str){0});
    bool ok = message != NULL || no_memory(r);
    ok = ok && (json_is_array(content) ? take_assistant(r, content, message, &text, &thoughts)
                                       : join(r, content, "messages", &text));
    if (ok && (text.failed || thoughts.failed ||
               !rf_talk_set_text(message, "content", rf_buf_view(&text)) ||
               (thoughts.len > 0 &&
                !rf_talk_set_text(message, "reasoning_content", rf_buf_view(&thoughts)))))
        ok = no_memory(r);
    rf_buf_deinit(&text);
    rf_buf_deinit(&thoughts);
    return ok;
}

static bool add_message(const reader *r, const json_t *message) {
    const json_t *named = json_object_get(message, "role");
    const json_t *content = json_object_get(message, "content");
    const char *role = json_string_value(named);
    if (!json_is_object(message))
        return wrong(r, "", message, "an object");
    if (!role)
        return wrong(r, ".role", named, "a string");
    if (!json_is_string(content) && !json_is_array(content))
        return wrong(r, ".content", content, "a string or an array");
    if (strcmp(role, "assistant") == 0)
        return add_assistant(r, content);
    if (strcmp(role, "user") == 0 || strcmp(role, "system") == 0)
        return add_user(r, role, content);
    return rf_refuse(r->refusal, RF_REFUSE_VALUE, "messages",
                     "messages[%zu].role: found %.40s, expected user or assistant", r->i, role);
}

static bool add_system(const reader *r, const json_t *system) {
    rf_buf text;
    rf_buf_init(&text, TEXT_BYTES);
    bool ok = join(r, system, "system", &text);
    if (ok && text.len > 0 && !rf_talk_add(r->talk->messages, "system", rf_buf_view(&text)))
        ok = no_memory(r);
    rf_buf_deinit(&text);
    return ok;
}

/* ---- tools ----------------------------------------------------------------------------------- */

static bool add_tools(const reader *r, const json_t *tools) {
    json_t *tool;
    size_t i;
    if (json_array_size(tools) == 0)
        return true;
    r->talk->tools = json_array();
    json_array_foreach(tools, i, tool) {
        const char *type = type_of(tool);
        json_t *schema = json_object_get(tool, "input_schema");
        const json_t *name = json_object_get(tool, "name");
        const json_t *kind = json_object_get(tool, "type");
        if (kind && !json_is_null(kind) && (!type || strcmp(type, "custom") != 0))
            return rf_refuse(r->refusal, RF_REFUSE_UNSUPPORTED, "tools",
                             "tools[%zu].type: found %.40s, expected custom: this server runs no "
                             "tools itself",
                             i, type ? type : rf_json_kind_name(kind));
        if (!json_is_string(name))
            return rf_refuse(r->refusal, name ? RF_REFUSE_TYPE : RF_REFUSE_MISSING, "tools",
                             "tools[%zu].name: found %s, expected a string", i,
                             rf_json_kind_name(name));
        if (!rf_talk_add_tool(r->talk->tools, name, json_object_get(tool, "description"), schema))
            return no_memory(r);
    }
    return true;
}

static bool take_choice(const reader *r, const json_t *choice) {
    static const char *const words[] = {"auto", "none", "any", "tool"};
    const char *type = type_of(choice);
    const char *name = json_string_value(json_object_get(choice, "name"));
    if (!choice)
        return true;
    if (json_is_true(json_object_get(choice, "disable_parallel_tool_use")))
        r->talk->one_call = true;
    bool has_name = json_object_get(choice, "name") != NULL;
    for (size_t i = 0; type && (name || !has_name) && i < 4; i++) {
        if (strcmp(type, words[i]) != 0)
            continue;
        if (i == RF_TOOLS_NAMED && !name)
            break;
        return rf_talk_set_tool_choice(r->talk, (rf_tool_choice)i, name, r->refusal);
    }
    return rf_refuse(
        r->refusal, json_is_object(choice) ? RF_REFUSE_VALUE : RF_REFUSE_TYPE, "tool_choice",
        "tool_choice: found %.40s, expected {\"type\": auto, any, tool with a name, or "
        "none}",
        type ? type : rf_json_kind_name(choice));
}

static bool take_thinking(const reader *r, const json_t *thinking) {
    const char *type = type_of(thinking);
    if (!thinking)
        return true;
    if (!type || (strcmp(type, "enabled") != 0 && strcmp(type, "disabled") != 0 &&
                  strcmp(type, "adaptive") != 0))
        return rf_refuse(r->refusal, type ? RF_REFUSE_VALUE : RF_REFUSE_TYPE, "thinking",
                         "thinking.type: found %.40s, expected enabled, adaptive or disabled",
                         type ? type : rf_json_kind_name(thinking));
    r->talk->kwargs = json_pack("{s:b}", "enable_thinking", strcmp(type, "disabled") != 0);
    return r->talk->kwargs || no_memory(r);
}

bool rf_talk_init_messages(rf_talk *talk, const rf_ask *ask, rf_refusal *refusal) {
    reader r = {.talk = talk, .refusal = refusal};
    const json_t *messages = rf_ask_json(ask, RF_FIELD_CLAUDE_MESSAGES);
    json_t *message;
    if (!messages)
        return rf_refuse(refusal, RF_REFUSE_MISSING, "messages", "messages: expected an array");
    *talk = (rf_talk){.messages = json_array(), .field = "messages"};
    if (!talk->messages)
        return no_memory(&r);
    if (!add_system(&r, rf_ask_json(ask, RF_FIELD_SYSTEM)))
        return false;
    json_array_foreach(messages, r.i, message) {
        if (!add_message(&r, message))
            return false;
    }
    const json_t *last = json_array_get(messages, json_array_size(messages) - 1);
    const char *role = json_string_value(json_object_get(last, "role"));
    talk->continues_last = strcmp(role, "assistant") == 0;
    talk->adds_prompt = !talk->continues_last;
    return add_tools(&r, rf_ask_json(ask, RF_FIELD_CLAUDE_TOOLS)) &&
           rf_talk_check_tools(talk, refusal) &&
           take_choice(&r, rf_ask_json(ask, RF_FIELD_CLAUDE_TOOL_CHOICE)) &&
           take_thinking(&r, rf_ask_json(ask, RF_FIELD_THINKING));
}
