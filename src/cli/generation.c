#include "cli/generation.h"

#include <stdio.h>

#include "base/clock.h"
#include "base/utf8.h"
#include "cli/interrupt.h"
#include "cli/output.h"
#include "text/answer_text.h"

/* What one answer needs beside the session. */
typedef struct answer {
    rf_session *session;
    const rf_generation_options *options;
    rf_generation *result;
    rf_answer_text text;
    uint64_t begun_ns;
} answer;

const char *rf_answer_end_name(rf_answer_end end) {
    static const char *const names[] = {
#define X(id, name) name,
#include "cli/answer_ends.def"
#undef X
    };
    return names[end];
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
    rf_str text = rf_buf_view(&a->text.fresh);
    return a->options->on_text && text.len > 0 ? a->options->on_text(a->options->user, text, err)
                                               : RF_OK;
}

static rf_status take_token(answer *a, const rf_event *event, bool *enough, rf_error *err) {
    a->result->last_ns = rf_clock_ns() - a->begun_ns;
    if (a->result->n_generated++ == 0)
        a->result->first_ns = a->result->last_ns;
    if (a->options->on_token)
        RF_TRY(a->options->on_token(a->options->user, event, err));
    if (!a->options->ignore_eos && rf_tokenizer_is_eog(a->session->tokenizer, event->token)) {
        a->result->finish = RF_ANSWER_END_TOKEN;
        return RF_OK;
    }
    RF_TRY(rf_answer_text_push(&a->text, event->token, err));
    RF_TRY(show(a, err));
    if (a->text.scan.found) {
        a->result->finish = RF_ANSWER_STOP_TEXT;
        *enough = true;
    }
    return RF_OK;
}

static rf_status take_event(void *user, const rf_event *event, bool *enough, rf_error *err) {
    answer *a = user;
    if (event->kind == RF_EVENT_TOKEN)
        return take_token(a, event, enough, err);
    a->result->n_cached = event->n_cached;
    a->result->n_drafted = event->n_drafted;
    a->result->n_accepted = event->n_accepted;
    bool all = (int64_t)a->result->n_generated == a->options->n_predict;
    if (event->finish == RF_FINISH_STOP)
        a->result->finish = RF_ANSWER_END_TOKEN; /* or nothing may follow */
    if (event->finish == RF_FINISH_LENGTH && !all)
        a->result->finish = RF_ANSWER_CONTEXT_FULL;
    return RF_OK;
}

/* Without tokens to generate, the prompt alone is run. */
static rf_request request_of(const answer *a, const rf_sample_params *params,
                             const rf_tokens *prompt) {
    rf_request request = {.kind = RF_REQUEST_GENERATE,
                          .tokens = prompt->ids,
                          .n_tokens = (uint32_t)prompt->n,
                          .n_new = RF_NEW_TOKENS_MAX,
                          .params = params,
                          .constraint = a->session->constraint,
                          .draft = a->session->draft};
    int64_t room = (int64_t)a->session->n_ctx - (int64_t)prompt->n, n = a->options->n_predict;
    if (n >= 0 && n <= room)
        request.n_new = (uint32_t)n;
    if (n == 0) {
        request.kind = RF_REQUEST_ROWS;
        request.rows_from = request.n_tokens - 1;
    }
    if (!a->options->ignore_eos) {
        size_t n_eog;
        request.stop_tokens = rf_tokenizer_eog(a->session->tokenizer, &n_eog);
        request.n_stop = (uint32_t)n_eog;
    }
    return request;
}

static rf_status run(answer *a, const rf_sampling *sampling, const rf_tokens *prompt,
                     rf_error *err) {
    rf_sample_params params = sampling->params;
    if (params.seed < 0)
        params.seed = rf_sample_draw_seed();
    a->result->seed = (uint64_t)params.seed;
    a->result->n_prompt = prompt->n;
    rf_request request = request_of(a, &params, prompt);
    a->begun_ns = rf_clock_ns();
    rf_status status = rf_session_run(a->session, &request, 1, take_event, a, err);
    if (a->result->n_generated == 0)
        a->result->first_ns = a->result->last_ns = rf_clock_ns() - a->begun_ns;
    if (status == RF_ERR_INTERRUPTED) {
        a->result->finish = RF_ANSWER_INTERRUPTED;
        status = RF_OK;
    }
    if (status != RF_OK)
        return status;
    RF_TRY(rf_answer_text_finish(&a->text, err));
    return show(a, err);
}

