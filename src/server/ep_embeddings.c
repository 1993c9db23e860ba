/* Embeddings: texts into the engine, which gives a vector for each. The pump answers. */
#include "server/answer.h"
#include "server/form_embeddings.h"
#include "server/prompt_fields.h"
#include "server/routes.h"
#include "server/server_state.h"

enum { INPUTS_MAX = 2048 }; /* OpenAI's number */

static bool take_shape(rf_answer *answer, const rf_ask *ask, rf_refusal *refusal) {
    uint32_t n_embd = answer->exchange->server->options.n_embd;
    int64_t n = rf_ask_int(ask, RF_FIELD_DIMENSIONS);
    rf_str format = rf_ask_text(ask, RF_FIELD_ENCODING_FORMAT);
    bool given = rf_ask_given(ask, RF_FIELD_ENCODING_FORMAT);
    answer->writes_base64 = given && rf_str_is(format, "base64");
    if (given && !answer->writes_base64 && !rf_str_is(format, "float"))
        return rf_refuse(refusal, RF_REFUSE_VALUE, "encoding_format",
                         "encoding_format: found %.*s, expected float or base64",
                         RF_STR_ARG(format));
    return !rf_ask_given(ask, RF_FIELD_DIMENSIONS) || n == n_embd ||
           rf_refuse(refusal, RF_REFUSE_VALUE, "dimensions",
                     "dimensions: found %lld, expected %u, which the model's vectors have",
                     (long long)n, n_embd);
}

static bool take_inputs(rf_answer *answer, const rf_ask *ask, rf_refusal *refusal) {
    for (size_t i = 0; i < answer->n_prompts; i++) {
        rf_answer_prompt *prompt = &answer->prompts[i];
        if (!rf_prompts_take(answer->exchange->server, ask, RF_FIELD_INPUT, i, &prompt->tokens,
                             refusal))
            return false;
        prompt->n_tokens = prompt->tokens.n;
    }
    return true;
}

static bool embed(rf_exchange *exchange, const rf_ask *ask, rf_refusal *refusal) {
    size_t n = rf_prompts_count(ask, RF_FIELD_INPUT, INPUTS_MAX, refusal);
    rf_answer *answer = NULL;
    if (n == 0)
        return false;
    if (rf_answer_create(exchange, &rf_form_embeddings, ask, NULL, n, &answer, refusal) &&
        take_shape(answer, ask, refusal) && take_inputs(answer, ask, refusal))
        return rf_answer_submit(answer, refusal);
    rf_answer_destroy(answer);
    return false;
}

void rf_ep_embeddings(rf_exchange *exchange) {
    rf_exchange_serve(exchange, RF_ASK_EMBEDDINGS, embed);
}
