#include "server/answer.h"

#include <stdio.h>
#include <time.h>

#include "base/alloc.h"
#include "base/clock.h"
#include "base/map.h"
#include "server/answer_json.h"
#include "server/output_fields.h"
#include "server/pump.h"
#include "server/server_state.h"

enum { HEAD_BYTES = 4096, CHUNK_BYTES = 1 << 20, MAX_CHOICES = 2048 };

/* ---- from a request ------------------------------------------------------------------------ */

static bool no_memory(rf_refusal *refusal) {
    return rf_refuse(refusal, RF_REFUSE_FAILED, NULL, "out of memory for the request");
}

static bool take_stream_options(rf_answer *answer, const rf_ask *ask, rf_refusal *refusal) {
    json_t *options = rf_ask_json(ask, RF_FIELD_STREAM_OPTIONS);
    json_t *usage = json_object_get(options, "include_usage");
    answer->streams = rf_ask_on(ask, RF_FIELD_STREAM);
    if (!options)
        return true;
    if (usage && !json_is_null(usage) && !json_is_boolean(usage))
        return rf_refuse(refusal, RF_REFUSE_TYPE, "stream_options",
                         "stream_options.include_usage: found %s, expected true or false",
                         rf_json_kind_name(usage));
    if (!answer->streams)
        return rf_refuse(refusal, RF_REFUSE_VALUE, "stream_options",
                         "stream_options: expected stream to be true beside it");
    answer->include_usage = json_is_true(usage);
    return true;
}

static bool take_lengths(rf_answer *answer, const rf_ask *ask) {
    const rf_server_options *options = &answer->exchange->server->options;
    int64_t n = rf_ask_int(ask, RF_FIELD_MAX_COMPLETION_TOKENS);
    n = n > 0 ? n : rf_ask_int(ask, RF_FIELD_MAX_TOKENS);
    n = n > 0 ? n : rf_ask_int(ask, RF_FIELD_LEGACY_MAX_TOKENS);
    n = n > 0 ? n : rf_ask_int(ask, RF_FIELD_CLAUDE_MAX_TOKENS);
    n = n > 0 ? n : rf_ask_int(ask, RF_FIELD_MAX_OUTPUT_TOKENS);
    n = n > 0 ? n : rf_ask_int(ask, RF_FIELD_N_PREDICT);
    n = n > 0 ? n : (int64_t)answer->form->n_predict;
    n = n > 0 ? n : options->n_predict;
    answer->n_new = n > 0 ? (uint32_t)n : RF_NEW_TOKENS_MAX;
    answer->n_wanted = (uint32_t)rf_ask_int(ask, RF_FIELD_N);
    int64_t best_of = rf_ask_int(ask, RF_FIELD_BEST_OF);
    answer->n_choices = best_of > 0 ? (uint32_t)best_of : answer->n_wanted;
    answer->echoes = rf_ask_on(ask, RF_FIELD_ECHO);
    if (rf_ask_given(ask, RF_FIELD_LEGACY_MAX_TOKENS) &&
        rf_ask_int(ask, RF_FIELD_LEGACY_MAX_TOKENS) == 0 &&
        !rf_ask_given(ask, RF_FIELD_MAX_COMPLETION_TOKENS))
        answer->n_new = 0;
    answer->returns_ids = rf_ask_on(ask, RF_FIELD_RETURN_TOKENS);
    answer->times_tokens = rf_ask_on(ask, RF_FIELD_TIMINGS_PER_TOKEN);
    answer->priority = (int32_t)rf_ask_int(ask, RF_FIELD_PRIORITY);
    answer->keeps_private = !rf_ask_on(ask, RF_FIELD_CACHE_PROMPT);
    rf_str salt = rf_ask_text(ask, RF_FIELD_CACHE_SALT);
    answer->salt = salt.len > 0 ? rf_hash(salt.ptr, salt.len, rf_hash_random_seed()) : 0;
    uint64_t ms = (uint64_t)rf_ask_int(ask, RF_FIELD_TIMEOUT_MS);
    uint64_t most_ms = (uint64_t)options->timeout_s * 1000;
    if (ms == 0 || (most_ms > 0 && ms > most_ms))
        ms = most_ms;
    answer->deadline_ns = ms > 0 ? answer->exchange->begun_ns + ms * 1000000 : 0;
    return true;
}

static bool check_sense(const rf_answer *answer, rf_refusal *refusal) {
    if (answer->n_choices < answer->n_wanted)
        return rf_refuse(refusal, RF_REFUSE_VALUE, "best_of",
                         "best_of: found %u, expected at least n, which is %u", answer->n_choices,
                         answer->n_wanted);
    if (answer->n_choices > answer->n_wanted && answer->streams)
        return rf_refuse(
            refusal, RF_REFUSE_VALUE, "best_of",
            "best_of: found %u in a stream, which cannot wait for the best: expected n, "
            "which is %u",
            answer->n_choices, answer->n_wanted);
    if (answer->n_new == 0 && !answer->echoes)
        return rf_refuse(refusal, RF_REFUSE_VALUE, "max_tokens",
                         "max_tokens: found 0, expected at least 1, or echo beside it");
    return true;
}

