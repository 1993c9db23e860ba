/* OpenAI's responses: items, whole or as typed events with rising numbers. */
#include "base/alloc.h"
#include "chat/messages.h"
#include "server/answer_json.h"
#include "server/responses.h"
#include "server/server_state.h"

enum { SETTINGS_BYTES = 64 << 20 };

/* ---- what is repeated of the request --------------------------------------------------------- */

static void repeat(rf_buf *out, const char *name, const json_t *value, const char *absent) {
    char *text = value ? json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    rf_buf_printf(out, ",\"%s\":", name);
    rf_buf_text(out, text ? text : absent);
    rf_free(text);
}

bool rf_responses_repeat(rf_talk *talk, const rf_ask *ask, const rf_sample_params *params,
                         rf_refusal *refusal) {
    static const struct {
        rf_field field;
        const char *name, *absent;
    } rows[] = {{RF_FIELD_INSTRUCTIONS, "instructions", "null"},
                {RF_FIELD_MAX_OUTPUT_TOKENS, "max_output_tokens", "null"},
                {RF_FIELD_METADATA, "metadata", "{}"},
                {RF_FIELD_PARALLEL_TOOL_CALLS, "parallel_tool_calls", "true"},
                {RF_FIELD_FLAT_TOOL_CHOICE, "tool_choice", "\"auto\""},
                {RF_FIELD_FLAT_TOOLS, "tools", "[]"},
                {RF_FIELD_TEXT_FORMAT, "text", "{\"format\":{\"type\":\"text\"}}"},
                {RF_FIELD_REASONING, "reasoning", "{\"effort\":null,\"summary\":null}"},
                {RF_FIELD_USER, "user", "null"}};
    rf_buf out;
    rf_buf_init(&out, SETTINGS_BYTES);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        repeat(&out, rows[i].name, rf_ask_json(ask, rows[i].field), rows[i].absent);
    const json_t *temperature = json_object_get(ask->root, "temperature");
    const json_t *top_p = json_object_get(ask->root, "top_p");
    rf_buf_printf(&out, ",\"temperature\":%g,\"top_p\":%g",
                  json_is_number(temperature) ? json_number_value(temperature)
                                              : (double)params->temp,
                  json_is_number(top_p) ? json_number_value(top_p) : (double)params->top_p);
    rf_buf_text(&out, ",\"truncation\":\"disabled\",\"store\":false,\"background\":false,"
                      "\"previous_response_id\":null,\"service_tier\":\"default\"");
    talk->settings = out.failed ? NULL : rf_strndup(out.data, out.len);
    rf_buf_deinit(&out);
    return talk->settings ||
           rf_refuse(refusal, RF_REFUSE_FAILED, NULL, "out of memory for the request");
}

/* ---- items ----------------------------------------------------------------------------------- */

static void write_id(const rf_answer *answer, const rf_answer_item *item, size_t i, rf_buf *out) {
    rf_buf_printf(out, "\"%s_%s_%zu\"",
                  item->kind == RF_REPLY_CALL        ? "fc"
                  : item->kind == RF_REPLY_REASONING ? "rs"
                                                     : "msg",
                  answer->id + 5, i);
}

static void write_text_part(const rf_choice *choice, const rf_answer_item *item, bool begun,
                            rf_buf *out) {
    bool reasoning = item->kind == RF_REPLY_REASONING;
    rf_buf_text(out, reasoning ? "{\"type\":\"reasoning_text\",\"text\":"
                               : "{\"type\":\"output_text\",\"annotations\":[],\"logprobs\":[");
    if (!reasoning) {
        if (!begun)
            rf_buf_str(out, rf_buf_view(&choice->logprobs[RF_LOGPROB_CONTENT]));
        rf_buf_text(out, "],\"text\":");
    }
    if (begun)
        rf_buf_text(out, "\"\"");
    else
        rf_json_append_string(out, rf_buf_view(&item->text));
    rf_buf_put(out, '}');
}

