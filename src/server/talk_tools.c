/* Tools of a talk: which there are, which may be called, what their parameters are. */
#include "server/talk.h"

#include <stdio.h>

enum { NAME_BYTES = sizeof((rf_talk *)NULL)->tool_name - 1 };

static bool bad_tool(rf_refusal *refusal, size_t i, const char *what, const json_t *found,
                     const char *expected) {
    return rf_refuse(refusal, found ? RF_REFUSE_TYPE : RF_REFUSE_MISSING, "tools",
                     "tools[%zu]%s: found %s, expected %s", i, what, rf_json_kind_name(found),
                     expected);
}

static bool check_name(const json_t *name, size_t i, rf_refusal *refusal) {
    const char *text = json_string_value(name);
    if (!text)
        return bad_tool(refusal, i, ".function.name", name, "a string");
    size_t n = json_string_length(name);
    bool plain = n > 0 && n <= NAME_BYTES && strlen(text) == n;
    for (size_t c = 0; plain && c < n; c++)
        plain = strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.:/",
                       text[c]) != NULL;
    return plain || rf_refuse(refusal, RF_REFUSE_VALUE, "tools",
                              "tools[%zu].function.name: found %.60s, expected 1 to %d letters, "
                              "digits and _ - . : /",
                              i, text, (int)NAME_BYTES);
}

/* Templates read what may be absent. */
static bool fill_in(json_t *function, rf_refusal *refusal) {
    const json_t *parameters = json_object_get(function, "parameters");
    const json_t *description = json_object_get(function, "description");
    bool ok = json_is_string(description) ||
              json_object_set_new(function, "description", json_string("")) == 0;
    ok = ok && (json_is_object(parameters) ||
                json_object_set_new(function, "parameters",
                                    json_pack("{s:s,s:{}}", "type", "object", "properties")) == 0);
    return ok || rf_refuse(refusal, RF_REFUSE_FAILED, NULL, "out of memory for the tools");
}

static bool check_tool(const rf_talk *talk, const json_t *tool, size_t i, rf_refusal *refusal) {
    const json_t *type = json_object_get(tool, "type");
    json_t *function = json_object_get(tool, "function");
    const json_t *parameters = json_object_get(function, "parameters");
    if (!json_is_object(tool))
        return bad_tool(refusal, i, "", tool, "an object");
    if (!json_is_string(type))
        return bad_tool(refusal, i, ".type", type, "a string");
    if (strcmp(json_string_value(type), "function") != 0)
        return rf_refuse(refusal, RF_REFUSE_UNSUPPORTED, "tools",
                         "tools[%zu].type: found %.40s, expected function", i,
                         json_string_value(type));
    if (!json_is_object(function))
        return bad_tool(refusal, i, ".function", function, "an object");
    const json_t *name = json_object_get(function, "name");
    if (!check_name(name, i, refusal))
        return false;
    if (parameters && !json_is_null(parameters) && !json_is_object(parameters))
        return bad_tool(refusal, i, ".function.parameters", parameters, "an object");
    rf_str text = {json_string_value(name), json_string_length(name)};
    if (rf_talk_tool(talk, text) == function)
        return fill_in(function, refusal);
    return rf_refuse(refusal, RF_REFUSE_VALUE, "tools",
                     "tools[%zu].function.name: found %s twice, expected names of their own", i,
                     text.ptr);
}

bool rf_talk_set_tool_choice(rf_talk *talk, rf_tool_choice choice, const char *name,
                             rf_refusal *refusal) {
    talk->tool_choice = choice;
    if ((choice == RF_TOOLS_REQUIRED || choice == RF_TOOLS_NAMED) && !talk->tools)
        return rf_refuse(refusal, RF_REFUSE_VALUE, "tool_choice",
                         "tool_choice: a call is asked for, expected tools beside it");
    if (choice != RF_TOOLS_NAMED)
        return true;
    if (!rf_talk_tool(talk, rf_str_of(name)))
        return rf_refuse(refusal, RF_REFUSE_VALUE, "tool_choice",
                         "tool_choice: found %.60s, expected the name of one of the tools", name);
    (void)snprintf(talk->tool_name, sizeof talk->tool_name, "%s", name);
    return true;
}

