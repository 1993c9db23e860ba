#include "cli/conversation.h"

#include <string.h>

#include "base/alloc.h"
#include "cli/file_input.h"
#include "cli/output.h"
#include "text/chat_prompt.h"

enum { TEMPLATE_MAX_BYTES = 4 << 20 };

static rf_status out_of_memory(rf_error *err) {
    return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the conversation");
}

static rf_status load_template(rf_conversation *conversation, rf_cli *cli,
                               const rf_session *session, rf_error *err) {
    const char *path = rf_opt_text(&cli->options, RF_OPT_CHAT_TEMPLATE_FILE);
    if (path) {
        rf_buf source;
        rf_buf_init(&source, TEMPLATE_MAX_BYTES);
        rf_status status = rf_input_read(path, &source, err);
        if (status == RF_OK &&
            rf_template_compile(rf_buf_view(&source), NULL, &conversation->tmpl, err) != RF_OK)
            status = rf_fail_prefix(err, "%s", path);
        rf_buf_deinit(&source);
        return status;
    }
    return rf_chat_template_load(session->gguf, &conversation->tmpl, err);
}

rf_status rf_conversation_init(rf_conversation *conversation, rf_cli *cli,
                               const rf_session *session, rf_error *err) {
    *conversation = (rf_conversation){.messages = json_array(), .tokenizer = session->tokenizer};
    rf_status status = conversation->messages ? load_template(conversation, cli, session, err)
                                              : out_of_memory(err);
    const char *system = rf_opt_text(&cli->options, RF_OPT_SYSTEM);
    if (status == RF_OK && system)
        status = rf_conversation_system(conversation, system, err);
    if (status != RF_OK)
        rf_conversation_deinit(conversation);
    return status;
}

void rf_conversation_deinit(rf_conversation *conversation) {
    json_decref(conversation->messages);
    rf_template_destroy(conversation->tmpl);
    *conversation = (rf_conversation){0};
}

size_t rf_conversation_length(const rf_conversation *conversation) {
    return json_array_size(conversation->messages);
}

static json_t *make_message(const char *role, rf_str content) {
    bool ok = true;
    json_t *message = json_object();
    rf_json_set(message, "role", json_string(role), &ok);
    rf_json_set(message, "content", rf_json_str(content), &ok);
    if (!ok) {
        json_decref(message);
        return NULL;
    }
    return message;
}

rf_status rf_conversation_add(rf_conversation *conversation, const char *role, rf_str content,
                              rf_error *err) {
    bool ok = true;
    rf_json_add(conversation->messages, make_message(role, content), &ok);
    return ok ? RF_OK : out_of_memory(err);
}

void rf_conversation_truncate(rf_conversation *conversation, size_t n_messages) {
    while (json_array_size(conversation->messages) > n_messages)
        (void)json_array_remove(conversation->messages,
                                json_array_size(conversation->messages) - 1);
}

bool rf_conversation_has_system(const rf_conversation *conversation) {
    const json_t *role = json_object_get(json_array_get(conversation->messages, 0), "role");
    return role && strcmp(json_string_value(role), "system") == 0;
}

rf_status rf_conversation_system(rf_conversation *conversation, const char *text, rf_error *err) {
    json_t *message = text ? make_message("system", rf_str_of(text)) : NULL;
    if (text && !message)
        return out_of_memory(err);
    if (rf_conversation_has_system(conversation))
        (void)json_array_remove(conversation->messages, 0);
    if (message && json_array_insert_new(conversation->messages, 0, message) != 0)
        return out_of_memory(err);
    return RF_OK;
}

rf_status rf_conversation_tokens(const rf_conversation *conversation, rf_tokens *out,
                                 rf_error *err) {
    char *messages = json_dumps(conversation->messages, JSON_COMPACT);
    if (!messages)
        return out_of_memory(err);
    rf_prompt_request request = {.messages = rf_str_of(messages), .add_generation_prompt = true};
    rf_status status =
        rf_chat_prompt_tokens(conversation->tmpl, conversation->tokenizer, &request, out, err);
    rf_free(messages);
    return status;
}
