/* The input of OpenAI's responses as a talk: items become messages in the shape of chats. */
#include "base/log.h"
#include "server/responses.h"
#include "server/talk_build.h"

enum { TEXT_BYTES = 256 << 20 };

typedef struct reader {
    rf_talk *talk;
    rf_refusal *refusal;
    size_t i; /* of the item */
} reader;

static bool no_memory(const reader *r) {
    return rf_refuse(r->refusal, RF_REFUSE_FAILED, NULL, "out of memory for the input");
}

static bool wrong(const reader *r, const char *what, const json_t *found, const char *expected) {
    return rf_refuse(r->refusal, found ? RF_REFUSE_TYPE : RF_REFUSE_MISSING, "input",
                     "input[%zu]%s: found %s, expected %s", r->i, what, rf_json_kind_name(found),
                     expected);
}

static const char *text_at(const json_t *object, const char *key) {
    return json_string_value(json_object_get(object, key));
}

static bool is_text_part(const char *type) {
    static const char *const types[] = {"input_text", "output_text", "text", "summary_text",
                                        "reasoning_text"};
    for (size_t i = 0; type && i < sizeof types / sizeof *types; i++)
        if (strcmp(type, types[i]) == 0)
            return true;
    return false;
}

/* A string or parts that are text, one after another. */
static bool join(const reader *r, const json_t *content, const char *what, rf_buf *out) {
    json_t *part;
    size_t i;
    if (json_is_string(content))
        rf_buf_append(out, json_string_value(content), json_string_length(content));
    else if (!json_is_array(content))
        return wrong(r, what, content, "a string or an array");
    json_array_foreach(content, i, part) {
        const char *type = text_at(part, "type");
        bool refusal = type && strcmp(type, "refusal") == 0;
        const json_t *text = json_object_get(part, refusal ? "refusal" : "text");
        if (!refusal && !is_text_part(type))
            return rf_refuse(r->refusal, RF_REFUSE_UNSUPPORTED, "input",
                             "input[%zu]%s: found a part of type %.40s, which this server cannot "
                             "read",
                             r->i, what, type ? type : rf_json_kind_name(part));
        if (!json_is_string(text))
            return wrong(r, ".content.text", text, "a string");
        rf_buf_append(out, json_string_value(text), json_string_length(text));
    }
    return !out->failed || no_memory(r);
}

/* The assistant's message that is being put together, or a further one: reasoning, text and calls
 * come as items of their own. */
static json_t *assistant(const reader *r) {
    json_t *messages = r->talk->messages;
    json_t *last = json_array_get(messages, json_array_size(messages) - 1);
    const char *role = text_at(last, "role");
    if (role && strcmp(role, "assistant") == 0)
        return last;
    return rf_talk_add(messages, "assistant", (rf_str){0});
}

static bool add_message(const reader *r, const json_t *item) {
    const char *role = text_at(item, "role");
    rf_buf text;
    rf_buf_init(&text, TEXT_BYTES);
    if (!role)
        return wrong(r, ".role", json_object_get(item, "role"), "a string");
    bool ok = join(r, json_object_get(item, "content"), ".content", &text);
    if (ok && strcmp(role, "assistant") == 0) {
        json_t *message = assistant(r);
        bool taken = json_string_length(json_object_get(message, "content")) > 0 ||
                     json_object_get(message, "tool_calls");
        if (taken)
            message = rf_talk_add(r->talk->messages, role, rf_buf_view(&text));
        else if (message && !rf_talk_set_text(message, "content", rf_buf_view(&text)))
            message = NULL;
        ok = message || no_memory(r);
    } else if (ok) {
        ok = rf_talk_add(r->talk->messages, role, rf_buf_view(&text)) || no_memory(r);
    }
    rf_buf_deinit(&text);
    return ok;
}

static bool add_call(const reader *r, const json_t *item) {
    const char *id = text_at(item, "call_id"), *name = text_at(item, "name");
    const char *arguments = text_at(item, "arguments");
    if (!id || !name || !arguments)
        return wrong(r, ".function_call", NULL, "call_id, name and arguments, which are strings");
    json_t *message = assistant(r);
    return (message && rf_talk_add_call(message, id, name, arguments)) || no_memory(r);
}