bool rf_talk_check_tools(rf_talk *talk, rf_refusal *refusal) {
    json_t *tool;
    size_t i;
    if (json_array_size(talk->tools) == 0) {
        json_decref(talk->tools);
        talk->tools = NULL;
        return true;
    }
    json_array_foreach(talk->tools, i, tool) {
        if (!check_tool(talk, tool, i, refusal))
            return false;
    }
    return true;
}

/* "none", "auto", "required", or {"type": "function", "function": {"name": …}}. */
static bool take_choice(rf_talk *talk, const json_t *choice, rf_refusal *refusal) {
    static const char *const words[] = {"auto", "none", "required"};
    if (!choice)
        return true;
    for (size_t i = 0; json_is_string(choice) && i < sizeof words / sizeof *words; i++)
        if (strcmp(json_string_value(choice), words[i]) == 0)
            return rf_talk_set_tool_choice(talk, (rf_tool_choice)i, NULL, refusal);
    const json_t *named = json_object_get(json_object_get(choice, "function"), "name");
    if (json_is_string(named))
        return rf_talk_set_tool_choice(talk, RF_TOOLS_NAMED, json_string_value(named), refusal);
    return rf_refuse(
        refusal,
        json_is_string(choice) || json_is_object(choice) ? RF_REFUSE_VALUE : RF_REFUSE_TYPE,
        "tool_choice",
        "tool_choice: found %.40s, expected none, auto, required or {\"type\": "
        "\"function\", \"function\": {\"name\": …}}",
        json_is_string(choice) ? json_string_value(choice) : rf_json_kind_name(choice));
}

bool rf_talk_take_tools(rf_talk *talk, const rf_ask *ask, rf_refusal *refusal) {
    talk->tools = json_incref(rf_ask_json(ask, RF_FIELD_TOOLS));
    talk->one_call = !rf_ask_on(ask, RF_FIELD_PARALLEL_TOOL_CALLS);
    return rf_talk_check_tools(talk, refusal) &&
           take_choice(talk, rf_ask_json(ask, RF_FIELD_TOOL_CHOICE), refusal);
}

const json_t *rf_talk_tool(const rf_talk *talk, rf_str name) {
    json_t *tool;
    size_t i;
    json_array_foreach(talk->tools, i, tool) {
        const json_t *function = json_object_get(tool, "function");
        const json_t *own = json_object_get(function, "name");
        if (json_is_string(own) &&
            rf_str_eq(name, (rf_str){json_string_value(own), json_string_length(own)}))
            return function;
    }
    return NULL;
}

static rf_param_kind kind_of(const char *type) {
    return !type ? RF_PARAM_UNKNOWN : strcmp(type, "string") == 0 ? RF_PARAM_TEXT : RF_PARAM_JSON;
}

/* A list of types counts as text where each but null is one. */
rf_param_kind rf_talk_param_kind(const rf_talk *talk, rf_str tool, rf_str param) {
    const json_t *schema = json_object_getn(
        json_object_get(json_object_get(rf_talk_tool(talk, tool), "parameters"), "properties"),
        param.ptr, param.len);
    const json_t *type = json_object_get(schema, "type");
    rf_param_kind kind = RF_PARAM_UNKNOWN;
    json_t *one;
    size_t i;
    if (!json_is_array(type))
        return kind_of(json_string_value(type));
    json_array_foreach(type, i, one) {
        const char *name = json_string_value(one);
        if (!name || strcmp(name, "null") == 0)
            continue;
        rf_param_kind next = kind_of(name);
        kind = kind == RF_PARAM_UNKNOWN || kind == next ? next : RF_PARAM_UNKNOWN;
    }
    return kind;
}
