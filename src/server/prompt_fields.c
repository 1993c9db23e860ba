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

/* A list of ids is one prompt. llama-server takes texts among them. */
static bool is_one(const rf_ask *ask, const json_t *list) {
    bool mixes = ask->endpoint == RF_ASK_NATIVE;
    for (size_t i = 0; i < (mixes ? json_array_size(list) : 1); i++)
        if (json_is_integer(json_array_get(list, i)))
            return true;
    return false;
}

size_t rf_prompts_count(const rf_ask *ask, rf_field field, size_t most, rf_refusal *refusal) {
    const json_t *prompt = rf_ask_json(ask, field);
    const char *name = rf_field_at(field)->name;
    if (!prompt)
        return rf_refuse(refusal, RF_REFUSE_MISSING, name, "%s: expected a text", name);
    if (json_is_string(prompt))
        return 1;
    if (!json_is_array(prompt))
        return rf_refuse(refusal, RF_REFUSE_TYPE, name,
                         "%s: found %s, expected a string or an array", name,
                         rf_json_kind_name(prompt));
    size_t n = is_one(ask, prompt) ? 1 : json_array_size(prompt);
    if (n == 0 || n > most)
        return rf_refuse(refusal, RF_REFUSE_VALUE, name, "%s: found %zu prompts, expected 1 to %zu",
                         name, n, most);
    return n;
}

static bool encode(const rf_tokenizer *tokenizer, const json_t *text, bool is_first,
                   const char *name, rf_tokens *out, rf_refusal *refusal) {
    rf_error err = {0};
    rf_str view = {json_string_value(text), json_string_length(text)};
    rf_encode_options options = {.add_special = is_first, .parse_special = true};
    return rf_tokenizer_encode(tokenizer, view, options, out, &err) == RF_OK ||
           rf_refuse_status(refusal, name, &err);
}

static bool take_mixed(const json_t *list, const rf_tokenizer *tokenizer, const char *name,
                       rf_tokens *out, rf_refusal *refusal) {
    json_int_t n_vocab = (json_int_t)rf_tokenizer_n_tokens(tokenizer);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *value = json_array_get(list, i);
        json_int_t id = json_integer_value(value);
        if (json_is_string(value)) {
            if (!encode(tokenizer, value, i == 0, name, out, refusal))
                return false;
        } else if (!json_is_integer(value) || id < 0 || id >= n_vocab) {
            return rf_refuse(refusal, RF_REFUSE_VALUE, name,
                             "%s[%zu]: found %s, expected a text or an id from 0 to %lld", name, i,
                             rf_json_kind_name(value), (long long)n_vocab - 1);
        } else if (!rf_tokens_push(out, (int32_t)id)) {
            return rf_refuse(refusal, RF_REFUSE_FAILED, NULL, "out of memory for the tokens");
        }
    }
    return true;
}

bool rf_prompts_take(const struct rf_server *server, const rf_ask *ask, rf_field field, size_t i,
                     rf_tokens *out, rf_refusal *refusal) {
    const rf_tokenizer *tokenizer = server->options.tokenizer;
    const json_t *prompt = rf_ask_json(ask, field);
    const char *name = rf_field_at(field)->name;
    bool one = is_one(ask, prompt);
    if (json_is_array(prompt) && !one)
        prompt = json_array_get(prompt, i);
    if (json_is_string(prompt))
        return encode(tokenizer, prompt, true, name, out, refusal);
    if (!json_is_array(prompt))
        return rf_refuse(refusal, RF_REFUSE_TYPE, name,
                         "%s[%zu]: found %s, expected a string or an array of tokens", name, i,
                         rf_json_kind_name(prompt));
    if (one && ask->endpoint == RF_ASK_NATIVE)
        return take_mixed(prompt, tokenizer, name, out, refusal);
    return rf_token_ids_take(prompt, tokenizer, name, out, refusal);
}
