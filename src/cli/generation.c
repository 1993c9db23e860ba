#include "cli/generation.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "cli/stop_scan.h"

/* What one answer needs beside the session. */
typedef struct answer {
    rf_session *session;
    const rf_generation_options *options;
    rf_generation *result;
    rf_sampler *sampler;
    rf_sample_scratch *scratch;
    rf_detokenizer detokenizer;
    rf_stop_scan scan;
    rf_buf piece, shown; /* text of one token; text that is final */
    const float *logits; /* of the next token */
    uint64_t begun_ns;
} answer;

const char *rf_finish_name(rf_finish finish) {
    static const char *const names[] = {
#define X(id, name) name,
#include "cli/finish.def"
#undef X
    };
    return names[finish];
}

rf_status rf_generation_check_stops(const rf_option_value *stops, rf_error *err) {
    for (size_t i = 0; i < stops->n_list; i++) {
        size_t n = strlen(stops->list[i]);
        if (n == 0 || rf_utf8_valid_prefix(stops->list[i], n) < n)
            return rf_fail(err, RF_ERR_USAGE,
                           "--stop: found %s, expected at least one character of UTF-8 text",
                           n == 0 ? "an empty text" : "bytes that are no UTF-8");
    }
    return RF_OK;
}

static rf_status show(answer *a, rf_error *err) {
    if (a->shown.failed)
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the text");
    rf_status status = RF_OK;
    if (a->options->on_text && a->shown.len > 0)
        status = a->options->on_text(a->options->user, rf_buf_view(&a->shown), err);
    rf_buf_clear(&a->shown);
    return status;
}

static rf_status show_token(answer *a, int32_t token, rf_error *err) {
    rf_buf_clear(&a->piece);
    RF_TRY(rf_detokenizer_push(&a->detokenizer, a->session->tokenizer, token, &a->piece, err));
    if (!rf_stop_scan_push(&a->scan, rf_buf_view(&a->piece), &a->shown))
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the text");
    return show(a, err);
}

/* Chooses and shows one token. *done is set when the answer ends with it. */
static rf_status take_token(answer *a, int32_t *token, bool *done, rf_error *err) {
    rf_sampled sampled;
    RF_TRY(rf_sampler_sample(a->sampler, a->scratch, a->logits, NULL, &sampled, err));
    rf_sampler_accept(a->sampler, sampled.token);
    *token = sampled.token;
    if (a->result->n_generated++ == 0)
        a->result->first_ns = rf_clock_ns() - a->begun_ns;
    if (a->options->on_token)
        RF_TRY(a->options->on_token(a->options->user, &sampled, err));
    *done = true;
    if (!a->options->ignore_eos && rf_tokenizer_is_eog(a->session->tokenizer, sampled.token)) {
        a->result->finish = RF_FINISH_END_TOKEN;
        return RF_OK;
    }
    RF_TRY(show_token(a, sampled.token, err));
    if (a->scan.found)
        a->result->finish = RF_FINISH_STOP_TEXT;
    else if (a->options->n_predict >= 0 && a->result->n_generated >= (size_t)a->options->n_predict)
        a->result->finish = RF_FINISH_LENGTH;
    else if (a->session->fed.n >= a->session->n_ctx)
        a->result->finish = RF_FINISH_CONTEXT_FULL;
    else
        *done = false;
    return RF_OK;
}

static rf_status answer_prompt(answer *a, const rf_tokens *prompt, rf_error *err) {
    rf_session *session = a->session;
    size_t kept = rf_session_reuse(session, prompt->ids, prompt->n);
    a->result->n_prompt = prompt->n;
    a->result->n_cached = kept;
    a->begun_ns = rf_clock_ns();
    RF_TRY(rf_session_feed(session, prompt->ids + kept, prompt->n - kept, RF_WANT_LAST, &a->logits,
                           err));
    a->result->prompt_ns = rf_clock_ns() - a->begun_ns;
    bool done = a->options->n_predict == 0;
    while (!done) {
        int32_t token;
        RF_TRY(take_token(a, &token, &done, err));
        if (done)
            break;
        uint64_t from = rf_clock_ns();
        RF_TRY(rf_session_feed(session, &token, 1, RF_WANT_LAST, &a->logits, err));
        a->result->steps_ns += rf_clock_ns() - from;
        a->result->n_steps++;
    }
    return RF_OK;
}