static bool make_parts(rf_answer *answer, rf_refusal *refusal) {
    size_t n_choices = answer->n_prompts * answer->n_choices;
    if (n_choices > MAX_CHOICES)
        return rf_refuse(refusal, RF_REFUSE_VALUE, "n", "n: %zu choices in all, expected %d",
                         n_choices, MAX_CHOICES);
    answer->prompts = rf_calloc(answer->n_prompts, sizeof *answer->prompts);
    answer->choices = rf_calloc(n_choices, sizeof *answer->choices);
    if (!answer->prompts || !answer->choices)
        return no_memory(refusal);
    const rf_server_options *options = &answer->exchange->server->options;
    for (size_t i = 0; i < n_choices; i++)
        rf_choice_init(&answer->choices[i], answer);
    for (size_t i = 0; i < answer->n_prompts; i++) {
        answer->prompts[i] = (rf_answer_prompt){
            .i_prompt = (uint32_t)i, .n_open = answer->n_choices, .answer = answer};
        rf_buf_init(&answer->prompts[i].echo, options->max_body_bytes);
    }
    return true;
}

bool rf_answer_create(rf_exchange *exchange, const rf_answer_form *form, const rf_ask *ask,
                      rf_talk *talk, size_t n_prompts, rf_answer **out, rf_refusal *refusal) {
    rf_answer *answer = rf_calloc(1, sizeof *answer);
    *out = answer;
    if (!answer)
        return no_memory(refusal);
    answer->exchange = rf_exchange_ref(exchange);
    answer->form = form;
    if (talk) {
        answer->talk = *talk;
        *talk = (rf_talk){0};
    }
    answer->created_s = (int64_t)time(NULL);
    rf_buf_init(&answer->head, HEAD_BYTES);
    rf_buf_init(&answer->sent, CHUNK_BYTES);
    rf_server_make_id(form->id_prefix, answer->id, sizeof answer->id);
    const rf_server_options *options = &exchange->server->options;
    if (!take_stream_options(answer, ask, refusal) || !take_lengths(answer, ask) ||
        !rf_sampling_ask_init(&answer->sampling, ask, &options->sampling, options->tokenizer,
                              refusal) ||
        !rf_output_fields_take(ask, &answer->talk, options->tokenizer, form->continues,
                               &answer->constraint, refusal) ||
        !check_sense(answer, refusal))
        return false;
    if (answer->n_choices > answer->n_wanted && answer->sampling.params.n_probs == 0)
        answer->sampling.params.n_probs = 1; /* to compare them by */
    answer->scores = answer->echoes && answer->sampling.logprobs;
    answer->n_prompts = n_prompts; /* from here on the parts are there to be freed */
    return make_parts(answer, refusal);
}

void rf_answer_destroy(rf_answer *answer) {
    if (!answer)
        return;
    for (size_t i = 0; answer->prompts && i < answer->n_prompts; i++) {
        rf_tokens_deinit(&answer->prompts[i].tokens);
        rf_buf_deinit(&answer->prompts[i].echo);
        rf_free(answer->prompts[i].vector);
    }
    for (size_t i = 0; answer->choices && i < answer->n_prompts * answer->n_choices; i++)
        rf_choice_deinit(&answer->choices[i]);
    rf_free(answer->prompts);
    rf_free(answer->choices);
    rf_sampling_ask_deinit(&answer->sampling);
    rf_free(answer->constraint);
    rf_talk_deinit(&answer->talk);
    rf_buf_deinit(&answer->head);
    rf_buf_deinit(&answer->sent);
    rf_exchange_unref(answer->exchange);
    rf_free(answer);
}

/* ---- into the engine ----------------------------------------------------------------------- */

static bool check_prompts(const rf_answer *answer, rf_refusal *refusal) {
    uint32_t n_ctx = answer->exchange->server->options.n_ctx;
    const char *param = answer->form->prompt_field;
    for (size_t i = 0; i < answer->n_prompts; i++) {
        size_t n = answer->prompts[i].n_tokens;
        if (n == 0)
            return rf_refuse(refusal, RF_REFUSE_VALUE, param, "%s: found no tokens, expected one",
                             param);
        if (n >= n_ctx + answer->form->embeds) /* OpenAI's words: agents look for them */
            return rf_refuse(refusal, RF_REFUSE_CONTEXT, param,
                             "This model's maximum context length is %u tokens. However, your "
                             "%s resulted in %zu tokens. Please reduce the length of the %s.",
                             n_ctx, param, n, param);
    }
    return true;
}

