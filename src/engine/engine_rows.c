/* Results of rows that nothing is chosen from: scores of given tokens, pooled embeddings. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "engine/engine_state.h"
#include "sample/logprobs.h"

/* ---- scores -------------------------------------------------------------------------------- */

static bool all_finite(const float *row, size_t n) {
    bool finite = true;
    for (size_t i = 0; i < n; i++)
        finite &= isfinite(row[i]) != 0;
    return finite;
}

static bool refuse(core_request *request, uint32_t position, const char *what) {
    request->status = RF_ERR_INVALID;
    (void)snprintf(request->error, sizeof request->error,
                   "the %s after position %u are not finite: the model's weights hold NaN or "
                   "infinity, or values that overflow",
                   what, position);
    return false;
}

static bool take_scores(rf_engine *engine, core_request *request, const rf_step_entry *entry) {
    engine_core *core = &engine->core;
    const rf_order *order = &request->order;
    uint32_t n_vocab = core->program->n_vocab;
    const int32_t *tokens = (const int32_t *)(void *)(engine->region + order->tokens_at);
    rf_token_logprob *scores = (rf_token_logprob *)(void *)(engine->region + order->result_at);
    for (uint32_t i = 0; i < entry->n_outputs; i++) {
        uint32_t position = entry->first_output_position + i;
        const float *logits = core->logits + (size_t)(entry->first_output + i) * n_vocab;
        rf_token_logprob *at = scores + (size_t)(position - order->rows_from) * (1 + order->n_top);
        if (!all_finite(logits, n_vocab))
            return refuse(request, position, "logits");
        at->token = tokens[position + 1];
        uint32_t n = rf_logprobs(core->scratch, logits, n_vocab, at->token, order->n_top,
                                 &at->logprob, at + 1);
        for (; n < order->n_top; n++)
            at[1 + n] = (rf_token_logprob){-1, -INFINITY};
    }
    return true;
}

static bool check_logits(const engine_core *core, core_request *request,
                         const rf_step_entry *entry) {
    uint32_t n_vocab = core->program->n_vocab;
    for (uint32_t i = 0; i < entry->n_outputs; i++)
        if (!all_finite(core->logits + (size_t)(entry->first_output + i) * n_vocab, n_vocab))
            return refuse(request, entry->first_output_position + i, "logits");
    return true;
}

/* ---- embeddings ---------------------------------------------------------------------------- */

/* Rows are added in the order of their positions, so that chunks do not show in the sum. */
static bool add_hidden(rf_engine *engine, core_request *request, const rf_step_entry *entry) {
    engine_core *core = &engine->core;
    uint32_t n_embd = core->program->n_embd;
    double *sum = (double *)(void *)(engine->region + request->order.result_at);
    for (uint32_t i = 0; i < entry->n_outputs; i++) {
        const float *hidden = core->hidden + (size_t)(entry->first_output + i) * n_embd;
        if (!all_finite(hidden, n_embd))
            return refuse(request, entry->first_output_position + i, "states");
        for (uint32_t c = 0; c < n_embd; c++)
            sum[c] += (double)hidden[c];
    }
    return true;
}

bool rf_core_take_rows(rf_engine *engine, core_request *request, const rf_step_entry *entry) {
    switch (request->order.request) {
    case RF_REQUEST_SCORE: return take_scores(engine, request, entry);
    case RF_REQUEST_EMBED: return add_hidden(engine, request, entry);
    case RF_REQUEST_ROWS: return check_logits(&engine->core, request, entry);
    default: return true;
    }
}

void rf_core_finish_rows(rf_engine *engine, core_request *request) {
    const rf_order *order = &request->order;
    if (order->request != RF_REQUEST_EMBED)
        return;
    uint32_t n_embd = engine->core.program->n_embd;
    unsigned char *base = engine->region + order->result_at;
    double divisor = order->pooling == RF_POOL_MEAN ? order->n_tokens : 1, squares = 0, x;
    for (uint32_t c = 0; c < n_embd; c++) {
        memcpy(&x, base + c * sizeof x, sizeof x);
        squares += x * x;
    }
    if (order->normalise && squares > 0)
        divisor = sqrt(squares);
    for (uint32_t c = 0; c < n_embd; c++) { /* a float never overtakes the double it comes from */
        memcpy(&x, base + c * sizeof x, sizeof x);
        float value = (float)(x / divisor);
        memcpy(base + c * sizeof value, &value, sizeof value);
    }
}