/* begun: without what is still to come. */
static void write_item(const rf_answer *answer, const rf_choice *choice, size_t i, bool begun,
                       rf_buf *out) {
    const rf_answer_item *item = &choice->items[i];
    /* Open: the answer has failed. */
    bool cut = choice->end == RF_CHOICE_LENGTH || choice->end == RF_CHOICE_OPEN;
    const char *status = begun                             ? "in_progress"
                         : cut && i + 1 == choice->n_items ? "incomplete"
                                                           : "completed";
    out->failed |= item->text.failed;
    rf_buf_text(out, "{\"id\":");
    write_id(answer, item, i, out);
    rf_buf_printf(out, ",\"status\":\"%s\",", status);
    if (item->kind == RF_REPLY_CALL) {
        rf_buf_printf(out, "\"type\":\"function_call\",\"call_id\":\"%s\",\"name\":", item->id);
        rf_json_append_string(out, rf_buf_view(&item->name));
        rf_buf_text(out, ",\"arguments\":");
        rf_json_append_string(out, begun ? (rf_str){"", 0} : rf_buf_view(&item->text));
        rf_buf_put(out, '}');
        return;
    }
    rf_buf_text(out, item->kind == RF_REPLY_REASONING
                         ? "\"type\":\"reasoning\",\"summary\":[],\"content\":["
                         : "\"type\":\"message\",\"role\":\"assistant\",\"content\":[");
    if (!begun)
        write_text_part(choice, item, false, out);
    rf_buf_text(out, "]}");
}

static void write_usage(const rf_answer *answer, rf_buf *out) {
    rf_answer_counts c = rf_answer_count(answer);
    rf_buf_printf(out,
                  "{\"input_tokens\":%zu,\"input_tokens_details\":{\"cached_tokens\":%zu,"
                  "\"cache_write_tokens\":0},\"output_tokens\":%zu,\"output_tokens_details\":{"
                  "\"reasoning_tokens\":%zu},\"total_tokens\":%zu}",
                  c.n_prompt, c.n_cached, c.n_generated, c.n_reasoning, c.n_prompt + c.n_generated);
}

static void write_response(const rf_answer *answer, bool ended, rf_buf *out) {
    const rf_choice *choice = &answer->choices[0];
    const rf_refusal *failure = &answer->failure;
    bool failed = failure->kind != RF_REFUSE_NOTHING;
    bool cut = ended && !failed && choice->end == RF_CHOICE_LENGTH;
    rf_buf_printf(out,
                  "{\"id\":\"%s\",\"object\":\"response\",\"created_at\":%lld,\"status\":\"%s\","
                  "\"incomplete_details\":%s,\"error\":",
                  answer->id, (long long)answer->created_s,
                  failed   ? "failed"
                  : !ended ? "in_progress"
                  : cut    ? "incomplete"
                           : "completed",
                  cut ? "{\"reason\":\"max_output_tokens\"}" : "null");
    if (failed) {
        rf_buf_printf(out, "{\"code\":\"%s\",\"message\":",
                      failure->kind == RF_REFUSE_BUSY ? "rate_limit_exceeded" : "server_error");
        rf_json_append_string(out, rf_str_of(failure->error.text));
        rf_buf_put(out, '}');
    } else {
        rf_buf_text(out, "null");
    }
    rf_buf_text(out, ",\"model\":");
    rf_json_append_string(out, rf_str_of(answer->exchange->server->options.model_name));
    rf_buf_text(out, ",\"output\":[");
    for (size_t i = 0; ended && i < choice->n_items; i++) {
        if (i > 0)
            rf_buf_put(out, ',');
        write_item(answer, choice, i, false, out);
    }
    rf_buf_text(out, "],\"usage\":");
    if (ended)
        write_usage(answer, out);
    else
        rf_buf_text(out, "null");
    rf_buf_text(out, answer->talk.settings);
    rf_buf_put(out, '}');
}

/* ---- streams --------------------------------------------------------------------------------- */

static void begin_event(rf_answer *answer, const char *type) {
    rf_buf_printf(&answer->sent, "event: %s\ndata: {\"type\":\"%s\",\"sequence_number\":%u", type,
                  type, answer->n_events++);
}

static void end_event(rf_answer *answer) { rf_buf_text(&answer->sent, "}\n\n"); }

static void response_event(rf_answer *answer, const char *type, bool ended) {
    begin_event(answer, type);
    rf_buf_text(&answer->sent, ",\"response\":");
    write_response(answer, ended, &answer->sent);
    end_event(answer);
}

static void begin(rf_answer *answer) {
    response_event(answer, "response.created", false);
    response_event(answer, "response.in_progress", false);
}

