#include "server/answer_json.h"

#include "chat/messages.h"
#include "server/server_state.h"

void rf_answer_json_head(const rf_answer *answer, const char *object, rf_buf *out) {
    const struct rf_server *server = answer->exchange->server;
    rf_buf_printf(out, "{\"id\":\"%s\",\"object\":\"%s\",\"created\":%lld,\"model\":", answer->id,
                  object, (long long)answer->created_s);
    rf_json_append_string(out, rf_str_of(server->options.model_name));
    rf_buf_printf(out, ",\"system_fingerprint\":\"%s\"", server->fingerprint);
}

rf_answer_counts rf_answer_count(const rf_answer *answer) {
    rf_answer_counts c = {0};
    for (size_t i = 0; i < answer->n_prompts; i++) {
        c.n_prompt += answer->prompts[i].n_tokens;
        c.n_cached += answer->prompts[i].n_cached;
    }
    for (size_t i = 0; i < answer->n_prompts * answer->n_choices; i++)
        c.n_generated += answer->choices[i].n_tokens,
            c.n_reasoning += answer->choices[i].n_reasoning;
    return c;
}

void rf_answer_json_usage(const rf_answer *answer, rf_buf *out) {
    rf_answer_counts c = rf_answer_count(answer);
    rf_buf_printf(out,
                  "\"usage\":{\"prompt_tokens\":%zu,\"completion_tokens\":%zu,"
                  "\"total_tokens\":%zu,\"prompt_tokens_details\":{\"cached_tokens\":%zu},"
                  "\"completion_tokens_details\":{\"reasoning_tokens\":%zu}}",
                  c.n_prompt, c.n_generated, c.n_prompt + c.n_generated, c.n_cached, c.n_reasoning);
}

static double per_second(size_t n, double ms) { return ms > 0 ? (double)n * 1e3 / ms : 0; }

/* As llama-server reports them. */
void rf_answer_json_timings(const rf_answer *answer, rf_buf *out) {
    rf_answer_counts c = rf_answer_count(answer);
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

/* ---- chunks of OpenAI's streams -------------------------------------------------------------- */

size_t rf_answer_index(const rf_choice *choice) {
    return (size_t)(choice - choice->answer->choices);
}

void rf_chunk_begin(rf_answer *answer, const rf_choice *choice) {
    rf_buf_str(&answer->sent, rf_buf_view(&answer->head));
    rf_buf_printf(&answer->sent, ",\"choices\":[{\"index\":%zu,", rf_answer_index(choice));
}

const char *rf_finish_name(rf_choice_end end) {
    static const char *const names[RF_CHOICE_END_COUNT] = {"stop", "stop", "length", "tool_calls"};
    return names[end];
}

void rf_chunk_end(rf_answer *answer, rf_choice_end end) {
    rf_buf *out = &answer->sent;
    if (end != RF_CHOICE_OPEN)
        rf_buf_printf(out, ",\"finish_reason\":\"%s\"}]", rf_finish_name(end));
    else
        rf_buf_text(out, ",\"finish_reason\":null}]");
    rf_buf_text(out, answer->include_usage ? ",\"usage\":null}\n\n" : "}\n\n");
}

void rf_chunk_logprobs(rf_answer *answer, rf_choice *choice) {
    rf_buf_text(&answer->sent, ",\"logprobs\":");
    rf_logprobs_write(answer, choice, &answer->sent);
    rf_logprobs_clear(choice);
}

void rf_chunks_end(rf_answer *answer) {
    rf_buf *out = &answer->sent;
    if (answer->include_usage) {
        rf_buf_str(out, rf_buf_view(&answer->head));
        rf_buf_text(out, ",\"choices\":[],");
        rf_answer_json_usage(answer, out);
        rf_buf_put(out, ',');
        rf_answer_json_timings(answer, out);
        rf_buf_text(out, "}\n\n");
    }
    rf_buf_text(out, "data: [DONE]\n\n");
}

void rf_answer_json_end(const rf_answer *answer, rf_buf *out) {
    rf_answer_json_usage(answer, out);
    rf_buf_put(out, ',');
    rf_answer_json_timings(answer, out);
    rf_buf_put(out, '}');
}
