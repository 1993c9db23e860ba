#include "server/form_native.h"

#include <string.h>

#include "chat/messages.h"
#include "server/answer_json.h"
#include "server/server_state.h"

void rf_native_samplers_write(const rf_sample_params *params, rf_buf *out) {
    for (size_t i = 0; i < RF_SAMPLE_PARAM_COUNT; i++) {
        const rf_sample_param_info *info = rf_sample_param_at(i);
        const char *at = (const char *)params + info->offset;
        rf_buf_printf(out, "%s\"%s\":", i > 0 ? "," : "", info->json);
        if (info->kind == RF_SAMPLE_PARAM_INT) {
            int64_t value;
            memcpy(&value, at, sizeof value);
            rf_buf_printf(out, "%lld", (long long)value);
        } else {
            float value;
            memcpy(&value, at, sizeof value);
            rf_buf_printf(out, "%.7g", (double)value);
        }
    }
}

static const rf_answer_prompt *prompt_of(const rf_choice *choice) {
    return &choice->answer->prompts[rf_answer_index(choice) / choice->answer->n_choices];
}

static void write_tokens(rf_buf *out, const rf_choice *choice) {
    out->failed |= choice->ids.failed;
    rf_buf_text(out, ",\"tokens\":[");
    rf_buf_str(out, rf_buf_view(&choice->ids));
    rf_buf_put(out, ']');
}

static void write_probabilities(const rf_answer *answer, const rf_choice *choice, rf_buf *out) {
    const rf_buf *entries = &choice->logprobs[RF_LOGPROB_CONTENT];
    out->failed |= entries->failed;
    if (!answer->sampling.logprobs)
        return;
    rf_buf_text(out, ",\"completion_probabilities\":[");
    rf_buf_str(out, rf_buf_view(entries));
    rf_buf_put(out, ']');
}

/* What every object begins with, without the closing brace. */
static void write_head(const rf_choice *choice, rf_str text, bool stop, rf_buf *out) {
    rf_buf_printf(out, "{\"index\":%zu,\"content\":", rf_answer_index(choice));
    rf_json_append_string(out, text);
    write_tokens(out, choice);
    rf_buf_printf(out,
                  ",\"stop\":%s,\"id_slot\":0,\"tokens_predicted\":%u,\"tokens_evaluated\":%zu",
                  stop ? "true" : "false", choice->n_tokens, prompt_of(choice)->n_tokens);
}

/* The stop text that ended the choice stands at the beginning of what is held back. */
static const char *stopping_word(const rf_answer *answer, const rf_choice *choice) {
    rf_str held = rf_buf_view(&choice->text.scan.held);
    for (size_t i = 0; choice->text.scan.found && i < answer->sampling.n_stops; i++)
        if (rf_str_starts(held, rf_str_of(answer->sampling.stops[i])))
            return answer->sampling.stops[i];
    return "";
}

static void write_settings(const rf_answer *answer, rf_buf *out) {
    rf_buf_printf(out, ",\"generation_settings\":{\"n_predict\":%lld,\"max_tokens\":%lld,",
                  answer->n_new == RF_NEW_TOKENS_MAX ? -1LL : (long long)answer->n_new,
                  answer->n_new == RF_NEW_TOKENS_MAX ? -1LL : (long long)answer->n_new);
    rf_native_samplers_write(&answer->sampling.params, out);
    rf_buf_printf(out, ",\"ignore_eos\":%s,\"stream\":%s,\"stop\":[",
                  answer->sampling.ignore_eos ? "true" : "false",
                  answer->streams ? "true" : "false");
    for (size_t i = 0; i < answer->sampling.n_stops; i++) {
        if (i > 0)
            rf_buf_put(out, ',');
        rf_json_append_string(out, rf_str_of(answer->sampling.stops[i]));
    }
    rf_buf_text(out, "]}");
}

static void write_last(const rf_answer *answer, const rf_choice *choice, rf_str text, rf_buf *out) {
    const rf_answer_prompt *prompt = prompt_of(choice);
    const char *type = choice->text.scan.found           ? "word"
                       : choice->end == RF_CHOICE_LENGTH ? "limit"
                       : choice->end == RF_CHOICE_OPEN   ? "none"
                                                         : "eos";
    write_head(choice, text, true, out);
    rf_buf_text(out, ",\"model\":");
    rf_json_append_string(out, rf_str_of(answer->exchange->server->options.model_name));
    write_settings(answer, out);
    rf_buf_text(out, ",\"prompt\":");
    rf_json_append_string(out, rf_buf_view(&prompt->echo));
    rf_buf_printf(out, ",\"has_new_line\":%s,\"truncated\":false,\"stop_type\":\"%s\"",
                  choice->has_new_line ? "true" : "false", type);
    rf_buf_text(out, ",\"stopping_word\":");
    rf_json_append_string(out, rf_str_of(stopping_word(answer, choice)));
    rf_buf_printf(out, ",\"tokens_cached\":%u,", prompt->n_cached);
    rf_answer_json_timings(answer, out);
    write_probabilities(answer, choice, out);
    rf_buf_put(out, '}');
}

static void part(rf_answer *answer, rf_choice *choice, rf_reply_part kind, rf_str text) {
    rf_buf *out = &answer->sent;
    (void)kind; /* it is all text */
    choice->has_new_line |= memchr(text.ptr, '\n', text.len) != NULL;
    rf_buf_text(out, "data: ");
    write_head(choice, text, false, out);
    write_probabilities(answer, choice, out);
    if (answer->times_tokens) {
        rf_buf_put(out, ',');
        rf_answer_json_timings(answer, out);
    }
    rf_buf_text(out, "}\n\n");
    rf_logprobs_clear(choice);
    rf_buf_clear(&choice->ids);
}

static void finish(rf_answer *answer, rf_choice *choice) {
    (void)answer; /* the last event tells what is known only when all have ended */
    (void)choice;
}

static void end(rf_answer *answer) {
    for (size_t i = 0; i < answer->n_prompts * answer->n_choices; i++) {
        rf_buf_text(&answer->sent, "data: ");
        write_last(answer, &answer->choices[i], (rf_str){"", 0}, &answer->sent);
        rf_buf_text(&answer->sent, "\n\n");
    }
}

/* An object for one prompt, an array for several. */
static void whole(const rf_answer *answer, rf_buf *out) {
    size_t n = answer->n_prompts * answer->n_choices;
    for (size_t i = 0; i < n; i++) {
        rf_choice *choice = &answer->choices[i];
        rf_buf text;
        rf_buf_init(&text, SIZE_MAX / 2);
        rf_choice_texts(choice, RF_REPLY_TEXT, &text);
        out->failed |= text.failed;
        choice->has_new_line = text.len > 0 && memchr(text.data, '\n', text.len) != NULL;
        if (n > 1)
            rf_buf_put(out, i > 0 ? ',' : '[');
        write_last(answer, choice, rf_buf_view(&text), out);
        rf_buf_deinit(&text);
    }
    if (n > 1)
        rf_buf_put(out, ']');
}

const rf_answer_form rf_form_native = {
    .id_prefix = "cmpl-",
    .prompt_field = "prompt",
    .continues = true,
    .shows_ids = true,
    .part = part,
    .finish = finish,
    .end = end,
    .whole = whole,
};