static void item_event(rf_answer *answer, const rf_choice *choice, size_t i, bool begun) {
    begin_event(answer, begun ? "response.output_item.added" : "response.output_item.done");
    rf_buf_printf(&answer->sent, ",\"output_index\":%zu,\"item\":", i);
    write_item(answer, choice, i, begun, &answer->sent);
    end_event(answer);
}

/* The beginning of an event about an item's part. */
static void begin_part_event(rf_answer *answer, const rf_choice *choice, size_t i,
                             const char *type) {
    const rf_answer_item *item = &choice->items[i];
    begin_event(answer, type);
    rf_buf_printf(&answer->sent, ",\"output_index\":%zu,\"item_id\":", i);
    write_id(answer, item, i, &answer->sent);
    if (item->kind != RF_REPLY_CALL)
        rf_buf_text(&answer->sent, ",\"content_index\":0");
}

static void part_event(rf_answer *answer, const rf_choice *choice, size_t i, bool begun) {
    begin_part_event(answer, choice, i,
                     begun ? "response.content_part.added" : "response.content_part.done");
    rf_buf_text(&answer->sent, ",\"part\":");
    write_text_part(choice, &choice->items[i], begun, &answer->sent);
    end_event(answer);
}

static void start_item(rf_answer *answer, rf_choice *choice) {
    size_t i = choice->n_items - 1;
    item_event(answer, choice, i, true);
    if (choice->items[i].kind != RF_REPLY_CALL)
        part_event(answer, choice, i, true);
    choice->n_shown = choice->n_items;
}

static void finish_item(rf_answer *answer, rf_choice *choice) {
    if (choice->n_shown == 0)
        return;
    size_t i = choice->n_shown - 1;
    const rf_answer_item *item = &choice->items[i];
    bool call = item->kind == RF_REPLY_CALL;
    begin_part_event(answer, choice, i,
                     call                               ? "response.function_call_arguments.done"
                     : item->kind == RF_REPLY_REASONING ? "response.reasoning_text.done"
                                                        : "response.output_text.done");
    rf_buf_text(&answer->sent, call                               ? ",\"arguments\":"
                               : item->kind == RF_REPLY_REASONING ? ",\"text\":"
                                                                  : ",\"logprobs\":[],\"text\":");
    rf_json_append_string(&answer->sent, rf_buf_view(&item->text));
    if (call) {
        rf_buf_text(&answer->sent, ",\"name\":");
        rf_json_append_string(&answer->sent, rf_buf_view(&item->name));
    }
    end_event(answer);
    if (!call)
        part_event(answer, choice, i, false);
    item_event(answer, choice, i, false);
}

static void part(rf_answer *answer, rf_choice *choice, rf_reply_part kind, rf_str text) {
    if (choice->n_shown < choice->n_items) {
        finish_item(answer, choice);
        start_item(answer, choice);
    }
    if (kind == RF_REPLY_CALL || kind == RF_REPLY_CALL_END)
        return;
    bool plain = kind == RF_REPLY_TEXT;
    begin_part_event(answer, choice, choice->n_shown - 1,
                     kind == RF_REPLY_ARGUMENTS ? "response.function_call_arguments.delta"
                     : plain                    ? "response.output_text.delta"
                                                : "response.reasoning_text.delta");
    if (plain) {
        rf_buf_text(&answer->sent, ",\"logprobs\":[");
        rf_buf_str(&answer->sent, rf_buf_view(&choice->logprobs[RF_LOGPROB_CONTENT]));
        rf_buf_put(&answer->sent, ']');
        rf_logprobs_clear(choice);
    }
    rf_buf_text(&answer->sent, ",\"delta\":");
    rf_json_append_string(&answer->sent, text);
    end_event(answer);
}

static void finish(rf_answer *answer, rf_choice *choice) { finish_item(answer, choice); }

static void end(rf_answer *answer) {
    bool cut = answer->choices[0].end == RF_CHOICE_LENGTH;
    response_event(answer, cut ? "response.incomplete" : "response.completed", true);
}

/* Agents wait for this one, and try again. */
static void fail(rf_answer *answer) { response_event(answer, "response.failed", true); }

static void whole(const rf_answer *answer, rf_buf *out) { write_response(answer, true, out); }

const rf_answer_form rf_form_response = {
    .id_prefix = "resp_",
    .call_id_prefix = "call_",
    .prompt_field = "input",
    .talks = true,
    .keeps = true,
    .begin = begin,
    .part = part,
    .finish = finish,
    .end = end,
    .fail = fail,
    .whole = whole,
};