static bool add_output(const reader *r, const json_t *item) {
    const char *id = text_at(item, "call_id");
    rf_buf text;
    rf_buf_init(&text, TEXT_BYTES);
    if (!id)
        return wrong(r, ".call_id", json_object_get(item, "call_id"), "a string");
    bool ok = join(r, json_object_get(item, "output"), ".output", &text);
    json_t *message = ok ? rf_talk_add(r->talk->messages, "tool", rf_buf_view(&text)) : NULL;
    rf_buf_deinit(&text);
    if (!ok)
        return false;
    return (message && json_object_set_new(message, "tool_call_id", json_string(id)) == 0) ||
           no_memory(r);
}

static bool add_reasoning(const reader *r, const json_t *item) {
    const json_t *content = json_object_get(item, "content");
    const json_t *summary = json_object_get(item, "summary");
    const json_t *told = json_array_size(content) > 0 ? content : summary;
    rf_buf text;
    if (json_array_size(told) == 0)
        return true;
    rf_buf_init(&text, TEXT_BYTES);
    bool ok = join(r, told, ".content", &text);
    json_t *message = ok ? rf_talk_add(r->talk->messages, "assistant", (rf_str){0}) : NULL;
    if (ok)
        ok = (message && rf_talk_set_text(message, "reasoning_content", rf_buf_view(&text))) ||
             no_memory(r);
    rf_buf_deinit(&text);
    return ok;
}

static bool add_item(const reader *r, const json_t *item) {
    static const struct {
        const char *type;
        bool (*add)(const reader *r, const json_t *item);
    } kinds[] = {{"message", add_message},
                 {"function_call", add_call},
                 {"function_call_output", add_output},
                 {"reasoning", add_reasoning}};
    const json_t *named = json_object_get(item, "type");
    const char *type = named ? json_string_value(named) : "message";
    if (!json_is_object(item))
        return wrong(r, "", item, "an object");
    if (!type)
        return wrong(r, ".type", named, "a string");
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (strcmp(type, kinds[i].type) == 0)
            return kinds[i].add(r, item);
    return rf_refuse(r->refusal, RF_REFUSE_UNSUPPORTED, "input",
                     "input[%zu].type: found %.40s, expected message, function_call, "
                     "function_call_output or reasoning: nothing is stored here",
                     r->i, type);
}

static bool take_input(reader *r, const rf_ask *ask) {
    const json_t *input = rf_ask_json(ask, RF_FIELD_RESPONSE_INPUT);
    json_t *item;
    rf_str instructions = rf_ask_text(ask, RF_FIELD_INSTRUCTIONS);
    if (!input)
        return rf_refuse(r->refusal, RF_REFUSE_MISSING, "input",
                         "input: expected a string or an array");
    if (instructions.len > 0 && !rf_talk_add(r->talk->messages, "system", instructions))
        return no_memory(r);
    if (json_is_string(input))
        return rf_talk_add(r->talk->messages, "user",
                           (rf_str){json_string_value(input), json_string_length(input)}) ||
               no_memory(r);
    if (!json_is_array(input) || json_array_size(input) == 0)
        return rf_refuse(r->refusal, RF_REFUSE_TYPE, "input",
                         "input: found %s, expected a string or an array of items",
                         json_is_array(input) ? "no items" : rf_json_kind_name(input));
    json_array_foreach(input, r->i, item) {
        if (!add_item(r, item))
            return false;
    }
    return rf_talk_check_messages(r->talk->messages, r->refusal);
}

/* ---- tools ----------------------------------------------------------------------------------- */

/* A search that is run by the server is left out, with a line in the log: Codex always offers it.
 */
