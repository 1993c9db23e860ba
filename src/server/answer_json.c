#include "server/answer_json.h"

#include "chat/messages.h"
#include "server/server_state.h"

static void write_head(const rf_answer *answer, const char *object, rf_buf *out) {
    const struct rf_server *server = answer->exchange->server;
    rf_buf_printf(out, "{\"id\":\"%s\",\"object\":\"%s\",\"created\":%lld,\"model\":", answer->id,
                  object, (long long)answer->created_s);
    rf_json_append_string(out, rf_str_of(server->options.model_name));
    rf_buf_printf(out, ",\"system_fingerprint\":\"%s\"", server->fingerprint);
}

static bool is_chat(const rf_answer *answer) { return answer->form == RF_FORM_CHAT; }

void rf_answer_json_head(rf_answer *answer) {
    rf_buf_text(&answer->head, "data: ");
    write_head(answer, is_chat(answer) ? "chat.completion.chunk" : "text_completion",
               &answer->head);
}

static size_t index_of(const rf_answer *answer, const rf_choice *choice) {
    return (size_t)(choice - answer->choices);
}

static void begin_chunk(rf_answer *answer, const rf_choice *choice) {
    rf_buf_str(&answer->sent, rf_buf_view(&answer->head));
    rf_buf_printf(&answer->sent, ",\"choices\":[{\"index\":%zu,", index_of(answer, choice));
}

static void end_chunk(rf_answer *answer, const char *finish) {
    rf_buf *out = &answer->sent;
    if (finish)
        rf_buf_printf(out, ",\"finish_reason\":\"%s\"}]", finish);
    else
        rf_buf_text(out, ",\"finish_reason\":null}]");
    rf_buf_text(out, answer->include_usage ? ",\"usage\":null}\n\n" : "}\n\n");
}

/* The first chunk of a chat's choice names who speaks. */
static void write_role(rf_answer *answer, const rf_choice *choice) {
    begin_chunk(answer, choice);
    rf_buf_text(&answer->sent,
                "\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null");
    end_chunk(answer, NULL);
}

static void write_logprobs(const rf_answer *answer, rf_choice *choice, rf_buf *out) {
    rf_buf_text(out, ",\"logprobs\":");
    rf_logprobs_write(answer, choice, out);
    rf_logprobs_clear(choice);
}

/* Prompts are echoed when a choice begins. */
static void begin_choice(rf_answer *answer, rf_choice *choice) {
    if (choice->has_begun)
        return;
    choice->has_begun = true;
    if (is_chat(answer)) {
        write_role(answer, choice);
    } else if (answer->echoes) {
        const rf_answer_prompt *prompt =
            &answer->prompts[index_of(answer, choice) / answer->n_choices];
        begin_chunk(answer, choice);
        rf_buf_text(&answer->sent, "\"text\":");
        rf_json_append_string(&answer->sent, rf_buf_view(&prompt->echo));
        rf_buf_text(&answer->sent, ",\"logprobs\":null");
        end_chunk(answer, NULL);
    }
}

void rf_answer_json_text(rf_answer *answer, rf_choice *choice, rf_str text) {
    rf_buf *out = &answer->sent;
    begin_choice(answer, choice);
    begin_chunk(answer, choice);
    rf_buf_text(out, is_chat(answer) ? "\"delta\":{\"content\":" : "\"text\":");
    rf_json_append_string(out, text);
    if (is_chat(answer))
        rf_buf_put(out, '}');
    write_logprobs(answer, choice, out);
    end_chunk(answer, NULL);
}

void rf_answer_json_finish(rf_answer *answer, rf_choice *choice) {
    begin_choice(answer, choice);
    begin_chunk(answer, choice);
    rf_buf_text(&answer->sent, is_chat(answer) ? "\"delta\":{}" : "\"text\":\"\"");
    write_logprobs(answer, choice, &answer->sent);
    end_chunk(answer, choice->finish);
}

typedef struct counts {
    size_t n_prompt, n_cached, n_generated;
} counts;

static counts count(const rf_answer *answer) {
    counts c = {0};
    for (size_t i = 0; i < answer->n_prompts; i++) {
        c.n_prompt += answer->prompts[i].n_tokens;
        c.n_cached += answer->prompts[i].n_cached;
    }
    for (size_t i = 0; i < answer->n_prompts * answer->n_choices; i++)
        c.n_generated += answer->choices[i].n_tokens;
    return c;
}

