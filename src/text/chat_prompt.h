/*
 * Prompts of chat messages: the model's template and its tokenizer put together. Any thread whose
 * LC_NUMERIC is "C".
 */
#ifndef RF_TEXT_CHAT_PROMPT_H
#define RF_TEXT_CHAT_PROMPT_H

#include "chat/messages.h"
#include "tokenizer/tokenizer.h"

/* The template that a file brings along; RF_ERR_NOT_FOUND without one. Owned by the caller. */
RF_NODISCARD rf_status rf_chat_template_load(const rf_gguf *gguf, rf_template **out, rf_error *err);

/* Appends the prompt as text or as tokens. The vocabulary's texts of bos and eos and the time of
 * now take the place of the request's. */
RF_NODISCARD rf_status rf_chat_prompt_render(const rf_template *tmpl, const rf_tokenizer *tokenizer,
                                             const rf_prompt_request *request, rf_buf *out,
                                             rf_error *err);
RF_NODISCARD rf_status rf_chat_prompt_tokens(const rf_template *tmpl, const rf_tokenizer *tokenizer,
                                             const rf_prompt_request *request, rf_tokens *out,
                                             rf_error *err);

/* Appends the tokens of a rendered prompt: a template that writes the first token itself is not
 * given a second one. */
RF_NODISCARD rf_status rf_chat_prompt_encode(const rf_tokenizer *tokenizer, rf_str prompt,
                                             rf_tokens *out, rf_error *err);

/* The text of a token that may be absent (-1: empty). */
rf_str rf_token_text(const rf_tokenizer *tokenizer, int32_t id);

#endif