bool rf_answer_submit(rf_answer *answer, rf_refusal *refusal) {
    struct rf_server *server = answer->exchange->server;
    rf_error err = {0};
    if (!check_prompts(answer, refusal)) {
        rf_answer_destroy(answer);
        return false;
    }
    answer->submitted_ns = rf_clock_ns();
    if (!rf_exchange_attach(answer->exchange, answer, answer->streams, answer->deadline_ns)) {
        rf_answer_destroy(answer);
        return true; /* nobody waits for it, nor for a refusal */
    }
    rf_status status = rf_pump_submit(server->pump, answer, &err);
    if (status == RF_OK)
        return true;
    rf_exchange_detach(answer->exchange);
    rf_answer_destroy(answer);
    if (status == RF_ERR_LIMIT) {
        refusal->retry_after_s =
            rf_metrics_retry_after_s(&server->metrics, server->options.max_running);
        return rf_refuse(refusal, RF_REFUSE_BUSY, NULL, "the queue is full: %s", err.text);
    }
    return rf_refuse_status(refusal, NULL, &err);
}

/* ---- events -------------------------------------------------------------------------------- */

static void fail(rf_answer *answer, const rf_error *err) {
    (void)rf_refuse(&answer->failure, RF_REFUSE_FAILED, NULL, "%s", err->text);
}

static rf_choice *choice_of(const rf_answer *answer, const rf_answer_prompt *prompt, uint32_t i) {
    return &answer->choices[(size_t)prompt->i_prompt * answer->n_choices + i];
}

static void close_choice(rf_answer *answer, rf_answer_prompt *prompt, rf_choice *choice,
                         rf_choice_end end) {
    rf_error err = {0};
    if (choice->end != RF_CHOICE_OPEN)
        return;
    if (rf_choice_close(choice, end, &err) != RF_OK) {
        fail(answer, &err);
        choice->end = end;
    }
    prompt->n_open--;
    rf_metrics_count_finish(&answer->exchange->server->metrics, rf_finish_name(choice->end));
    if (answer->streams)
        answer->form->finish(answer, choice);
}

static void count_time(rf_answer *answer, rf_choice *choice, uint64_t now_ns) {
    rf_metrics *metrics = &answer->exchange->server->metrics;
    if (answer->first_ns == 0) {
        answer->first_ns = now_ns;
        rf_metrics_observe(metrics, RF_HISTOGRAM_TTFT, now_ns - answer->exchange->begun_ns);
    }
    if (choice->last_ns > 0)
        rf_metrics_observe(metrics, RF_HISTOGRAM_ITL, now_ns - choice->last_ns);
    choice->last_ns = answer->last_ns = now_ns;
}

static void take_token(rf_answer *answer, rf_answer_prompt *prompt, const rf_event *event) {
    rf_choice *choice = choice_of(answer, prompt, event->choice);
    rf_error err = {0};
    const rf_tokenizer *tokenizer = answer->exchange->server->options.tokenizer;
    if (choice->end != RF_CHOICE_OPEN)
        return;
    if (answer->n_new == 0) { /* the engine makes one at least */
        close_choice(answer, prompt, choice, RF_CHOICE_LENGTH);
        return;
    }
    choice->n_tokens++;
    choice->logprob_sum += (double)event->logprob;
    count_time(answer, choice, rf_clock_ns());
    if (!answer->sampling.ignore_eos && rf_tokenizer_is_eog(tokenizer, event->token))
        return; /* its finish follows */
    if (answer->returns_ids)
        rf_buf_printf(&choice->ids, "%s%d", choice->ids.len > 0 ? "," : "", event->token);
    if (answer->sampling.logprobs)
        rf_answer_json_logprob(answer, choice, event);
    if (rf_choice_push(choice, event->token, &err) != RF_OK) {
        fail(answer, &err);
        return;
    }
    rf_choice_end end = rf_choice_is_over(choice);
    if (end != RF_CHOICE_OPEN)
        close_choice(answer, prompt, choice, end);
}

static void keep_vector(rf_answer *answer, rf_answer_prompt *prompt, const float *vector) {
    size_t n = answer->exchange->server->options.n_embd;
    prompt->n_open = 0;
    prompt->vector = rf_calloc(n, sizeof *vector);
    if (prompt->vector)
        memcpy(prompt->vector, vector, n * sizeof *vector);
    else
        (void)no_memory(&answer->failure);
}

static void take_scores(rf_answer *answer, rf_answer_prompt *prompt, const rf_event *event) {
    prompt->scored = true;
    for (uint32_t i = 0; i < answer->n_choices; i++) {
        rf_choice *choice = choice_of(answer, prompt, i);
        rf_answer_json_scores(answer, prompt, choice, event->scores);
        if (answer->n_new == 0)
            close_choice(answer, prompt, choice, RF_CHOICE_LENGTH);
    }
}

