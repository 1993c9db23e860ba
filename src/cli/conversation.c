#include "cli/conversation.h"

#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "chat/messages.h"
#include "cli/file_input.h"
#include "cli/output.h"

enum { TEMPLATE_MAX_BYTES = 4 << 20, PROMPT_MAX_BYTES = 64 << 20 };

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
    rf_str source;
    RF_TRY(rf_gguf_get_str(session->gguf, "tokenizer.chat_template", &source, err));
    if (rf_template_compile(source, NULL, &conversation->tmpl, err) != RF_OK)
        return rf_fail_prefix(err, "tokenizer.chat_template");
    return RF_OK;
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

rf_str rf_token_text(const rf_tokenizer *tokenizer, int32_t id) {
    return id >= 0 ? rf_tokenizer_text(tokenizer, id) : (rf_str){"", 0};
}

rf_status rf_conversation_render(const rf_conversation *conversation, rf_buf *out, rf_error *err) {
    const rf_token_roles *roles = rf_tokenizer_roles(conversation->tokenizer);
    char *messages = json_dumps(conversation->messages, JSON_COMPACT);
    if (!messages)
        return out_of_memory(err);
    rf_prompt_request request = {
        .messages = rf_str_of(messages),
        .bos_token = rf_token_text(conversation->tokenizer, roles->bos),
        .eos_token = rf_token_text(conversation->tokenizer, roles->eos),
        .add_generation_prompt = true,
        .clock = (int64_t)time(NULL),
    };
    rf_template_error_kind kind = RF_TEMPLATE_NO_ERROR;
    rf_status status = rf_prompt_render(conversation->tmpl, &request, out, &kind, err);
    rf_free(messages);
    return status == RF_OK
               ? RF_OK
               : rf_fail_prefix(err, "chat template: %s", rf_template_error_kind_name(kind));
}

rf_status rf_conversation_tokens(const rf_conversation *conversation, rf_tokens *out,
                                 rf_error *err) {
    const rf_token_roles *roles = rf_tokenizer_roles(conversation->tokenizer);
    rf_buf text;
    rf_buf_init(&text, PROMPT_MAX_BYTES);
    rf_status status = rf_conversation_render(conversation, &text, err);
    if (status == RF_OK) {
        /* A template that writes the first token itself must not be given a second one. */
        rf_str bos = rf_token_text(conversation->tokenizer, roles->bos);
        bool has_bos = bos.len > 0 && rf_str_starts(rf_buf_view(&text), bos);
        rf_encode_options encode = {.add_special = roles->add_bos && !has_bos,
                                    .parse_special = true};
        status = rf_tokenizer_encode(conversation->tokenizer, rf_buf_view(&text), encode, out, err);
    }
    rf_buf_deinit(&text);
    return status;
}
