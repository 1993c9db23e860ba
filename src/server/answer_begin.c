/* From a request's body to an answer that the engine works for. */
#include "server/answer.h"
#include "server/server_state.h"

bool rf_answer_talk(rf_exchange *exchange, const rf_answer_form *form, const rf_ask *ask,
                    rf_talk *talk, rf_refusal *refusal) {
    rf_tokens tokens = {0};
    rf_answer *answer = NULL;
    if (!rf_talk_tokens(talk, exchange->server, &tokens, refusal) ||
        !rf_answer_create(exchange, form, ask, talk, 1, &answer, refusal)) {
        rf_tokens_deinit(&tokens);
        rf_answer_destroy(answer);
        return false;
    }
    answer->prompts[0].tokens = tokens;
    answer->prompts[0].n_tokens = tokens.n;
    return rf_answer_submit(answer, refusal);
}

void rf_exchange_serve(rf_exchange *exchange, rf_ask_endpoint endpoint,
                       bool (*begin)(rf_exchange *exchange, const rf_ask *ask,
                                     rf_refusal *refusal)) {
    rf_ask ask;
    rf_refusal refusal = {0};
    bool ok = rf_ask_init(&ask, endpoint, rf_buf_view(&exchange->body), &refusal) &&
              begin(exchange, &ask, &refusal);
    rf_ask_deinit(&ask);
    if (!ok)
        rf_exchange_refuse(exchange, &refusal);
}
