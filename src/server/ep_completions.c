/* Completions and chat completions: prompts into the engine. The pump answers. */
#include "server/answer.h"
#include "server/prompt_fields.h"
#include "server/routes.h"
#include "server/server_state.h"

static bool take_echo(rf_answer *answer, rf_answer_prompt *prompt, rf_refusal *refusal) {
    rf_error err = {0};
    const rf_tokenizer *tokenizer = answer->exchange->server->options.tokenizer;
    const int32_t *ids = prompt->tokens.ids;
    size_t n = prompt->tokens.n;
    if (!answer->echoes)
        return true;
    if (n > 0 && ids[0] == rf_tokenizer_roles(tokenizer)->bos) {
        ids++; /* the tokenizer's own, no part of the text */
        n--;
    }
    return rf_tokenizer_decode(tokenizer, ids, n, &prompt->echo, &err) == RF_OK ||
           rf_refuse_status(refusal, "prompt", &err);
}

static bool take_prompts(rf_answer *answer, const rf_ask *ask, rf_refusal *refusal) {
    const struct rf_server *server = answer->exchange->server;
    for (size_t i = 0; i < answer->n_prompts; i++) {
        rf_answer_prompt *prompt = &answer->prompts[i];
        bool ok = ask->endpoint == RF_ASK_CHAT
                      ? rf_chat_fields_tokens(server, ask, &prompt->tokens, refusal)
                      : rf_prompts_take(server, ask, i, &prompt->tokens, refusal);
        if (!ok || !take_echo(answer, prompt, refusal))
            return false;
        prompt->n_tokens = prompt->tokens.n;
    }
    return true;
}

static bool begin(rf_exchange *exchange, const rf_ask *ask, rf_refusal *refusal) {
    bool chat = ask->endpoint == RF_ASK_CHAT;
    size_t n_prompts = chat ? 1 : rf_prompts_count(ask, refusal);
    rf_answer *answer = NULL;
    if (n_prompts == 0)
        return false;
    if (!rf_answer_create(exchange, chat ? RF_FORM_CHAT : RF_FORM_COMPLETION, ask, n_prompts,
                          &answer, refusal) ||
        !take_prompts(answer, ask, refusal)) {
        rf_answer_destroy(answer);
        return false;
    }
    return rf_answer_submit(answer, refusal);
}

static void complete(rf_exchange *exchange, rf_ask_endpoint endpoint) {
    rf_ask ask;
    rf_refusal refusal = {0};
    bool ok = rf_ask_init(&ask, endpoint, rf_buf_view(&exchange->body), &refusal) &&
              begin(exchange, &ask, &refusal);
    rf_ask_deinit(&ask);
    if (!ok)
        rf_exchange_refuse(exchange, &refusal);
}

void rf_ep_completions(rf_exchange *exchange) { complete(exchange, RF_ASK_COMPLETIONS); }

void rf_ep_chat(rf_exchange *exchange) { complete(exchange, RF_ASK_CHAT); }