static rf_status run(answer *a, const rf_sampling *sampling, const rf_tokens *prompt,
                     rf_error *err) {
    uint32_t n_vocab = rf_session_n_vocab(a->session);
    RF_TRY(rf_sample_scratch_create(n_vocab, &a->scratch, err));
    RF_TRY(rf_sampler_create(&sampling->params, n_vocab, a->session->n_ctx, 0, &a->sampler, err));
    a->result->seed = rf_sampler_seed(a->sampler);
    rf_sampler_prompt(a->sampler, prompt->ids, (uint32_t)prompt->n);
    rf_status status = answer_prompt(a, prompt, err);
    if (status == RF_ERR_INTERRUPTED) {
        a->result->finish = RF_FINISH_INTERRUPTED;
        status = RF_OK;
    }
    if (status != RF_OK)
        return status;
    rf_buf_clear(&a->piece);
    rf_detokenizer_finish(&a->detokenizer, &a->piece);
    if (!rf_stop_scan_push(&a->scan, rf_buf_view(&a->piece), &a->shown))
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the text");
    rf_stop_scan_finish(&a->scan, &a->shown);
    return show(a, err);
}

rf_status rf_generation_run(rf_session *session, const rf_sampling *sampling,
                            const rf_generation_options *options, const rf_tokens *prompt,
                            rf_generation *out, rf_error *err) {
    *out = (rf_generation){.finish = RF_FINISH_LENGTH};
    if (prompt->n == 0)
        return rf_fail(err, RF_ERR_INVALID, "the prompt has no tokens, expected at least one");
    if (prompt->n > session->n_ctx)
        return rf_fail(err, RF_ERR_LIMIT,
                       "the prompt has %zu tokens, expected at most the context of %u", prompt->n,
                       session->n_ctx);
    answer a = {.session = session, .options = options, .result = out};
    a.detokenizer.keep_leading_space = options->continues;
    a.detokenizer.skip_special = true;
    rf_buf_init(&a.piece, 1 << 20);
    rf_buf_init(&a.shown, 1 << 24);
    rf_stop_scan_init(&a.scan, options->stops, options->n_stops);
    rf_status status = run(&a, sampling, prompt, err);
    rf_sampler_destroy(a.sampler);
    rf_sample_scratch_destroy(a.scratch);
    rf_stop_scan_deinit(&a.scan);
    rf_buf_deinit(&a.piece);
    rf_buf_deinit(&a.shown);
    return status;
}

static double per_second(double n, uint64_t ns) { return ns > 0 ? n * 1e9 / (double)ns : 0; }

static double read_gb_s(const rf_session *session, const rf_generation *g) {
    return per_second((double)session->step_bytes * (double)g->n_steps, g->steps_ns) / 1e9;
}

void rf_generation_note(const rf_session *session, const rf_generation *g) {
    size_t fed = g->n_prompt - g->n_cached;
    char cached[48] = "";
    if (g->n_cached > 0)
        (void)snprintf(cached, sizeof cached, " (%zu more in the cache)", g->n_cached);
    rf_note("%sprompt %zu tokens%s, %.1f tok/s; generated %zu, %.1f tok/s; weights read at %.1f "
            "GB/s; first token after %.2f s%s",
            rf_note_style(RF_STYLE_DIM), fed, cached, per_second((double)fed, g->prompt_ns),
            g->n_generated, per_second((double)g->n_steps, g->steps_ns), read_gb_s(session, g),
            (double)g->first_ns / 1e9, rf_note_style(RF_STYLE_NONE));
}

json_t *rf_generation_json(const rf_session *session, const rf_generation *g, bool *ok) {
    size_t fed = g->n_prompt - g->n_cached;
    json_t *object = json_object();
    rf_json_set(object, "prompt_tokens", json_integer((json_int_t)g->n_prompt), ok);
    rf_json_set(object, "cached_tokens", json_integer((json_int_t)g->n_cached), ok);
    rf_json_set(object, "generated_tokens", json_integer((json_int_t)g->n_generated), ok);
    rf_json_set(object, "prompt_seconds", json_real((double)g->prompt_ns / 1e9), ok);
    rf_json_set(object, "prompt_tokens_per_second",
                json_real(per_second((double)fed, g->prompt_ns)), ok);
    rf_json_set(object, "first_token_seconds", json_real((double)g->first_ns / 1e9), ok);
    rf_json_set(object, "tokens_per_second", json_real(per_second((double)g->n_steps, g->steps_ns)),
                ok);
    rf_json_set(object, "weights_gb_per_second", json_real(read_gb_s(session, g)), ok);
    return object;
}
