/* Completions and chat completions: prompts into the engine. The pump answers. */
#include "server/answer.h"
#include "server/form_native.h"
#include "server/prompt_fields.h"
#include "server/routes.h"
#include "server/server_state.h"

static bool take_echo(rf_answer *answer, rf_answer_prompt *prompt, rf_refusal *refusal) {
    rf_error err = {0};
    const rf_tokenizer *tokenizer = answer->exchange->server->options.tokenizer;
    const int32_t *ids = prompt->tokens.ids;
    size_t n = prompt->tokens.n;
    if (!answer->echoes && answer->form != &rf_form_native) /* which tells its prompt at the end */
        return true;
    if (n > 0 && ids[0] == rf_tokenizer_roles(tokenizer)->bos) {
        ids++; /* the tokenizer's own, no part of the text */
        n--;
    }
    return rf_tokenizer_decode(tokenizer, ids, n, &prompt->echo, &err) == RF_OK ||
           rf_refuse_status(refusal, "prompt", &err);
}

static bool take_prompts(rf_answer *answer, const rf_ask *ask, rf_field field,
                         rf_refusal *refusal) {
    for (size_t i = 0; i < answer->n_prompts; i++) {
        rf_answer_prompt *prompt = &answer->prompts[i];
        if (!rf_prompts_take(answer->exchange->server, ask, field, i, &prompt->tokens, refusal) ||
            !take_echo(answer, prompt, refusal))
            return false;
        prompt->n_tokens = prompt->tokens.n;
    }
    return true;
}

static bool run(rf_exchange *exchange, const rf_answer_form *form, const rf_ask *ask,
                rf_field field, rf_refusal *refusal) {
    size_t n_prompts = rf_prompts_count(ask, field, RF_PROMPTS_MAX, refusal);
    rf_answer *answer = NULL;
    if (n_prompts == 0)
        return false;
    if (rf_answer_create(exchange, form, ask, NULL, n_prompts, &answer, refusal) &&
        take_prompts(answer, ask, field, refusal))
        return rf_answer_submit(answer, refusal);
    rf_answer_destroy(answer);
    return false;
}

static bool complete(rf_exchange *exchange, const rf_ask *ask, rf_refusal *refusal) {
    return run(exchange, &rf_form_completion, ask, RF_FIELD_PROMPT, refusal);
}

static bool complete_native(rf_exchange *exchange, const rf_ask *ask, rf_refusal *refusal) {
    if (rf_ask_given(ask, RF_FIELD_N_PREDICT) && rf_ask_int(ask, RF_FIELD_N_PREDICT) == 0)
        return rf_refuse(refusal, RF_REFUSE_VALUE, "n_predict",
                         "n_predict: found 0, expected -1 or at least 1");
    return run(exchange, &rf_form_native, ask, RF_FIELD_MIXED_PROMPT, refusal);
}

static bool chat(rf_exchange *exchange, const rf_ask *ask, rf_refusal *refusal) {
    rf_talk talk = {0};
    bool ok = rf_talk_init_chat(&talk, ask, refusal) &&
              rf_answer_talk(exchange, &rf_form_chat, ask, &talk, refusal);
    rf_talk_deinit(&talk);
    return ok;
}

void rf_ep_completions(rf_exchange *exchange) {
    rf_exchange_serve(exchange, RF_ASK_COMPLETIONS, complete);
}

void rf_ep_chat(rf_exchange *exchange) { rf_exchange_serve(exchange, RF_ASK_CHAT, chat); }

void rf_ep_completion(rf_exchange *exchange) {
    rf_exchange_serve(exchange, RF_ASK_NATIVE, complete_native);
}
