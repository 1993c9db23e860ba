#include "server/prompt_fields.h"

#include "server/server_state.h"

bool rf_token_ids_take(const json_t *list, const rf_tokenizer *tokenizer, const char *param,
                       rf_tokens *out, rf_refusal *refusal) {
    json_int_t n_vocab = (json_int_t)rf_tokenizer_n_tokens(tokenizer);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *value = json_array_get(list, i);
        json_int_t id = json_integer_value(value);
        if (!json_is_integer(value))
            return rf_refuse(refusal, RF_REFUSE_TYPE, param, "%s[%zu]: found %s, expected a token",
                             param, i, rf_json_kind_name(value));
        if (id < 0 || id >= n_vocab)
            return rf_refuse(refusal, RF_REFUSE_VALUE, param,
                             "%s[%zu]: found token %lld, expected an id from 0 to %lld", param, i,
                             (long long)id, (long long)n_vocab - 1);
        if (!rf_tokens_push(out, (int32_t)id))
            return rf_refuse(refusal, RF_REFUSE_FAILED, NULL, "out of memory for the tokens");
    }
    return true;
}

size_t rf_prompts_count(const rf_ask *ask, rf_refusal *refusal) {
    const json_t *prompt = rf_ask_json(ask, RF_FIELD_PROMPT);
    if (!prompt)
        return rf_refuse(refusal, RF_REFUSE_MISSING, "prompt", "prompt: expected a text");
    if (json_is_string(prompt))
        return 1;
    if (!json_is_array(prompt))
        return rf_refuse(refusal, RF_REFUSE_TYPE, "prompt",
                         "prompt: found %s, expected a string or an array",
                         rf_json_kind_name(prompt));
    size_t n = json_is_integer(json_array_get(prompt, 0)) ? 1 : json_array_size(prompt);
    if (n == 0 || n > RF_PROMPTS_MAX)
        return rf_refuse(refusal, RF_REFUSE_VALUE, "prompt",
                         "prompt: found %zu prompts, expected 1 to %d", n, RF_PROMPTS_MAX);
    return n;
}

static bool encode(const rf_tokenizer *tokenizer, const json_t *text, rf_tokens *out,
                   rf_refusal *refusal) {
    rf_error err = {0};
    rf_str view = {json_string_value(text), json_string_length(text)};
    rf_encode_options options = {.add_special = true, .parse_special = true};
    return rf_tokenizer_encode(tokenizer, view, options, out, &err) == RF_OK ||
           rf_refuse_status(refusal, "prompt", &err);
}

bool rf_prompts_take(const struct rf_server *server, const rf_ask *ask, size_t i, rf_tokens *out,
                     rf_refusal *refusal) {
    const rf_tokenizer *tokenizer = server->options.tokenizer;
    const json_t *prompt = rf_ask_json(ask, RF_FIELD_PROMPT);
    if (json_is_array(prompt) && !json_is_integer(json_array_get(prompt, 0)))
        prompt = json_array_get(prompt, i);
    if (json_is_string(prompt))
        return encode(tokenizer, prompt, out, refusal);
    if (!json_is_array(prompt))
        return rf_refuse(refusal, RF_REFUSE_TYPE, "prompt",
                         "prompt[%zu]: found %s, expected a string or an array of tokens", i,
                         rf_json_kind_name(prompt));
    return rf_token_ids_take(prompt, tokenizer, "prompt", out, refusal);
}