static bool add_tool(const reader *r, const json_t *tool, size_t i) {
    const json_t *named = json_object_get(tool, "type"), *name = json_object_get(tool, "name");
    const char *type = json_string_value(named);
    if (!json_is_object(tool) || !type)
        return rf_refuse(r->refusal, RF_REFUSE_TYPE, "tools", "tools[%zu]%s: found %s, expected %s",
                         i, json_is_object(tool) ? ".type" : "",
                         rf_json_kind_name(json_is_object(tool) ? named : tool),
                         json_is_object(tool) ? "a string" : "an object");
    if (strncmp(type, "web_search", 10) == 0) {
        rf_log(RF_LOG_INFO, "request", "the tool %.40s is left out: this server runs no tools",
               type);
        return true;
    }
    if (strcmp(type, "function") != 0)
        return rf_refuse(r->refusal, RF_REFUSE_UNSUPPORTED, "tools",
                         "tools[%zu].type: found %.40s, expected function: this server runs no "
                         "tools itself",
                         i, type);
    if (!json_is_string(name))
        return rf_refuse(r->refusal, name ? RF_REFUSE_TYPE : RF_REFUSE_MISSING, "tools",
                         "tools[%zu].name: found %s, expected a string", i,
                         rf_json_kind_name(name));
    return rf_talk_add_tool(r->talk->tools, name, json_object_get(tool, "description"),
                            json_object_get(tool, "parameters")) ||
           no_memory(r);
}

static bool take_choice(const reader *r, const json_t *choice) {
    static const char *const words[] = {"auto", "none", "required"};
    const char *word = json_string_value(choice), *name = text_at(choice, "name");
    if (!choice)
        return true;
    for (size_t i = 0; word && i < 3; i++)
        if (strcmp(word, words[i]) == 0)
            return rf_talk_set_tool_choice(r->talk, (rf_tool_choice)i, NULL, r->refusal);
    const char *type = text_at(choice, "type");
    if (name && type && strcmp(type, "function") == 0)
        return rf_talk_set_tool_choice(r->talk, RF_TOOLS_NAMED, name, r->refusal);
    return rf_refuse(r->refusal, word || json_is_object(choice) ? RF_REFUSE_VALUE : RF_REFUSE_TYPE,
                     "tool_choice",
                     "tool_choice: found %.40s, expected none, auto, required or {\"type\": "
                     "\"function\", \"name\": …}",
                     word   ? word
                     : type ? type
                            : rf_json_kind_name(choice));
}

static bool take_tools(const reader *r, const rf_ask *ask) {
    const json_t *tools = rf_ask_json(ask, RF_FIELD_FLAT_TOOLS);
    json_t *tool;
    size_t i;
    r->talk->one_call = !rf_ask_on(ask, RF_FIELD_PARALLEL_TOOL_CALLS);
    r->talk->tools = json_array();
    if (!r->talk->tools)
        return no_memory(r);
    json_array_foreach(tools, i, tool) {
        if (!add_tool(r, tool, i))
            return false;
    }
    return rf_talk_check_tools(r->talk, r->refusal) &&
           take_choice(r, rf_ask_json(ask, RF_FIELD_FLAT_TOOL_CHOICE));
}

static bool take_reasoning(const reader *r, const rf_ask *ask) {
    const json_t *effort = json_object_get(rf_ask_json(ask, RF_FIELD_REASONING), "effort");
    if (!effort || json_is_null(effort))
        return true;
    if (!json_is_string(effort))
        return rf_refuse(r->refusal, RF_REFUSE_TYPE, "reasoning",
                         "reasoning.effort: found %s, expected a string",
                         rf_json_kind_name(effort));
    rf_str word = {json_string_value(effort), json_string_length(effort)};
    return rf_talk_set_effort(r->talk, word) || no_memory(r);
}

static bool check_rest(const reader *r, const rf_ask *ask) {
    const json_t *truncation = rf_ask_json(ask, RF_FIELD_TRUNCATION);
    const char *word = json_string_value(truncation);
    if (truncation && (!word || strcmp(word, "disabled") != 0))
        return rf_refuse(r->refusal, word ? RF_REFUSE_UNSUPPORTED : RF_REFUSE_TYPE, "truncation",
                         "truncation: found %.40s, expected disabled: no input is cut here",
                         word ? word : rf_json_kind_name(truncation));
    return true;
}

bool rf_talk_init_responses(rf_talk *talk, const rf_ask *ask, rf_refusal *refusal) {
    reader r = {.talk = talk, .refusal = refusal};
    *talk = (rf_talk){.messages = json_array(), .adds_prompt = true, .field = "input"};
    if (!talk->messages)
        return no_memory(&r);
    return check_rest(&r, ask) && take_input(&r, ask) && take_tools(&r, ask) &&
           take_reasoning(&r, ask);
}
