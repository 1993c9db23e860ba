/* Texts and prompts of the caller's become tokens, and tokens text. */
#include "api/model_handle.h"
#include "api/sized_struct.h"
#include "text/chat_prompt.h"

enum {
    TEXT_MAX_BYTES = 64 << 20,
    ALL_TEXT_FLAGS = ROCMFORGE_TEXT_NO_SPECIAL | ROCMFORGE_TEXT_PLAIN
};

static rocmforge_status check_flags(uint32_t flags) {
    if ((flags & ~(uint32_t)ALL_TEXT_FLAGS) == 0)
        return ROCMFORGE_OK;
    return rf_api_misuse(ROCMFORGE_RULE_VALUE, "flags 0x%x, expected some of 0x%x", flags,
                         (unsigned)ALL_TEXT_FLAGS);
}

/* Exactly one form of prompt; with messages, what belongs to them. */
static rocmforge_status check_prompt(const rocmforge_prompt *prompt) {
    int n = (prompt->text != NULL) + (prompt->tokens != NULL) + (prompt->messages != NULL) +
            (prompt->messages_json != NULL);
    if (n != 1)
        return rf_api_misuse(ROCMFORGE_RULE_PROMPT,
                             "found %d of text, tokens, messages and messages_json", n);
    for (size_t i = 0; prompt->messages && i < prompt->n_messages; i++)
        if (!prompt->messages[i].role || !prompt->messages[i].content)
            return rf_api_misuse(ROCMFORGE_RULE_NULL, "role or content of message %zu is NULL", i);
    return check_flags(prompt->flags);
}

static rf_status write_messages(const rocmforge_prompt *prompt, rf_buf *json, rf_error *err) {
    if (prompt->n_messages == 0)
        return rf_fail(err, RF_ERR_INVALID, "0 messages, expected at least one");
    for (size_t i = 0; i < prompt->n_messages; i++)
        rf_messages_append(json, rf_str_of(prompt->messages[i].role),
                           rf_str_of(prompt->messages[i].content));
    return json->failed
               ? rf_fail(err, RF_ERR_LIMIT, "the messages are longer than %d bytes", TEXT_MAX_BYTES)
               : RF_OK;
}

/* Either *text or *tokens of messages is made. */
static rf_status from_messages(const rf_api_model *model, const rocmforge_prompt *prompt,
                               rf_buf *text, rf_tokens *tokens, rf_error *err) {
    if (!model->tmpl)
        return rf_fail(err, RF_ERR_NOT_FOUND,
                       "the model has no chat template, expected tokenizer.chat_template or "
                       "rocmforge_model_options.chat_template");
    rf_buf json;
    rf_buf_init(&json, TEXT_MAX_BYTES);
    rf_prompt_request request = {.tools = rf_str_of(prompt->tools_json),
                                 .kwargs = rf_str_of(prompt->variables_json),
                                 .add_generation_prompt = !prompt->continue_final_message,
                                 .continue_final_message = prompt->continue_final_message != 0};
    rf_status status = prompt->messages ? write_messages(prompt, &json, err) : RF_OK;
    request.messages = prompt->messages ? rf_buf_view(&json) : rf_str_of(prompt->messages_json);
    locale_t before = rf_api_numbers_enter(model);
    if (status == RF_OK && text)
        status = rf_chat_prompt_render(model->tmpl, model->tokenizer, &request, text, err);
    else if (status == RF_OK)
        status = rf_chat_prompt_tokens(model->tmpl, model->tokenizer, &request, tokens, err);
    rf_api_numbers_leave(before);
    rf_buf_deinit(&json);
    return status;
}

static rf_status from_text(const rf_api_model *model, rf_str text, uint32_t flags, rf_tokens *out,
                           rf_error *err) {
    rf_encode_options encode = {.add_special = !(flags & ROCMFORGE_TEXT_NO_SPECIAL),
                                .parse_special = !(flags & ROCMFORGE_TEXT_PLAIN)};
    return rf_tokenizer_encode(model->tokenizer, text, encode, out, err);
}

static rf_status copy_tokens(const rocmforge_prompt *prompt, rf_tokens *out, rf_error *err) {
    if (!rf_tokens_reserve(out, prompt->n_tokens))
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for %zu tokens", prompt->n_tokens);
    if (prompt->n_tokens > 0)
        memcpy(out->ids + out->n, prompt->tokens, prompt->n_tokens * sizeof *out->ids);
    out->n += prompt->n_tokens;
    return RF_OK;
}