static void write_usage(const rf_answer *answer, rf_buf *out) {
    counts c = count(answer);
    rf_buf_printf(out,
                  "\"usage\":{\"prompt_tokens\":%zu,\"completion_tokens\":%zu,"
                  "\"total_tokens\":%zu,\"prompt_tokens_details\":{\"cached_tokens\":%zu},"
                  "\"completion_tokens_details\":{\"reasoning_tokens\":0}}",
                  c.n_prompt, c.n_generated, c.n_prompt + c.n_generated, c.n_cached);
}

static double per_second(size_t n, double ms) { return ms > 0 ? (double)n * 1e3 / ms : 0; }

/* As llama-server reports them. */
static void write_timings(const rf_answer *answer, rf_buf *out) {
    counts c = count(answer);
    size_t n_fed = c.n_prompt - (c.n_cached < c.n_prompt ? c.n_cached : c.n_prompt);
    uint64_t first_ns = answer->first_ns > 0 ? answer->first_ns : answer->submitted_ns;
    double prompt_ms = (double)(first_ns - answer->submitted_ns) / 1e6;
    double ms = answer->last_ns > first_ns ? (double)(answer->last_ns - first_ns) / 1e6 : 0;
    rf_buf_printf(out,
                  "\"timings\":{\"cache_n\":%zu,\"prompt_n\":%zu,\"prompt_ms\":%.3f,"
                  "\"prompt_per_second\":%.2f,\"predicted_n\":%zu,\"predicted_ms\":%.3f,"
                  "\"predicted_per_second\":%.2f}",
                  c.n_cached, n_fed, prompt_ms, per_second(n_fed, prompt_ms), c.n_generated, ms,
                  per_second(c.n_generated, ms));
}

void rf_answer_json_end(rf_answer *answer) {
    rf_buf *out = &answer->sent;
    if (answer->include_usage) {
        rf_buf_str(out, rf_buf_view(&answer->head));
        rf_buf_text(out, ",\"choices\":[],");
        write_usage(answer, out);
        rf_buf_put(out, ',');
        write_timings(answer, out);
        rf_buf_text(out, "}\n\n");
    }
    rf_buf_text(out, "data: [DONE]\n\n");
}

static void write_choice(const rf_answer *answer, size_t i, rf_buf *out) {
    const rf_choice *choice = &answer->choices[i];
    const rf_answer_prompt *prompt = &answer->prompts[i / answer->n_choices];
    rf_buf_printf(out, "%s{\"index\":%zu,", i > 0 ? "," : "", i);
    if (is_chat(answer)) {
        rf_buf_text(out, "\"message\":{\"role\":\"assistant\",\"content\":");
        rf_json_append_string(out, rf_buf_view(&choice->whole));
        rf_buf_text(out, ",\"refusal\":null}");
    } else {
        rf_buf text;
        rf_buf_init(&text, SIZE_MAX / 2);
        if (answer->echoes)
            rf_buf_str(&text, rf_buf_view(&prompt->echo));
        rf_buf_str(&text, rf_buf_view(&choice->whole));
        out->failed |= text.failed;
        rf_buf_text(out, "\"text\":");
        rf_json_append_string(out, rf_buf_view(&text));
        rf_buf_deinit(&text);
    }
    out->failed |= choice->whole.failed;
    rf_buf_text(out, ",\"logprobs\":");
    rf_logprobs_write(answer, choice, out);
    rf_buf_printf(out, ",\"finish_reason\":\"%s\"}", choice->finish ? choice->finish : "stop");
}

void rf_answer_json_whole(const rf_answer *answer, rf_buf *out) {
    write_head(answer, is_chat(answer) ? "chat.completion" : "text_completion", out);
    rf_buf_text(out, ",\"choices\":[");
    for (size_t i = 0; i < answer->n_prompts * answer->n_choices; i++)
        write_choice(answer, i, out);
    rf_buf_text(out, "],");
    write_usage(answer, out);
    rf_buf_put(out, ',');
    write_timings(answer, out);
    rf_buf_put(out, '}');
}
