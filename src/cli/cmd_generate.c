#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "cli/conversation.h"
#include "cli/file_input.h"
#include "cli/generation.h"
#include "cli/interrupt.h"
#include "cli/output.h"

enum { PROMPT_MAX_BYTES = 64 << 20, ANSWER_MAX_BYTES = 256 << 20 };

/* One run of the command; what it owns is freed by release. */
typedef struct job {
    rf_cli *cli;
    rf_session session;
    rf_sampling sampling;
    rf_buf prompt, answer;
    rf_tokens prompt_tokens, tokens;
    json_t *logprobs;
    char last; /* byte that was written last */
} job;

static void release(job *j) {
    json_decref(j->logprobs);
    rf_tokens_deinit(&j->tokens);
    rf_tokens_deinit(&j->prompt_tokens);
    rf_buf_deinit(&j->answer);
    rf_buf_deinit(&j->prompt);
    rf_sampling_deinit(&j->sampling);
    rf_session_close(&j->session);
}

static rf_status stream_text(void *user, rf_str text, rf_error *err) {
    job *j = user;
    j->last = text.ptr[text.len - 1];
    rf_out_bytes(text.ptr, text.len);
    return rf_out_flush(err);
}

static rf_status keep_text(void *user, rf_str text, rf_error *err) {
    job *j = user;
    rf_buf_str(&j->answer, text);
    return j->answer.failed
               ? rf_fail(err, RF_ERR_LIMIT, "the answer is longer than %d bytes", ANSWER_MAX_BYTES)
               : RF_OK;
}

static json_t *logprob_json(const job *j, int32_t token, double logprob, bool *ok) {
    json_t *item = json_object();
    rf_buf text;
    rf_error ignored = {0};
    rf_buf_init(&text, 1 << 20);
    rf_json_set(item, "id", json_integer(token), ok);
    if (rf_tokenizer_decode(j->session.tokenizer, &token, 1, &text, &ignored) == RF_OK)
        rf_json_set(item, "text", rf_json_str(rf_buf_view(&text)), ok);
    rf_json_set(item, "logprob", logprob > -1e300 ? json_real(logprob) : json_null(), ok);
    rf_buf_deinit(&text);
    return item;
}

static rf_status keep_token(void *user, const rf_event *sampled, rf_error *err) {
    job *j = user;
    bool ok = rf_tokens_push(&j->tokens, sampled->token);
    if (j->sampling.params.n_probs > 0) {
        json_t *item = logprob_json(j, sampled->token, (double)sampled->logprob, &ok);
        json_t *top = json_array();
        for (uint32_t i = 0; i < sampled->n_top; i++)
            rf_json_add(
                top, logprob_json(j, sampled->top[i].token, (double)sampled->top[i].logprob, &ok),
                &ok);
        rf_json_set(item, "top", top, &ok);
        rf_json_add(j->logprobs, item, &ok);
    }
    return ok ? RF_OK : rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the tokens");
}

/* Through the model's template, or as it stands: --raw, or a model without a template. */
static rf_status tokenize_prompt(job *j, bool *raw, rf_error *err) {
    rf_str text = rf_buf_view(&j->prompt);
    const rf_options *options = &j->cli->options;
    *raw = rf_opt_on(options, RF_OPT_RAW);
    rf_conversation conversation = {0};
    if (!*raw) {
        rf_status status = rf_conversation_init(&conversation, j->cli, &j->session, err);
        bool absent = status == RF_ERR_NOT_FOUND &&
                      !rf_opt_given(options, RF_OPT_CHAT_TEMPLATE_FILE) &&
                      !rf_opt_given(options, RF_OPT_SYSTEM);
        if (status != RF_OK && !absent)
            return status;
        if (absent)
            rf_log(RF_LOG_WARN, "generate",
                   "the model has no chat template; it continues the prompt as with --raw");
        *raw = absent;
    }
    if (*raw) {
        rf_encode_options encode = {.add_special = true, .parse_special = true};
        return rf_tokenizer_encode(j->session.tokenizer, text, encode, &j->prompt_tokens, err);
    }
    rf_status status = rf_conversation_add(&conversation, "user", text, err);
    if (status == RF_OK)
        status = rf_conversation_tokens(&conversation, &j->prompt_tokens, err);
    rf_conversation_deinit(&conversation);
    return status;
}