rocmforge_status rf_api_prompt_tokens(const rf_api_model *model, const rocmforge_prompt *given,
                                      rf_tokens *out) {
    rocmforge_prompt prompt;
    rf_error err = {0};
    RF_API_NOT_NULL(given);
    RF_API_TRY(rf_api_struct_read(RF_API_STRUCT_prompt, given, &prompt));
    RF_API_TRY(check_prompt(&prompt));
    rf_status status;
    if (prompt.tokens) {
        status = copy_tokens(&prompt, out, &err);
    } else if (prompt.text) {
        rf_str text = {prompt.text, prompt.n_bytes ? prompt.n_bytes : strlen(prompt.text)};
        status = from_text(model, text, prompt.flags, out, &err);
    } else {
        status = from_messages(model, &prompt, NULL, out, &err);
    }
    if (status == RF_OK && out->n > INT32_MAX)
        status = rf_fail(&err, RF_ERR_LIMIT, "the prompt has %zu tokens, expected at most %d",
                         out->n, INT32_MAX);
    if (status == RF_OK && out->n == 0)
        status = rf_fail(&err, RF_ERR_INVALID, "the prompt has no tokens, expected at least one");
    return rf_api_result(status, &err);
}

/* Hands an array out under the header's rule; bytes with a NUL behind them where there is room. */
static rocmforge_status give_bytes(rf_str bytes, char *out, size_t max_bytes, size_t *n_bytes) {
    if (n_bytes)
        *n_bytes = bytes.len;
    if (max_bytes < bytes.len)
        return rf_api_fail(ROCMFORGE_LIMIT, "the text has %zu bytes, there is room for %zu",
                           bytes.len, max_bytes);
    if (bytes.len > 0)
        memcpy(out, bytes.ptr, bytes.len);
    if (max_bytes > bytes.len)
        out[bytes.len] = 0;
    return ROCMFORGE_OK;
}

rocmforge_status rocmforge_tokenize(const rocmforge_model *handle, const char *text, size_t n_bytes,
                                    uint32_t flags, int32_t *tokens, size_t max_tokens,
                                    size_t *n_tokens) {
    rf_api_model *model;
    RF_API_TRY(rf_api_enter(__func__, true));
    if (n_bytes > 0)
        RF_API_NOT_NULL(text);
    if (max_tokens > 0)
        RF_API_NOT_NULL(tokens);
    RF_API_TRY(check_flags(flags));
    RF_API_TRY(rf_api_model_take(handle, &model));
    rf_tokens made = {0};
    rf_error err = {0};
    rocmforge_status status =
        rf_api_result(from_text(model, (rf_str){text, n_bytes}, flags, &made, &err), &err);
    if (status == ROCMFORGE_OK) {
        if (n_tokens)
            *n_tokens = made.n;
        if (made.n > max_tokens)
            status = rf_api_fail(ROCMFORGE_LIMIT, "%zu tokens, there is room for %zu", made.n,
                                 max_tokens);
        else if (made.n > 0)
            memcpy(tokens, made.ids, made.n * sizeof *tokens);
    }
    rf_tokens_deinit(&made);
    rf_object_drop(&model->object);
    return status;
}

rocmforge_status rocmforge_detokenize(const rocmforge_model *handle, const int32_t *tokens,
                                      size_t n_tokens, char *text, size_t max_bytes,
                                      size_t *n_bytes) {
    rf_api_model *model;
    RF_API_TRY(rf_api_enter(__func__, true));
    if (n_tokens > 0)
        RF_API_NOT_NULL(tokens);
    if (max_bytes > 0)
        RF_API_NOT_NULL(text);
    RF_API_TRY(rf_api_model_take(handle, &model));
    rf_buf made;
    rf_error err = {0};
    rf_buf_init(&made, TEXT_MAX_BYTES);
    rocmforge_status status =
        rf_api_result(rf_tokenizer_decode(model->tokenizer, tokens, n_tokens, &made, &err), &err);
    if (status == ROCMFORGE_OK)
        status = give_bytes(rf_buf_view(&made), text, max_bytes, n_bytes);
    rf_buf_deinit(&made);
    rf_object_drop(&model->object);
    return status;
}

rocmforge_status rocmforge_render(const rocmforge_model *handle, const rocmforge_prompt *given,
                                  char *text, size_t max_bytes, size_t *n_bytes) {
    rf_api_model *model;
    rocmforge_prompt prompt;
    RF_API_TRY(rf_api_enter(__func__, true));
    RF_API_NOT_NULL(given);
    if (max_bytes > 0)
        RF_API_NOT_NULL(text);
    RF_API_TRY(rf_api_struct_read(RF_API_STRUCT_prompt, given, &prompt));
    RF_API_TRY(check_prompt(&prompt));
    if (!prompt.messages && !prompt.messages_json)
        return rf_api_misuse(ROCMFORGE_RULE_PROMPT, "found no messages");
    RF_API_TRY(rf_api_model_take(handle, &model));
    rf_buf made;
    rf_error err = {0};
    rf_buf_init(&made, TEXT_MAX_BYTES);
    rocmforge_status status = rf_api_result(from_messages(model, &prompt, &made, NULL, &err), &err);
    if (status == ROCMFORGE_OK)
        status = give_bytes(rf_buf_view(&made), text, max_bytes, n_bytes);
    rf_buf_deinit(&made);
    rf_object_drop(&model->object);
    return status;
}
