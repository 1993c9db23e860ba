/* Anthropic's messages: blocks, whole or as typed events. */
#include <jansson.h>

#include "chat/messages.h"
#include "server/answer_json.h"
#include "server/anthropic.h"
#include "server/server_state.h"

static void write_head(const rf_answer *answer, rf_buf *out) {
    rf_buf_printf(
        out, "{\"id\":\"%s\",\"type\":\"message\",\"role\":\"assistant\",\"model\":", answer->id);
    rf_json_append_string(out, rf_str_of(answer->exchange->server->options.model_name));
}

static void write_usage(const rf_answer *answer, rf_buf *out) {
    rf_answer_counts c = rf_answer_count(answer);
    rf_buf_printf(out,
                  "\"usage\":{\"input_tokens\":%zu,\"cache_creation_input_tokens\":0,"
                  "\"cache_read_input_tokens\":%zu,\"output_tokens\":%zu}",
                  c.n_prompt - c.n_cached, c.n_cached, c.n_generated);
}

/* "stop_reason" and "stop_sequence". */
static void write_stop(const rf_choice *choice, rf_buf *out) {
    static const char *const reasons[RF_CHOICE_END_COUNT] = {"end_turn", "end_turn", "max_tokens",
                                                             "tool_use"};
    const rf_stop_scan *scan = &choice->text.scan;
    bool by_text = scan->found && choice->end == RF_CHOICE_STOP;
    rf_buf_printf(out, "\"stop_reason\":\"%s\",\"stop_sequence\":",
                  by_text ? "stop_sequence" : reasons[choice->end]);
    if (by_text)
        rf_json_append_string(out, rf_str_of(scan->stops[scan->which]));
    else
        rf_buf_text(out, "null");
}

/* ---- streams --------------------------------------------------------------------------------- */

static void begin(rf_answer *answer) {
    rf_buf *out = &answer->sent;
    rf_buf_text(out, "event: message_start\ndata: {\"type\":\"message_start\",\"message\":");
    write_head(answer, out);
    rf_buf_text(out, ",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,");
    write_usage(answer, out);
    rf_buf_text(out, "}}\n\n");
}

static void stop_block(rf_choice *choice, rf_buf *out) {
    if (choice->n_shown > 0)
        rf_buf_printf(out,
                      "event: content_block_stop\ndata: {\"type\":\"content_block_stop\","
                      "\"index\":%zu}\n\n",
                      choice->n_shown - 1);
}

static void start_block(const rf_answer_item *item, size_t i, rf_buf *out) {
    rf_buf_printf(out,
                  "event: content_block_start\ndata: {\"type\":\"content_block_start\","
                  "\"index\":%zu,\"content_block\":",
                  i);
    if (item->kind == RF_REPLY_CALL) {
        rf_buf_printf(out, "{\"type\":\"tool_use\",\"id\":\"%s\",\"name\":", item->id);
        rf_json_append_string(out, rf_buf_view(&item->name));
        rf_buf_text(out, ",\"input\":{}}");
    } else {
        rf_buf_text(out, item->kind == RF_REPLY_REASONING
                             ? "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}"
                             : "{\"type\":\"text\",\"text\":\"\"}");
    }
    rf_buf_text(out, "}\n\n");
}

static void part(rf_answer *answer, rf_choice *choice, rf_reply_part kind, rf_str text) {
    rf_buf *out = &answer->sent;
    if (choice->n_shown < choice->n_items) {
        stop_block(choice, out);
        start_block(&choice->items[choice->n_items - 1], choice->n_items - 1, out);
        choice->n_shown = choice->n_items;
    }
    if (kind == RF_REPLY_CALL || kind == RF_REPLY_CALL_END)
        return;
    rf_buf_printf(out,
                  "event: content_block_delta\ndata: {\"type\":\"content_block_delta\","
                  "\"index\":%zu,\"delta\":{",
                  choice->n_shown - 1);
    rf_buf_text(out, kind == RF_REPLY_ARGUMENTS ? "\"type\":\"input_json_delta\",\"partial_json\":"
                     : kind == RF_REPLY_REASONING ? "\"type\":\"thinking_delta\",\"thinking\":"
                                                  : "\"type\":\"text_delta\",\"text\":");
    rf_json_append_string(out, text);
    rf_buf_text(out, "}}\n\n");
}

static void finish(rf_answer *answer, rf_choice *choice) { stop_block(choice, &answer->sent); }

static void end(rf_answer *answer) {
    rf_buf *out = &answer->sent;
    rf_buf_text(out, "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{");
    write_stop(&answer->choices[0], out);
    rf_buf_text(out, "},");
    write_usage(answer, out);
    rf_buf_text(out, "}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n");
}

/* ---- whole ----------------------------------------------------------------------------------- */

/* Arguments that broke off at the limit are no object: none is shown. */
static void write_input(const rf_answer_item *item, rf_buf *out) {
    json_t *input = json_loadb(item->text.data ? item->text.data : "", item->text.len, 0, NULL);
    if (json_is_object(input))
        rf_buf_str(out, rf_buf_view(&item->text));
    else
        rf_buf_text(out, "{}");
    json_decref(input);
}

static void write_block(const rf_answer_item *item, rf_buf *out) {
    out->failed |= item->text.failed;
    if (item->kind == RF_REPLY_CALL) {
        rf_buf_printf(out, "{\"type\":\"tool_use\",\"id\":\"%s\",\"name\":", item->id);
        rf_json_append_string(out, rf_buf_view(&item->name));
        rf_buf_text(out, ",\"input\":");
        write_input(item, out);
    } else if (item->kind == RF_REPLY_REASONING) {
        rf_buf_text(out, "{\"type\":\"thinking\",\"signature\":\"\",\"thinking\":");
        rf_json_append_string(out, rf_buf_view(&item->text));
    } else {
        rf_buf_text(out, "{\"type\":\"text\",\"text\":");
        rf_json_append_string(out, rf_buf_view(&item->text));
    }
    rf_buf_put(out, '}');
}

static void whole(const rf_answer *answer, rf_buf *out) {
    const rf_choice *choice = &answer->choices[0];
    write_head(answer, out);
    rf_buf_text(out, ",\"content\":[");
    for (size_t i = 0; i < choice->n_items; i++) {
        if (i > 0)
            rf_buf_put(out, ',');
        write_block(&choice->items[i], out);
    }
    if (choice->n_items == 0)
        rf_buf_text(out, "{\"type\":\"text\",\"text\":\"\"}");
    rf_buf_text(out, "],");
    write_stop(choice, out);
    rf_buf_put(out, ',');
    write_usage(answer, out);
    rf_buf_put(out, '}');
}

const rf_answer_form rf_form_messages = {
    .id_prefix = "msg_",
    .call_id_prefix = "toolu_",
    .prompt_field = "messages",
    .talks = true,
    .begin = begin,
    .part = part,
    .finish = finish,
    .end = end,
    .whole = whole,
};
