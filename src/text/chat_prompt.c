#include "text/chat_prompt.h"

#include <time.h>

enum { PROMPT_MAX_BYTES = 64 << 20 };

rf_status rf_chat_template_load(const rf_gguf *gguf, rf_template **out, rf_error *err) {
    rf_str source;
    RF_TRY(rf_gguf_get_str(gguf, "tokenizer.chat_template", &source, err));
    if (rf_template_compile(source, NULL, out, err) != RF_OK)
        return rf_fail_prefix(err, "tokenizer.chat_template");
    return RF_OK;
}

rf_str rf_token_text(const rf_tokenizer *tokenizer, int32_t id) {
    return id >= 0 ? rf_tokenizer_text(tokenizer, id) : (rf_str){"", 0};
}

rf_status rf_chat_prompt_render(const rf_template *tmpl, const rf_tokenizer *tokenizer,
                                const rf_prompt_request *request, rf_buf *out, rf_error *err) {
    const rf_token_roles *roles = rf_tokenizer_roles(tokenizer);
    rf_prompt_request whole = *request;
    whole.bos_token = rf_token_text(tokenizer, roles->bos);
    whole.eos_token = rf_token_text(tokenizer, roles->eos);
    whole.clock = (int64_t)time(NULL);
    rf_template_error_kind kind = RF_TEMPLATE_NO_ERROR;
    if (rf_prompt_render(tmpl, &whole, out, &kind, err) != RF_OK)
        return rf_fail_prefix(err, "chat template: %s", rf_template_error_kind_name(kind));
    return RF_OK;
}

rf_status rf_chat_prompt_encode(const rf_tokenizer *tokenizer, rf_str prompt, rf_tokens *out,
                                rf_error *err) {
    const rf_token_roles *roles = rf_tokenizer_roles(tokenizer);
    rf_str bos = rf_token_text(tokenizer, roles->bos);
    bool has_bos = bos.len > 0 && rf_str_starts(prompt, bos);
    rf_encode_options encode = {.add_special = roles->add_bos && !has_bos, .parse_special = true};
    return rf_tokenizer_encode(tokenizer, prompt, encode, out, err);
}

rf_status rf_chat_prompt_tokens(const rf_template *tmpl, const rf_tokenizer *tokenizer,
                                const rf_prompt_request *request, rf_tokens *out, rf_error *err) {
    rf_buf text;
    rf_buf_init(&text, PROMPT_MAX_BYTES);
    rf_status status = rf_chat_prompt_render(tmpl, tokenizer, request, &text, err);
    if (status == RF_OK)
        status = rf_chat_prompt_encode(tokenizer, rf_buf_view(&text), out, err);
    rf_buf_deinit(&text);
    return status;
}
