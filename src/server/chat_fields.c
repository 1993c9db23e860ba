/* Messages of chats: checked, brought into the shape that templates know, rendered. */
#include "base/alloc.h"
#include "server/prompt_fields.h"
#include "server/server_state.h"
#include "text/chat_prompt.h"

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

typedef struct texts { /* JSON of the request, owned */
    char *messages, *kwargs;
} texts;

static void free_texts(texts *t) {
    rf_free(t->messages);
    rf_free(t->kwargs);
}

static bool make_request(const rf_ask *ask, texts *t, rf_prompt_request *out, rf_refusal *refusal) {
    json_t *messages = rf_ask_json(ask, RF_FIELD_MESSAGES), *message;
    json_t *kwargs = rf_ask_json(ask, RF_FIELD_TEMPLATE_KWARGS);
    size_t i;
    if (!messages)
        return rf_refuse(refusal, RF_REFUSE_MISSING, "messages", "messages: expected an array");
    json_array_foreach(messages, i, message) {
        if (!check_message(message, i, refusal))
            return false;
    }
    t->messages = json_dumps(messages, JSON_COMPACT);
    t->kwargs = kwargs ? json_dumps(kwargs, JSON_COMPACT) : NULL;
    if (!t->messages || (kwargs && !t->kwargs))
        return no_memory(refusal);
    bool goes_on = rf_ask_on(ask, RF_FIELD_CONTINUE_FINAL);
    *out = (rf_prompt_request){
        .messages = rf_str_of(t->messages),
        .kwargs = rf_str_of(t->kwargs),
        .add_generation_prompt = rf_ask_on(ask, RF_FIELD_GENERATION_PROMPT) && !goes_on,
        .continue_final_message = goes_on,
    };
    return true;
}

static bool template_failed(rf_refusal *refusal, const rf_error *err) {
    if (err->code == RF_ERR_NO_MEMORY)
        return rf_refuse_status(refusal, NULL, err);
    return rf_refuse(refusal, RF_REFUSE_TEMPLATE, "messages", "%s", err->text);
}

static bool has_template(const struct rf_server *server, rf_refusal *refusal) {
    return server->options.chat_template ||
           rf_refuse(refusal, RF_REFUSE_TEMPLATE, "messages",
                     "the model has no chat template; /v1/completions takes plain prompts");
}

bool rf_chat_fields_render(const struct rf_server *server, const rf_ask *ask, rf_buf *out,
                           rf_refusal *refusal) {
    const rf_server_options *options = &server->options;
    texts t = {0};
    rf_prompt_request request;
    rf_error err = {0};
    bool ok = has_template(server, refusal) && make_request(ask, &t, &request, refusal);
    if (ok && rf_chat_prompt_render(options->chat_template, options->tokenizer, &request, out,
                                    &err) != RF_OK)
        ok = template_failed(refusal, &err);
    free_texts(&t);
    return ok;
}

bool rf_chat_fields_tokens(const struct rf_server *server, const rf_ask *ask, rf_tokens *out,
                           rf_refusal *refusal) {
    const rf_server_options *options = &server->options;
    texts t = {0};
    rf_prompt_request request;
    rf_error err = {0};
    bool ok = has_template(server, refusal) && make_request(ask, &t, &request, refusal);
    if (ok && rf_chat_prompt_tokens(options->chat_template, options->tokenizer, &request, out,
                                    &err) != RF_OK)
        ok = template_failed(refusal, &err);
    free_texts(&t);
    return ok;
}