rf_status rf_generation_run(rf_session *session, const rf_sampling *sampling,
                            const rf_generation_options *options, const rf_tokens *prompt,
                            rf_generation *out, rf_error *err) {
    *out = (rf_generation){.finish = RF_ANSWER_LENGTH};
    if (prompt->n == 0)
        return rf_fail(err, RF_ERR_INVALID, "the prompt has no tokens, expected at least one");
    size_t most = session->n_ctx - (options->n_predict != 0);
    if (prompt->n > most)
        return rf_fail(err, RF_ERR_LIMIT,
                       "the prompt has %zu tokens, expected at most %zu in the context of %u",
                       prompt->n, most, session->n_ctx);
    answer a = {.session = session, .options = options, .result = out};
    rf_answer_text_init(&a.text, session->tokenizer, options->stops, options->n_stops,
                        options->continues);
    rf_status status = run(&a, sampling, prompt, err);
    rf_answer_text_deinit(&a.text);
    return status;
}

static double per_second(double n, uint64_t ns) { return ns > 0 ? n * 1e9 / (double)ns : 0; }

static double steps_per_second(const rf_generation *g) {
    return per_second((double)rf_generation_n_steps(g), rf_generation_steps_ns(g));
}

static double read_gb_s(const rf_session *session, const rf_generation *g) {
    size_t n = rf_generation_n_steps(g);
    double n_steps = (double)(n > g->n_accepted ? n - g->n_accepted : 0); /* that read them */
    return per_second((double)session->step_bytes * n_steps, rf_generation_steps_ns(g)) / 1e9;
}

void rf_generation_note(const rf_session *session, const rf_generation *g) {
    size_t fed = g->n_prompt - g->n_cached;
    char cached[48] = "", drafts[64] = "";
    if (g->n_cached > 0)
        (void)snprintf(cached, sizeof cached, " (%zu more in the cache)", g->n_cached);
    if (session->draft != RF_DRAFT_NONE)
        (void)snprintf(drafts, sizeof drafts, "; %zu of %zu drafts accepted", g->n_accepted,
                       g->n_drafted);
    rf_note("%sprompt %zu tokens%s, %.1f tok/s; generated %zu, %.1f tok/s%s; weights read at %.1f "
            "GB/s; first token after %.2f s%s",
            rf_note_style(RF_STYLE_DIM), fed, cached, per_second((double)fed, g->first_ns),
            g->n_generated, steps_per_second(g), drafts, read_gb_s(session, g),
            (double)g->first_ns / 1e9, rf_note_style(RF_STYLE_NONE));
}

json_t *rf_generation_json(const rf_session *session, const rf_generation *g, bool *ok) {
    size_t fed = g->n_prompt - g->n_cached;
    json_t *object = json_object();
    rf_json_set(object, "prompt_tokens", json_integer((json_int_t)g->n_prompt), ok);
    rf_json_set(object, "cached_tokens", json_integer((json_int_t)g->n_cached), ok);
    rf_json_set(object, "generated_tokens", json_integer((json_int_t)g->n_generated), ok);
    rf_json_set(object, "drafted_tokens", json_integer((json_int_t)g->n_drafted), ok);
    rf_json_set(object, "accepted_tokens", json_integer((json_int_t)g->n_accepted), ok);
    rf_json_set(object, "prompt_tokens_per_second", json_real(per_second((double)fed, g->first_ns)),
                ok);
    rf_json_set(object, "first_token_seconds", json_real((double)g->first_ns / 1e9), ok);
    rf_json_set(object, "tokens_per_second", json_real(steps_per_second(g)), ok);
    rf_json_set(object, "weights_gb_per_second", json_real(read_gb_s(session, g)), ok);
    return object;
}