static void take_finish(rf_answer *answer, rf_answer_prompt *prompt, const rf_event *event) {
    if (!prompt->scored) /* by the first of its requests */
        prompt->n_cached = event->n_cached;
    if (event->status != RF_OK || event->finish == RF_FINISH_FAILED) {
        rf_error err = {0};
        (void)rf_fail(&err, event->status, "%s",
                      event->error[0] ? event->error : "the engine failed");
        if (event->status == RF_ERR_LIMIT)
            (void)rf_refuse(&answer->failure, RF_REFUSE_BUSY, NULL, "%s", err.text);
        else
            (void)rf_refuse_status(&answer->failure, NULL, &err);
        return;
    }
    if (prompt->began_ns == 0)
        prompt->began_ns = event->began_ns;
    if (event->scores)
        take_scores(answer, prompt, event);
    else if (event->embedding)
        keep_vector(answer, prompt, event->embedding);
    else if (event->finish == RF_FINISH_STOP || event->finish == RF_FINISH_LENGTH)
        close_choice(answer, prompt, choice_of(answer, prompt, event->choice),
                     event->finish == RF_FINISH_STOP ? RF_CHOICE_STOP : RF_CHOICE_LENGTH);
}

/* A stream begins with what is no failure. */
static void begin(rf_answer *answer, const rf_event *event) {
    if (!answer->streams || answer->has_begun || event->status != RF_OK)
        return;
    answer->has_begun = true;
    if (answer->form->begin)
        answer->form->begin(answer);
}

bool rf_answer_take(rf_answer *answer, rf_answer_prompt *prompt, const rf_event *event) {
    rf_buf_clear(&answer->sent);
    begin(answer, event);
    if (event->kind == RF_EVENT_TOKEN)
        take_token(answer, prompt, event);
    else
        take_finish(answer, prompt, event);
    bool wanted = answer->failure.kind == RF_REFUSE_NOTHING;
    if (wanted && answer->sent.len > 0)
        wanted = rf_exchange_stream(answer->exchange, rf_buf_view(&answer->sent), false);
    return !wanted || prompt->n_open == 0;
}

/* What the log and the metrics tell of it. */
static void give_account(const rf_answer *answer) {
    rf_exchange *exchange = answer->exchange;
    const rf_answer_prompt *first = &answer->prompts[0];
    rf_answer_counts c = rf_answer_count(answer);
    rf_account account = {.n_prompt = c.n_prompt,
                          .n_cached = c.n_cached,
                          .n_generated = c.n_generated,
                          .finish = answer->failure.kind != RF_REFUSE_NOTHING ? "error"
                                    : answer->abandoned                       ? "abort"
                                                        : rf_finish_name(answer->choices[0].end)};
    if (first->began_ns > answer->submitted_ns) {
        account.queue_ns = first->began_ns - answer->submitted_ns;
        rf_metrics_observe(&exchange->server->metrics, RF_HISTOGRAM_QUEUE, account.queue_ns);
    }
    if (answer->first_ns > 0)
        account.ttft_ns = answer->first_ns - exchange->begun_ns;
    pthread_mutex_lock(&exchange->lock);
    exchange->account = account;
    pthread_mutex_unlock(&exchange->lock);
}

void rf_answer_finish(rf_answer *answer) {
    rf_exchange *exchange = answer->exchange;
    rf_metrics *metrics = &exchange->server->metrics;
    rf_exchange_detach(exchange); /* nobody cancels it from here on */
    rf_metrics_take_answer(metrics, answer);
    if (answer->timed_out)
        (void)rf_refuse(&answer->failure, RF_REFUSE_TIMEOUT, NULL,
                        "the request took longer than it may: %.1f s",
                        (double)(rf_clock_ns() - exchange->begun_ns) / 1e9);
    give_account(answer);
    rf_answer_choose_best(answer);
    bool failed = answer->failure.kind != RF_REFUSE_NOTHING;
    if (failed && !(answer->has_begun && answer->form->fail)) {
        rf_exchange_refuse(exchange, &answer->failure);
    } else if (answer->streams) {
        rf_buf_clear(&answer->sent);
        (failed ? answer->form->fail : answer->form->end)(answer);
        (void)rf_exchange_stream(exchange, rf_buf_view(&answer->sent), false);
        rf_exchange_end(exchange);
    } else {
        rf_buf body;
        rf_buf_init(&body, (size_t)1 << 30);
        answer->form->whole(answer, &body);
        rf_exchange_reply(exchange, "application/json", &body);
        rf_buf_deinit(&body);
    }
}
