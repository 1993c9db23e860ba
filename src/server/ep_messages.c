/* Anthropic's messages: an answer, or how many tokens the prompt has. */
#include "server/answer.h"
#include "server/anthropic.h"
#include "server/routes.h"
#include "server/server_state.h"

static bool answer(rf_exchange *exchange, const rf_ask *ask, rf_refusal *refusal) {
    rf_talk talk = {0};
    if (!rf_ask_given(ask, RF_FIELD_CLAUDE_MAX_TOKENS))
        return rf_refuse(refusal, RF_REFUSE_MISSING, "max_tokens",
                         "max_tokens: found nothing, expected a number");
    bool ok = rf_talk_init_messages(&talk, ask, refusal) &&
              rf_answer_talk(exchange, &rf_form_messages, ask, &talk, refusal);
    rf_talk_deinit(&talk);
    return ok;
}

static bool count(rf_exchange *exchange, const rf_ask *ask, rf_refusal *refusal) {
    rf_talk talk = {0};
    rf_tokens tokens = {0};
    bool ok = rf_talk_init_messages(&talk, ask, refusal) &&
              rf_talk_tokens(&talk, exchange->server, &tokens, refusal);
    if (ok) {
        rf_buf body;
        rf_buf_init(&body, 256);
        rf_buf_printf(&body, "{\"input_tokens\":%zu}", tokens.n);
        rf_exchange_reply(exchange, "application/json", &body);
        rf_buf_deinit(&body);
    }
    rf_tokens_deinit(&tokens);
    rf_talk_deinit(&talk);
    return ok;
}

void rf_ep_messages(rf_exchange *exchange) { rf_exchange_serve(exchange, RF_ASK_MESSAGES, answer); }

void rf_ep_count_tokens(rf_exchange *exchange) {
    rf_exchange_serve(exchange, RF_ASK_COUNT_TOKENS, count);
}
