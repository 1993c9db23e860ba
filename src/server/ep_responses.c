/* OpenAI's responses. Nothing is stored: each request brings all of the talk. */
#include "server/answer.h"
#include "server/responses.h"
#include "server/routes.h"
#include "server/server_state.h"

static bool answer(rf_exchange *exchange, const rf_ask *ask, rf_refusal *refusal) {
    rf_talk talk = {0};
    const rf_sample_params *params = &exchange->server->options.sampling;
    bool ok = rf_talk_init_responses(&talk, ask, refusal) &&
              rf_responses_repeat(&talk, ask, params, refusal) &&
              rf_answer_talk(exchange, &rf_form_response, ask, &talk, refusal);
    rf_talk_deinit(&talk);
    return ok;
}

void rf_ep_responses(rf_exchange *exchange) {
    rf_exchange_serve(exchange, RF_ASK_RESPONSES, answer);
}