static json_t *ids_json(const rf_tokens *tokens, bool *ok) {
    json_t *list = json_array();
    for (size_t i = 0; i < tokens->n; i++)
        rf_json_add(list, json_integer(tokens->ids[i]), ok);
    return list;
}

static rf_status print_json(const job *j, const rf_generation *generation, rf_error *err) {
    bool ok = true;
    json_t *object = json_object();
    rf_json_set(object, "text", rf_json_str(rf_buf_view(&j->answer)), &ok);
    rf_json_set(object, "ids", ids_json(&j->tokens, &ok), &ok);
    rf_json_set(object, "prompt_ids", ids_json(&j->prompt_tokens, &ok), &ok);
    rf_json_set(object, "finish_reason", json_string(rf_answer_end_name(generation->finish)), &ok);
    rf_json_set(object, "seed", json_integer((json_int_t)generation->seed), &ok);
    if (j->sampling.params.n_probs > 0)
        rf_json_set(object, "logprobs", json_incref(j->logprobs), &ok);
    rf_json_set(object, "timings", rf_generation_json(&j->session, generation, &ok), &ok);
    if (ok)
        rf_out_json(object, JSON_INDENT(1));
    json_decref(object);
    return ok ? RF_OK : rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the JSON");
}

static void note_logprobs(const job *j) {
    size_t i;
    json_t *item;
    json_array_foreach(j->logprobs, i, item) {
        char *line = json_dumps(item, JSON_REAL_PRECISION(6) | JSON_COMPACT);
        if (line)
            rf_note("%s", line);
        rf_free(line);
    }
}

static rf_status answer(job *j, rf_error *err) {
    const rf_options *options = &j->cli->options;
    bool json = rf_opt_on(options, RF_OPT_JSON), raw;
    RF_TRY(tokenize_prompt(j, &raw, err));
    RF_TRY(rf_sampling_init(&j->sampling, options, j->session.tokenizer,
                            rf_opt_on(options, RF_OPT_IGNORE_EOS), err));
    if (j->prompt_tokens.n > j->session.n_ctx)
        rf_cli_hint(j->cli, "a longer context (-c %zu) or a shorter prompt",
                    j->prompt_tokens.n + 256);
    rf_generation_options generate = {
        .n_predict = rf_opt_int(options, RF_OPT_PREDICT),
        .stops = options->values[RF_OPT_STOP].list,
        .n_stops = options->values[RF_OPT_STOP].n_list,
        .ignore_eos = rf_opt_on(options, RF_OPT_IGNORE_EOS),
        .continues = raw,
        .on_text = json ? keep_text : stream_text,
        .on_token = json || j->sampling.params.n_probs > 0 ? keep_token : NULL,
        .user = j,
    };
    rf_generation generation;
    RF_TRY(rf_generation_run(&j->session, &j->sampling, &generate, &j->prompt_tokens, &generation,
                             err));
    if (json)
        RF_TRY(print_json(j, &generation, err));
    else if (isatty(STDOUT_FILENO) == 1 && j->last != '\n')
        rf_out_text("\n");
    RF_TRY(rf_out_flush(err));
    if (!json)
        note_logprobs(j);
    if (!rf_opt_on(options, RF_OPT_QUIET))
        rf_generation_note(&j->session, &generation);
    return generation.finish == RF_ANSWER_INTERRUPTED
               ? rf_fail(err, RF_ERR_INTERRUPTED, "interrupted")
               : RF_OK;
}

static rf_status prepare(job *j, rf_error *err) {
    RF_TRY(rf_generation_check_stops(&j->cli->options.values[RF_OPT_STOP], err));
    j->session.may_draft = j->session.may_constrain = true;
    RF_TRY(rf_session_open(j->cli, &j->session, true, err));
    RF_TRY(rf_input_prompt(j->cli, &j->prompt, err));
    j->logprobs = json_array();
    if (!j->logprobs)
        return rf_fail(err, RF_ERR_NO_MEMORY, "out of memory for the log-probabilities");
    return rf_session_start(j->cli, &j->session, err);
}

rf_status rf_cmd_generate(rf_cli *cli, rf_error *err) {
    job j = {.cli = cli};
    rf_buf_init(&j.prompt, PROMPT_MAX_BYTES);
    rf_buf_init(&j.answer, ANSWER_MAX_BYTES);
    rf_status status = prepare(&j, err);
    if (status == RF_OK)
        status = answer(&j, err);
    release(&j);
    return status;
}
